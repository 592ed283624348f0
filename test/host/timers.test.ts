/** Many waits over one clock: each keeps its time, whatever is called off or added meanwhile. */
import * as assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { suite } from 'uvu';
import { Timers } from '../../src/host/timers.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';

const timers = suite('timers of coordinators');

timers('one that is set while others ring does not delay those that wait already', () => {
  const world = new WorldClock();
  const clock = new Timers(new LifeClock(world));
  const rang: string[] = [];
  clock.setTimeout(() => {
    rang.push(`a ${world.nowMs}`);
    clock.setTimeout(() => rang.push(`c ${world.nowMs}`), 100);
  }, 100);
  world.advance(60);
  clock.setTimeout(() => rang.push(`b ${world.nowMs}`), 100);
  world.advance(1000);
  assert.deepEqual(rang, ['a 100', 'b 160', 'c 200']);
  assert.equal(world.pending, 0);
});

timers('keep the same times as a clock of their own each would', () => {
  const step = fc.oneof(
    fc.record({ wait: fc.constantFrom(0, 5, 50), again: fc.boolean() }),
    fc.record({ callOff: fc.nat(20) }),
    fc.record({ advance: fc.integer({ min: 1, max: 40 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const told = (['wheel', 'plain'] as const).map((kind) => {
        const world = new WorldClock();
        const life = new LifeClock(world);
        const clock = kind === 'wheel' ? new Timers(life) : life;
        const set: (object | number)[] = [];
        const rang: string[] = [];
        const wait = (delayMs: number, again: boolean): void => {
          const number = set.length;
          const ring = (): void => {
            rang.push(`${world.nowMs} ${number}`);
            if (again) wait(delayMs, false);
          };
          set.push(clock.setTimeout(ring, delayMs));
        };
        for (const each of steps) {
          if ('wait' in each) wait(each.wait, each.again);
          else if ('advance' in each) world.advance(each.advance);
          else if (set[each.callOff] !== undefined) clock.clearTimeout(set[each.callOff]!);
        }
        world.advance(1000);
        assert.equal(life.pending, 0);
        // Waits of different lengths that end together have no order among themselves.
        return rang.sort();
      });
      assert.deepEqual(told[0], told[1]);
    }),
  );
});

timers('what was called off is let go of, also behind one that waits long', async () => {
  const clock = new Timers(new LifeClock(new WorldClock()));
  clock.setTimeout(() => undefined, 10);
  const called = ((): WeakRef<object> => {
    const timer = clock.setTimeout(() => undefined, 10) as object;
    clock.clearTimeout(timer);
    return new WeakRef(timer);
  })();
  clock.setTimeout(() => undefined, 10);
  // A weak reference holds until the turn it was made in is over.
  await new Promise((resolve) => setImmediate(resolve));
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  assert.equal(called.deref(), undefined);
});

timers.run();
