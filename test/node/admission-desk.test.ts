/** How long background work rests, and when a node learns what its clients usually wait. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { NOTHING_CARRIED } from '../../src/core/admission.ts';
import { AdmissionDesk } from '../../src/node/admission-desk.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';

const desks = suite('the admission desk');
const limits = DEFAULT_CONFIG.admission;

const busyDesk = () => {
  const world = new WorldClock();
  const desk = new AdmissionDesk({ clock: new LifeClock(world), limits, inFlight: () => 1 });
  desk.publish(limits.slicesMin, 'pressed');
  return { world, desk };
};

const carried = (records: number) => ({ ...NOTHING_CARRIED, records });

desks(
  'no rest is longer than the longest, whatever was done by whom, and none is owed later',
  () => {
    const { world, desk } = busyDesk();
    for (const task of ['handoff', 'transfer'] as const) {
      desk.begin(task);
      assert.equal(desk.grant(task, carried(10_000)), limits.restMaxMs);
    }
    const answers: string[] = [];
    desk.paced(
      'anti-entropy',
      () => carried(10_000),
      (text: string) => answers.push(text),
    )('late');
    world.advance(limits.restMaxMs - 1);
    assert.deepEqual(answers, []);
    world.advance(1);
    assert.deepEqual(answers, ['late']);
    desk.begin('handoff');
    assert.equal(desk.grant('handoff', NOTHING_CARRIED), 100 / limits.slicesMin);
  },
);

desks(
  'what is usual is learned while work is held at its floor, however much of it there is',
  () => {
    const { world, desk } = busyDesk();
    const second = (waitMs: number) => {
      const replies = Array.from({ length: 60 }, () => desk.timed('read', () => undefined));
      world.advance(waitMs);
      for (const reply of replies) reply(undefined);
      desk.begin('handoff');
      desk.grant('handoff', carried(400));
      world.advance(1000 - waitMs);
      return desk.load();
    };
    for (let i = 0; i < 10; i++) second(20);
    const { strain, used } = second(20);
    assert.ok(used > limits.slicesMin, `${used}`);
    assert.ok(strain !== undefined && Math.abs(strain - 1) < 0.1, `${strain}`);
    desk.publish(2 * limits.slicesMin, 'easy');
    for (let i = 0; i < 10; i++) second(60);
    assert.ok(second(60).strain! > 2.5, 'it is its own doing, and not what is usual');
  },
);

desks.run();
