/**
 * What the anti-entropy actors' decisions mean (paper § 4.7): what the walk of an exchange asks and
 * what the answers say.
 *
 *   exchange-turns.ts: with whom, and when     exchange-looks.ts: which differences count
 *   exchange-repairs.ts: how they are mended   repair-desk.ts: what operators asked for
 */
import type { AntiEntropyEvent, AntiEntropyPorts } from '../../actors/anti-entropy.ts';
import type { ExchangeEvent, ExchangePorts } from '../../actors/exchange.ts';
import { descend, differencesOf, repairing, stepDone, walkOver } from '../core/exchange.ts';
import type { Root, Step } from '../core/exchange.ts';
import type { NodeId, PartitionId } from '../core/ids.ts';
import { NO_HASH, decodeHashes } from '../core/merkle.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { Handoff, TreeAnswer, TreeQuestion } from '../wire/peer-messages.ts';
import type { Admission } from './admission-desk.ts';
import type { Config } from './config.ts';
import { ExchangeLog } from './exchange-log.ts';
import type { ExchangeReport } from './exchange-log.ts';
import { keepAllLooks, keepOtherLooks, stableDifferences } from './exchange-looks.ts';
import { ExchangeRepairs, forgetComplete } from './exchange-repairs.ts';
import type { Exchange, Numberless } from './exchange-repairs.ts';
import { ExchangeTurns } from './exchange-turns.ts';
import { RepairDesk } from './repair-desk.ts';
import type { ExchangeEnd } from './repair-run.ts';
import { commonRoots, decodeRoots, digestOfRoots, soundHashesIn } from './tree-answers.ts';
import type { TreeParts } from './tree-answers.ts';

export type ExchangeDeskParts = TreeParts & {
  readonly clock: Clock;
  readonly random: Random;
  readonly config: Config;
  readonly admission: Admission;
  /** An operator holds moves back (`coterie transfers pause`). */
  readonly movesArePaused: () => boolean;
  readonly send: (to: NodeId, message: TreeQuestion | Handoff) => void;
  readonly tell: (event: AntiEntropyEvent) => void;
  readonly tellExchange: (event: ExchangeEvent) => void;
};

export type ExchangeProgress = {
  readonly peer: NodeId;
  /** Partitions whose roots differed, and those of them not settled yet. */
  readonly differing: number;
  readonly left: number;
};

