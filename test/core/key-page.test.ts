/** Pages of keys, joined from what several replicas list. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { compareBytes, joinPages } from '../../src/core/key-page.ts';
import type { KeyPage, ListedKey } from '../../src/core/key-page.ts';

const pages = suite('pages of keys');

type Replica = ReadonlyMap<number, ListedKey['state']>;

const placeOf = (name: number): Uint8Array => new Uint8Array([name]);

/** What a replica lists behind a place: at most `limit` keys, and how far it has looked. */
const listed = (replica: Replica, after: Uint8Array | undefined, limit: number): KeyPage => {
  const names = [...replica.keys()]
    .sort((a, b) => a - b)
    .filter((name) => after === undefined || compareBytes(placeOf(name), after) > 0);
  const keys = names
    .slice(0, limit)
    .map((name) => ({ place: placeOf(name), state: replica.get(name)! }));
  return names.length > limit ? { keys, next: keys.at(-1)!.place } : { keys };
};

/** Every page of a scan in which all replicas take part, one behind the other. */
const scanned = (replicas: readonly Replica[], limit: number): readonly number[] => {
  const found: number[] = [];
  let after: Uint8Array | undefined;
  for (let page = 0; page < 1000; page++) {
    const { keys, next } = joinPages(replicas.map((replica) => listed(replica, after, limit)));
    found.push(...keys.map(({ place }) => place[0]!));
    if (next === undefined) return found;
    after = next;
  }
  throw new Error('a scan without an end');
};

pages('a scan lists each key once, in order, that any of its replicas has a value for', () => {
  const replica = fc
    .array(fc.tuple(fc.nat(30), fc.constantFrom('live' as const, 'dead' as const)))
    .map((rows) => new Map(rows));
  const replicas = fc.array(replica, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(replicas, fc.integer({ min: 1, max: 4 }), (all, limit) => {
      const live = all.flatMap((rows) =>
        [...rows].flatMap(([name, state]) => (state === 'live' ? [name] : [])),
      );
      const expected = [...new Set(live)].sort((a, b) => a - b);
      assert.deepEqual(scanned(all, limit), expected);
    }),
    { numRuns: 2000 },
  );
});

pages('a page ends where the first of the lists does', () => {
  const row = (name: number): ListedKey => ({ place: placeOf(name), state: 'live' });
  const page = joinPages([
    { keys: [row(1), row(2), row(3)], next: placeOf(3) },
    { keys: [row(1), row(3), row(5)], next: placeOf(5) },
  ]);
  assert.deepEqual(page, { keys: [row(1), row(2), row(3)], next: placeOf(3) });
});

pages('bytes are ordered as storage sorts them: a prefix comes first', () => {
  const bytes = (...numbers: number[]) => new Uint8Array(numbers);
  assert.ok(compareBytes(bytes(1, 2), bytes(1, 2, 0)) < 0);
  assert.ok(compareBytes(bytes(1, 200), bytes(1, 3, 9)) > 0);
  assert.equal(compareBytes(bytes(7), bytes(7)), 0);
});

pages.run();
