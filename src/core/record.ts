/**
 * Records: what a replica keeps of one key, and the only two ways it changes (RULES.md A).
 * `merge` is how two replicas meet; `write` is how a dot is born.
 *
 *   replica 1   {a:1} [cart1]            ── both clients read cart1 ──
 *   replica 1   write → {a:2} [cart2]
 *   replica 2   write → {a:1,b:1} [cart3]
 *   merge       {a:2,b:1} [cart2, cart3]    two siblings, neither in the other's past
 */
import type { ActorId, PutId } from './ids.ts';
import {
  NO_PUTS,
  hasSeen,
  joinSeen,
  latestSeen,
  newestSeen,
  sameSeen,
  seenPuts,
  withoutPuts,
} from './seen-puts.ts';
import type { SeenPuts } from './seen-puts.ts';
import { compareDots, covers, entryOf, joinVectors, withDot } from './vector.ts';
import type { Dot, VersionVector } from './vector.ts';

/**
 * What a sibling holds: bytes; a tombstone (a delete); `withheld` where a replica answered with its
 * header only; `expired` once a time-to-live has passed and the bytes are gone.
 */
export type SiblingValue = Uint8Array | 'tombstone' | 'withheld' | 'expired';

export type Sibling = {
  readonly dot: Dot;
  readonly putId: PutId;
  /** Wall clock of the client when it first tried this put, ms since the epoch. */
  readonly writtenAt: number;
  /** Absolute expiry, ms since the epoch. */
  readonly expiresAt?: number;
  readonly value: SiblingValue;
};

export type RecordOfKey = {
  readonly vector: VersionVector;
  /** Sorted by dot. */
  readonly siblings: readonly Sibling[];
  /** Never lists a put id that a sibling holds. */
  readonly seen: SeenPuts;
};

/** K and M of A6: how many vector entries and seen put ids a record keeps. */
export type RecordLimits = { readonly vectorEntriesMax: number; readonly seenPutsMax: number };

export const RECORD_LIMITS: RecordLimits = { vectorEntriesMax: 64, seenPutsMax: 32 };

/** Of whoever only looks, and keeps nothing: nothing is cut. */
export const UNLIMITED: RecordLimits = { vectorEntriesMax: Infinity, seenPutsMax: Infinity };

export const EMPTY_RECORD: RecordOfKey = { vector: [], siblings: [], seen: NO_PUTS };

/** What a client has seen of a key: returned by a get, passed back by a put (A3). */
export type CausalContext = {
  readonly vector: VersionVector;
  readonly seen: SeenPuts;
  /** The put ids of the values that were shown. */
  readonly shown: readonly PutId[];
};

export const BLIND: CausalContext = { vector: [], seen: NO_PUTS, shown: [] };

/** A1: everything either has seen, nothing either knows to be overwritten. */
export const merge = (a: RecordOfKey, b: RecordOfKey, limits = RECORD_LIMITS): RecordOfKey => {
  // Either may come from where more is kept.
  if (a === b || isEmpty(b)) return bounded(a, limits);
  if (isEmpty(a)) return bounded(b, limits);
  const siblings: Sibling[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [left, right] = [a.siblings[i], b.siblings[j]];
    if (left === undefined && right === undefined) break;
    const order = left === undefined ? 1 : right === undefined ? -1 : bySiblingDot(left, right);
    if (order === 0) siblings.push(fuller(left!, right!));
    else if (order < 0 && !isPastOf(left!, b)) siblings.push(left!);
    else if (order > 0 && !isPastOf(right!, a)) siblings.push(right!);
    if (order <= 0) i += 1;
    if (order >= 0) j += 1;
  }
  return normalForm(
    {
      vector: joinVectors(a.vector, b.vector),
      siblings: onePerPut(siblings),
      seen: joinSeen(a.seen, b.seen),
    },
    limits,
  );
};

