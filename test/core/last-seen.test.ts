import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { LastSeen } from '../../src/core/last-seen.ts';

const LEAST = 10;
const numbers = suite('numbers seen lately');

/** Two senders in turns. */
const come = (last: LastSeen<string>, n: number): boolean =>
  last.seen(n % 2 === 0 ? 'a' : 'b', Math.floor(n / 2));

numbers('the last ones are known for certain', () => {
  const last = new LastSeen<string>(LEAST);
  for (let n = 0; n < 100; n++) {
    assert.equal(come(last, n), false, `${n} is new`);
    for (let known = Math.max(0, n - LEAST + 1); known <= n; known++) {
      assert.equal(come(last, known), true, `${known} after ${n}`);
    }
  }
});

numbers('what came long before is forgotten', () => {
  const last = new LastSeen<string>(LEAST);
  for (let n = 0; n < 2 * LEAST; n++) come(last, n);
  assert.equal(come(last, 0), false);
});

numbers.run();
