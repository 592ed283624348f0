/**
 * Whom anti-entropy compares with next, and after which rest (paper § 4.7). Everybody has a turn;
 * some are asked before it, and nobody is asked so often that another waits for ever:
 *
 *   an operator or a recovery wants it       at once
 *   a refill needs it                        at once     } every other time, the longest unasked
 *   differences wait for a second look       soon        } first
 *   nothing special                          in turn, in an order drawn each round
 *
 * A peer that had nothing to give is not hurried back to for a while.
 */
import { partitionId } from '../../core/ids.ts';
import type { NodeId, PartitionId } from '../../core/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Random } from '../../ports/random.ts';
import type { Completeness } from '../store/completeness.ts';
import type { Config } from '../config.ts';
import type { ExchangeLog } from './exchange-log.ts';
import type { RingView } from '../membership/ring-view.ts';

export type ExchangeTurnsParts = {
  readonly self: NodeId;
  readonly ring: RingView;
  readonly completeness: Completeness;
  readonly clock: Clock;
  readonly random: Random;
  readonly config: Config;
};

export class ExchangeTurns {
  readonly #parts: ExchangeTurnsParts;
  readonly #log: ExchangeLog;
  readonly #wanted = new Set<NodeId>();
  /** Until when a peer is not to be hurried back to, on the monotonic clock. */
  readonly #passedOver = new Map<NodeId, number>();
  #round: NodeId[] = [];
  #last: 'in turn' | 'out of turn' = 'in turn';

  constructor(parts: ExchangeTurnsParts, log: ExchangeLog) {
    this.#parts = parts;
    this.#log = log;
  }

  /** Compare with these before any other, and soon. */
  want(peers: readonly NodeId[]): void {
    for (const peer of peers) {
      this.#wanted.add(peer);
      this.#passedOver.delete(peer);
    }
  }

  /** Hurrying back to this peer would bring nothing now. */
  passOver(peer: NodeId): void {
    const { begunAtMs } = this.#log.of(peer);
    this.#passedOver.set(peer, begunAtMs + this.#parts.config.lookAgainMs);
  }

  restMs(): number {
    const { config, random } = this.#parts;
    const peers = this.coOwners();
    if (peers.some((peer) => this.#isUrgent(peer) && !this.#isPassedOver(peer))) return 0;
    const soon = peers.some((peer) => this.#isUrgent(peer) || this.#hasLooks(peer));
    return soon ? config.lookAgainMs : config.exchangeIntervalMs * (0.5 + random.fraction());
  }

  /** The peer of the next exchange; undefined if there is nobody. */
  next(): NodeId | undefined {
    const { random } = this.#parts;
    const peers = this.coOwners();
    this.#round = this.#round.filter((peer) => peers.includes(peer));
    // A new round in a new order: everybody once before anybody twice.
    if (this.#round.length === 0) this.#round = shuffled(peers, random);
    const wish = peers.find((peer) => this.#wanted.has(peer));
    // Refills may make no progress, and under steady writes there is always something to look at.
    const reason = this.#last === 'in turn' ? this.#mostPressing(peers) : undefined;
    const chosen = wish ?? reason ?? this.#round.pop();
    if (chosen === undefined) return undefined;
    if (wish === undefined) this.#last = reason === undefined ? 'in turn' : 'out of turn';
    this.#round = this.#round.filter((other) => other !== chosen);
    this.#wanted.delete(chosen);
    return chosen;
  }

  /** Healthy nodes that hold a partition this node holds too. */
  coOwners(): readonly NodeId[] {
    const { ring } = this.#parts;
    return this.allCoOwners().filter((peer) => ring.healthOf(peer) === 'healthy');
  }

  /** Those that cannot be reached included; `only`: of this one partition. */
  allCoOwners(only?: PartitionId): readonly NodeId[] {
    const { ring, self } = this.#parts;
    const partitions = only === undefined ? ring.ring.table.map((_, i) => partitionId(i)) : [only];
    const holders = partitions.map((partition) => ring.holdersOf(partition));
    const shared = holders.filter((each) => each.includes(self)).flat();
    return [...new Set(shared)].filter((peer) => peer !== self);
  }

  #mostPressing(peers: readonly NodeId[]): NodeId | undefined {
    const refills = peers.filter((peer) => this.#isUrgent(peer) && !this.#isPassedOver(peer));
    const looks = peers.filter((peer) => this.#hasLooks(peer));
    return this.#longestUnasked(refills) ?? this.#longestUnasked(looks);
  }

  #isUrgent(peer: NodeId): boolean {
    return this.#wanted.has(peer) || this.#parts.completeness.wants(peer);
  }

  #hasLooks(peer: NodeId): boolean {
    return this.#log.of(peer).looks.size > 0;
  }

  #isPassedOver(peer: NodeId): boolean {
    return (this.#passedOver.get(peer) ?? -Infinity) > this.#parts.clock.monotonicMs();
  }

  #longestUnasked(peers: readonly NodeId[]): NodeId | undefined {
    const begun = (peer: NodeId): number => this.#log.of(peer).begunAtMs;
    return peers.reduce<NodeId | undefined>(
      (found, peer) => (found === undefined || begun(peer) < begun(found) ? peer : found),
      undefined,
    );
  }
}

const shuffled = <T>(list: readonly T[], random: Random): T[] => {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
};
