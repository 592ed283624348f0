/** Time and chance are replaced while a simulated world runs: a leak fails loudly. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { RealTimeLeak, withoutRealTime } from '../../src/sim/sandbox.ts';

const sandbox = suite('no real time');

const LEAKS: readonly (readonly [string, () => unknown])[] = [
  ['setTimeout', () => setTimeout(() => undefined, 1)],
  ['setInterval', () => setInterval(() => undefined, 1)],
  ['setImmediate', () => setImmediate(() => undefined)],
  ['Date.now', () => Date.now()],
  ['new Date()', () => new Date()],
  ['Math.random', () => Math.random()],
  ['performance.now', () => performance.now()],
  ['crypto.getRandomValues', () => crypto.getRandomValues(new Uint8Array(1))],
];

for (const [name, leak] of LEAKS) {
  sandbox(`${name} throws, and is back afterwards`, () => {
    assert.throws(() => withoutRealTime(leak), RealTimeLeak);
    const made = leak();
    if (name === 'setInterval') clearInterval(made as NodeJS.Timeout);
  });
}

sandbox('a date of a given time is no leak', () => {
  assert.equal(
    withoutRealTime(() => new Date(0).getTime()),
    0,
  );
});

sandbox.run();
