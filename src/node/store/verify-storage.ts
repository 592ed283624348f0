/**
 * Whether a node's storage is what a node would have written: read whole, row by row, and changed in
 * nothing. For `coterie verify`, on a directory that no node runs on.
 */
import { leafOf } from '../../core/merkle.ts';
import { bytesOfKey, partitionId, showKey } from '../../core/ids.ts';
import type { Key, PartitionId } from '../../core/ids.ts';
import type { RecordOfKey } from '../../core/record.ts';
import { foldHistory } from '../../core/members.ts';
import { partitionOf } from '../../core/ring.ts';
import { compareBytes } from '../../core/key-page.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Storage } from '../../ports/storage.ts';
import { DATA_FORMAT, loadBook, loadIdentity } from './book-store.ts';
import { Forest } from './forest.ts';
import { RegisterBook } from '../membership/register-book.ts';
import {
  decodeHint,
  decodeStored,
  eachEntry,
  hashOfRecord,
  keyOfRecordKey,
  partitionRange,
  recordKey,
} from './stored.ts';

export type StorageReport = {
  readonly node: string;
  readonly format: number;
  readonly incarnation: number;
  /** How the last life ended. */
  readonly end: 'clean' | 'cut short';
  readonly members: readonly string[];
  readonly partitions: number;
  readonly records: number;
  readonly siblings: number;
  readonly tombstones: number;
  readonly hints: number;
  /** How many things are wrong, and the first of them in words. */
  readonly damaged: number;
  readonly findings: readonly string[];
};

const FINDINGS_MAX = 100;

export const verifyStorage = (storage: Storage, digest: Digest): StorageReport => {
  const findings: string[] = [];
  let damaged = 0;
  const wrong = (what: string): void => {
    damaged += 1;
    if (findings.length < FINDINGS_MAX) findings.push(what);
  };
  const attempt = <T>(what: string, task: () => T): T | undefined => {
    try {
      return task();
    } catch (error) {
      wrong(`${what}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const identity = attempt('the identity', () => loadIdentity(storage));
  if (identity === undefined) wrong('no node has ever started on this directory');
  const format = identity?.format ?? DATA_FORMAT;
  if (format > DATA_FORMAT) {
    wrong(`the format is ${format}: this version reads up to ${DATA_FORMAT}`);
  }
  const book = attempt('the membership history', () => loadBook(storage));
  const membership = book === undefined ? undefined : foldHistory(book.history);
  if (membership === undefined) wrong('the membership history tells of no cluster');
  const failed = () => undefined;
  attempt(
    'the registers',
    () => new RegisterBook({ storage, digest, isCredible: () => true, changed: failed, failed }),
  );
  const partitions = membership?.partitions ?? 1;
  const forest = attempt('the Merkle trees', () => new Forest(storage));
  const counts = { records: 0, siblings: 0, tombstones: 0, hints: 0 };

  for (let index = 0; index < partitions; index++) {
    const partition = partitionId(index);
    const leaves = new Map<number, bigint>();
    for (const { key: name, value } of eachEntry(storage, 'records', partitionRange(partition))) {
      counts.records += 1;
      const key = attempt(`a record of partition ${index}`, () => keyOfRecordKey(name));
      if (key === undefined) continue;
      const position = digest.md5(bytesOfKey(key));
      if (compareBytes(name, recordKey(partitionOf(position, partitions), position, key)) !== 0) {
        wrong(`${showKey(key)} does not lie where its MD5 says`);
        continue;
      }
      const row = attempt(showKey(key), () => lookInto(digest, value));
      if (row === undefined) continue;
      if (row === 'corrupt') {
        wrong(`${showKey(key)}: the checksum of its row does not fit`);
        continue;
      }
      const { record, hash } = row;
      if (hashOfRecord(digest, key, record) !== hash) {
        wrong(`${showKey(key)}: its hash is not that of its record`);
      }
      counts.siblings += record.siblings.length;
      counts.tombstones += record.siblings.filter((each) => each.value === 'tombstone').length;
      const leaf = leafOf(position, partitions);
      leaves.set(leaf, (leaves.get(leaf) ?? 0n) ^ hash);
    }
    if (forest !== undefined) compareTree(forest, partition, leaves, wrong);
  }

  for (const { key: name, value } of eachEntry(storage, 'hints', {})) {
    const hint = decodeHint(digest, name, value);
    counts.hints += 1;
    if (hint === 'corrupt') {
      wrong('a hint is not what was written');
      continue;
    }
    const { key } = hint;
    const position = digest.md5(bytesOfKey(key));
    const at = recordKey(partitionOf(position, partitions), position, key);
    if (storage.get('records', at) === undefined) {
      wrong(`the hint of ${showKey(key as Key)} for ${hint.target} has no record to deliver`);
    }
  }
  return {
    node: identity?.id ?? '',
    format,
    incarnation: identity?.incarnation ?? 0,
    end: identity?.life === 'running' ? 'cut short' : 'clean',
    members: membership?.members.map(({ id }) => id) ?? [],
    partitions,
    ...counts,
    damaged,
    findings,
  };
};

/** Throws RangeError if a row whose checksum fits is none all the same. */
const lookInto = (
  digest: Digest,
  value: Uint8Array,
): { readonly record: RecordOfKey; readonly hash: bigint } | 'corrupt' => {
  const row = decodeStored(digest, value);
  return row === 'corrupt' ? row : { record: row.stored.record, hash: row.hash };
};

const compareTree = (
  forest: Forest,
  partition: PartitionId,
  leaves: ReadonlyMap<number, bigint>,
  wrong: (what: string) => void,
): void => {
  const tree = forest.tree(partition);
  let root = 0n;
  for (const hash of leaves.values()) root ^= hash;
  const differing = [...leaves].filter(([leaf, hash]) => tree.leafAt(leaf) !== hash).length;
  if (differing > 0 || tree.root !== root) {
    wrong(
      `the Merkle tree of partition ${partition} differs from its records in ${differing} leaves`,
    );
  }
};
