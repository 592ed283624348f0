/**
 * What the reap actor's decisions mean (RULES A9), on both sides: the leader, first owner of what is
 * to be forgotten, who asks every member; and the member, who testifies. Whoever is down, or was
 * removed so lately that it may come back, keeps everything from being forgotten: status says who.
 */
import type { ReapEvent, ReapPorts } from '../../../actors/reap.ts';
import { partitionId, showKey } from '../../core/ids.ts';
import type { Key, NodeId, PartitionId } from '../../core/ids.ts';
import { sameBytes } from '../../core/bytes.ts';
import { decodeHashes, encodeHashes } from '../../core/merkle.ts';
import { pruned } from '../../core/reap.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Trace } from '../../ports/trace.ts';
import type { Reaping } from '../../wire/peer-messages.ts';
import type { Admission } from '../admission-desk.ts';
import type { ClusterMap } from '../membership/cluster-map.ts';
import type { Config } from '../config.ts';
import type { ReapWatch, Rested } from './reap-watch.ts';
import { META } from '../store/meta-rows.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { RingView } from '../membership/ring-view.ts';
import type { Rounds } from './rounds.ts';

export type ReapDeskParts = {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly ring: RingView;
  readonly store: RecordStore;
  readonly config: Config;
  readonly admission: Admission;
  readonly rounds: Rounds;
  readonly watch: ReapWatch;
  readonly map: ClusterMap;
  readonly send: (to: NodeId, message: Reaping) => void;
  readonly tell: (event: ReapEvent) => void;
};

export type ReapReport = {
  /** The round in force here, and the lowest of which records are taken. */
  readonly round: number;
  readonly floor: number;
  /** Records seen that could be forgotten once everybody has held them long enough. */
  readonly candidates: number;
  /** Deleted records forgotten, and living ones rid of what nobody needs, since the start. */
  readonly reaped: number;
  readonly pruned: number;
  /** Why the last round came to nothing, in words, and for how long that has been so. */
  readonly blockedBy: string | undefined;
  readonly blockedForMs: number;
};

/** A round this node leads. */
type Round = {
  round: number;
  /** Members that have not entered it yet. */
  readonly entering: Set<NodeId>;
  batch: Batch | undefined;
  /** What was in a batch of this round already. */
  readonly done: Set<Key>;
};

type Batch = {
  readonly number: number;
  readonly partition: PartitionId;
  readonly entries: readonly { readonly key: Key; readonly hash: bigint }[];
  readonly waiting: Set<NodeId>;
  agreed: ReadonlySet<number>;
};

/** What this node testified to, for the `forget` that may follow. */
type Testimony = {
  readonly batch: number;
  readonly round: number;
  readonly entries: readonly (Rested | undefined)[];
};

export class ReapDesk implements ReapPorts {
  readonly #parts: ReapDeskParts;
  #round: Round | undefined;
  #lastNumber: number;
  readonly #testimonies = new Map<NodeId, Testimony>();
  #reaped = 0;
  #pruned = 0;
  #blocked: { readonly reason: string; readonly sinceMs: number } | undefined;

  /** Batch numbers begin at `firstNumber`, drawn at random: no answer to a former life fits. */
  constructor(parts: ReapDeskParts, firstNumber: number) {
    this.#parts = parts;
    this.#lastNumber = firstNumber;
  }

  report(): ReapReport {
    const { rounds, watch, clock } = this.#parts;
    return {
      round: rounds.current,
      floor: rounds.floor,
      candidates: watch.waiting,
      reaped: this.#reaped,
      pruned: this.#pruned,
      blockedBy: this.#blocked?.reason,
      blockedForMs: this.#blocked === undefined ? 0 : clock.monotonicMs() - this.#blocked.sinceMs,
    };
  }

  // ── the walk

  walkOn(): boolean {
    const { admission, watch } = this.#parts;
    admission.begin('reap');
    return watch.step();
  }

  /** The next walk, or the rest of one that had found enough. */
  walkRestMs(): number {
    const { watch, config } = this.#parts;
    return watch.isHeldUp ? config.reap.intervalMs : config.reap.scanIntervalMs;
  }

  paceMs(): number {
    return this.#parts.admission.grant('reap');
  }

  // ── leading

