/** One node's disk in the simulator, and the record store that the present life has on it. */
import * as assert from 'node:assert/strict';
import type { BufferEvent } from '../../actors/write-buffer.ts';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { actorId, nodeId, partitionId, startId } from '../../src/core/ids.ts';
import type { Key, PutId } from '../../src/core/ids.ts';
import { LEAVES } from '../../src/core/merkle.ts';
import { BLIND, EMPTY_RECORD, write } from '../../src/core/record.ts';
import type { RecordOfKey } from '../../src/core/record.ts';
import { leafHash } from '../../src/node/store/forest.ts';
import { RecordStore } from '../../src/node/store/record-store.ts';
import { NO_RING, RingView } from '../../src/node/membership/ring-view.ts';
import { eachEntry, hashOfRow, leafRange } from '../../src/node/store/stored.ts';
import type { Storage } from '../../src/ports/storage.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';

export const SELF = nodeId('n1');
export const PARTITIONS = 4;
export const BUFFERED_MAX = 1000;
const ROW_CACHE_BYTES = 2048;
export const PARTS = [0, 1, 2, 3].map(partitionId);
const ACTOR = actorId(startId('00000000000000aa'), 1);

export class StoreBench {
  readonly clock = new WorldClock();
  readonly disk = new SimDisk();
  /** What the write buffer was told. */
  readonly told: BufferEvent[] = [];
  storage!: Storage;
  store!: RecordStore;
  ring!: RingView;

  constructor() {
    this.restart();
  }

  restart(): void {
    this.storage = this.disk.open(new LifeClock(this.clock), randomStream(1, 'disk'));
    const members = [{ id: SELF, zone: 'default', weight: 1, seat: SELF }] as never;
    const table = PARTS.map(() => [SELF]);
    const ring = { ...NO_RING, table, target: table, members, partitions: PARTITIONS, n: 1 };
    this.ring = new RingView(SELF, nodeDigest, ring);
    this.store = new RecordStore({
      storage: this.storage,
      digest: nodeDigest,
      trace: { log: () => undefined },
      ring: this.ring,
      limits: {
        bufferedObjectsMax: BUFFERED_MAX,
        hintsMax: 100,
        freeBytesMin: 0,
        rowCacheBytes: ROW_CACHE_BYTES,
      },
      changed: () => undefined,
      tellBuffer: (event) => this.told.push(event),
    });
  }

  put(key: Key, record: RecordOfKey | 'removed'): void {
    this.store.change(() =>
      this.store.put(this.store.open(key), record === 'removed' ? 'removed' : { record }),
    );
  }

  commit(): void {
    this.store.commit((failure) => assert.equal(failure, undefined));
    this.clock.advance(100);
  }

  /** The root of each partition as the rows on disk give it. */
  rebuiltRoots(): readonly bigint[] {
    return PARTS.map((partition) => {
      const hashes: bigint[] = [];
      for (let leaf = 0; leaf < LEAVES; leaf++) {
        const rows = eachEntry(this.storage, 'records', leafRange(partition, leaf, PARTITIONS));
        for (const { value } of rows) hashes.push(hashOfRow(nodeDigest, value) as bigint);
      }
      return leafHash(hashes);
    });
  }

  roots(): readonly bigint[] {
    return PARTS.map((partition) => this.store.forest.tree(partition).root);
  }
}

export const recordOf = (n: number): RecordOfKey => {
  const putId = n.toString(16).padStart(16, '0') as PutId;
  const value = new TextEncoder().encode(`value ${n}`);
  const mint = { actor: ACTOR, putId, value, writtenAt: n, nowMs: n, mode: 'causal' } as const;
  const written = write(EMPTY_RECORD, BLIND, mint);
  assert.equal(written.type, 'minted');
  return (written as { record: RecordOfKey }).record;
};
