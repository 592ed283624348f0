/**
 * Data directories with many keys, written while no node runs on them: through clients ten million
 * keys take hours. Every directory gets the rows, and the branches of the Merkle trees, that a node
 * would have written for one put of each key; who a directory's node is stays as that node wrote it.
 */
import { openLmdbStorage } from '../../src/adapters/lmdb-storage.ts';
import { lockDataDirectory } from '../../src/adapters/data-lock.ts';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { compareBytes } from '../../src/core/key-page.ts';
import { actorId, bytesOfKey, keyOfText, partitionId, startId } from '../../src/core/ids.ts';
import type { PartitionId, PutId } from '../../src/core/ids.ts';
import { foldHistory } from '../../src/core/members.ts';
import { NO_HASH, leafOf } from '../../src/core/merkle.ts';
import { BLIND, EMPTY_RECORD, write } from '../../src/core/record.ts';
import type { RecordOfKey } from '../../src/core/record.ts';
import { partitionOf } from '../../src/core/ring.ts';
import { loadBook } from '../../src/node/store/book-store.ts';
import { Forest } from '../../src/node/store/forest.ts';
import { encodeStored, recordKey } from '../../src/node/store/stored.ts';
import { LOG_TABLE } from '../../src/ports/storage.ts';
import type { Storage, StorageOp } from '../../src/ports/storage.ts';
import { keyOf } from '../cluster/jobs.ts';

/** The life that, as the records say, wrote all keys. */
const LIFE = startId('5ca1e5ca1e5ca1e5');
/** One partition is one commit, and its bytes have to reach the disk. */
const COMMIT_DEADLINE_MS = 600_000;

type Open = { readonly storage: Storage; readonly forest: Forest; readonly unlock: () => void };

/**
 * Fills the directories of stopped nodes of one cluster, each of which owns every partition. Throws
 * Error if one of them holds anything already.
 */
export const fill = async (
  dirs: readonly string[],
  keys: number,
  valueBytes: number,
): Promise<void> => {
  const opened = dirs.map(open);
  try {
    const partitions = partitionsOf(opened);
    const value = new Uint8Array(valueBytes).map((_, i) => (i * 31) & 0xff);
    const nowMs = Date.now();
    for (const [index, indexes] of indexesByPartition(keys, partitions).entries()) {
      const partition = partitionId(index);
      const rows = rowsOf(partition, indexes, (i) => recordOf(i, value, nowMs));
      await Promise.all(opened.map((each) => commit(each, partition, partitions, rows)));
    }
  } finally {
    for (const { storage, unlock } of opened) {
      await new Promise<void>((done) => storage.close(done));
      unlock();
    }
  }
};

const open = (dir: string): Open => {
  const unlock = lockDataDirectory(dir);
  const storage = openLmdbStorage(dir, { commitDeadlineMs: COMMIT_DEADLINE_MS });
  return { storage, forest: new Forest(storage), unlock };
};

const partitionsOf = (opened: readonly Open[]): number => {
  const counts = opened.map(({ storage }) => {
    const used = [LOG_TABLE, 'records'] as const;
    if (used.some((table) => storage.range(table, { limit: 1 }).length > 0)) {
      throw new Error('only a directory without records can be filled');
    }
    const membership = foldHistory(loadBook(storage).history);
    if (membership === undefined || membership.members.length > membership.n) {
      throw new Error('only directories of nodes that own all keys can be filled');
    }
    return membership.partitions;
  });
  return counts[0]!;
};

/** The same indexes on every directory; ten million of them are 40 MB. */
const indexesByPartition = (keys: number, partitions: number): readonly Uint32Array[] => {
  const of = new Uint16Array(keys);
  const counts = new Uint32Array(partitions);
  for (let i = 0; i < keys; i++) {
    const partition = partitionOf(nodeDigest.md5(bytesOfKey(keyOfText(keyOf(i)))), partitions);
    of[i] = partition;
    counts[partition]! += 1;
  }
  const lists = [...counts].map((count) => new Uint32Array(count));
  const ends = new Uint32Array(partitions);
  of.forEach((partition, i) => (lists[partition]![ends[partition]!++] = i));
  return lists;
};

type Row = {
  readonly name: Uint8Array;
  readonly position: Uint8Array;
  readonly row: Uint8Array;
  readonly hash: bigint;
};

/** In the order in which they lie on disk. */
const rowsOf = (
  partition: PartitionId,
  indexes: Uint32Array,
  record: (index: number) => RecordOfKey,
): readonly Row[] =>
  Array.from(indexes, (index) => {
    const key = keyOfText(keyOf(index));
    const position = nodeDigest.md5(bytesOfKey(key));
    const name = recordKey(partition, position, key);
    return { name, position, ...encodeStored(nodeDigest, key, { record: record(index) }) };
  }).sort((a, b) => compareBytes(a.name, b.name));

const recordOf = (index: number, value: Uint8Array, nowMs: number): RecordOfKey => {
  const putId = index.toString(16).padStart(16, '0') as PutId;
  const mint = { actor: actorId(LIFE, index), putId, value, writtenAt: nowMs, nowMs };
  const written = write(EMPTY_RECORD, BLIND, { ...mint, mode: 'causal' });
  if (written.type !== 'minted') throw new Error('a first write is always minted');
  return written.record;
};

const commit = (
  { storage, forest }: Open,
  partition: PartitionId,
  partitions: number,
  rows: readonly Row[],
): Promise<void> => {
  const ops = rows.map(({ name, position, row, hash }): StorageOp => {
    forest.replace(partition, leafOf(position, partitions), NO_HASH, hash);
    return { type: 'put', table: 'records', key: name, value: row };
  });
  return new Promise((resolve, reject) =>
    storage.commit([...ops, ...forest.takeOps()], (result) =>
      result.type === 'durable' ? resolve() : reject(new Error(result.reason)),
    ),
  );
};
