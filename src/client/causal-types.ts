/**
 * Mergeable values that tell "never seen" from "seen and removed" without keeping what was removed:
 * the add-wins map, the observed-remove set on it, and the counter (Bieniusa et al. 2012, Shapiro
 * et al. 2011). They carry a version vector of their own.
 *
 *   {v: {a: 1}, e: {milk: [[a, 1, 2]]}}     milk: 2, the first write of writer a
 *   remove milk  ─▶  {v: {a: 1}, e: {}}     merged with the above: a:1 is seen and not there, so gone
 *   add milk     ─▶  {v: {a: 1, b: 1}, e: {milk: [[b, 1, 3]]}}   merged with either: b:1 is new, so kept
 *
 * A writer is one client, for as long as every write of it builds on its one before; where that is
 * not certain (another update in flight, an unknown outcome) a new writer is born, as in RULES A4.
 * The vector has one entry for each writer that ever was: a few for each program.
 */
import { CoterieError } from '../core/errors.ts';
import { json } from './codecs.ts';
import type { Codec } from './codecs.ts';
import type { Mergeable, Stamp } from './mergeable.ts';

/** Writer, its count, the writing clock, the value. */
type Dotted<V> = readonly [writer: string, n: number, at: number, value: V];

export type MapState<V> = {
  readonly seen: Readonly<Record<string, number>>;
  readonly entries: ReadonlyMap<string, readonly Dotted<V>[]>;
};

/**
 * A map where of a concurrent set and delete of one name the set wins, and of two concurrent sets
 * the newer by the writers' clocks. What nobody deleted having seen it is never lost.
 */
export const addWinsMap = <V>(): Mergeable<MapState<V>, MapFace<V>, void | MapFace<V>> => ({
  empty: { seen: {}, entries: new Map() },
  merge: mergeMaps,
  codec: mapCodec<V>(),
  edit: (state, stamp) => {
    const face = new MapFace(state, stamp);
    return { face, finish: () => face.state() };
  },
});

/** A set where of a concurrent add and remove of one element the add wins. */
export const observedRemoveSet = (): Mergeable<MapState<1>, SetFace, void | SetFace> => ({
  ...addWinsMap<1>(),
  edit: (state, stamp) => {
    const map = new MapFace<1>(state, stamp);
    return { face: new SetFace(map), finish: () => map.state() };
  },
});

/** What a change of an add-wins map edits. */
export class MapFace<V> implements Iterable<readonly [string, V]> {
  readonly #stamp: Stamp;
  readonly #entries: Map<string, readonly Dotted<V>[]>;
  #seen: Readonly<Record<string, number>>;
  #writer: string | undefined;

  constructor({ seen, entries }: MapState<V>, stamp: Stamp) {
    this.#seen = seen;
    this.#entries = new Map(entries);
    this.#stamp = stamp;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  get(name: string): V | undefined {
    const dots = this.#entries.get(name);
    return dots === undefined ? undefined : newestOf(dots)[3];
  }