  hasWork(): boolean {
    for (const [, partition] of this.#parts.watch.candidates()) {
      if (this.#leads(partition)) return true;
    }
    this.#blocked = undefined;
    return false;
  }

  openRound(): void {
    const { self, rounds, map, tell } = this.#parts;
    const [returning] = map.mayReturn();
    if (returning !== undefined) {
      this.#block(`${returning} was removed and may still return`);
      return tell({ type: 'round.refused' });
    }
    const round = Math.max(rounds.current, this.#round?.round ?? 0) + 1;
    const members = this.#everybody().filter((node) => node !== self);
    this.#round = {
      round,
      entering: new Set([self, ...members]),
      batch: undefined,
      done: new Set(),
    };
    for (const node of members) this.#parts.send(node, { type: 'round.open', round });
    rounds.enter(round, () => this.#entered(self, round));
  }

  fenceBatch(): void {
    const { self, ring, admission, rounds, tell, send, map } = this.#parts;
    admission.begin('reap');
    const round = this.#round;
    const batch = round === undefined ? undefined : this.#nextBatch(round);
    if (round === undefined || batch === undefined) return tell({ type: 'batch.none' });
    round.batch = batch;
    const message = {
      type: 'fence',
      round: round.round,
      batch: batch.number,
      history: map.historyDigest(),
      partition: batch.partition,
      version: ring.versionOf(batch.partition),
      entries: batch.entries.map(({ key, hash }) => ({ key, hash: encodeHashes([hash]) })),
    } as const;
    tell({ type: 'batch.fenced', batch: batch.number });
    rounds.raiseFloor(round.round);
    for (const node of batch.waiting) if (node !== self) send(node, message);
    this.asked(self, message, (answer) => this.answered(self, answer));
  }

  forgetBatch(number: number): void {
    const { self, ring, send } = this.#parts;
    const batch = this.#round?.batch;
    if (batch?.number !== number) return;
    const agreed = [...batch.agreed];
    this.#blocked = undefined;
    for (const owner of ring.ring.table[batch.partition] ?? []) {
      if (owner === self) this.#forget(self, number, agreed);
      else send(owner, { type: 'forget', batch: number, agreed });
    }
  }

  giveUp(): void {
    const round = this.#round;
    if (round === undefined) return;
    const silent = [...(round.batch?.waiting ?? round.entering)];
    if (silent.length > 0) this.#block(`no answer from ${silent.join(', ')}`);
    round.batch = undefined;
  }

  /** What a member says to the round this node leads; anything else is ignored. */
  answered(from: NodeId, answer: Reaping): void {
    const round = this.#round;
    if (round === undefined) return;
    if (answer.type === 'round.entered') {
      if (answer.round > round.round) {
        // It has been further already: the next round begins beyond.
        round.round = answer.round;
        this.#parts.tell({ type: 'round.refused' });
      } else if (!sameBytes(answer.history, this.#parts.map.historyDigest())) {
        this.#block(`${from} knows another membership`);
      } else this.#entered(from, answer.round);
    } else if (answer.type === 'fence.up') {
      const { batch } = round;
      if (batch === undefined || batch.number !== answer.batch) return;
      if (!batch.waiting.delete(from)) return;
      const testified = new Set(answer.agreed);
      batch.agreed = new Set([...batch.agreed].filter((index) => testified.has(index)));
      if (answer.reason !== undefined) this.#block(`${from}: ${answer.reason}`);
      if (batch.waiting.size > 0) return;
      if (batch.agreed.size > 0) this.#parts.tell({ type: 'batch.testified', batch: batch.number });
      else this.#parts.tell({ type: 'batch.none' });
    }
  }

  // ── the member

  asked(from: NodeId, message: Reaping, reply: (answer: Reaping) => void): void {
    const { rounds, store, map } = this.#parts;
    if (message.type === 'round.open') {
      rounds.enter(message.round, () =>
        reply({ type: 'round.entered', round: rounds.current, history: map.historyDigest() }),
      );
    } else if (message.type === 'fence') {
      // First the fence: nothing read before the round is taken while we look.
      rounds.raiseFloor(message.round);
      const { agreed, reason } = this.#testify(from, message);
      const { batch } = message;
      const said = { agreed, ...(reason === undefined ? {} : { reason }) };
      // What is gone, or held, here must be so after a crash as well.
      store.whenAllDurable(() => reply({ type: 'fence.up', batch, ...said }));
    } else if (message.type === 'forget') this.#forget(from, message.batch, message.agreed);
  }

  /** Which entries of a batch this node vouches for; nothing at all if it sees things otherwise. */
  #testify(
    from: NodeId,
    message: Extract<Reaping, { type: 'fence' }>,
  ): { readonly agreed: readonly number[]; readonly reason?: string } {
    const { self, ring, rounds, watch, map } = this.#parts;
    this.#testimonies.delete(from);
    const partition = partitionId(message.partition);
    const sinceMs = rounds.adoptedAtMs(message.round);
    if (!sameBytes(message.history, map.historyDigest()))
      return none('it knows another membership');
    if (sinceMs === undefined || rounds.current < message.round) return none('it has just started');
    if (ring.versionOf(partition) !== message.version) return none('it sees other owners');
    if (ring.isMoving(partition)) return none('the partition is moving');
    if (map.mayReturn().length > 0) return none('a removed node may still return');
    if (!(ring.ring.table[partition] ?? []).includes(self)) {
      if (!watch.hadNothingOf(partition, sinceMs)) return none('it stands in for an owner');
      return { agreed: message.entries.map((_, index) => index) };
    }
    const held = message.entries.map(({ key, hash }): Rested | undefined => {
      const rested = watch.rested(key, sinceMs);
      const isSame = rested?.hash === decodeHashes(hash)[0];
      return isSame && rested?.slot.place.partition === partition ? rested : undefined;
    });
    const { batch, round } = message;
    this.#testimonies.set(from, { batch, round, entries: held });
    return { agreed: held.flatMap((rested, index) => (rested === undefined ? [] : [index])) };
  }

  /** Forgets what this node testified to and what has not changed since, in one commit. */
  #forget(from: NodeId, batch: number, agreed: readonly number[]): void {
    const testimony = this.#testimonies.get(from);
    if (testimony?.batch !== batch) return;
    this.#testimonies.delete(from);
    const { store, ring, rounds, trace } = this.#parts;
    const before = this.#reaped + this.#pruned;
    store.change(() => {
      for (const index of agreed) {
        const rested = testimony.entries[index];
        if (rested === undefined || ring.isMoving(rested.slot.place.partition)) continue;
        const slot = store.open(rested.slot.key);
        if (slot.held === 'nothing' || slot.held === 'corrupt') continue;
        if (store.hashOf(slot) !== rested.hash) continue;
        if (rested.excess === 'dead') {
          store.put(slot, 'removed');
          store.hints.forgetAll(slot.key);
          const puts = slot.held.record.siblings.map(({ putId }) => putId).join();
          trace.log('debug', 'delete.forgotten', { key: showKey(slot.key), puts });
          this.#reaped += 1;
        } else {
          const { record, me } = slot.held;
          store.put(slot, { record: pruned(record), me });
          this.#pruned += 1;
        }
      }
      if (this.#reaped + this.#pruned === before) return;
      store.putMeta(META.forgotten, rounds.forgetting(testimony.round));
    });
  }

  /** Whoever may hold a copy: the members, and those that left. */
  #everybody(): readonly NodeId[] {
    const { ring } = this.#parts;
    return [...new Set([...ring.nodes(), ...ring.leavers()])];
  }

  #entered(node: NodeId, round: number): void {
    const current = this.#round;
    if (current === undefined || current.round !== round || !current.entering.delete(node)) return;
    if (current.entering.size === 0) this.#parts.tell({ type: 'round.entered.by.all' });
  }

