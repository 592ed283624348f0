/**
 * Which records lie in some leaves of a partition's Merkle tree, by the hashes they count with:
 * what two replicas compare when their trees differ (paper § 4.7). What is buffered counts as
 * stored. Leaves side by side are one range on disk, so an empty one costs nothing.
 */
import type { Key, PartitionId } from '../../core/ids.ts';
import { leafOf } from '../../core/merkle.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Storage } from '../../ports/storage.ts';
import type { Memtable } from './memtable.ts';
import type { RingView } from '../membership/ring-view.ts';
import {
  eachEntry,
  hashOfRecord,
  hashOfRow,
  keyOfRecordKey,
  leafRange,
  positionOfRecordKey,
} from './stored.ts';

export type LeafRowsParts = {
  readonly storage: Storage;
  readonly digest: Digest;
  readonly ring: RingView;
  readonly memtable: Memtable;
};

export type LeafRows = {
  readonly hashes: ReadonlyMap<Key, bigint>;
  /** Keys of rows that are not what was written. */
  readonly damaged: readonly Key[];
  /** How many of the leaves, from the first on, this is about. */
  readonly looked: number;
};

/** Rows read at a time: values may be large. */
const PAGE = 128;

/** The rows of ascending `leaves`; after `keysMax` of them it stops at the end of a leaf. */
export const rowsOfLeaves = (
  parts: LeafRowsParts,
  partition: PartitionId,
  leaves: readonly number[],
  keysMax = Infinity,
): LeafRows => {
  const { digest, memtable } = parts;
  const hashes = new Map<Key, bigint>();
  const damaged: Key[] = [];
  let looked = 0;
  while (looked < leaves.length && hashes.size < keysMax) {
    const run = runLength(leaves, looked);
    looked += readRun(parts, partition, leaves[looked]!, run, keysMax, { hashes, damaged });
  }
  const wanted = new Set(leaves.slice(0, looked));
  for (const [key, { place, stored, hash }] of memtable.records()) {
    if (place.partition !== partition || !wanted.has(place.leaf)) continue;
    if (stored === 'removed') hashes.delete(key);
    else hashes.set(key, hash ?? hashOfRecord(digest, key, stored.record));
  }
  const lost = damaged.filter((key) => memtable.record(key) === undefined);
  return { hashes, damaged: lost, looked };
};

/** How many of `count` leaves from `first` on were read. */
const readRun = (
  { storage, digest, ring }: LeafRowsParts,
  partition: PartitionId,
  first: number,
  count: number,
  keysMax: number,
  found: { readonly hashes: Map<Key, bigint>; readonly damaged: Key[] },
): number => {
  const { partitions } = ring.ring;
  const range = leafRange(partition, first, partitions, count);
  let last = first;
  for (const { key: name, value } of eachEntry(storage, 'records', range, PAGE)) {
    const leaf = leafOf(positionOfRecordKey(name), partitions);
    if (leaf > last && found.hashes.size >= keysMax) return Math.min(count, leaf - first);
    last = Math.max(last, leaf);
    const hash = hashOfRow(digest, value);
    if (hash === 'corrupt') found.damaged.push(keyOfRecordKey(name));
    else found.hashes.set(keyOfRecordKey(name), hash);
  }
  return count;
};

/** How many leaves from index `at` on lie side by side. */
const runLength = (leaves: readonly number[], at: number): number => {
  let length = 1;
  while (leaves[at + length] === leaves[at]! + length) length += 1;
  return length;
};