/** One put as its coordinator mints it. */
export type Mint = {
  /** Who mints: a living actor of this record, or a newborn (A4). */
  readonly actor: ActorId;
  readonly putId: PutId;
  readonly value: Uint8Array | 'tombstone';
  readonly writtenAt: number;
  readonly expiresAt?: number | undefined;
  /** The coordinator's own wall clock. */
  readonly nowMs: number;
  /** `all-seen`: drop what the context covers. `last-write-wins`: drop what is older (A8). */
  readonly mode: 'causal' | 'last-write-wins';
  /** It may have been written before (attempt > 1). */
  readonly isRetry?: boolean;
};

export type WriteResult =
  | { readonly type: 'minted'; readonly record: RecordOfKey; readonly dot: Dot }
  /** A retry: the record is already the outcome of this put. */
  | { readonly type: 'known'; readonly record: RecordOfKey }
  /** The held put id carries other bytes (A7). */
  | { readonly type: 'reused' };

/** A2: mints one dot for a put, unless the put is known already. */
export const write = (
  record: RecordOfKey,
  context: CausalContext,
  mint: Mint,
  limits = RECORD_LIMITS,
): WriteResult => {
  const held = record.siblings.find((sibling) => sibling.putId === mint.putId);
  if (held !== undefined) {
    return sameValue(held, mint) ? { type: 'known', record } : { type: 'reused' };
  }
  if (hasSeen(record.seen, mint.putId)) return { type: 'known', record };

  const time = timeOfNext(record, context, mint);
  const before = joinVectors(record.vector, context.vector);
  const dot: Dot = { actor: mint.actor, n: (entryOf(before, mint.actor)?.n ?? 0) + 1, time };
  // A retry of which the record may have forgotten that it was overwritten replaces nothing: where
  // that is still known it goes again, and what it had replaced would be gone with it.
  const mayBeOverwritten = mint.isRetry === true && record.seen.count >= limits.seenPutsMax;
  const overwritten =
    mint.mode === 'causal'
      ? (sibling: Sibling) => isInContext(sibling, context)
      : (sibling: Sibling) => !mayBeOverwritten && isOlder(sibling, mint);
  const kept: Sibling[] = [];
  const overwrittenPuts = [...context.shown];
  for (const sibling of record.siblings) {
    if (!overwritten(sibling)) kept.push(sibling);
    else if (!overwrittenPuts.includes(sibling.putId)) overwrittenPuts.push(sibling.putId);
  }
  const { putId, writtenAt, expiresAt, value } = mint;
  const lasting: Sibling = { dot, putId, writtenAt, value };
  const minted: Sibling = expiresAt === undefined ? lasting : { expiresAt, ...lasting };
  return {
    type: 'minted',
    dot,
    record: normalForm(
      {
        vector: withDot(before, dot),
        siblings: [...kept, minted].sort(bySiblingDot),
        seen: joinSeen(
          joinSeen(record.seen, context.seen),
          seenPuts(overwrittenPuts.map((putId) => ({ putId, time }))),
        ),
      },
      limits,
    ),
  };
};

/** The context that a reader of `record` is given. */
export const contextOf = (record: RecordOfKey): CausalContext => ({
  vector: record.vector,
  seen: record.seen,
  shown: record.siblings.map((sibling) => sibling.putId),
});

/**
 * The context a put answers with: what its writer had seen, plus this one write by its put id. The
 * new dot itself would also cover earlier, unseen writes of the same actor.
 */
export const contextAfter = (
  context: CausalContext,
  put: PutId,
  time: number,
  limits = RECORD_LIMITS,
): CausalContext => ({
  vector: context.vector,
  seen: newestSeen(
    joinSeen(context.seen, seenPuts(context.shown.map((putId) => ({ putId, time })))),
    limits.seenPutsMax,
  ),
  shown: [put],
});

/**
 * A context that says less, for one that is too long: what it leaves out its writer has not seen, so a
 * value may stay as a false sibling, and none is lost (A6). The values that were shown go last, or
 * nobody could ever overwrite them.
 */
