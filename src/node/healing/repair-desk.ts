/**
 * The repair an operator asked for (`coterie repair`), beside the exchanges that carry it out: whom
 * it wants compared, which of its partitions, and how far it is.
 */
import type { NodeId, PartitionId } from '../../core/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ExchangeLog } from './exchange-log.ts';
import type { ExchangeTurns } from './exchange-turns.ts';
import { RepairRun } from './repair-run.ts';
import type { ExchangeEnd, RepairProgress, RepairState } from './repair-run.ts';

export type RepairDeskParts = {
  readonly clock: Clock;
  readonly lookAgainMs: number;
  readonly log: ExchangeLog;
  readonly turns: ExchangeTurns;
  /** Makes the anti-entropy actor look for work now. */
  readonly hurry: () => void;
};

export class RepairDesk {
  readonly #parts: RepairDeskParts;
  #run: RepairRun | undefined;
  #runs = 0;

  constructor(parts: RepairDeskParts) {
    this.#parts = parts;
  }

  /**
   * Compares with all co-owners, of one partition or of all, but those found equal within `sinceMs`.
   * Asked again while that goes on it changes nothing.
   */
  begin(partition: PartitionId | undefined, sinceMs: number | undefined): void {
    const { clock, lookAgainMs, log, turns, hurry } = this.#parts;
    if (this.#run?.isDone === false && this.#run.partition === partition) return;
    const reachable = turns.coOwners();
    const nowMs = clock.monotonicMs();
    const stateOf = (peer: NodeId): RepairState => {
      const equalAtMs = log.of(peer).equalAtMs ?? -Infinity;
      if (sinceMs !== undefined && equalAtMs >= nowMs - sinceMs) return 'equal';
      return reachable.includes(peer) ? 'waiting' : 'unreachable';
    };
    const peers = turns.allCoOwners(partition);
    const states = new Map(peers.map((peer) => [peer, stateOf(peer)]));
    this.#run = new RepairRun(++this.#runs, partition, states, lookAgainMs);
    turns.want(peers.filter((peer) => states.get(peer) === 'waiting'));
    hurry();
  }

  /** The newest one, if there was any. */
  progress(): RepairProgress | undefined {
    this.#run?.reachable(this.#parts.turns.coOwners());
    return this.#run?.progress();
  }

  /** The one partition an exchange with `peer` is to be about; undefined: all that are common. */
  onlyWith(peer: NodeId): PartitionId | undefined {
    return this.#run?.concerns(peer) === true ? this.#run.partition : undefined;
  }

  /** Whether an exchange with `peer` is one an operator waits for. */
  wants(peer: NodeId): boolean {
    return this.#run?.concerns(peer) === true;
  }

  exchangeEnded(peer: NodeId, end: ExchangeEnd): void {
    if (this.#run?.ended(peer, end) === 'again') this.#parts.turns.want([peer]);
  }
}
