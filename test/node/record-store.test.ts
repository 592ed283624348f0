/** The record store on a simulated disk: what is buffered, what is durable, and the trees of both. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { actorId, keyOfText, nodeId, partitionId, startId } from '../../src/core/ids.ts';
import type { Key, PutId } from '../../src/core/ids.ts';
import { LEAVES } from '../../src/core/merkle.ts';
import { BLIND, EMPTY_RECORD, write } from '../../src/core/record.ts';
import type { RecordOfKey } from '../../src/core/record.ts';
import { leafHash } from '../../src/node/forest.ts';
import { RecordStore } from '../../src/node/record-store.ts';
import { NO_RING, RingView } from '../../src/node/ring-view.ts';
import { eachEntry, hashOfRecord, hashOfRow, leafRange } from '../../src/node/stored.ts';
import type { Storage } from '../../src/ports/storage.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';

const stores = suite('the record store');

const SELF = nodeId('n1');
const PARTITIONS = 4;
const PARTS = [0, 1, 2, 3].map(partitionId);
const ACTOR = actorId(startId('00000000000000aa'), 1);

/** One node's disk, and the store that the present life has on it. */
class Bench {
  readonly clock = new WorldClock();
  readonly disk = new SimDisk();
  storage!: Storage;
  store!: RecordStore;

  constructor() {
    this.restart();
  }

  restart(): void {
    this.storage = this.disk.open(new LifeClock(this.clock), randomStream(1, 'disk'));
    const members = [{ id: SELF, zone: 'default', weight: 1, seat: SELF }] as never;
    const table = PARTS.map(() => [SELF]);
    const ring = { ...NO_RING, table, target: table, members, partitions: PARTITIONS, n: 1 };
    this.store = new RecordStore({
      storage: this.storage,
      digest: nodeDigest,
      trace: { log: () => undefined },
      ring: new RingView(SELF, nodeDigest, ring),
      limits: { bufferedObjectsMax: 1000, hintsMax: 100, freeBytesMin: 0 },
      tellBuffer: () => undefined,
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

const recordOf = (n: number): RecordOfKey => {
  const putId = n.toString(16).padStart(16, '0') as PutId;
  const value = new TextEncoder().encode(`value ${n}`);
  const mint = { actor: ACTOR, putId, value, writtenAt: n, nowMs: n, mode: 'causal' } as const;
  const written = write(EMPTY_RECORD, BLIND, mint);
  assert.equal(written.type, 'minted');
  return (written as { record: RecordOfKey }).record;
};

const names = Array.from({ length: 12 }, (_, i) => keyOfText(`key ${i}`));
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ key: fc.nat(11), n: fc.integer({ min: 1, max: 99 }) }) },
  { weight: 2, arbitrary: fc.record({ remove: fc.nat(11) }) },
  { weight: 2, arbitrary: fc.constant('commit' as const) },
  { weight: 1, arbitrary: fc.constant('restart' as const) },
);

stores(
  'the trees equal a rebuild from the rows after any puts, removals, commits and crashes',
  () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const bench = new Bench();
        for (const each of steps) {
          if (each === 'commit') bench.commit();
          else if (each === 'restart') {
            // Half a commit away from durable: the rows and their trees come through together.
            bench.store.commit(() => undefined);
            bench.disk.crash(randomStream(steps.length, 'crash'));
            bench.restart();
          } else if ('remove' in each) bench.put(names[each.remove]!, 'removed');
          else bench.put(names[each.key]!, recordOf(each.n));
        }
        bench.commit();
        assert.deepEqual(bench.roots(), bench.rebuiltRoots());
        const before = bench.roots();
        bench.restart();
        assert.deepEqual(bench.roots(), before, 'and after a restart');
      }),
      { numRuns: 200 },
    );
  },
);

stores('hashes of a leaf include what is buffered and exclude what is being removed', () => {
  const bench = new Bench();
  const [a, b] = names as [Key, Key];
  bench.put(a, recordOf(1));
  bench.commit();
  bench.put(a, recordOf(2));
  bench.put(b, recordOf(3));
  const hash = (key: Key): bigint | undefined => {
    const { partition, leaf } = bench.store.open(key).place;
    return bench.store.hashesIn(partition, [leaf]).hashes.get(key);
  };
  assert.equal(hash(a), hashOfRecord(nodeDigest, a, recordOf(2)));
  assert.equal(hash(b), hashOfRecord(nodeDigest, b, recordOf(3)));
  bench.put(a, 'removed');
  assert.equal(hash(a), undefined);
});

stores(
  'a row whose bytes changed is corrupt, not nothing, and its leaf is right once replaced',
  () => {
    const bench = new Bench();
    const [key] = names as [Key];
    for (const [i, name] of names.entries()) bench.put(name, recordOf(i + 1));
    bench.commit();
    const { name } = bench.store.open(key).place;
    const row = bench.storage.get('records', name)!;
    row[row.length - 8]! ^= 1;
    bench.storage.commit(
      [{ type: 'put', table: 'records', key: name, value: row }],
      () => undefined,
    );
    bench.clock.advance(100);
    assert.equal(bench.store.open(key).held, 'corrupt');
    assert.equal(bench.store.corruptFound, 1);
    bench.put(key, recordOf(50));
    bench.commit();
    assert.notEqual(bench.store.open(key).held, 'corrupt');
    assert.deepEqual(bench.roots(), bench.rebuiltRoots());
  },
);

stores.run();
