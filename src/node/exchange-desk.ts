/**
 * What the anti-entropy actors' decisions mean: what the walk asks, what the answers say, and which
 * differences are repaired (paper § 4.7). A difference counts only when two looks found the same
 * two hashes, for otherwise it is a write in flight; a partition that is being refilled takes
 * everything at once.
 */
import type { AntiEntropyEvent, AntiEntropyPorts } from '../../actors/anti-entropy.ts';
import type { ExchangeEvent, ExchangePorts } from '../../actors/exchange.ts';
import { descend, differencesOf, repairing, stepDone, walkOver } from '../core/exchange.ts';
import type { Difference, Root, Step } from '../core/exchange.ts';
import type { NodeId, PartitionId } from '../core/ids.ts';
import { NO_HASH, decodeHashes } from '../core/merkle.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { Handoff, TreeAnswer, TreeQuestion } from '../wire/peer-messages.ts';
import type { Admission } from './admission-desk.ts';
import type { Config } from './config.ts';
import { ExchangeLog } from './exchange-log.ts';
import type { ExchangeReport } from './exchange-log.ts';
import { ExchangeRepairs, forgetComplete } from './exchange-repairs.ts';
import type { Exchange, Numberless, RepairStep } from './exchange-repairs.ts';
import { ExchangeTurns } from './exchange-turns.ts';
import { commonRoots, decodeRoots, digestOfRoots, soundHashesIn } from './tree-answers.ts';
import type { TreeParts } from './tree-answers.ts';

export type ExchangeDeskParts = TreeParts & {
  readonly clock: Clock;
  readonly random: Random;
  readonly config: Config;
  readonly admission: Admission;
  readonly send: (to: NodeId, message: TreeQuestion | Handoff) => void;
  readonly tell: (event: AntiEntropyEvent) => void;
  readonly tellExchange: (event: ExchangeEvent) => void;
};

export class ExchangeDesk implements AntiEntropyPorts, ExchangePorts {
  readonly #parts: ExchangeDeskParts;
  readonly #log: ExchangeLog;
  readonly #turns: ExchangeTurns;
  readonly #repairs: ExchangeRepairs;
  #exchange: Exchange | undefined;
  #lastNumber: number;

