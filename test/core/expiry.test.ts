/** A9's last lines: what has expired is nothing on every path, and hashes never notice. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { actorId, putId, startId } from '../../src/core/ids.ts';
import { decodeRecord, encodeForm, encodeRecord, headerOf } from '../../src/core/record-bytes.ts';
import {
  BLIND,
  contextOf,
  expired,
  liveSiblings,
  merge,
  sameRecord,
  shownSiblings,
  unseenIn,
  withoutExpired,
} from '../../src/core/record.ts';
import type { RecordOfKey, Sibling } from '../../src/core/record.ts';
import { NO_PUTS } from '../../src/core/seen-puts.ts';

const expiry = suite('expiry');
const actor = actorId(startId('0123456789abcdef'), 1);
const sibling = (n: number, expiresAt?: number): Sibling => ({
  dot: { actor, n, time: n },
  putId: putId(n.toString(16).padStart(16, '0')),
  writtenAt: n,
  ...(expiresAt === undefined ? {} : { expiresAt }),
  value: new Uint8Array([n]),
});
const record: RecordOfKey = {
  vector: [{ actor, n: 3, time: 3 }],
  siblings: [sibling(1, 100), sibling(2), sibling(3, 200)],
  seen: NO_PUTS,
};

expiry('drops the bytes of what is due and nothing else', () => {
  assert.equal(withoutExpired(record, 99), record, 'the same object while nothing is due');
  const later = withoutExpired(record, 100);
  assert.deepEqual(
    later.siblings.map(({ value }) => typeof value),
    ['string', 'object', 'object'],
  );
  assert.deepEqual(
    liveSiblings(later).map(({ dot }) => dot.n),
    [2, 3],
  );
  assert.equal(withoutExpired(later, 150), later);
  assert.deepEqual(
    record.siblings.map((each) => expired(each, 150)),
    [true, false, false],
  );
});

expiry(
  'is the same history: equal hash, equal record, and merges either way to the expired',
  () => {
    const later = withoutExpired(record, 300);
    const causalFacts = (each: RecordOfKey) => headerOf(encodeForm(each, 'header'));
    assert.deepEqual(causalFacts(later), causalFacts(record));
    assert.ok(sameRecord(later, record));
    for (const merged of [merge(later, record), merge(record, later)]) {
      assert.deepEqual(merged, later);
    }
    for (const values of ['with-values', 'header'] as const) {
      assert.ok(sameRecord(decodeRecord(encodeRecord(later, values)), later));
    }
    const header = decodeRecord(encodeRecord(record, 'header'));
    assert.deepEqual(merge(header, later), later, 'a withheld value learns that it has expired');
  },
);

expiry('what has expired is in nobody’s way, what a context has not seen is', () => {
  assert.deepEqual(
    unseenIn(withoutExpired(record, 150), BLIND).map(({ dot }) => dot.n),
    [2, 3],
  );
  assert.deepEqual(unseenIn(record, contextOf(record)), []);
  assert.deepEqual(
    shownSiblings(record, 'last-write-wins').map(({ dot }) => dot.n),
    [3],
  );
  assert.deepEqual(
    shownSiblings(withoutExpired(record, 250), 'last-write-wins'),
    [],
    'what was newest has expired: what is older does not come back',
  );
  assert.deepEqual(shownSiblings({ siblings: [] }, 'last-write-wins'), []);
});

expiry.run();
