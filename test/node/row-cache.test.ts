/** The rows a node keeps in memory, against a map that keeps them all. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { fnv1a } from '../../src/core/fnv.ts';
import { keyOfText, partitionId } from '../../src/core/ids.ts';
import type { Key, PartitionId } from '../../src/core/ids.ts';
import { RowCache } from '../../src/node/store/row-cache.ts';

const rows = suite('cached rows');

const KiB = 1024;
const names = Array.from({ length: 40 }, (_, i) => keyOfText(`k${i}`));
const AT = partitionId(513);

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
  let found = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(0, 300, 2 * KiB, 64 * KiB),
      fc.array(step, { minLength: 20, maxLength: 60 }),
      (bytes, steps) => {
        const cache = new RowCache(bytes);
        const all = new Map<Key, { partition: PartitionId; row: Uint8Array }>();
        steps.forEach((each, at) => {
          if (each === 'clear') {
            cache.clear();
            all.clear();
          } else if ('forget' in each) {
            cache.keep(names[each.forget]!, AT, undefined);
            all.delete(names[each.forget]!);
          } else {
            const { partition } = each;
            const key = names[each.key]!;
            const row = rowOf(each.bytes, at);
            cache.keep(key, partition, row);
            all.set(key, { partition, row });
          }
          for (const name of names) {
            const here = cache.get(name);
            if (here === undefined) continue;
            found += 1;
            assert.deepEqual(here, all.get(name));
          }
        });
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(found > 10_000, `${found} found`);
});

rows('small rows are found as long as there is room for them', () => {
  const cache = new RowCache(64 * KiB);
  for (const key of names) cache.keep(key, AT, rowOf(100));
  const found = names.filter((key) => cache.get(key) !== undefined).length;
  // 1,024 slots for 40 keys: one or two may have met.
  assert.ok(found >= 37, `${found} of 40`);
  assert.deepEqual(cache.counts, { hits: found, misses: 40 - found });
});

rows('the oldest go first', () => {
  const cache = new RowCache(2 * KiB);
  for (const key of names) cache.keep(key, AT, rowOf(200));
  const [first, last] = [names[0]!, names.at(-1)!];
  assert.equal(cache.get(first), undefined);
  assert.deepEqual(cache.get(last)?.row, rowOf(200));
});

rows('a row that changes, and is no longer than its room, drives nobody out', () => {
  const cache = new RowCache(2 * KiB);
  const [a, b] = names as [Key, Key];
  cache.keep(a, AT, rowOf(100));
  for (let i = 0; i < 100; i++) {
    cache.keep(b, AT, rowOf(120, i));
    assert.deepEqual(cache.get(b)?.row, rowOf(120, i));
  }
  assert.deepEqual(cache.get(a)?.row, rowOf(100));
});

rows('large rows, and any where there is no room, are not kept, nor what they replace', () => {
  for (const [bytes, large] of [
    [64 * KiB, 4097],
    [256, 300],
    [0, 0],
  ] as const) {
    const cache = new RowCache(bytes);
    const [key] = names as [Key];
    cache.keep(key, AT, rowOf(100));
    assert.equal(cache.get(key) !== undefined, bytes > 0);
    cache.keep(key, AT, rowOf(large));
    assert.equal(cache.get(key), undefined, `${large} bytes in ${bytes}`);
  }
});

rows('what was kept is found as long as there was room, however much was ever kept', () => {
  const cache = new RowCache(2 * KiB);
  const [first, second] = names as [Key, Key];
  // All that is kept counts, and so does what is forgotten: more units of 32 bytes than a slot can say.
  for (let i = 0; i < 2 ** 32 / 64 + 2; i++) cache.clear();
  cache.keep(first, AT, rowOf(100));
  assert.deepEqual(cache.get(first)?.row, rowOf(100));
  cache.keep(second, AT, rowOf(200));
  assert.deepEqual(cache.get(first)?.row, rowOf(100));
  cache.clear();
  assert.equal(cache.get(first), undefined);
  assert.equal(cache.get(second), undefined);
});

rows('of two keys with the same hash the one that was kept last is found', () => {
  const cache = new RowCache(2 * KiB);
  const [first, second] = [keyOfText('k32728'), keyOfText('k261234')];
  assert.equal(fnv1a(first), fnv1a(second));
  cache.keep(first, AT, rowOf(100, 1));
  cache.keep(second, AT, rowOf(100, 2));
  assert.equal(cache.get(first), undefined);
  assert.deepEqual(cache.get(second)?.row, rowOf(100, 2));
  cache.keep(first, AT, undefined);
  cache.keep(first, AT, rowOf(60, 3));
  assert.deepEqual([cache.get(first)?.row, cache.get(second)], [rowOf(60, 3), undefined]);
});

rows('bytes of a row that look like an entry are none', () => {
  const cache = new RowCache(2 * KiB);
  const [first, victim, other, forger] = names as [Key, Key, Key, Key];
  cache.keep(first, AT, rowOf(24));
  // It begins 64 bytes into the block, …
  cache.keep(victim, AT, rowOf(24));
  cache.keep(other, AT, rowOf(1900));
  assert.deepEqual(cache.get(victim)?.row, rowOf(24));
  // … where a row is written next that has there what an entry of that key would begin with.
  const row = rowOf(200);
  const entry = [0, victim.length, 0, 5, 0, 0, ...Buffer.from(victim, 'latin1'), 6, 6, 6, 6, 6];
  row.set(entry, 64 - 6 - forger.length);
  cache.keep(forger, AT, row);
  assert.deepEqual(cache.get(forger)?.row, row);
  assert.equal(cache.get(victim), undefined);
});

rows.run();
