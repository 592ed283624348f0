/**
 * Records of the write log that are not in their places yet. Found by a hash of a few bytes of their
 * keys; in order by groups of the first two: a partition is a group, and only a group that is asked
 * for in order is sorted.
 */
import { compareBytes } from '../../core/key-page.ts';
import { NumberMap } from '../../core/number-map.ts';
import type { LogEntry } from './log-rows.ts';

/** `isHeld` until something newer takes its place, or it is in its own. */
export type HeldRow = LogEntry;

/** `rows` may have some that are held no more. */
type Group = { rows: HeldRow[]; isSorted: boolean; held: number };

/** How many rows that are held no more a group may have beside as many as it holds. */
const LEFT_OVER = 8;

export class HeldRows {
  /** The first one of each hash. */
  readonly #found = new NumberMap<HeldRow>();
  readonly #groups = new Map<number, Group>();
  #size = 0;
  #bytes = 0;

  get size(): number {
    return this.#size;
  }

  /** Of keys and values. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: Uint8Array): HeldRow | undefined {
    return this.#find(key, 0, key.length);
  }

  set(row: HeldRow): void {
    const { keyAt, keyEnd } = row;
    const before = this.#find(row.row, keyAt, keyEnd);
    if (before !== undefined) this.forget(before);
    const hash = hashIn(row.row, keyAt, keyEnd);
    row.isHeld = true;
    row.besides = this.#found.get(hash);
    this.#found.set(hash, row);
    this.#size += 1;
    this.#bytes += bytesIn(row);
    const prefix = groupIn(row.row, keyAt, keyEnd);
    let group = this.#groups.get(prefix);
    if (group === undefined) {
      group = { rows: [], isSorted: true, held: 0 };
      this.#groups.set(prefix, group);
    }
    if (group.rows.length > 2 * group.held + LEFT_OVER) dropLeftOver(group);
    group.rows.push(row);
    group.isSorted = false;
    group.held += 1;
  }

  remove(key: Uint8Array): void {
    const row = this.get(key);
    if (row !== undefined) this.forget(row);
  }

  /** Removes `row`, unless it is held no more. */
  forget(row: HeldRow): void {
    if (!row.isHeld) return;
    row.isHeld = false;
    this.#size -= 1;
    this.#bytes -= bytesIn(row);
    this.#unlink(row);
    const prefix = groupIn(row.row, row.keyAt, row.keyEnd);
    const group = this.#groups.get(prefix)!;
    group.held -= 1;
    if (group.held === 0) this.#groups.delete(prefix);
  }

  #find(bytes: Uint8Array, from: number, to: number): HeldRow | undefined {
    let row = this.#found.get(hashIn(bytes, from, to));
    while (row !== undefined && !hasKey(row, bytes, from, to)) row = row.besides;
    return row;
  }

  #unlink(row: HeldRow): void {
    const hash = hashIn(row.row, row.keyAt, row.keyEnd);
    let before = this.#found.get(hash)!;
    if (before === row) {
      if (row.besides === undefined) this.#found.delete(hash);
      else this.#found.set(hash, row.besides);
    } else {
      while (before.besides !== row) before = before.besides!;
      before.besides = row.besides;
    }
    row.besides = undefined;
  }

  /** The groups in order. */
  groups(): number[] {
    return [...this.#groups.keys()].sort((a, b) => a - b);
  }

  /** The rows of a group in order. */
  inGroup(prefix: number): readonly HeldRow[] {
    const group = this.#groups.get(prefix);
    return group === undefined ? [] : sorted(group);
  }

  /** The rows from one key, inclusive, to another, exclusive, in order; nothing may change meanwhile. */
  *between(from: Uint8Array | undefined, to: Uint8Array | undefined): Generator<HeldRow, void> {
    for (const prefix of this.#groupsBetween(from, to)) {
      const rows = this.inGroup(prefix);
      for (let at = from === undefined ? 0 : placeIn(rows, from); at < rows.length; at++) {
        const row = rows[at]!;
        if (to !== undefined && compareBytes(row.key, to) >= 0) return;
        yield row;
      }
    }
  }

  #groupsBetween(from: Uint8Array | undefined, to: Uint8Array | undefined): readonly number[] {
    const first = from === undefined ? 0 : groupIn(from, 0, from.length);
    const last = to === undefined ? Infinity : groupIn(to, 0, to.length);
    if (first === last) return this.#groups.has(first) ? [first] : [];
    return this.groups().filter((prefix) => prefix >= first && prefix <= last);
  }
}

const groupIn = (bytes: Uint8Array, from: number, to: number): number =>
  ((from < to ? bytes[from]! : 0) << 8) | (from + 1 < to ? bytes[from + 1]! : 0);

/** FNV-1a of the bytes in front: of a record's key its partition and the MD5 that places it. */
export const hashIn = (bytes: Uint8Array, from: number, to: number): number => {
  let hash = 0x811c9dc5;
  const end = Math.min(to, from + HASHED_BYTES);
  for (let at = from; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash >>> 0;
};
const HASHED_BYTES = 10;

/** Whether its key are the bytes from one place of `bytes` to another. */
const hasKey = (held: HeldRow, bytes: Uint8Array, from: number, to: number): boolean => {
  const { row, keyAt, keyEnd } = held;
  if (keyEnd - keyAt !== to - from) return false;
  for (let at = from; at < to; at++) if (row[keyAt + at - from] !== bytes[at]) return false;
  return true;
};

const sorted = (group: Group): readonly HeldRow[] => {
  if (group.held < group.rows.length) dropLeftOver(group);
  if (!group.isSorted) group.rows.sort(byKey);
  group.isSorted = true;
  return group.rows;
};

/** As `compareBytes` of their keys would say, without a view for each. */
const byKey = (a: HeldRow, b: HeldRow): number => {
  if (a.order !== b.order) return a.order - b.order;
  const [lengthOfA, lengthOfB] = [a.keyEnd - a.keyAt, b.keyEnd - b.keyAt];
  const length = Math.min(lengthOfA, lengthOfB);
  for (let i = 0; i < length; i++) {
    const difference = a.row[a.keyAt + i]! - b.row[b.keyAt + i]!;
    if (difference !== 0) return difference;
  }
  return lengthOfA - lengthOfB;
};

/** A new list: whoever goes through the one before may go on. */
const dropLeftOver = (group: Group): void => {
  group.rows = group.rows.filter(({ isHeld }) => isHeld);
};

const bytesIn = ({ keyAt, keyEnd, valueAt, valueEnd }: HeldRow): number =>
  keyEnd - keyAt + valueEnd - valueAt;

/** The first index whose key is not below `key`. */
const placeIn = (rows: readonly HeldRow[], key: Uint8Array): number => {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(rows[middle]!.key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
};
