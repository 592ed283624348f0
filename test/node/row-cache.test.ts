/** The rows a node keeps in memory, against a map that keeps them all. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { fnv1a } from '../../src/core/fnv.ts';
import { bytesOfKey, keyOfText, partitionId } from '../../src/core/ids.ts';
import type { Key } from '../../src/core/ids.ts';
import { RowCache } from '../../src/node/store/row-cache.ts';
import { recordKey } from '../../src/node/store/stored.ts';

const rows = suite('cached rows');

const KiB = 1024;
const names = Array.from({ length: 40 }, (_, i) => keyOfText(`k${i}`));
const AT = partitionId(513);
/** What lies under a key, and under which name. */
type Kept = { readonly name: Uint8Array; readonly row: Uint8Array };

const nameOf = (key: Key, partition = AT): Uint8Array =>
  recordKey(partition, nodeDigest.md5(bytesOfKey(key)), key);

const keep = (cache: RowCache, key: Key, row: Uint8Array | undefined): void =>
  cache.keep(key, nameOf(key), row);

const found = (cache: RowCache, key: Key): Kept | undefined => {
  const entry = cache.find(key);
  if (entry === undefined) return undefined;
  const name = cache.nameIn(entry);
  assert.equal(cache.partitionIn(entry), (name[0]! << 8) | name[1]!);
  return { name, row: cache.rowIn(entry) };
};

const rowOf = (bytes: number, fill = 7): Uint8Array => new Uint8Array(bytes).fill(fill);

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      key: fc.nat(39),
      partition: fc.nat(65_535).map(partitionId),
      bytes: fc.oneof(fc.nat(200), fc.nat(5000)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ forget: fc.nat(39) }) },
  { weight: 1, arbitrary: fc.constant('clear' as const) },
);

rows('whatever is found is what was kept last', () => {
  let seen = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(0, 300, 2 * KiB, 64 * KiB),
      fc.array(step, { minLength: 20, maxLength: 60 }),
      (bytes, steps) => {
        const cache = new RowCache(bytes);
        const all = new Map<Key, Kept>();
        steps.forEach((each, at) => {
          if (each === 'clear') {
            cache.clear();
            all.clear();
          } else if ('forget' in each) {
            keep(cache, names[each.forget]!, undefined);
            all.delete(names[each.forget]!);
          } else {
            const key = names[each.key]!;
            const name = nameOf(key, each.partition);
            const row = rowOf(each.bytes, at);
            cache.keep(key, name, row);
            all.set(key, { name, row });
          }
          for (const name of names) {
            const here = found(cache, name);
            if (here === undefined) continue;
            seen += 1;
            assert.deepEqual(here, all.get(name));
          }
        });
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(seen > 10_000, `${seen} found`);
});

rows('small rows are found as long as there is room for them', () => {
  const cache = new RowCache(64 * KiB);
  for (const key of names) keep(cache, key, rowOf(100));
  const count = names.filter((key) => cache.find(key) !== undefined).length;
  // 1,024 slots for 40 keys: one or two may have met.
  assert.ok(count >= 37, `${count} of 40`);
  assert.deepEqual(cache.counts, { hits: count, misses: 40 - count });
});

rows('the oldest go first', () => {
  const cache = new RowCache(2 * KiB);
  for (const key of names) keep(cache, key, rowOf(200));
  const [first, last] = [names[0]!, names.at(-1)!];
  assert.equal(found(cache, first), undefined);
  assert.deepEqual(found(cache, last)?.row, rowOf(200));
});

rows('a row that changes, and is no longer than its room, drives nobody out', () => {
  const cache = new RowCache(2 * KiB);
  const [a, b] = names as [Key, Key];
  keep(cache, a, rowOf(100));
  for (let i = 0; i < 100; i++) {
    keep(cache, b, rowOf(120, i));
    assert.deepEqual(found(cache, b)?.row, rowOf(120, i));
  }
  assert.deepEqual(found(cache, a)?.row, rowOf(100));
});

rows('large rows, and any where there is no room, are not kept, nor what they replace', () => {
  for (const [bytes, large] of [
    [64 * KiB, 4097],
    [256, 300],
    [0, 0],
  ] as const) {
    const cache = new RowCache(bytes);
    const [key] = names as [Key];
    keep(cache, key, rowOf(100));
    assert.equal(found(cache, key) !== undefined, bytes > 0);
    keep(cache, key, rowOf(large));
    assert.equal(found(cache, key), undefined, `${large} bytes in ${bytes}`);
  }
});

rows('what was kept is found as long as there was room, however much was ever kept', () => {
  const cache = new RowCache(2 * KiB);
  const [first, second] = names as [Key, Key];
  // All that is kept counts, and so does what is forgotten: more units of 32 bytes than a slot can say.
  for (let i = 0; i < 2 ** 32 / 64 + 2; i++) cache.clear();
  keep(cache, first, rowOf(100));
  assert.deepEqual(found(cache, first)?.row, rowOf(100));
  keep(cache, second, rowOf(200));
  assert.deepEqual(found(cache, first)?.row, rowOf(100));
  cache.clear();
  assert.equal(found(cache, first), undefined);
  assert.equal(found(cache, second), undefined);
});

rows('of two keys with the same hash the one that was kept last is found', () => {
  const cache = new RowCache(2 * KiB);
  const [first, second] = [keyOfText('k32728'), keyOfText('k261234')];
  assert.equal(fnv1a(first), fnv1a(second));
  keep(cache, first, rowOf(100, 1));
  keep(cache, second, rowOf(100, 2));
  assert.equal(found(cache, first), undefined);
  assert.deepEqual(found(cache, second)?.row, rowOf(100, 2));
  keep(cache, first, undefined);
  keep(cache, first, rowOf(60, 3));
  assert.deepEqual([found(cache, first)?.row, found(cache, second)], [rowOf(60, 3), undefined]);
});

rows('bytes of a row that look like an entry are none', () => {
  const cache = new RowCache(2 * KiB);
  const [first, victim, other, forger] = names as [Key, Key, Key, Key];
  keep(cache, first, rowOf(24));
  // It begins 64 bytes into the block, …
  keep(cache, victim, rowOf(24));
  keep(cache, other, rowOf(1880));
  assert.deepEqual(found(cache, victim)?.row, rowOf(24));
  // … where a row is written next that has there what an entry of that key would begin with.
  const row = rowOf(200);
  const name = nameOf(victim);
  const entry = [0, name.length, 0, 5, ...name, 6, 6, 6, 6, 6];
  row.set(entry, 64 - 4 - nameOf(forger).length);
  keep(cache, forger, row);
  assert.deepEqual(found(cache, forger)?.row, row);
  assert.equal(found(cache, victim), undefined);
});

rows.run();