export class ExchangeDesk implements AntiEntropyPorts, ExchangePorts {
  /** What operators asked for. */
  readonly repair: RepairDesk;
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
    this.repair = new RepairDesk({
      clock: parts.clock,
      lookAgainMs: parts.config.lookAgainMs,
      log: this.#log,
      turns: this.#turns,
      hurry: () => parts.tell({ type: 'exchange.wanted' }),
    });
  }

  /** Compare with these peers before any other, and soon. */
  want(peers: readonly NodeId[]): void {
    this.#turns.want(peers);
    this.#parts.tell({ type: 'exchange.wanted' });
  }

  reports(): readonly ExchangeReport[] {
    return this.#log.reports();
  }

  /** How far the exchange under way has come. */
  get underWay(): ExchangeProgress | undefined {
    const exchange = this.#exchange;
    if (exchange === undefined) return undefined;
    const left = exchange.walk.filter(({ type }) => type === 'settled').length;
    return { peer: exchange.peer, differing: exchange.differing, left };
  }

  // ── anti-entropy: when, and with whom

  restMs(): number {
    return this.#turns.restMs();
  }

  choosePeer(): void {
    const { tell, clock } = this.#parts;
    const peer = this.#turns.next();
    if (peer === undefined) return tell({ type: 'peer.none' });
    const tally = this.#log.of(peer);
    tally.begunAtMs = clock.monotonicMs();
    this.#exchange = {
      peer,
      only: this.repair.onlyWith(peer),
      begunAtMs: tally.begunAtMs,
      moved: { pulled: tally.pulled, pushed: tally.pushed },
      awaited: 0,
      snapshotAt: 'none',
      theirRoots: new Map(),
      differing: 0,
      walk: [],
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
        const tally = this.#log.of(exchange.peer);
        const stable = stableDifferences(this.#parts, exchange, step, tally);
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
    const { clock } = this.#parts;
    const tally = this.#log.of(exchange.peer);
    const pending = tally.looks.size;
    if (pending === 0 && exchange.only === undefined) tally.equalAtMs = clock.monotonicMs();
    keepOtherLooks(exchange, tally);
    // Its ring may not know yet that we are co-owners: not again at once.
    if (this.#parts.completeness.wants(exchange.peer)) this.#turns.passOver(exchange.peer);
    this.#end(exchange, 'finished', pending);
  }

  abandon(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const { peer } = exchange;
    const tally = this.#log.of(peer);
    tally.abandoned += 1;
    keepAllLooks(exchange, tally);
    this.#turns.passOver(peer);
    this.#end(exchange, 'abandoned', tally.looks.size);
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
      this.#compare(exchange, answer);
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

  #end({ peer, begunAtMs, moved }: Exchange, how: ExchangeEnd['how'], pending: number): void {
    this.#exchange = undefined;
    const { pulled, pushed } = this.#log.of(peer);
    this.repair.exchangeEnded(peer, {
      how,
      pending,
      begunAtMs,
      endedAtMs: this.#parts.clock.monotonicMs(),
      pulled: pulled - moved.pulled,
      pushed: pushed - moved.pushed,
    });
  }

  /** Lays out the walk over what differs; equal partitions are settled at once. */
  #layOut(exchange: Exchange, roots: readonly Root[]): void {
    const { ring, self, store } = this.#parts;
    const known = roots.filter(({ partition }) => {
      const holders = ring.holdersOf(partition);
      const wanted = exchange.only === undefined || exchange.only === partition;
      // Who fills itself, from whom: held back while moves are paused.
      const moves = ring.newcomersOf(partition).some((n) => n === self || n === exchange.peer);
      if (moves && this.#parts.movesArePaused()) return false;
      return wanted && holders.includes(self) && holders.includes(exchange.peer);
    });
    exchange.theirRoots = new Map(known.map((root) => [root.partition, root]));
    const differing = known.filter(({ partition, root }) => {
      const same = store.forest.tree(partition).root === root;
      if (same) this.#recordSnapshot(exchange, partition);
      return !same;
    });
    exchange.differing = differing.length;
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
      this.#ask(exchange, { type: 'records.ask', partition, leaves: step.leaves });
    }
  }

  /** Their records of the leaves asked for, or of the first of them, beside ours. */
  #compare(exchange: Exchange, answer: Extract<TreeAnswer, { type: 'records' }>): void {
    const step = exchange.walk.at(-1);
    if (step?.type !== 'records') return;
    if (!answer.complete) forgetComplete(exchange, step.partition);
    // At least one: whatever the other side says, the walk comes to its end.
    const looked = Math.max(1, answer.looked);
    const { hashes } = soundHashesIn(this.#parts, step.partition, step.leaves.slice(0, looked));
    const theirs = new Map(answer.entries.map(({ key, hash }) => [key, decodeHashes(hash)[0]!]));
    exchange.walk = repairing(exchange.walk, differencesOf(hashes, theirs), looked);
  }

  #ourHashes(step: Step | undefined): readonly bigint[] {
    const { forest } = this.#parts.store;
    if (step?.type === 'branches') return forest.tree(step.partition).branches();
    if (step?.type === 'leaves') return forest.tree(step.partition).leavesOf(step.branch);
    return [];
  }

  #ask(exchange: Exchange, message: Numberless): void {
    const number = ++this.#lastNumber;
    exchange.awaited = number;
    if (message.type === 'deliver') this.#parts.send(exchange.peer, { ...message, batch: number });
    else this.#parts.send(exchange.peer, { ...message, request: number });
  }
}