export const lessOf = ({ vector, seen, shown }: CausalContext): CausalContext => {
  if (seen.count > 0) return { vector, seen: newestSeen(seen, seen.count >> 1), shown };
  if (vector.length > 0) return { vector: newestDots(vector, vector.length >> 1), seen, shown };
  return { vector, seen, shown: shown.slice(0, shown.length >> 1) };
};

/** Everything either of two contexts of one key has seen. */
export const joinContexts = (a: CausalContext, b: CausalContext): CausalContext =>
  a === BLIND
    ? b
    : {
        vector: joinVectors(a.vector, b.vector),
        seen: joinSeen(a.seen, b.seen),
        shown: [...new Set([...a.shown, ...b.shown])],
      };

/** Whether a sibling's time-to-live has passed: from then on it is nothing, on every path (A9). */
export const expired = ({ value, expiresAt }: Sibling, nowMs: number): boolean =>
  value === 'expired' || (expiresAt !== undefined && expiresAt <= nowMs);

/**
 * The record without the bytes of what has expired; dots and put ids stay until they are reaped.
 * The same history, so the same hash: no replica differs from another because its clock is ahead.
 */
export const withoutExpired = (record: RecordOfKey, nowMs: number): RecordOfKey => {
  const due = (sibling: Sibling): boolean =>
    sibling.value instanceof Uint8Array && expired(sibling, nowMs);
  if (!record.siblings.some(due)) return record;
  const siblings = record.siblings.map((sibling): Sibling =>
    due(sibling) ? { ...sibling, value: 'expired' } : sibling,
  );
  return { ...record, siblings };
};

/** The siblings that a reader with this context has not seen: what a conditional put refuses for. */
export const unseenIn = (record: RecordOfKey, context: CausalContext): readonly Sibling[] =>
  record.siblings.filter(
    (sibling) => sibling.value !== 'expired' && !isInContext(sibling, context),
  );

/** What a reader sees: live values hide tombstones; expired and deleted are nothing. */
export const liveSiblings = ({ siblings }: Pick<RecordOfKey, 'siblings'>): readonly Sibling[] =>
  siblings.filter((sibling) => sibling.value !== 'tombstone' && sibling.value !== 'expired');

/** A last-write-wins reader sees the newest by the writers' clocks: nothing, if that is a delete (A8). */
export const shownSiblings = (
  { siblings }: Pick<RecordOfKey, 'siblings'>,
  mode: Mint['mode'],
): readonly Sibling[] =>
  liveSiblings({ siblings: mode === 'last-write-wins' ? newestOf(siblings) : siblings });

/** Their bytes, for a reader. */
export const shownValues = (
  record: Pick<RecordOfKey, 'siblings'>,
  mode: Mint['mode'],
): readonly Uint8Array[] => {
  const values: Uint8Array[] = [];
  for (const { value } of shownSiblings(record, mode)) {
    if (value instanceof Uint8Array) values.push(value);
  }
  return values;
};

const newestOf = (siblings: readonly Sibling[]): readonly Sibling[] =>
  siblings.length < 2 ? siblings : [siblings.reduce((a, b) => (isOlder(a, b) ? b : a))];

/** Whether the outcome of this put is part of the record: it holds it, or has seen it overwritten. */
export const knowsPut = ({ siblings, seen }: RecordOfKey, put: PutId): boolean =>
  siblings.some(({ putId }) => putId === put) || hasSeen(seen, put);

export const isEmpty = (record: RecordOfKey): boolean =>
  record.vector.length === 0 && record.siblings.length === 0 && record.seen.count === 0;

/** Equal as histories: same vector, same dots, same seen puts; the values follow from the dots. */
export const sameRecord = (a: RecordOfKey, b: RecordOfKey): boolean =>
  a === b ||
  (sameList(a.vector, b.vector, (x, y) => sameDot(x, y) && x.time === y.time) &&
    sameList(a.siblings, b.siblings, (x, y) => sameDot(x.dot, y.dot)) &&
    sameSeen(a.seen, b.seen));

/**
 * A6: keep the newest K entries by (time, actor); an entry beyond them that a live sibling needs is
 * lowered to that actor's highest live dot, the others go. `seen` keeps its newest M.
 */
