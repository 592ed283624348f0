/** The times a client writes at. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { Stamps } from '../../src/client/stamps.ts';
import { keyOfText } from '../../src/core/ids.ts';

const stamps = suite('stamps');
const [a, b] = [keyOfText('a'), keyOfText('b')];

stamps('two writes of one key never bear the same time, those of others do', () => {
  const times = new Stamps();
  assert.deepEqual([times.next(a, 10), times.next(a, 10), times.next(b, 10)], [10, 11, 10]);
  assert.deepEqual([times.next(a, 11), times.next(b, 11)], [12, 11]);
  assert.deepEqual([times.next(a, 20), times.next(b, 20)], [20, 20]);
});

stamps('a clock that is set back does not bring later writes before earlier ones', () => {
  const times = new Stamps();
  assert.deepEqual([times.next(a, 1000), times.next(a, 10)], [1000, 1001]);
});

stamps.run();
