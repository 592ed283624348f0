/** The list of overwritten puts, as bytes, against the same list as objects. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { ByteReader, ByteWriter } from '../../src/core/bytes.ts';
import type { PutId } from '../../src/core/ids.ts';
import {
  NO_PUTS,
  hasSeen,
  joinSeen,
  latestSeen,
  listed,
  newestSeen,
  oldestSeen,
  readSeen,
  sameSeen,
  seenPuts,
  skipSeen,
  withoutPuts,
  writeSeen,
} from '../../src/core/seen-puts.ts';
import type { SeenPut } from '../../src/core/seen-puts.ts';

const seen = suite('seen puts');

const idOf = (n: number): PutId => n.toString(16).padStart(16, '0') as PutId;
/** Few ids and times, so that lists share some; ids that differ in their first byte and in their last. */
const aPut = fc
  .tuple(
    fc.constantFrom('00', 'ff'),
    fc.nat(12),
    fc.oneof(fc.nat(5), fc.constantFrom(127, 128, 2 ** 31, 1_795_000_000_000)),
  )
  .map(([first, last, time]) => ({ putId: idOf(last).replace(/^../, first) as PutId, time }));
const puts = fc.uniqueArray(aPut, { selector: ({ putId }) => putId, maxLength: 26 });

const sorted = (all: Iterable<SeenPut>): readonly SeenPut[] =>
  [...all].sort((a, b) => (a.putId < b.putId ? -1 : 1));

seen('are found, and their times, as in a list', () => {
  fc.assert(
    fc.property(puts, aPut, (list, { putId }) => {
      const made = seenPuts(list);
      assert.equal(made.count, list.length);
      assert.deepEqual(listed(made), sorted(list));
      assert.equal(
        hasSeen(made, putId),
        list.some((each) => each.putId === putId),
      );
      const times = list.map(({ time }) => time);
      assert.equal(latestSeen(made), Math.max(...times));
      assert.equal(oldestSeen(made), Math.min(...times));
    }),
    { numRuns: 500 },
  );
});

seen('of two lists are each put at its latest time', () => {
  fc.assert(
    fc.property(puts, puts, (a, b) => {
      const latest = new Map<PutId, number>();
      for (const { putId, time } of [...a, ...b]) {
        latest.set(putId, Math.max(time, latest.get(putId) ?? 0));
      }
      const expected = [...latest].map(([putId, time]) => ({ putId, time }));
      assert.deepEqual(listed(joinSeen(seenPuts(a), seenPuts(b))), sorted(expected));
    }),
    { numRuns: 500 },
  );
});

seen('of which some must go lose the oldest, and of those of one time the smaller ids', () => {
  fc.assert(
    fc.property(puts, fc.nat(26), (list, most) => {
      const byAge = [...sorted(list)].sort((a, b) => a.time - b.time);
      const left = sorted(byAge.slice(Math.max(0, list.length - most)));
      assert.deepEqual(listed(newestSeen(seenPuts(list), most)), left);
    }),
    { numRuns: 500 },
  );
  const many = Array.from({ length: 300 }, (_, i) => ({ putId: idOf(i), time: i % 7 }));
  assert.equal(newestSeen(seenPuts(many), 299).count, 299);
  assert.equal(newestSeen(seenPuts(many), Infinity).count, 300);
});

seen('go without those that are held', () => {
  fc.assert(
    fc.property(puts, fc.array(aPut), (list, held) => {
      const ids = held.map(({ putId }) => putId);
      const left = list.filter(({ putId }) => !ids.includes(putId));
      assert.deepEqual(listed(withoutPuts(seenPuts(list), ids)), sorted(left));
    }),
    { numRuns: 300 },
  );
});

seen('are read as they were written, and equal bytes are equal lists', () => {
  fc.assert(
    fc.property(puts, puts, (a, b) => {
      const writer = new ByteWriter();
      writeSeen(writer, seenPuts(a));
      writer.byte(7);
      const bytes = writer.take();
      const [reader, skipping] = [new ByteReader(bytes), new ByteReader(bytes)];
      assert.deepEqual(readSeen(reader), seenPuts(a));
      skipSeen(skipping);
      assert.deepEqual([reader.byte(), skipping.byte()], [7, 7]);
      for (let end = 0; end < bytes.length - 1; end++) {
        assert.throws(() => readSeen(new ByteReader(bytes.subarray(0, end))), RangeError);
      }
      const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
      assert.equal(sameSeen(seenPuts(a), seenPuts(b)), same);
    }),
    { numRuns: 100 },
  );
  assert.ok(sameSeen(seenPuts([]), NO_PUTS));
});

seen.run();