export const normalForm = (record: RecordOfKey, limits = RECORD_LIMITS): RecordOfKey => {
  const { vector, siblings, seen } = record;
  const held = siblings.map(({ putId }) => putId);
  return {
    vector: truncateVector(vector, siblings, limits.vectorEntriesMax),
    siblings,
    seen: newestSeen(withoutPuts(seen, held), limits.seenPutsMax),
  };
};

const bounded = (record: RecordOfKey, limits: RecordLimits): RecordOfKey => {
  const { vector, seen } = record;
  const isWithin = vector.length <= limits.vectorEntriesMax && seen.count <= limits.seenPutsMax;
  return isWithin ? record : normalForm(record, limits);
};

const truncateVector = (
  vector: VersionVector,
  siblings: readonly Sibling[],
  entriesMax: number,
): VersionVector => {
  if (vector.length <= entriesMax) return vector;
  const newest = new Set(newestDots(vector, entriesMax));
  return vector.flatMap((entry) => {
    if (newest.has(entry)) return [entry];
    const live = siblings.filter((sibling) => sibling.dot.actor === entry.actor);
    return live.length === 0 ? [] : [live.reduce((a, b) => (a.dot.n > b.dot.n ? a : b)).dot];
  });
};

/** The last so many by age, in the order they have. */
const newestDots = (vector: VersionVector, dotsMax: number): VersionVector => {
  if (vector.length <= dotsMax) return vector;
  const byAge = [...vector].sort((a, b) => a.time - b.time || (a.actor < b.actor ? -1 : 1));
  const left = new Set(byAge.slice(vector.length - dotsMax));
  return vector.filter((dot) => left.has(dot));
};

/** A5: later than everything this write knows of, whatever the clocks say. */
const timeOfNext = (record: RecordOfKey, context: CausalContext, mint: Mint): number => {
  const seen = Math.max(latestSeen(record.seen), latestSeen(context.seen));
  let latest = Math.max(mint.nowMs, mint.writtenAt, seen + 1);
  for (const { time } of record.vector) latest = Math.max(latest, time + 1);
  for (const { time } of context.vector) latest = Math.max(latest, time + 1);
  return latest;
};

const isPastOf = (sibling: Sibling, record: RecordOfKey): boolean =>
  covers(record.vector, sibling.dot) || hasSeen(record.seen, sibling.putId);

const isInContext = (sibling: Sibling, context: CausalContext): boolean =>
  covers(context.vector, sibling.dot) ||
  context.shown.includes(sibling.putId) ||
  hasSeen(context.seen, sibling.putId);

const isOlder = (sibling: Sibling, mint: Pick<Mint, 'writtenAt' | 'putId'>): boolean =>
  sibling.writtenAt < mint.writtenAt ||
  (sibling.writtenAt === mint.writtenAt && sibling.putId < mint.putId);

/** Two dots of one put collapse to the smaller, which stands first. */
const onePerPut = (siblings: Sibling[]): Sibling[] => {
  if (siblings.length < 2) return siblings;
  const puts = new Set<PutId>();
  return siblings.filter((sibling) => !puts.has(sibling.putId) && puts.add(sibling.putId));
};

const fuller = (a: Sibling, b: Sibling): Sibling => {
  if (a.value === 'withheld') return b;
  return b.value === 'expired' ? b : a;
};

const sameDot = (a: Dot, b: Dot): boolean => a.n === b.n && a.actor === b.actor;

const bySiblingDot = (a: Sibling, b: Sibling): number => compareDots(a.dot, b.dot);

const sameList = <T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean =>
  a.length === b.length && a.every((item, index) => same(item, b[index]!));

const sameValue = (held: Sibling, mint: Mint): boolean => {
  const { value } = held;
  if (value === 'expired' || value === 'withheld') return true;
  if (value === 'tombstone' || mint.value === 'tombstone') return value === mint.value;
  return value.length === mint.value.length && value.every((byte, i) => byte === mint.value[i]);
};
