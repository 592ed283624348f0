/**
 * What the anti-entropy actors' decisions mean: whom to compare with next, what the walk asks, and
 * how a difference is repaired (paper § 4.7). A difference counts only when two looks found the
 * same two hashes, for otherwise it is a write in flight; a partition that is being refilled takes
 * everything at once.
 */
import type { AntiEntropyEvent, AntiEntropyPorts } from '../../actors/anti-entropy.ts';
import type { ExchangeEvent, ExchangePorts } from '../../actors/exchange.ts';
import { descend, differencesOf, repairing, stepDone, walkOver } from '../core/exchange.ts';
import type { Difference, Root, Step, Walk } from '../core/exchange.ts';
import { partitionId } from '../core/ids.ts';
import type { Key, NodeId, PartitionId } from '../core/ids.ts';
import { NO_HASH, decodeHashes } from '../core/merkle.ts';
import { decodeRecord, encodeRecord } from '../core/record-bytes.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { Handoff, RequestId, TreeAnswer, TreeQuestion } from '../wire/peer-messages.ts';
import type { Admission } from './admission-desk.ts';
import type { Config } from './config.ts';
import { hashOfRecord } from './stored.ts';
import { commonRoots, decodeRoots, digestOfRoots } from './tree-answers.ts';
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

/** What is known of the exchanges with one co-owner since this node started. */
export type ExchangeReport = {
  readonly peer: NodeId;
  readonly exchanges: number;
  readonly abandoned: number;
  /** Milliseconds since the last one ended with nothing left to do; undefined: none has. */
  readonly equalSinceMs: number | undefined;
  /** Records taken from and given to this peer because they differed. */
  readonly pulled: number;
  readonly pushed: number;
  /** Differences seen once: repaired if the next look finds them unchanged. */
  readonly pending: number;
};

type Tally = { -readonly [K in keyof Omit<ExchangeReport, 'peer' | 'equalSinceMs'>]: number } & {
  equalAtMs: number | undefined;
  /** First looks: hashes of both sides and when they were seen. */
  readonly looks: Map<Key, Look>;
};
type Look = {
  readonly ours: bigint | undefined;
  readonly theirs: bigint | undefined;
  readonly atMs: number;
};

type Exchange = {
  readonly peer: NodeId;
  /** The number of the question, or batch, that an answer must carry. */
  awaited: RequestId;
  theirRoots: ReadonlyMap<PartitionId, Root>;
  walk: Walk;
  /** The hashes of our records that the question under way is about. */
  ours: ReadonlyMap<Key, bigint>;
  looksBefore: ReadonlyMap<Key, Look>;
};

/** Why a peer is asked out of turn, the most urgent first: an operator, a refill, a second look. */
const REASONS = ['wish', 'refill', 'looks'] as const;
type Reason = (typeof REASONS)[number];

export class ExchangeDesk implements AntiEntropyPorts, ExchangePorts {
  readonly #parts: ExchangeDeskParts;
  readonly #reports = new Map<NodeId, Tally>();
  /** Peers that an operator, or a recovery, wants to be compared with first. */
  readonly #wanted = new Set<NodeId>();
  #turn: NodeId[] = [];
  #exchange: Exchange | undefined;
  #lastNumber: number;
  /** Peers that fell silent, or had nothing to give, since the last interval. */
  readonly #passedOver = new Set<NodeId>();

  /** Numbers begin at `firstNumber`, drawn at random: no answer to a former life fits. */
  constructor(parts: ExchangeDeskParts, firstNumber: number) {
    this.#parts = parts;
    this.#lastNumber = firstNumber;
  }

  /** Compare with these peers before any other, and soon. */
  want(peers: readonly NodeId[]): void {
    for (const peer of peers) {
      this.#wanted.add(peer);
      this.#passedOver.delete(peer);
    }
    this.#parts.tell({ type: 'exchange.wanted' });
  }

