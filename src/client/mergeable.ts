/**
 * Values whose siblings merge by themselves. Each kind is a join semilattice — `merge` is
 * commutative, associative and idempotent, so replicas and readers may merge in any order, any
 * number of times — with a codec, and a face that a change edits:
 *
 *   await client.update('cart:alice', (cart) => { cart.set('milk', 2) }, { merge: addWinsMap<number>() });
 *
 *   stored siblings ─decode, merge─▶ state ─edit─▶ face ─change, finish─▶ state ─encode─▶ put
 *
 * Here the kinds that need no causality; those that do are in causal-types.ts.
 */
import { json } from './codecs.ts';
import type { Codec } from './codecs.ts';

/** What one update may draw on: its time, names nobody else has, and what its client did before. */
export type Stamp = {
  readonly nowMs: number;
  /** 64 random bits as text. */
  readonly tag: () => string;
  /** What the last applied update of this key by this client left, if no other took it since. */
  readonly own: Own | undefined;
  /** Set by `finish`: what the next update of this client may take up. */
  leaves?: Own;
};

/** The writer a client was in a value, and how much that writer had written (as RULES A4). */
export type Own = { readonly writer: string; readonly n: number };

export type Edit<State, Face, Made> = {
  readonly face: Face;
  /** The state after a change that ended with `made`. */
  readonly finish: (made: Made) => State;
};

/** `Face` is what readers see and changes edit, `Made` what a change ends with. */
export type Mergeable<State, Face, Made> = {
  readonly empty: State;
  readonly merge: (a: State, b: State) => State;
  readonly codec: Codec<State>;
  readonly edit: (state: State, stamp: Stamp) => Edit<State, Face, Made>;
};

/** All siblings as one state; `empty` for none. Throws CoterieError BAD_ARGUMENT on foreign bytes. */
export const mergedState = <State>(
  { empty, merge, codec }: Pick<Mergeable<State, never, never>, 'empty' | 'merge' | 'codec'>,
  siblings: readonly Uint8Array[],
): State => siblings.map((each) => codec.decode(each)).reduce(merge, empty);

/** What a reader sees of `siblings`. Edits of it go nowhere. */
export const seenIn = <State, Face>(
  type: Mergeable<State, Face, never>,
  siblings: readonly Uint8Array[],
): Face => type.edit(mergedState(type, siblings), READING).face;

const READING: Stamp = { nowMs: 0, tag: () => 'nobody', own: undefined };

/** A value with the writer's clock beside it; `undefined` until the first write. */
export type Stamped<T> =
  { readonly at: number; readonly tag: string; readonly value: T } | undefined;

/**
 * The newest value by the writers' clocks wins, as in the paper's last-write-wins (§ 6.1): of two
 * concurrent writes one is lost. A write is always newer than the one it has seen.
 */
export const lastWriteWins = <T>(): Mergeable<Stamped<T>, T | undefined, T> => ({
  empty: undefined,
  merge: (a, b) => {
    if (a === undefined || b === undefined) return a ?? b;
    return a.at > b.at || (a.at === b.at && a.tag >= b.tag) ? a : b;
  },
  codec: {
    // JSON has no undefined.
    encode: (state) => json<Stamped<T> | null>().encode(state ?? null),
    decode: (bytes) => json<Stamped<T> | null>().decode(bytes) ?? undefined,
  },
  edit: (state, { nowMs, tag }) => ({
    face: state?.value,
    finish: (value) => ({ at: Math.max(nowMs, (state?.at ?? 0) + 1), tag: tag(), value }),
  }),
});

/** A set that only grows: nothing added is ever gone. Elements are distinct as text or numbers. */
export const unionOfSets = <T extends string | number>(): Mergeable<
  ReadonlySet<T>,
  Set<T>,
  void | ReadonlySet<T>
> => ({
  empty: new Set<T>(),
  merge: (a, b) => new Set([...a, ...b]),
  codec: {
    encode: (set) => json<T[]>().encode([...set].sort(inOrder)),
    decode: (bytes) => new Set(json<T[]>().decode(bytes)),
  },
  edit: (state) => {
    const face = new Set(state);
    // What is missing in the face was not removed: the union only grows.
    return { face, finish: (made) => new Set([...state, ...(made ?? face)]) };
  },
});

/** The largest number ever written; -Infinity before the first. */
export const maximum = (): Mergeable<number, number, number> => extreme(Math.max, -Infinity);

/** The smallest number ever written; Infinity before the first. */
export const minimum = (): Mergeable<number, number, number> => extreme(Math.min, Infinity);

const extreme = (
  choose: (a: number, b: number) => number,
  empty: number,
): Mergeable<number, number, number> => ({
  empty,
  merge: choose,
  codec: {
    // JSON has no infinity.
    encode: (state) => json<number | null>().encode(Number.isFinite(state) ? state : null),
    decode: (bytes) => json<number | null>().decode(bytes) ?? empty,
  },
  edit: (state) => ({ face: state, finish: (made) => choose(state, made) }),
});

const inOrder = (a: string | number, b: string | number): number => {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
};
