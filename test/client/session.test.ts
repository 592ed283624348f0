/** What a session takes for stale, context by context. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { bundled } from '../../src/client/context-bundle.ts';
import { seenPuts } from '../../src/core/seen-puts.ts';
import { Session } from '../../src/client/session.ts';
import { sealContext } from '../../src/core/context.ts';
import { keyOfText, putId } from '../../src/core/ids.ts';
import type { PutId } from '../../src/core/ids.ts';

const sessions = suite('what a session remembers');
const key = keyOfText('k');
const [one, two, three] = [1, 2, 3].map((n) => putId(`${n}`.padStart(16, '0'))) as [
  PutId,
  PutId,
  PutId,
];
const MINUTE_MS = 60_000;

/** The context of a record with these siblings that lists those as replaced. */
const context = (shown: readonly PutId[], replaced: readonly (readonly [PutId, number])[] = []) =>
  sealContext(
    { vector: [], shown, seen: seenPuts(replaced.map(([id, time]) => ({ putId: id, time }))) },
    undefined,
    { keyTag: () => new Uint8Array(8), sign: () => new Uint8Array(8) },
  );

sessions('an answer is stale that neither shows nor lists as replaced what was seen', () => {
  const session = new Session();
  assert.equal(session.isStale(key, context([]), 0, 0), false, 'nothing was seen');
  session.saw(key, context([one, two]), 2, 0);
  assert.equal(session.isStale(key, context([one, two]), 2, 1), false);
  assert.equal(session.isStale(key, context([one]), 1, 1), true);
  assert.equal(
    session.isStale(
      key,
      context(
        [three],
        [
          [one, 5],
          [two, 5],
        ],
      ),
      1,
      1,
    ),
    false,
  );
  assert.equal(session.isStale(key, context([three], [[one, 5]]), 1, 1), true);
  assert.equal(session.isStale(keyOfText('other'), context([]), 0, 1), false);
});

sessions('contexts of several replicas count together', () => {
  const session = new Session();
  // One replica still showed what the other knew as replaced.
  session.saw(key, bundled([context([one]), context([two], [[one, 5]])]), 1, 0);
  assert.equal(session.isStale(key, context([two]), 1, 1), false);
  assert.equal(session.isStale(key, bundled([context([one]), context([two])]), 2, 1), false);
  assert.equal(session.isStale(key, bundled([context([one]), context([])]), 1, 1), true);
});

sessions('a blind write stands beside what was seen, one with a context in its place', () => {
  const session = new Session();
  const value = new Uint8Array();
  session.saw(key, context([one]), 1, 0);
  session.wrote({ key, value, writtenAt: 7 }, context([two]), 0);
  assert.equal(session.isStale(key, context([two]), 1, 1), true, 'the first is missing');
  assert.equal(session.isStale(key, context([one, two]), 2, 1), false);
  session.wrote(
    { key, value, writtenAt: 8 },
    context(
      [three],
      [
        [one, 7],
        [two, 7],
      ],
    ),
    0,
  );
  assert.equal(session.isStale(key, context([three]), 1, 1), false);
});

sessions(
  'nothing after nothing is no step back; what is replaced beyond memory is no claim',
  () => {
    const session = new Session();
    session.wrote({ key, value: 'tombstone', writtenAt: 7 }, context([one]), 0);
    assert.equal(session.isStale(key, context([]), 0, 1), false, 'reaped, or never there');
    assert.equal(session.isStale(key, context([two]), 1, 1), true, 'the deleted value shows');
    const many = Array.from({ length: 32 }, (_, i) => putId(`${100 + i}`.padStart(16, '0')));
    const later = many.map((id) => [id, 8] as const);
    assert.equal(session.isStale(key, context([two], later), 1, 1), false);
    const earlier = many.map((id) => [id, 6] as const);
    assert.equal(session.isStale(key, context([two], earlier), 1, 1), true);
  },
);

sessions('is forgotten in time, and when there are too many keys', () => {
  const session = new Session();
  session.saw(key, context([one]), 1, 0);
  assert.equal(session.isStale(key, context([]), 0, 4 * MINUTE_MS), true);
  assert.equal(session.isStale(key, context([]), 0, 5 * MINUTE_MS), false);
  for (let i = 0; i <= 10_000; i++) session.saw(keyOfText(`k${i}`), context([one]), 1, 0);
  assert.equal(session.isStale(keyOfText('k0'), context([]), 0, 1), false);
  assert.equal(session.isStale(keyOfText('k10000'), context([]), 0, 1), true);
});

sessions.run();