  #nextBatch(round: Round): Batch | undefined {
    const { self, rounds, watch, config } = this.#parts;
    const sinceMs = rounds.adoptedAtMs(round.round) ?? -Infinity;
    const entries: { readonly key: Key; readonly hash: bigint }[] = [];
    let partition: PartitionId | undefined;
    let bytes = 0;
    for (const [key, its] of watch.candidates()) {
      if (entries.length >= config.reap.batchMax || bytes >= config.hintBatchBytesMax) break;
      if (round.done.has(key) || its !== (partition ?? its) || !this.#leads(its)) continue;
      round.done.add(key);
      const rested = watch.rested(key, sinceMs);
      if (rested === undefined) continue;
      partition = its;
      entries.push({ key, hash: rested.hash });
      bytes += key.length + 12;
    }
    if (partition === undefined) return undefined;
    return {
      number: ++this.#lastNumber,
      partition,
      entries,
      waiting: new Set([self, ...this.#everybody()]),
      agreed: new Set(entries.keys()),
    };
  }

  #leads(partition: PartitionId): boolean {
    return this.#parts.ring.ring.table[partition]?.[0] === this.#parts.self;
  }

  #block(reason: string): void {
    if (this.#blocked?.reason === reason) return;
    const sinceMs = this.#blocked?.sinceMs ?? this.#parts.clock.monotonicMs();
    this.#blocked = { reason, sinceMs };
  }
}

const none = (reason: string): { readonly agreed: readonly number[]; readonly reason: string } => ({
  agreed: [],
  reason,
});
