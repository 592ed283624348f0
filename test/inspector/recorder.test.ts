/** What is remembered of requests, and that it stays cheap when all of them are worth a look. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText, nodeId } from '../../src/core/ids.ts';
import { Recorder } from '../../src/inspector/recorder.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import type { RequestId } from '../../src/wire/peer-messages.ts';

const recorders = suite('what is remembered of requests');

const STORIES_PER_SECOND = 20;

const setup = () => {
  const world = new WorldClock();
  const recorder = new Recorder({ self: nodeId('n1'), clock: new LifeClock(world) });
  let requests = 0;
  const fail = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const input = { key: keyOfText(`k${i}`), ports: {} };
      const ear = recorder.born(++requests as RequestId, 'get', input);
      ear.replied({ type: 'failed', code: 'TIMEOUT' });
      ear.ended('done');
    }
  };
  return { world, recorder, fail };
};

recorders('requests that fail one by one are all remembered', () => {
  const { world, recorder, fail } = setup();
  for (let second = 0; second < 10; second++) {
    fail(STORIES_PER_SECOND);
    world.advance(1000);
  }
  assert.equal(recorder.stories().length, 10 * STORIES_PER_SECOND);
});

recorders('of thousands that fail at once a few are', () => {
  const { world, recorder, fail } = setup();
  fail(5000);
  assert.equal(recorder.stories().length, STORIES_PER_SECOND);
  world.advance(1000);
  fail(5000);
  assert.equal(recorder.stories().length, 2 * STORIES_PER_SECOND);
});

recorders('each one that is recorded is, however many there are', () => {
  const { recorder, fail } = setup();
  fail(1000);
  recorder.sample(1);
  fail(100);
  assert.equal(recorder.stories().length, STORIES_PER_SECOND + 100);
});

recorders('and each one whose name was told', () => {
  const { recorder, fail } = setup();
  fail(1000);
  recorder.named(1500 as RequestId);
  fail(1000);
  const names = recorder.stories().map(({ cause }) => cause);
  assert.equal(names.length, STORIES_PER_SECOND + 1);
  assert.ok(names.includes('n1.1500'));
});

recorders('latencies are counted while somebody watches', () => {
  const { recorder, fail } = setup();
  fail(10);
  assert.deepEqual(recorder.gauges().latencies, {});
  const leave = recorder.subscribe({ record: () => undefined, story: () => undefined });
  fail(10);
  assert.equal(recorder.gauges().latencies['get']?.count, 10);
  leave();
  fail(10);
  assert.equal(recorder.gauges().latencies['get']?.count, 10);
  assert.equal(recorder.gauges().coordinators['get'], 0);
});

recorders.run();
