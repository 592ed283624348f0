import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { LastSeen } from '../../src/core/last-seen.ts';

const LEAST = 10;
const names = suite('names seen lately');

names('the last ones are known for certain', () => {
  const last = new LastSeen(LEAST);
  for (let n = 0; n < 100; n++) {
    assert.equal(last.seen(`${n}`), false, `${n} is new`);
    for (let known = Math.max(0, n - LEAST + 1); known <= n; known++) {
      assert.equal(last.seen(`${known}`), true, `${known} after ${n}`);
    }
  }
});

names('what came long before is forgotten', () => {
  const last = new LastSeen(LEAST);
  for (let n = 0; n < 2 * LEAST; n++) last.seen(`${n}`);
  assert.equal(last.seen('0'), false);
});

names.run();
