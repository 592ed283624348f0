/**
 * Version vectors (paper § 4.4): for each actor that ever wrote a key, the newest dot known of it.
 * A vector is held as that list of dots, sorted by actor, one per actor.
 */
import type { ActorId } from './ids.ts';

/** The unique id of one write: the `n`-th of `actor` (n ≥ 1), and its logical time in ms (A5). */
export type Dot = { readonly actor: ActorId; readonly n: number; readonly time: number };

export type VersionVector = readonly Dot[];

/** The newest dot of `actor` known to `vector`. */
export const entryOf = (vector: VersionVector, actor: ActorId): Dot | undefined =>
  vector.find((entry) => entry.actor === actor);

/** Whether the write `dot` lies in the past that `vector` describes. */
export const covers = (vector: VersionVector, dot: Dot): boolean => {
  const entry = entryOf(vector, dot.actor);
  return entry !== undefined && entry.n >= dot.n;
};

/** Per actor the greater of the two by (n, time). */
export const joinVectors = (a: VersionVector, b: VersionVector): VersionVector => {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const joined: Dot[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const left = a[i]!;
    const right = b[j]!;
    if (left.actor < right.actor) {
      joined.push(left);
      i++;
    } else if (left.actor > right.actor) {
      joined.push(right);
      j++;
    } else {
      joined.push(isNewer(right, left) ? right : left);
      i++;
      j++;
    }
  }
  while (i < a.length) joined.push(a[i++]!);
  while (j < b.length) joined.push(b[j++]!);
  return joined;
};

/** The vector that also knows `dot`. */
export const withDot = (vector: VersionVector, dot: Dot): VersionVector =>
  joinVectors(vector, [dot]);

const isNewer = (a: Dot, b: Dot): boolean => a.n > b.n || (a.n === b.n && a.time > b.time);

/** Order of dots: by actor, then n. Decides which of two twins of one put survives (A1). */
export const compareDots = (a: Dot, b: Dot): number =>
  a.actor < b.actor ? -1 : a.actor > b.actor ? 1 : a.n - b.n;