  reports(): readonly ExchangeReport[] {
    const nowMs = this.#parts.clock.monotonicMs();
    return [...this.#reports].map(([peer, { looks, equalAtMs, ...counts }]) => ({
      peer,
      ...counts,
      pending: looks.size,
      equalSinceMs: equalAtMs === undefined ? undefined : nowMs - equalAtMs,
    }));
  }

  /** Steps left of the exchange under way. */
  get underWay(): { readonly peer: NodeId; readonly steps: number } | undefined {
    const exchange = this.#exchange;
    return exchange === undefined
      ? undefined
      : { peer: exchange.peer, steps: exchange.walk.length };
  }

  // ── anti-entropy: when, and with whom

  restMs(): number {
    const { config, random } = this.#parts;
    const peers = this.#coOwners();
    const near = peers.filter((peer) => !this.#passedOver.has(peer));
    if (this.#mostUrgent(near, ['wish', 'refill']) !== undefined) return 0;
    if (this.#mostUrgent(peers) !== undefined) return config.lookAgainMs;
    return config.exchangeIntervalMs * (0.5 + random.fraction());
  }

  choosePeer(): void {
    const { tell, random } = this.#parts;
    const peers = this.#coOwners();
    this.#turn = this.#turn.filter((peer) => peers.includes(peer));
    // A new round in a new order: everybody once before anybody twice.
    if (this.#turn.length === 0) this.#turn = shuffled(peers, random);
    const near = peers.filter((peer) => !this.#passedOver.has(peer));
    this.#passedOver.clear();
    const chosen = this.#mostUrgent(near) ?? this.#mostUrgent(peers) ?? this.#turn.pop();
    if (chosen === undefined) return tell({ type: 'peer.none' });
    this.#turn = this.#turn.filter((other) => other !== chosen);
    this.#wanted.delete(chosen);
    this.#exchange = {
      peer: chosen,
      awaited: 0,
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
    const report = this.#reportOf(exchange.peer);
    report.exchanges += 1;
    exchange.looksBefore = new Map(report.looks);
    report.looks.clear();
    const request = this.#nextNumber(exchange);
    const refills = completeness.wants(exchange.peer);
    const roots = commonRoots(this.#parts, exchange.peer);
    this.#ask(exchange, {
      type: 'roots.ask',
      request,
      ...(refills ? {} : { digest: digestOfRoots(digest, roots) }),
    });
  }

  takeStep(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    for (;;) {
      const step = exchange.walk.at(-1);
      if (step === undefined) return this.#parts.tellExchange({ type: 'steps.done' });
      if (step.type === 'settled') {
        const root = exchange.theirRoots.get(step.partition);
        const { completeness } = this.#parts;
        completeness.recordSnapshot(step.partition, exchange.peer, root?.complete ?? false);
        exchange.walk = stepDone(exchange.walk);
      } else if (step.type === 'repair') {
        const stable = this.#stable(exchange, step);
        exchange.walk = stepDone(exchange.walk);
        if (stable.length > 0) return this.#beginRepair(exchange, { ...step, differences: stable });
      } else {
        this.#askStep(exchange, step);
        return this.#parts.tellExchange({ type: 'step.asked' });
      }
    }
  }

  finish(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const report = this.#reportOf(exchange.peer);
    if (report.looks.size === 0) report.equalAtMs = this.#parts.clock.monotonicMs();
    // Its ring may not know yet that we are co-owners: not again at once.
    if (this.#parts.completeness.wants(exchange.peer)) this.#passedOver.add(exchange.peer);
    this.#exchange = undefined;
  }

  abandon(): void {
    if (this.#exchange === undefined) return;
    this.#reportOf(this.#exchange.peer).abandoned += 1;
    this.#passedOver.add(this.#exchange.peer);
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
      const theirs = new Map(answer.entries.map(({ key, hash }) => [key, decodeHashes(hash)[0]!]));
      exchange.walk = repairing(exchange.walk, differencesOf(exchange.ours, theirs));
      this.#parts.tellExchange({ type: 'answer.heard' });
    } else this.#store(exchange, answer);
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
    const { ring, self, store, completeness } = this.#parts;
    const known = roots.filter(({ partition }) => {
      const holders = ring.holdersOf(partition);
      return holders.includes(self) && holders.includes(exchange.peer);
    });
    exchange.theirRoots = new Map(known.map((root) => [root.partition, root]));
    const differing = known.filter(({ partition, root, complete }) => {
      const same = store.forest.tree(partition).root === root;
      if (same) completeness.recordSnapshot(partition, exchange.peer, complete);
      return !same;
    });
    exchange.walk = walkOver(
      differing.map(({ partition, root }) => ({
        partition,
        oneSideEmpty: root === NO_HASH || store.forest.tree(partition).root === NO_HASH,
      })),
    );
  }

  #askStep(exchange: Exchange, step: Exclude<Step, { type: 'settled' | 'repair' }>): void {
    const request = this.#nextNumber(exchange);
    const { partition } = step;
    if (step.type === 'branches') {
      this.#ask(exchange, { type: 'branches.ask', request, partition });
    } else if (step.type === 'leaves') {
      this.#ask(exchange, { type: 'leaves.ask', request, partition, branch: step.branch });
    } else {
      exchange.ours = this.#parts.store.hashesIn(partition, step.leaves);
      this.#ask(exchange, { type: 'records.ask', request, partition, leaves: step.leaves });
    }
  }

  #ourHashes(step: Step | undefined): readonly bigint[] {
    const { forest } = this.#parts.store;
    if (step?.type === 'branches') return forest.tree(step.partition).branches();
    if (step?.type === 'leaves') return forest.tree(step.partition).leavesOf(step.branch);
    return [];
  }

  /** Which differences to repair now; the others are remembered for the second look. */
  #stable(exchange: Exchange, step: Step & { type: 'repair' }): readonly Difference[] {
    const { completeness, clock, config } = this.#parts;
    const { complete = false } = exchange.theirRoots.get(step.partition) ?? {};
    // Where a side has to be refilled anyway there is no sense in a second look.
    if (!completeness.isComplete(step.partition) || !complete) return step.differences;
    const nowMs = clock.monotonicMs();
    const { looks } = this.#reportOf(exchange.peer);
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

  /** First their records come here, then ours go there where they still know less. */
  #beginRepair(exchange: Exchange, step: Step & { type: 'repair' }): void {
    this.#parts.admission.begin('anti-entropy');
    exchange.walk = [...exchange.walk, step];
    const keys = step.differences.flatMap(({ key, theirs }) => (theirs === undefined ? [] : [key]));
    if (keys.length === 0) this.#push(exchange, step, new Map());
    else this.#ask(exchange, { type: 'fetch', request: this.#nextNumber(exchange), keys });
    this.#parts.tellExchange({ type: 'step.repairs' });
  }

  #store(exchange: Exchange, answer: TreeAnswer & { type: 'fetched' }): void {
    const { replica, store, digest } = this.#parts;
    const step = exchange.walk.at(-1);
    if (step?.type !== 'repair') return;
    const theirs = new Map(
      answer.entries.map(({ key, record }) => [
        key,
        hashOfRecord(digest, key, decodeRecord(record)),
      ]),
    );
    // What this node cannot take now it asks for again in the next exchange.
    if (!replica.takeAll(answer.entries)) return;
    this.#reportOf(exchange.peer).pulled += answer.entries.length;
    const asked = step.differences.filter(({ theirs: hash }) => hash !== undefined);
    const cut = new Set(asked.slice(answer.looked).map(({ key }) => key));
    const later = step.differences.filter(({ key }) => cut.has(key));
    const now = step.differences.filter(({ key }) => !cut.has(key));
    const rest: Walk = later.length === 0 ? [] : [{ ...step, differences: later }];
    const current = { ...step, differences: now };
    exchange.walk = [...stepDone(exchange.walk), ...rest, current];
    store.whenAllDurable(() => {
      if (this.#exchange === exchange) this.#push(exchange, current, theirs);
    });
  }

  #push(
    exchange: Exchange,
    step: Step & { type: 'repair' },
    theirs: ReadonlyMap<Key, bigint>,
  ): void {
    const { replica, digest, answerBytesMax } = this.#parts;
    const entries: { key: Key; record: Uint8Array }[] = [];
    let bytes = 0;
    let looked = 0;
    for (const { key } of step.differences) {
      if (bytes >= answerBytesMax) break;
      looked += 1;
      const held = replica.read(key);
      if (held === undefined || hashOfRecord(digest, key, held) === theirs.get(key)) continue;
      const record = encodeRecord(held, 'with-values');
      bytes += record.length;
      entries.push({ key, record });
    }
    const later = step.differences.slice(looked);
    const rest: Walk = later.length === 0 ? [] : [{ ...step, differences: later }];
    exchange.walk = [...stepDone(exchange.walk), ...rest];
    if (entries.length === 0) {
      this.#parts.tellExchange({ type: 'repair.done' });
      return;
    }
    this.#reportOf(exchange.peer).pushed += entries.length;
    const batch = this.#nextNumber(exchange);
    this.#ask(exchange, { type: 'deliver', batch, entries });
  }

  #mostUrgent(peers: readonly NodeId[], reasons: readonly Reason[] = REASONS): NodeId | undefined {
    const applies: { readonly [R in Reason]: (peer: NodeId) => boolean } = {
      wish: (peer) => this.#wanted.has(peer),
      refill: (peer) => this.#parts.completeness.wants(peer),
      looks: (peer) => (this.#reports.get(peer)?.looks.size ?? 0) > 0,
    };
    for (const reason of reasons) {
      const peer = peers.find(applies[reason]);
      if (peer !== undefined) return peer;
    }
    return undefined;
  }

  /** Healthy nodes that hold a partition this node holds too. */
  #coOwners(): readonly NodeId[] {
    const { ring, self } = this.#parts;
    const peers = new Set(
      ring.ring.table.flatMap((_, index) => {
        const holders = ring.holdersOf(partitionId(index));
        return holders.includes(self) ? holders : [];
      }),
    );
    return [...peers].filter((peer) => peer !== self && ring.healthOf(peer) === 'healthy');
  }

  #reportOf(peer: NodeId): Tally {
    const report = this.#reports.get(peer) ?? {
      exchanges: 0,
      abandoned: 0,
      pulled: 0,
      pushed: 0,
      pending: 0,
      equalAtMs: undefined,
      looks: new Map(),
    };
    this.#reports.set(peer, report);
    return report;
  }

  #nextNumber(exchange: Exchange): number {
    exchange.awaited = ++this.#lastNumber;
    return exchange.awaited;
  }

  #ask({ peer }: Exchange, message: TreeQuestion | Handoff): void {
    this.#parts.send(peer, message);
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
