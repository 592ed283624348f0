/**
 * This node's part of every key: it mints, merges, answers reads and keeps hints, and says
 * "durable" only after a commit (paper §§ 4.5, 4.6, 6.1; RULES A). What it holds lies in the
 * record store; here is what that means.
 */
import type { Minted } from '../../../actors/put.ts';
import { openContext, sealContext } from '../../core/context.ts';
import type { ContextSeal } from '../../core/context.ts';
import { CoterieError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { actorId, showKey, startOf } from '../../core/ids.ts';
import type { ActorId, Key, NodeId, StartId } from '../../core/ids.ts';
import { asAnswer, decodeForm, encodeForm, formToKeep } from '../../core/record-bytes.ts';
import type { RecordForm } from '../../core/record-bytes.ts';
import {
  BLIND,
  EMPTY_RECORD,
  contextAfter,
  contextOf,
  joinContexts,
  knowsPut,
  merge,
  sameRecord,
  withoutExpired,
  write,
} from '../../core/record.ts';
import type { CausalContext, RecordLimits, RecordOfKey } from '../../core/record.ts';
import { entryOf } from '../../core/vector.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Trace } from '../../ports/trace.ts';
import type {
  Handoff,
  PutCommand,
  ReplicaReply,
  ReplicaRequest,
} from '../../wire/peer-messages.ts';
import type { Completeness } from './completeness.ts';
import type { ReplicaLimits } from '../config.ts';
import type { StoredRecord } from './memtable.ts';
import { conditionRefusal, refuse, siblingRefusal, timeRefusal } from './mint-refusals.ts';
import type { MintRefusal } from './mint-refusals.ts';
import { FormedRecord } from './stored.ts';
import type { RecordStore, Slot } from './record-store.ts';
import type { RingView } from '../membership/ring-view.ts';
import type { Rounds } from '../healing/rounds.ts';

export type ReplicaParts = {
  readonly self: NodeId;
  /** Random at each start of the process (A4). */
  readonly start: StartId;
  readonly store: RecordStore;
  readonly completeness: Completeness;
  readonly rounds: Rounds;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly trace: Trace;
  readonly ring: RingView;
  /** The secret of the creation event that seals contexts. */
  readonly contextSecret: () => Uint8Array;
  readonly limits: ReplicaLimits;
};

export type MintReply = ({ readonly type: 'minted' } & Minted) | MintRefusal;

/** `record`: as `encodeRecord` makes it; undefined: it holds nothing of the key. */
export type ReadAnswer = {
  readonly role: 'owner' | 'fallback';
  readonly record: Uint8Array | undefined;
};

export class Replica {
  readonly #parts: ReplicaParts;
  #births = 0;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
  }

  /**
   * A2, A4, A7: mints the dot of one put, or says why not; nothing is written when it refuses. The
   * record is buffered: ask `whenDurable`. `known` is what the coordinator has read of the key (A11).
   */
  mint(put: PutCommand, known = EMPTY_RECORD): MintReply {
    const { clock, limits, self, ring, store } = this.#parts;
    const nowMs = clock.wallMs();
    if (store.spaceIsLow) {
      return refuse('INSUFFICIENT_STORAGE', 'the disk of this node is below its free-space floor');
    }
    const untimely = timeRefusal(put, nowMs, limits);
    if (untimely !== undefined) return untimely;
    const context = this.#contextOf(put);
    if (context instanceof CoterieError) return { type: 'refused', error: context };

    const slot = this.#open(put.key);
    const held = slot.held === 'nothing' ? NOTHING : slot.held;
    const record = withoutExpired(merge(held.record, known, limits.record), nowMs);
    const living = this.#livingMe(held.me, record);
    if (living !== undefined && (entryOf(context.vector, living.actor)?.n ?? 0) > living.n) {
      return refuse(
        'BAD_CONTEXT',
        `the context of ${showKey(put.key)} is ahead of its own replica`,
      );
    }
    const actor = living?.actor ?? this.#newborn();
    const past = put.mode === 'causal' ? context : BLIND;
    const { value, putId, writtenAt, mode } = put;
    const expiresAt = value === 'tombstone' ? undefined : put.expiresAt;
    const isRetry = put.attempt > 1;
    const mint = { actor, putId, value, writtenAt, expiresAt, nowMs, mode, isRetry };
    const result = write(record, past, mint, limits.record);
    if (result.type === 'reused') {
      return refuse('PUT_ID_REUSED', `put id ${putId} already wrote other bytes`);
    }
    if (result.type === 'minted') {
      const refusal =
        conditionRefusal(put, record, context) ?? siblingRefusal(put.key, result.record, limits);
      if (refusal !== undefined) return refusal;
    }
    const form = encodeForm(result.record, 'with-values');
    const isMadeOfHeld = result.type === 'minted' && known === EMPTY_RECORD;
    const over = isMadeOfHeld ? slot.ownHash : undefined;
    // A dot that only `known` holds is to be held here too: this node is about to acknowledge it.
    if (result.type === 'minted' || !sameRecord(result.record, held.record)) {
      const owners = ring.ownersOf(put.key);
      const others = owners.includes(self) ? [] : owners;
      if (!store.hints.hasRoomFor(others, put.key)) {
        return refuse('OVERLOADED', 'this node is no owner of the key and its hint store is full');
      }
      const me = result.type === 'minted' ? { actor, n: result.dot.n } : held.me;
      store.change(() => {
        store.put(slot, { record: result.record, me }, form);
        for (const owner of others) store.hints.keep(owner, put.key, nowMs);
      });
    }
    const time = result.record.vector.reduce((latest, dot) => Math.max(latest, dot.time), nowMs);
    return {
      type: 'minted',
      record: form.bytes,
      over,
      context: this.sealContext(put.key, contextAfter(past, putId, time, limits.record), self),
    };
  }

  /** What another node (or this one's coordinator) asks of this replica. */
  receive(message: ReplicaRequest, reply: (reply: ReplicaReply) => void): void {
    const { request, key } = message;
    const { ring, rounds } = this.#parts;
    const round = rounds.current;
    switch (message.type) {
      case 'write': {
        // Read before the fence (A9): what it would bring back may be forgotten since.
        if (message.round < this.#parts.rounds.floor) return;
        const refusal = this.#merge(key, message.record, message.hintFor, message.over);
        if (refusal !== undefined) {
          reply({ type: 'refused', request, code: refusal });
          return;
        }
        if (!ring.isSeenAs(key, message)) {
          // Taken, but not counted: the asker, or this node, does not know the owners (C2).
          reply({ type: 'refused', request, code: 'NOT_READY' });
          return;
        }
        if (!message.durable) reply({ type: 'written', request, durable: false });
        else this.#whenDurable(key, () => reply({ type: 'written', request, durable: true }));
        return;
      }
      case 'sync': {
        // Only what is held can be made durable: a crash may have left an older record, without it.
        const held = this.read(key);
        if (held === undefined) return;
        if (message.putId !== undefined && !knowsPut(held, message.putId)) return;
        this.#whenDurable(key, () => reply({ type: 'written', request, durable: true }));
        return;
      }
      case 'read': {
        const answer = this.answerOf(key, message.want);
        if (answer === 'not-ready') return reply({ type: 'refused', request, code: 'NOT_READY' });
        const { role, record } = answer;
        if (record === undefined) return reply({ type: 'answer', request, role, round });
        return reply({ type: 'answer', request, role, round, record });
      }
    }
  }

  /** What it says to a read of `key`, and as what. */
  answerOf(key: Key, want: 'with-values' | 'header'): ReadAnswer | 'not-ready' {
    const { self, completeness, ring, clock, store } = this.#parts;
    const { partition, bytes } = store.look(key);
    // Of a damaged row something is left to be done before it counts as nothing.
    if (bytes === 'corrupt') this.#open(key);
    const isHeld = bytes !== 'corrupt' && bytes !== 'nothing';
    const record = isHeld ? asAnswer(bytes, want, clock.wallMs()) : undefined;
    const role = ring.ring.table[partition]?.includes(self) === true ? 'owner' : 'fallback';
    // C7: an owner that may lack what it once acknowledged never says "not found".
    const mayLack = role === 'owner' && !completeness.isComplete(partition);
    return mayLack ? 'not-ready' : { role, record };
  }

  /** Takes in a batch of hinted records; `done` once all of it is durable. */
  takeDelivery(delivery: Delivery, done: () => void): void {
    if (this.takeAll(delivery)) this.#parts.store.whenAllDurable(done);
  }

  /** Merges records of other replicas; false as soon as one cannot be taken now, or ever (A9). */
  takeAll({ entries, round }: Pick<Delivery, 'entries' | 'round'>): boolean {
    if (round < this.#parts.rounds.floor) return false;
    return entries.every(({ key, record }) => this.#merge(key, record, undefined) === undefined);
  }

  /** The record of `key` as this node knows it, buffered or stored; undefined if it holds none. */
  read(key: Key): RecordOfKey | undefined {
    const { held } = this.#open(key);
    return held === 'nothing' ? undefined : withoutExpired(held.record, this.#parts.clock.wallMs());
  }

  /** As `read`, after a look at the disk found its row damaged: to read it there is to give it up. */
  readDamaged(key: Key): RecordOfKey | undefined {
    this.#parts.store.distrustRows();
    return this.read(key);
  }

  sealContext(key: Key, context: CausalContext, fastest: NodeId): Uint8Array {
    return sealContext(context, fastest, this.#sealOf(key));
  }

  /** The context of a whole record, as a get returns it. */
  readerContext(key: Key, record: RecordOfKey, fastest: NodeId): Uint8Array {
    return this.sealContext(key, contextOf(record), fastest);
  }

  /** Who answered the preceding read fastest, if the context of `put` says so (paper § 5). */
  fastestIn(put: PutCommand): NodeId | undefined {
    for (const bytes of put.contexts) {
      const opened = openContext(bytes, this.#sealOf(put.key));
      if (opened.type === 'context' && opened.fastest !== undefined) return opened.fastest;
    }
    return undefined;
  }

  /**
   * Keeps "`owner` lacks `key`" here, by reference: for a coordinator that found no fallback. Nothing
   * if the copy it would refer to has gone to an owner in the meantime: owners tell one another.
   */
  keepHint(key: Key, owner: NodeId): void {
    const { clock, trace, store } = this.#parts;
    if (store.open(key).held === 'nothing') return;
    if (!store.hints.hasRoomFor([owner], key)) {
      trace.log('warn', 'hint.refused', { owner, key: showKey(key) });
      return;
    }
    store.change(() => store.hints.keep(owner, key, clock.wallMs()));
  }

  #merge(
    key: Key,
    bytes: Uint8Array,
    hintFor: NodeId | undefined,
    over?: bigint,
  ): ErrorCode | undefined {
    const { ring, clock, limits, store } = this.#parts;
    if (store.spaceIsLow) return 'INSUFFICIENT_STORAGE';
    const slot = this.#open(key);
    // What is not ours and came without a hint is kept for its owners: rings may disagree.
    const isStray = hintFor === undefined && !ring.isHolder(slot.place.partition);
    const unhinted = isStray ? ring.ownersOf(key) : [];
    const targets = hintFor === undefined ? unhinted : [hintFor];
    if (!store.hints.hasRoomFor(targets, key)) return 'OVERLOADED';
    const nowMs = clock.wallMs();
    const stored = slot.held === 'nothing' ? NOTHING : slot.held;
    // What was made of the very record that lies here says all that this does.
    const isNext = over !== undefined && over === slot.ownHash;
    let incoming: Incoming;
    try {
      incoming = (isNext ? formToKeep(bytes, nowMs) : undefined) ?? decodeForm(bytes);
    } catch {
      return 'BAD_ARGUMENT';
    }
    // A header is no record: what it withholds could never be read here.
    if ('record' in incoming && isHeader(incoming.record)) return 'BAD_ARGUMENT';
    const merged =
      'record' in incoming
        ? mergedWith(stored, incoming, limits.record, nowMs)
        : { stored: new FormedRecord(bytes, stored.me), form: incoming };
    store.change(() => {
      if (merged !== 'the same') store.put(slot, merged.stored, merged.form);
      for (const target of targets) store.hints.keep(target, key, nowMs);
    });
    return undefined;
  }

  /**
   * A damaged row is as good as lost: it goes, and in the same commit the partition loses its mark,
   * so that it is refilled from the other owners before it is read here again.
   */
  #open(key: Key): SoundSlot {
    const { store, completeness } = this.#parts;
    const slot = store.open(key);
    if (isSound(slot)) return slot;
    // What else the disk lost there is to be missed, not remembered.
    store.distrustRows();
    store.change(() => {
      store.put(slot, 'removed');
      completeness.forget([slot.place.partition]);
    });
    return { ...slot, held: 'nothing' };
  }

  #whenDurable(key: Key, task: () => void): void {
    this.#parts.store.whenDurable(key, task);
  }

  #contextOf(put: PutCommand): CausalContext | CoterieError {
    let context = BLIND;
    for (const bytes of put.contexts) {
      const opened = openContext(bytes, this.#sealOf(put.key));
      if (opened.type === 'refused') {
        return new CoterieError(
          opened.code,
          opened.code === 'BAD_CONTEXT'
            ? 'expected a context that a get or put of this cluster returned'
            : `the context belongs to another key than ${showKey(put.key)}`,
        );
      }
      context = joinContexts(context, opened.context);
    }
    return context;
  }

  /** A4: honoured only if born in this start and still the vector's own word. */
  #livingMe(me: StoredRecord['me'], record: RecordOfKey): StoredRecord['me'] {
    if (me === undefined || startOf(me.actor) !== this.#parts.start) return undefined;
    return entryOf(record.vector, me.actor)?.n === me.n ? me : undefined;
  }

  #newborn(): ActorId {
    return actorId(this.#parts.start, this.#births++);
  }

  #sealOf(key: Key): ContextSeal {
    const { digest, ring, contextSecret } = this.#parts;
    return {
      // The MD5 that places the key is at hand.
      keyTag: () => ring.placeOf(key).position,
      sign: (bytes, end) => digest.keyed(contextSecret(), bytes, end),
    };
  }
}

type Decoded = ReturnType<typeof decodeForm>;
/** What comes to be merged; only its form if it merely replaces what is here. */
type Incoming = Decoded | RecordForm;
/** `form`: if it is at hand. */
type Merged = { readonly stored: StoredRecord; readonly form: RecordForm | undefined };

const isHeader = ({ siblings }: RecordOfKey): boolean =>
  siblings.some(({ value }) => value === 'withheld');

const mergedWith = (
  { record: held, me }: StoredRecord,
  incoming: Decoded,
  limits: RecordLimits,
  nowMs: number,
): Merged | 'the same' => {
  const record = merge(held, withoutExpired(incoming.record, nowMs), limits);
  if (sameRecord(held, record)) return 'the same';
  // Mostly it only replaces what is here.
  return {
    stored: { record, me },
    form: isJust(record, incoming.record) ? incoming.form : undefined,
  };
};

/** Whether `record` is `other` to the last byte: its very values, and all that goes with them. */
const isJust = (record: RecordOfKey, other: RecordOfKey): boolean =>
  record.siblings.every((sibling, at) => sibling === other.siblings[at]) &&
  sameRecord(record, other);

type Delivery = Extract<Handoff, { type: 'deliver' }>;

const NOTHING: StoredRecord = { record: EMPTY_RECORD };

type SoundSlot = Slot & { readonly held: Exclude<Slot['held'], 'corrupt'> };

const isSound = (slot: Slot): slot is SoundSlot => slot.held !== 'corrupt';