  set(name: string, value: V): this {
    const { nowMs, own, tag } = this.#stamp;
    const before = this.#entries.get(name);
    const at = before === undefined ? nowMs : Math.max(nowMs, newestOf(before)[2] + 1);
    this.#writer ??= writerOf(this.#seen, own) ?? tag();
    const n = (this.#seen[this.#writer] ?? 0) + 1;
    this.#seen = { ...this.#seen, [this.#writer]: n };
    this.#entries.set(name, [[this.#writer, n, at, value]]);
    return this;
  }

  /** Removes what is seen of `name` here. */
  delete(name: string): boolean {
    return this.#entries.delete(name);
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, V]> {
    for (const name of [...this.#entries.keys()].sort()) yield [name, this.get(name)!];
  }

  keys(): readonly string[] {
    return [...this].map(([name]) => name);
  }

  toObject(): Record<string, V> {
    return Object.fromEntries(this);
  }

  state(): MapState<V> {
    const writer = this.#writer ?? writerOf(this.#seen, this.#stamp.own);
    if (writer !== undefined) this.#stamp.leaves = { writer, n: this.#seen[writer]! };
    return { seen: this.#seen, entries: new Map(this.#entries) };
  }
}

/** What a change of an observed-remove set edits. */
export class SetFace implements Iterable<string> {
  readonly #map: MapFace<1>;

  constructor(map: MapFace<1>) {
    this.#map = map;
  }

  get size(): number {
    return this.#map.size;
  }

  has(element: string): boolean {
    return this.#map.has(element);
  }

  add(element: string): this {
    this.#map.set(element, 1);
    return this;
  }

  delete(element: string): boolean {
    return this.#map.delete(element);
  }

  *[Symbol.iterator](): IterableIterator<string> {
    yield* this.#map.keys();
  }
}

/** Of each writer how often it wrote, what it added in all, and what it took away. */
export type CounterState = Readonly<Record<string, readonly [n: number, up: number, down: number]>>;

/** A number that may be counted up and down by many at once, and every count is kept. */
export const counter = (): Mergeable<CounterState, CounterFace, void | CounterFace> => ({
  empty: {},
  merge: (a, b) => {
    const merged = { ...a };
    // The history of one writer is a line: its later entry has counted the earlier.
    for (const [writer, entry] of Object.entries(b)) {
      if (entry[0] > (merged[writer]?.[0] ?? 0)) merged[writer] = entry;
    }
    return merged;
  },
  codec: {
    encode: (state) => json<CounterState>().encode(sorted(state)),
    decode: (bytes) => {
      const state = json<CounterState>().decode(bytes);
      const good =
        isObject(state) && Object.values(state).every((e) => Array.isArray(e) && e.length === 3);
      return good ? state : foreign('a counter');
    },
  },
  edit: (state, stamp) => {
    const face = new CounterFace(
      Object.values(state).reduce((sum, [, up, down]) => sum + up - down, 0),
    );
    return {
      face,
      finish: () => {
        const counts = Object.fromEntries(Object.entries(state).map(([w, [n]]) => [w, n]));
        const writer = writerOf(counts, stamp.own) ?? stamp.tag();
        const [n, up, down] = state[writer] ?? [0, 0, 0];
        stamp.leaves = { writer, n: n + 1 };
        return { ...state, [writer]: [n + 1, up + face.up, down + face.down] };
      },
    };
  },
});

/** What a change of a counter edits. */
export class CounterFace {
  readonly #before: number;
  up = 0;
  down = 0;

  constructor(before: number) {
    this.#before = before;
  }

  get value(): number {
    return this.#before + this.up - this.down;
  }

  /** `by` may be negative. */
  add(by: number): this {
    if (!Number.isFinite(by)) throw new RangeError(`a finite number is counted, found ${by}`);
    if (by > 0) this.up += by;
    else this.down -= by;
    return this;
  }
}

/** The writer this client was, if the state still ends with the last thing it wrote. */
const writerOf = (seen: Readonly<Record<string, number>>, own: Stamp['own']): string | undefined =>
  own !== undefined && seen[own.writer] === own.n ? own.writer : undefined;

const mergeMaps = <V>(a: MapState<V>, b: MapState<V>): MapState<V> => {
  const entries = new Map<string, readonly Dotted<V>[]>();
  for (const name of new Set([...a.entries.keys(), ...b.entries.keys()])) {
    const [left, right] = [a.entries.get(name) ?? [], b.entries.get(name) ?? []];
    const kept = [
      ...left.filter((dot) => isIn(right, dot) || !covers(b.seen, dot)),
      ...right.filter((dot) => !isIn(left, dot) && !covers(a.seen, dot)),
    ];
    if (kept.length > 0) entries.set(name, kept.sort(byDot));
  }
  const seen = { ...a.seen };
  for (const [writer, n] of Object.entries(b.seen)) seen[writer] = Math.max(n, seen[writer] ?? 0);
  return { seen, entries };
};

const isIn = <V>(dots: readonly Dotted<V>[], [writer, n]: Dotted<V>): boolean =>
  dots.some((other) => other[0] === writer && other[1] === n);

const covers = <V>(seen: Readonly<Record<string, number>>, [writer, n]: Dotted<V>): boolean =>
  (seen[writer] ?? 0) >= n;

const byDot = <V>(a: Dotted<V>, b: Dotted<V>): number =>
  a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] - b[1];

const newestOf = <V>(dots: readonly Dotted<V>[]): Dotted<V> =>
  dots.reduce((a, b) => (b[2] > a[2] || (b[2] === a[2] && byDot(a, b) < 0) ? b : a));

/** Equal states, equal bytes. */
const mapCodec = <V>(): Codec<MapState<V>> => ({
  encode: ({ seen, entries }) =>
    json().encode({ v: sorted(seen), e: [...entries].sort(([a], [b]) => (a < b ? -1 : 1)) }),
  decode: (bytes) => {
    const { v, e } = json<{ v?: unknown; e?: unknown }>().decode(bytes) ?? {};
    if (!isObject(v) || !Array.isArray(e)) return foreign('an add-wins map');
    return { seen: v as Record<string, number>, entries: new Map(e as [string, Dotted<V>[]][]) };
  },
});

const sorted = <T>(record: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const foreign = (what: string): never => {
  throw new CoterieError('BAD_ARGUMENT', `a stored value is not ${what}`);
};
