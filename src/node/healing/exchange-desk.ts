/**
 * What the anti-entropy actors' decisions mean (paper § 4.7): what the walk of an exchange asks and
 * what the answers say.
 *
 *   exchange-turns.ts: with whom, and when     exchange-walk.ts: what is asked and answered
 *   exchange-looks.ts: which differences count exchange-repairs.ts: how they are mended
 *   exchange-log.ts: what is remembered        repair-desk.ts: what operators asked for
 */
import type { AntiEntropyEvent, AntiEntropyPorts } from '../../../actors/anti-entropy.ts';
import type { ExchangeEvent, ExchangePorts } from '../../../actors/exchange.ts';
import { NOTHING_CARRIED } from '../../core/admission.ts';
import { stepDone } from '../../core/exchange.ts';
import type { NodeId, PartitionId } from '../../core/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Random } from '../../ports/random.ts';
import type { Handoff, TreeAnswer, TreeQuestion } from '../../wire/peer-messages.ts';
import type { Config } from '../config.ts';
import { ExchangeLog } from './exchange-log.ts';
import type { ExchangeReport } from './exchange-log.ts';
import { keepAllLooks, keepOtherLooks, stableDifferences } from './exchange-looks.ts';
import { ExchangeRepairs } from './exchange-repairs.ts';
import { ExchangeTurns } from './exchange-turns.ts';
import { compareRecords, goDown, layOut, questionOf, seenAlike } from './exchange-walk.ts';
import type { Exchange, Numberless, WalkParts } from './exchange-walk.ts';
import { RepairDesk } from './repair-desk.ts';
import type { ExchangeEnd } from './repair-run.ts';
import { commonRoots, decodeRoots, digestOfRoots } from './tree-answers.ts';

export type ExchangeDeskParts = WalkParts & {
  readonly clock: Clock;
  readonly random: Random;
  readonly config: Config;
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
      isAskedFor: this.repair.wants(peer),
      begunAtMs: tally.begunAtMs,
      moved: { pulled: tally.pulled, pushed: tally.pushed },
      awaited: 0,
      snapshotAt: 'none',
      theirRoots: new Map(),
      seenAs: new Map(),
      differing: 0,
      leftToPeer: 0,
      walk: [],
      carried: NOTHING_CARRIED,
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
        this.#recordSnapshots(exchange, [step.partition]);
        exchange.walk = stepDone(exchange.walk);
      } else if (step.type === 'repair') {
        const tally = this.#log.of(exchange.peer);
        const stable = stableDifferences(this.#parts, exchange, step, tally);
        exchange.walk = stepDone(exchange.walk);
        if (stable.length > 0) {
          return this.#repairs.begin(exchange, { ...step, differences: stable });
        }
      } else {
        this.#ask(exchange, questionOf(step));
        return this.#parts.tellExchange({ type: 'step.asked' });
      }
    }
  }

  finish(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const { clock } = this.#parts;
    const tally = this.#log.of(exchange.peer);
    const pending = tally.looks.size + exchange.leftToPeer;
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
    const carried = this.#exchange?.carried ?? NOTHING_CARRIED;
    return Math.max(config.repairPaceMs, admission.grant('anti-entropy', carried));
  }

  /** An answer of the peer to the question under way; anything else is ignored. Throws on nonsense. */
  answered(from: NodeId, answer: TreeAnswer): void {
    const exchange = this.#exchange;
    if (exchange?.peer !== from || exchange.awaited !== answer.request) return;
    // Before anybody is told: the next question may be asked within that call.
    exchange.awaited = 0;
    if (answer.type === 'roots') {
      const roots = answer.roots === undefined ? [] : decodeRoots(answer.roots);
      exchange.seenAs = seenAlike(this.#parts, roots, answer.views);
      layOut(this.#parts, exchange, roots, (same) => this.#recordSnapshots(exchange, same));
      this.#parts.tellExchange({ type: 'roots.heard' });
    } else if (answer.type === 'hashes') {
      goDown(this.#parts, exchange, answer);
      this.#parts.tellExchange({ type: 'answer.heard' });
    } else if (answer.type === 'records') {
      compareRecords(this.#parts, exchange, answer);
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

  /** All that the peer held of these partitions when it was asked for a snapshot is here (C4). */
  #recordSnapshots(
    { snapshotAt, theirRoots, seenAs, peer }: Exchange,
    partitions: readonly PartitionId[],
  ): void {
    const { completeness, ring } = this.#parts;
    if (snapshotAt !== completeness.losses) return;
    const isComplete = (partition: PartitionId) => theirRoots.get(partition)?.complete ?? false;
    // A walk takes long: what we have come to see otherwise meanwhile is to be looked through again.
    const isSeenSo = (partition: PartitionId) => seenAs.get(partition) === ring.seenAs(partition);
    const counted = partitions.filter((each) => ring.isHolder(each) && isSeenSo(each));
    completeness.recordSnapshots(counted, peer, isComplete);
  }

  #ask(exchange: Exchange, message: Numberless): void {
    const number = ++this.#lastNumber;
    exchange.awaited = number;
    if (message.type === 'deliver') this.#parts.send(exchange.peer, { batch: number, ...message });
    else this.#parts.send(exchange.peer, { request: number, ...message });
  }
}
