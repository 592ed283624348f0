/**
 * One page of a partition's keys, as one replica lists them and as several are joined. A place is
 * a key's position on the ring with the key itself behind it, so places sort as records lie.
 *
 *   replica 1   a  b  c →next c          replica 2   a  c  d  e →next e
 *   joined      a  b  c →next c          only as far as all of them have looked
 */

export type ListedKey = {
  readonly place: Uint8Array;
  /** `dead`: deleted or expired, as that replica knows it. */
  readonly state: 'live' | 'dead';
};

export type KeyPage = {
  /** Ascending by place. */
  readonly keys: readonly ListedKey[];
  /** Everything up to and with this place was looked at; absent: to the end of the partition. */
  readonly next?: Uint8Array;
};

/** A key is listed if any of the replicas has a value for it: a fresh delete may still show. */
export const joinPages = (pages: readonly KeyPage[]): KeyPage => {
  const ends = pages.flatMap(({ next }) => (next === undefined ? [] : [next]));
  const next = ends.length === 0 ? undefined : ends.reduce((a, b) => (isBefore(b, a) ? b : a));
  const live = new Map<string, ListedKey>();
  for (const { keys } of pages) {
    for (const key of keys) {
      if (key.state === 'dead' || (next !== undefined && isBefore(next, key.place))) continue;
      live.set(key.place.join(), key);
    }
  }
  const keys = [...live.values()].sort((a, b) => compareBytes(a.place, b.place));
  return next === undefined ? { keys } : { keys, next };
};

/** Byte order, as storage sorts. */
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
};

const isBefore = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, b) < 0;
