/**
 * `coterie/sim`: the simulator for programs that keep values of their own. It tries a merger in whole
 * simulated clusters that split, lose messages, crash and retry, and says whether items get lost.
 *
 *   const { broken } = checkMerger((siblings) => …);      // siblings: JSON arrays of items
 *   if (broken !== undefined) console.log(broken.story);  // the shortest story in which one is lost
 */
import { nodeDigest } from './adapters/node-digest.ts';
import { json } from './client/codecs.ts';
import type { Merge } from './client/client.ts';
import { bytesOf } from './client/inputs.ts';
import type { ValueInput } from './client/inputs.ts';
import { mergedState, seenIn } from './client/mergeable.ts';
import type { Mergeable } from './client/mergeable.ts';
import type { Basket } from './sim/baskets.ts';
import { reportOf } from './sim/report.ts';
import { runSeed } from './sim/run.ts';
import type { ScenarioOptions } from './sim/scenario.ts';
import { shrink } from './sim/shrink.ts';

export type { FaultName } from './sim/faults.ts';
export type { Basket, BasketStamp } from './sim/baskets.ts';

/** A merge function, and how values of its kind hold items. */
export type MergerOfValues = {
  readonly merge: Merge;
  /** The value with `item` in it; `value` is undefined where there is none yet. */
  readonly add: (value: Uint8Array | undefined, item: string) => ValueInput;
  readonly items: (value: Uint8Array) => Iterable<string>;
  /** The value without `item`; absent: items are only ever put in. */
  readonly remove?: (value: Uint8Array, item: string) => ValueInput;
};

/**
 * What can be tried: a merge function of values that are JSON arrays of texts; one with functions
 * that put items into other values; or a mergeable of this library whose face has `add` or `set`,
 * and `has`, or is such an array.
 */
export type MergerOnTrial<State = unknown, Face = unknown, Made = unknown> =
  Merge | MergerOfValues | Mergeable<State, Face, Made>;

export type MergerTrial = {
  /** Clusters to run; 10 by default. */
  readonly seeds?: number;
  /** The first seed; the same seeds tell the same stories. */
  readonly from?: number;
  /** Kinds of faults that may strike; by default all. */
  readonly faults?: NonNullable<ScenarioOptions['faults']>;
  readonly nodes?: number;
  readonly keys?: number;
  readonly clients?: number;
  readonly operations?: number;
};

export type MergerReport = {
  /** Clusters run. */
  readonly seeds: number;
  readonly itemsPutIn: number;
  /** How often two siblings or more were merged: with none, nothing was tried. */
  readonly merges: number;
  readonly broken?: {
    readonly seed: number;
    /** The promise by name, and which item. */
    readonly message: string;
    /** Several lines: what happened to the key in the shortest history that breaks it. */
    readonly story: string;
  };
};

const SEEDS = 10;
const SHRINK_RUNS_MAX = 150;

/**
 * Tries `merger` in one simulated cluster after another until an item is lost; takes about a second
 * a cluster. Throws TypeError if items cannot be told in what it merges.
 */
export const checkMerger = <State, Face, Made>(
  merger: MergerOnTrial<State, Face, Made>,
  trial: MergerTrial = {},
): MergerReport => {
  const { seeds = SEEDS, from = 1, ...wishes } = trial;
  const basket = basketOf(merger);
  let [itemsPutIn, merges] = [0, 0];
  for (let seed = from; seed < from + seeds; seed++) {
    const options = { ...wishes, seed, basket, digest: nodeDigest };
    const result = runSeed(options);
    itemsPutIn += result.counters.get('items put in') ?? 0;
    merges += result.counters.get('siblings merged') ?? 0;
    if (result.broken === undefined) continue;
    const limits = { runsMax: SHRINK_RUNS_MAX, goesOn: () => true };
    const shrunk = shrink(result, options, limits);
    const { message } = shrunk.result.broken!;
    const story = reportOf(shrunk.result, shrunk.options);
    return { seeds: seed - from + 1, itemsPutIn, merges, broken: { seed, message, story } };
  }
  return { seeds, itemsPutIn, merges };
};

/** How `merger` keeps items. Throws TypeError if that cannot be told. */
export const basketOf = <State, Face, Made>(merger: MergerOnTrial<State, Face, Made>): Basket => {
  if (typeof merger === 'function') return basketOfValues({ ...listsOfTexts, merge: merger });
  if (typeof merger !== 'object' || merger === null) throw untellable();
  if ('items' in merger) return basketOfValues(merger);
  if ('codec' in merger && 'edit' in merger) return basketOfMergeable(merger);
  throw untellable();
};

const untellable = (): TypeError =>
  new TypeError(
    'expected a merge function of JSON arrays of texts, an object { merge, add, items }, or a ' +
      'mergeable whose face has add() or set(), and has()',
  );

const listsOfTexts = {
  add: (value: Uint8Array | undefined, item: string) =>
    listCodec.encode([...(value === undefined ? [] : listCodec.decode(value)), item]),
  items: (value: Uint8Array) => listCodec.decode(value),
};

const listCodec = json<readonly string[]>();

const basketOfValues = ({ merge, add, items, remove }: MergerOfValues): Basket => {
  const merged = (siblings: readonly Uint8Array[]): Uint8Array | undefined =>
    siblings.length < 2 ? siblings[0] : bytesOf(merge(siblings));
  return {
    takesOut: remove !== undefined,
    change: (siblings, { type, item }) => {
      const value = merged(siblings);
      const removes = type === 'remove' && remove !== undefined && value !== undefined;
      return bytesOf(removes ? remove(value, item) : add(value, item));
    },
    has: (siblings, item) => {
      const value = merged(siblings);
      return value !== undefined && [...items(value)].includes(item);
    },
  };
};

const basketOfMergeable = <State, Face, Made>(merger: Mergeable<State, Face, Made>): Basket => {
  const change: Basket['change'] = (siblings, { type, item }, stamp) => {
    const { face, finish } = merger.edit(mergedState(merger, siblings), {
      ...stamp,
      own: undefined,
    });
    return merger.codec.encode(finish(changed(face, type, item) as Made));
  };
  const has: Basket['has'] = (siblings, item) => holds(seenIn(merger, siblings), item);
  // Some only grow, whatever a face is told.
  const stamp = { nowMs: 0, tag: () => 'trial' };
  try {
    const one = change([], { type: 'add', item: 'trial' }, stamp);
    if (!has([one], 'trial')) throw untellable();
    const takesOut = !has([change([one], { type: 'remove', item: 'trial' }, stamp)], 'trial');
    return { change, has, takesOut };
  } catch {
    throw untellable();
  }
};

/** Edits `face`, and what the change ends with. */
const changed = (face: unknown, type: 'add' | 'remove', item: string): unknown => {
  if (face === undefined || Array.isArray(face)) {
    const list: readonly unknown[] = face ?? [];
    return type === 'add' ? [...list, item] : list.filter((each) => each !== item);
  }
  const { add, set, delete: remove } = face as Record<string, unknown>;
  const [call, ...more] =
    type === 'remove' ? [remove] : typeof add === 'function' ? [add] : [set, 1];
  if (typeof call !== 'function') throw untellable();
  call.call(face, item, ...more);
  // As a change that returns nothing: the face was edited in place.
  return undefined;
};

const holds = (face: unknown, item: string): boolean => {
  if (face === undefined) return false;
  if (Array.isArray(face)) return face.includes(item);
  const { has } = face as Record<string, unknown>;
  if (typeof has !== 'function') throw untellable();
  return has.call(face, item) as boolean;
};
