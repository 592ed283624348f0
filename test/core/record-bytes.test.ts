/** The one binary form of a record, and the answers that replicas make of it and know each other by. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import {
  asAnswer,
  decodeForm,
  decodeRecord,
  encodeForm,
  encodeRecord,
  formToKeep,
  headerOf,
  isHeaderOf,
} from '../../src/core/record-bytes.ts';
import { BLIND, EMPTY_RECORD, merge, sameRecord, withoutExpired } from '../../src/core/record.ts';
import type { RecordOfKey, Sibling } from '../../src/core/record.ts';
import { LIMITS, play, steps, wrote } from './histories.ts';

const forms = suite('the bytes of a record');

forms('give back what went in, with values and as a header', () => {
  fc.assert(
    fc.property(steps, (history) => {
      const [a, b] = play(history, { vectorEntriesMax: 8, seenPutsMax: 4 }).replicas;
      const record = merge(a, b);
      assert.deepEqual(decodeRecord(encodeRecord(record, 'with-values')), plain(record));
      const header = decodeRecord(encodeRecord(record, 'header'));
      assert.ok(sameRecord(header, record));
      const form = encodeForm(record, 'with-values');
      const causalPart = headerOf(form);
      assert.deepEqual(decodeForm(form.bytes).form, form);
      assert.deepEqual(headerOf(encodeForm(header, 'header')), causalPart);
      assert.ok(header.siblings.every(({ value }) => typeof value === 'string'));
    }),
    { numRuns: 500 },
  );
});

/** The same record with its values as plain views, for deep comparison. */
const plain = (record: RecordOfKey): RecordOfKey => ({ ...record, siblings: [...record.siblings] });

forms('that are damaged are refused, never misread quietly past their end', () => {
  const good = encodeRecord(wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'v' }), 'with-values');
  for (let end = 0; end < good.length; end++) {
    assert.throws(() => decodeRecord(good.subarray(0, end)), RangeError);
  }
  assert.throws(() => decodeRecord(new Uint8Array([...good, 0])), RangeError);
});

forms(
  'whose siblings are in another order than their dots are refused: merging would lose one',
  () => {
    const one = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'a' });
    const two = wrote(wrote(one, BLIND, { by: 2, id: 2, text: 'b' }), BLIND, {
      ...{ by: 2, id: 3, text: 'c' },
    });
    assert.equal(two.siblings.length, 3);
    const [a, b, c] = two.siblings as [Sibling, Sibling, Sibling];
    assert.deepEqual(decodeRecord(encodeRecord(two, 'with-values')), two);
    for (const siblings of [
      [b, a, c],
      [a, c, b],
      [a, a, b],
    ]) {
      const bytes = encodeRecord({ ...two, siblings }, 'with-values');
      assert.throws(() => decodeRecord(bytes), RangeError);
      assert.equal(formToKeep(bytes, 0), undefined);
    }
  },
);

forms('are kept as they are, unless something is to be done about them first', () => {
  fc.assert(
    fc.property(steps, (history) => {
      const [record] = play(history, { vectorEntriesMax: 8, seenPutsMax: 4 }).replicas;
      const form = encodeForm(record, 'with-values');
      assert.deepEqual(formToKeep(form.bytes, Infinity), form);
      const hasValue = record.siblings.some(({ value }) => typeof value !== 'string');
      const header = encodeRecord(record, 'header');
      if (hasValue) assert.equal(formToKeep(header, Infinity), undefined, 'values are missing');
      const [first] = record.siblings;
      if (first === undefined) return;
      const mortal = { ...record, siblings: [{ ...first, expiresAt: 2000 }] };
      const bytes = encodeRecord(mortal, 'with-values');
      assert.ok(formToKeep(bytes, 1999) !== undefined, 'it has not expired');
      assert.equal(formToKeep(bytes, 2000), undefined);
    }),
    { numRuns: 200 },
  );
});

forms('that nobody could decode are not kept either', () => {
  let refused = 0;
  const damage = fc.record({ at: fc.nat(), byte: fc.nat(255) });
  fc.assert(
    fc.property(steps, damage, (history, { at, byte }) => {
      const [record] = play(history, { vectorEntriesMax: 8, seenPutsMax: 4 }).replicas;
      const bytes = encodeRecord(record, 'with-values');
      bytes[at % bytes.length] = byte;
      const kept = doing(() => formToKeep(bytes, -Infinity));
      const decoded = doing(() => decodeForm(bytes));
      if (decoded === 'refused') refused += 1;
      if (kept !== 'refused' && kept !== undefined) {
        assert.deepEqual(decoded === 'refused' ? decoded : decoded.form, kept);
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(refused > 100, `${refused} of them could not be decoded`);
});

const doing = <T>(task: () => T): T | 'refused' => {
  try {
    return task();
  } catch (error) {
    assert.ok(error instanceof RangeError, String(error));
    return 'refused';
  }
};

for (const [name, limits] of LIMITS) {
  forms(`make an answer, and tell whether it is the same, and nothing is decoded, ${name}`, () => {
    let [same, different] = [0, 0];
    fc.assert(
      fc.property(steps, (history) => {
        const [a, b] = play(history, limits).replicas;
        for (const want of ['with-values', 'header'] as const) {
          assert.deepEqual(
            asAnswer(encodeRecord(a, 'with-values'), want, Infinity),
            encodeRecord(a, want),
          );
        }
        const { record, form } = decodeForm(encodeRecord(a, 'with-values'));
        assert.ok(isHeaderOf(encodeRecord(a, 'header'), form, record));
        const isSame = isHeaderOf(encodeRecord(b, 'header'), form, record);
        assert.equal(isSame, sameRecord(a, b));
        if (isSame) same += 1;
        else different += 1;
      }),
      { numRuns: 1000 },
    );
    assert.ok(same > 10 && different > 10, `${same} equal pairs, ${different} others`);
  });
}

forms('leave out what has expired from an answer', () => {
  const one = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'one' });
  const two = wrote(one, BLIND, { by: 1, id: 2, text: 'two' });
  const { siblings, ...history } = wrote(two, BLIND, { by: 1, id: 3, text: 'three' });
  const record: RecordOfKey = {
    ...history,
    siblings: siblings.map((each, at) =>
      at === 1 ? each : { ...each, expiresAt: 100 + 100 * at },
    ),
  };
  const held = encodeRecord(record, 'with-values');
  assert.equal(asAnswer(held, 'with-values', 99), held, 'the very bytes while nothing is due');
  for (const nowMs of [99, 100, 300]) {
    for (const want of ['with-values', 'header'] as const) {
      const answer = encodeRecord(withoutExpired(record, nowMs), want);
      assert.deepEqual(asAnswer(held, want, nowMs), answer);
    }
  }
  // A clock that is behind: the same history, and yet not the same to a reader.
  const { form } = decodeForm(held);
  assert.equal(isHeaderOf(asAnswer(held, 'header', 99), form, record), true);
  assert.equal(isHeaderOf(asAnswer(held, 'header', 100), form, record), false);
});

forms.run();
