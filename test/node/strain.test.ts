/** What clients wait for in the last seconds, against what is usual (paper § 6.5). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { Strain } from '../../src/node/strain.ts';

const strain = suite('the strain on clients');

/** Seconds of 100 reads and 100 writes each, looked at once a second; how the last look came out. */
const lived = () => {
  const it = new Strain();
  let nowMs = 0;
  return (
    count: number,
    readMs: number,
    writeMs: number,
    how: 'in quiet' | 'at work',
    perSecond = 100,
  ): number | undefined => {
    let found: number | undefined;
    for (let second = 0; second < count; second++) {
      for (let i = 0; i < perSecond; i++) {
        nowMs += 1000 / perSecond;
        it.record('read', readMs, nowMs);
        it.record('write', writeMs, nowMs);
      }
      found = it.look(nowMs, how === 'in quiet');
    }
    return found;
  };
};

const near = (found: number | undefined, expected: number): void =>
  assert.ok(
    found !== undefined && Math.abs(found / expected - 1) < 0.15,
    `${found} of ${expected}`,
  );

strain('is not known before there was quiet', () => {
  const live = lived();
  assert.equal(live(10, 5, 10, 'at work'), undefined);
  near(live(10, 5, 10, 'in quiet'), 1);
});

strain('is that of reads or of writes, whichever suffer more, and shows within seconds', () => {
  const live = lived();
  live(10, 5, 10, 'in quiet');
  near(live(3, 10, 11, 'at work'), 2);
  near(live(3, 5, 30, 'at work'), 3);
  near(live(3, 5, 10, 'at work'), 1);
});

strain('does not get used to what work does, but to what is so without it', () => {
  const live = lived();
  live(10, 5, 10, 'in quiet');
  near(live(60, 20, 40, 'at work'), 4);
  near(live(40, 20, 40, 'in quiet'), 1);
});

strain('is not known of a handful of requests, and nobody feels a millisecond', () => {
  const live = lived();
  live(10, 0.2, 0.3, 'in quiet');
  near(live(3, 1.8, 1.9, 'at work'), 1);
  assert.equal(live(10, 500, 500, 'at work', 5), undefined);
});

strain.run();