  /** Numbers begin at `firstNumber`, drawn at random: no answer to a former life fits. */
  constructor(parts: ExchangeDeskParts, firstNumber: number) {
    this.#parts = parts;
    this.#lastNumber = firstNumber;
    this.#log = new ExchangeLog(parts.clock);
    this.#turns = new ExchangeTurns(parts, this.#log);
    this.#repairs = new ExchangeRepairs(
      {
        ...parts,
        ask: (exchange, message) => this.#ask(exchange, message),
        isUnderWay: (exchange) => this.#exchange === exchange,
      },
      this.#log,
    );
  }

  /** Compare with these peers before any other, and soon. */
  want(peers: readonly NodeId[]): void {
    this.#turns.want(peers);
    this.#parts.tell({ type: 'exchange.wanted' });
  }

  reports(): readonly ExchangeReport[] {
    return this.#log.reports();
  }

  /** Steps left of the exchange under way. */
  get underWay(): { readonly peer: NodeId; readonly steps: number } | undefined {
    const exchange = this.#exchange;
    return exchange && { peer: exchange.peer, steps: exchange.walk.length };
  }

  // ── anti-entropy: when, and with whom

  restMs(): number {
    return this.#turns.restMs();
  }

  choosePeer(): void {
    const { tell, clock } = this.#parts;
    const peer = this.#turns.next();
    if (peer === undefined) return tell({ type: 'peer.none' });
    this.#log.of(peer).begunAtMs = clock.monotonicMs();
    this.#exchange = {
      peer,
      awaited: 0,
      snapshotAt: 'none',
      theirRoots: new Map(),
      walk: [],
      ours: new Map(),
      looksBefore: new Map(),
    };
    tell({ type: 'peer.chosen' });
  }

  // ── the exchange: what to ask, and what the answers mean

  askRoots(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const { completeness, digest } = this.#parts;
    const tally = this.#log.of(exchange.peer);
    tally.exchanges += 1;
    exchange.looksBefore = tally.looks;
    tally.looks = new Map();
    if (completeness.wants(exchange.peer)) {
      exchange.snapshotAt = completeness.losses;
      this.#ask(exchange, { type: 'roots.ask' });
      return;
    }
    const roots = commonRoots(this.#parts, exchange.peer);
    this.#ask(exchange, { type: 'roots.ask', digest: digestOfRoots(digest, roots) });
  }

  takeStep(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    for (;;) {
      const step = exchange.walk.at(-1);
      if (step === undefined) return this.#parts.tellExchange({ type: 'steps.done' });
      if (step.type === 'settled') {
        this.#recordSnapshot(exchange, step.partition);
        exchange.walk = stepDone(exchange.walk);
      } else if (step.type === 'repair') {
        const stable = this.#stable(exchange, step);
        exchange.walk = stepDone(exchange.walk);
        if (stable.length > 0) {
          return this.#repairs.begin(exchange, { ...step, differences: stable });
        }
      } else {
        this.#askStep(exchange, step);
        return this.#parts.tellExchange({ type: 'step.asked' });
      }
    }
  }

  finish(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const tally = this.#log.of(exchange.peer);
    if (tally.looks.size === 0) tally.equalAtMs = this.#parts.clock.monotonicMs();
    // Its ring may not know yet that we are co-owners: not again at once.
    if (this.#parts.completeness.wants(exchange.peer)) this.#turns.passOver(exchange.peer);
    this.#exchange = undefined;
  }

  abandon(): void {
    if (this.#exchange === undefined) return;
    const { peer, looksBefore } = this.#exchange;
    const tally = this.#log.of(peer);
    tally.abandoned += 1;
    // What it did not come to still waits for its second look, however often mail is lost.
    tally.looks = new Map([...looksBefore, ...tally.looks]);
    this.#turns.passOver(peer);
    this.#exchange = undefined;
  }

  paceMs(): number {
    const { admission, config } = this.#parts;
    return Math.max(config.repairPaceMs, admission.grant('anti-entropy'));
  }

  /** An answer of the peer to the question under way; anything else is ignored. Throws on nonsense. */
  answered(from: NodeId, answer: TreeAnswer): void {
    const exchange = this.#exchange;
    if (exchange?.peer !== from || exchange.awaited !== answer.request) return;
    // Before anybody is told: the next question may be asked within that call.
    exchange.awaited = 0;
    const step = exchange.walk.at(-1);
    if (answer.type === 'roots') {
      this.#layOut(exchange, answer.roots === undefined ? [] : decodeRoots(answer.roots));
      this.#parts.tellExchange({ type: 'roots.heard' });
    } else if (answer.type === 'hashes') {
      const hashes = decodeHashes(answer.hashes);
      exchange.walk = descend(exchange.walk, this.#ourHashes(step), hashes);
      this.#parts.tellExchange({ type: 'answer.heard' });
    } else if (answer.type === 'records') {
      if (step?.type === 'records' && !answer.complete) forgetComplete(exchange, step.partition);
      const theirs = new Map(answer.entries.map(({ key, hash }) => [key, decodeHashes(hash)[0]!]));
      exchange.walk = repairing(exchange.walk, differencesOf(exchange.ours, theirs));
      this.#parts.tellExchange({ type: 'answer.heard' });
    } else this.#repairs.fetched(exchange, answer);
  }

  /** The peer has made a batch durable. */
  delivered(from: NodeId, batch: number): void {
    const exchange = this.#exchange;
    if (exchange?.peer !== from || exchange.awaited !== batch) return;
    exchange.awaited = 0;
    this.#parts.tellExchange({ type: 'repair.done' });
  }

  // ── inside

  /** Lays out the walk over what differs; equal partitions are settled at once. */
  #layOut(exchange: Exchange, roots: readonly Root[]): void {
    const { ring, self, store } = this.#parts;
    const known = roots.filter(({ partition }) => {
      const holders = ring.holdersOf(partition);
      return holders.includes(self) && holders.includes(exchange.peer);
    });
    exchange.theirRoots = new Map(known.map((root) => [root.partition, root]));
    const differing = known.filter(({ partition, root }) => {
      const same = store.forest.tree(partition).root === root;
      if (same) this.#recordSnapshot(exchange, partition);
      return !same;
    });
    exchange.walk = walkOver(
      differing.map(({ partition, root }) => ({
        partition,
        oneSideEmpty: root === NO_HASH || store.forest.tree(partition).root === NO_HASH,
      })),
    );
  }

  /** All that the peer held of the partition when it was asked for a snapshot is here (C4). */
  #recordSnapshot({ snapshotAt, theirRoots, peer }: Exchange, partition: PartitionId): void {
    const { completeness } = this.#parts;
    if (snapshotAt !== completeness.losses) return;
    completeness.recordSnapshot(partition, peer, theirRoots.get(partition)?.complete ?? false);
  }

  #askStep(exchange: Exchange, step: Exclude<Step, { type: 'settled' | 'repair' }>): void {
    const { partition } = step;
    if (step.type === 'branches') {
      this.#ask(exchange, { type: 'branches.ask', partition });
    } else if (step.type === 'leaves') {
      this.#ask(exchange, { type: 'leaves.ask', partition, branch: step.branch });
    } else {
      exchange.ours = soundHashesIn(this.#parts, partition, step.leaves);
      this.#ask(exchange, { type: 'records.ask', partition, leaves: step.leaves });
    }
  }

  #ourHashes(step: Step | undefined): readonly bigint[] {
    const { forest } = this.#parts.store;
    if (step?.type === 'branches') return forest.tree(step.partition).branches();
    if (step?.type === 'leaves') return forest.tree(step.partition).leavesOf(step.branch);
    return [];
  }

  /** Which differences to repair now; the others are remembered for the second look. */
  #stable(exchange: Exchange, step: RepairStep): readonly Difference[] {
    const { completeness, clock, config } = this.#parts;
    const { complete = false } = exchange.theirRoots.get(step.partition) ?? {};
    // Where a side has to be refilled anyway there is no sense in a second look.
    if (!completeness.isComplete(step.partition) || !complete) return step.differences;
    const nowMs = clock.monotonicMs();
    const { looks } = this.#log.of(exchange.peer);
    return step.differences.filter(({ key, ours, theirs }) => {
      const before = exchange.looksBefore.get(key);
      const unchanged = before !== undefined && before.ours === ours && before.theirs === theirs;
      if (unchanged && nowMs - before.atMs >= config.lookAgainMs) return true;
      if (looks.size < config.looksMax) {
        looks.set(key, unchanged ? before : { ours, theirs, atMs: nowMs });
      }
      return false;
    });
  }

  #ask(exchange: Exchange, message: Numberless): void {
    const number = ++this.#lastNumber;
    exchange.awaited = number;
    if (message.type === 'deliver') this.#parts.send(exchange.peer, { ...message, batch: number });
    else this.#parts.send(exchange.peer, { ...message, request: number });
  }
}
