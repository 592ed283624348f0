/** The record store on a simulated disk: what is buffered, what is durable, and the trees of both. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { keyOfText, nodeId } from '../../src/core/ids.ts';
import type { Key } from '../../src/core/ids.ts';
import { LEAVES, NO_HASH } from '../../src/core/merkle.ts';
import { decodeRecord } from '../../src/core/record-bytes.ts';
import { hashOfRecord } from '../../src/node/store/stored.ts';
import { randomStream } from '../../src/sim/random.ts';
import { BUFFERED_MAX, PARTS, StoreBench, recordOf } from './store-bench.ts';

const stores = suite('the record store');

const names = Array.from({ length: 12 }, (_, i) => keyOfText(`key ${i}`));
const hashOfBytes = (key: Key, bytes: Uint8Array): bigint =>
  hashOfRecord(nodeDigest, key, decodeRecord(bytes));
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
        const bench = new StoreBench();
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

stores('every read finds the newest row, wherever it lies', () => {
  let hits = 0;
  const looked = fc.oneof(
    { weight: 3, arbitrary: step },
    { weight: 2, arbitrary: fc.record({ look: fc.nat(11) }) },
    { weight: 1, arbitrary: fc.constant('begin' as const) },
  );
  fc.assert(
    fc.property(fc.array(looked, { minLength: 20, maxLength: 60 }), (steps) => {
      const bench = new StoreBench();
      const newest = new Map<Key, bigint>();
      const durable = new Map<Key, bigint>();
      const given: { readonly bytes: Uint8Array; readonly then: string }[] = [];
      const look = (key: Key): void => {
        const { bytes } = bench.store.look(key);
        const hash = typeof bytes === 'string' ? bytes : hashOfBytes(key, bytes);
        if (typeof bytes !== 'string') given.push({ bytes, then: bytes.join() });
        assert.equal(hash, newest.get(key) ?? 'nothing', 'looked at');
        assert.equal(bench.store.hashOf(bench.store.open(key)), newest.get(key) ?? NO_HASH);
      };
      const settled = (): void => {
        bench.clock.advance(100);
        durable.clear();
        for (const [key, hash] of newest) durable.set(key, hash);
      };
      for (const each of steps) {
        if (each === 'commit') {
          bench.commit();
          settled();
          for (const key of names) look(key);
        } else if (each === 'begin') {
          bench.store.commit(() => undefined);
          for (const key of names) look(key);
          settled();
        } else if (each === 'restart') {
          hits += bench.store.rowCache.hits;
          bench.disk.crash(randomStream(steps.length, 'crash'));
          bench.restart();
          newest.clear();
          for (const [key, hash] of durable) newest.set(key, hash);
        } else if ('look' in each) look(names[each.look]!);
        else if ('remove' in each) {
          bench.put(names[each.remove]!, 'removed');
          newest.delete(names[each.remove]!);
        } else {
          const key = names[each.key]!;
          bench.put(key, recordOf(each.n));
          newest.set(key, hashOfRecord(nodeDigest, key, recordOf(each.n)));
        }
      }
      for (const key of names) look(key);
      for (const { bytes, then } of given) assert.equal(bytes.join(), then, 'never written over');
      hits += bench.store.rowCache.hits;
    }),
    { numRuns: 200 },
  );
  assert.ok(hits > 1000, `${hits} rows were found in memory`);
});

stores('tells the write buffer while no commit is under way, and has it find the rest', () => {
  const bench = new StoreBench();
  const { store, told } = bench;
  const [a, b] = names as [Key, Key];
  const done: string[] = [];
  const under = (task: () => void): void => {
    const before = told.length;
    store.commit(() => done.push('commit'));
    assert.equal(store.waiting, 'nothing');
    task();
    bench.clock.advance(100);
    store.releaseDurable();
    assert.equal(told.length, before, 'nothing while it commits');
  };
  bench.put(a, recordOf(1));
  store.whenDurable(a, () => done.push('a'));
  assert.deepEqual(told, ['buffer.filled', 'sync.wanted']);
  under(() => bench.put(b, recordOf(2)));
  assert.equal(store.waiting, 'writes');
  under(() => {
    bench.put(a, recordOf(3));
    store.whenDurable(a, () => done.push('a again'));
  });
  assert.equal(store.waiting, 'hurry');
  under(() => store.wantCommit());
  assert.equal(store.waiting, 'writes', 'no change, and yet a commit');
  under(() => {
    for (let i = 0; i < BUFFERED_MAX; i++) bench.put(keyOfText(`of many ${i}`), recordOf(4));
  });
  assert.equal(store.waiting, 'full', 'it is too much');
  under(() => undefined);
  assert.equal(store.waiting, 'nothing');
  assert.deepEqual(done, ['commit', 'a', 'commit', 'commit', 'a again', 'commit', 'commit']);
  store.wantCommit();
  assert.deepEqual(told.slice(2), ['buffer.filled']);
});

stores('hashes of a leaf include what is buffered and exclude what is being removed', () => {
  const bench = new StoreBench();
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

stores('rows of leaves are the same, however many are read at once', () => {
  const bench = new StoreBench();
  for (let i = 0; i < 300; i++) bench.put(keyOfText(`key ${i}`), recordOf(i + 1));
  bench.commit();
  for (let i = 0; i < 40; i++)
    bench.put(keyOfText(`key ${i * 7}`), i % 2 ? 'removed' : recordOf(i));
  for (const partition of PARTS) {
    const some = Array.from({ length: LEAVES }, (_, leaf) => leaf).filter((leaf) => leaf % 5 > 0);
    const whole = bench.store.hashesIn(partition, some);
    assert.equal(whole.looked, some.length);
    const pieces = new Map<Key, bigint>();
    let reads = 0;
    for (let at = 0; at < some.length; reads++) {
      const piece = bench.store.hashesIn(partition, some.slice(at), 10);
      assert.ok(piece.looked > 0, 'every read gets on');
      at += piece.looked;
      for (const [key, hash] of piece.hashes) pieces.set(key, hash);
    }
    assert.ok(reads > 2, `${reads} reads`);
    assert.deepEqual(pieces, new Map(whole.hashes));
    const single = some.flatMap((leaf) => [...bench.store.hashesIn(partition, [leaf]).hashes]);
    assert.deepEqual(new Map(single), pieces);
  }
});

stores(
  'a row whose bytes changed is corrupt, not nothing, and its leaf is right once replaced',
  () => {
    const bench = new StoreBench();
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
    // Memory has it still as it was.
    bench.store.distrustRows();
    assert.equal(bench.store.open(key).held, 'corrupt');
    assert.equal(bench.store.corruptFound, 1);
    bench.put(key, recordOf(50));
    bench.commit();
    assert.notEqual(bench.store.open(key).held, 'corrupt');
    assert.deepEqual(bench.roots(), bench.rebuiltRoots());
  },
);

stores('some records of a partition are no more than was asked, of them and of their bytes', () => {
  const bench = new StoreBench();
  const [partition] = PARTS;
  const here = Array.from({ length: 400 }, (_, i) => keyOfText(`some ${i}`)).filter(
    (key) => bench.ring.placeOf(key).partition === partition,
  );
  assert.ok(here.length > 20, `${here.length} keys`);
  const [first] = here as [Key];
  const some = (records: number, bytes: number, wanted = (_: Key) => true) =>
    bench.store.someOf(partition!, { records, bytes }, wanted);
  for (const where of ['buffered', 'stored']) {
    for (const [i, key] of here.entries()) bench.put(key, recordOf(i + 1));
    if (where === 'stored') bench.commit();
    const size = bench.store.look(first).bytes.length;
    assert.equal(some(7, Infinity).length, 7, where);
    assert.equal(some(1000, Infinity).length, here.length, where);
    assert.equal(some(1000, 1).length, 1, where);
    const few = some(1000, 5 * size).length;
    assert.ok(few >= 3 && few <= 6, `${few} ${where}`);
    const [only] = some(1000, Infinity, (key) => key === first);
    const hash = bench.store.hashOf(bench.store.open(first));
    assert.deepEqual(only, { key: first, hash }, where);
  }
});

stores('a hint that says nothing any more is no hint: counted as none, found, and dropped', () => {
  const bench = new StoreBench();
  const [target, key] = [nodeId('n2'), keyOfText('k')];
  bench.store.change(() => bench.store.hints.keep(target, key, 1));
  bench.commit();
  const garbled = [
    { key: new Uint8Array([110, 0xff, 0, 107]), value: new Uint8Array([1, 1]) },
    { key: new Uint8Array([110, 50, 0, 108]), value: new Uint8Array([1, 1, 9, 9, 9, 9]) },
    { key: new Uint8Array([110]), value: new Uint8Array([0xff]) },
  ];
  const table = 'hints';
  bench.storage.commit(
    garbled.map((row) => ({ type: 'put', table, ...row })),
    () => undefined,
  );
  bench.clock.advance(100);
  bench.restart();
  const { hints } = bench.store;
  assert.equal(hints.total, 1, 'a start survives them');
  assert.deepEqual(
    hints.next(target, 10).map((hint) => hint.key),
    [key],
  );
  const found = hints.look(undefined, 3);
  assert.equal(found.rows, 3);
  const rest = hints.look(found.next, 3);
  const damaged = [...found.damaged, ...rest.damaged];
  assert.deepEqual([damaged.length, rest.rows, rest.next], [3, 1, undefined]);
  hints.drop(damaged);
  hints.recount();
  bench.clock.advance(100);
  assert.deepEqual(hints.look(undefined, 10).damaged, []);
  assert.equal(hints.total, 1);
});

stores.run();
