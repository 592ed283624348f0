/** What lies on the disks of stopped nodes. */
import * as assert from 'node:assert/strict';
import { openStorage } from '../../src/storage.ts';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { sameRecord } from '../../src/core/record.ts';
import type { RecordOfKey } from '../../src/core/record.ts';
import { decodeStored } from '../../src/node/store/stored.ts';
import type { LiveCluster } from './harness.ts';

/** All replicas of stopped nodes are equal: `count` keys, and the same record of each everywhere. */
export const assertEqualOnDisk = async (cluster: LiveCluster, count: number): Promise<void> => {
  const replicas = await Promise.all(cluster.ids.map((id) => recordsOf(cluster.dataDir(id))));
  assert.deepEqual(
    replicas.map((records) => records.size),
    cluster.ids.map(() => count),
  );
  const [first, ...others] = replicas;
  for (const [key, record] of first!) {
    for (const other of others) assert.ok(sameRecord(record, other.get(key)!), `a replica differs`);
  }
};

const recordsOf = async (dataDir: string): Promise<Map<string, RecordOfKey>> => {
  const storage = openStorage(dataDir);
  const records = new Map<string, RecordOfKey>();
  for (const { key, value } of storage.range('records', { limit: 1_000_000 })) {
    const row = decodeStored(nodeDigest, value);
    assert.ok(row !== 'corrupt');
    records.set(Buffer.from(key).toString('hex'), row.stored.record);
  }
  await new Promise<void>((resolve) => storage.close(resolve));
  return records;
};
