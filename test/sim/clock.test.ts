/** Virtual time: the order of tasks, and what one node's view of it can suffer. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { randomStream } from '../../src/sim/random.ts';

const clock = suite('virtual clock');

clock('tasks run in the order of their due, and of their birth where that is equal', () => {
  const world = new WorldClock();
  const order: string[] = [];
  for (const [name, delayMs] of [
    ['c', 20],
    ['a', 10],
    ['d', 20],
    ['b', 10],
  ] as const) {
    world.schedule(() => order.push(`${name}${world.nowMs}`), delayMs);
  }
  while (world.step());
  assert.deepEqual(order, ['a10', 'b10', 'c20', 'd20']);
});

clock('ten thousand random tasks run sorted, the cancelled ones never', () => {
  const world = new WorldClock();
  const random = randomStream(1, 'tasks');
  const ran: number[] = [];
  const expected: { readonly due: number; readonly i: number }[] = [];
  for (let i = 0; i < 10_000; i++) {
    const due = random.integer(500);
    const task = world.schedule(() => ran.push(i), due);
    if (random.integer(4) === 0) task.cancel();
    else expected.push({ due, i });
  }
  assert.equal(world.pending, expected.length);
  while (world.step());
  expected.sort((a, b) => a.due - b.due || a.i - b.i);
  assert.deepEqual(
    ran,
    expected.map(({ i }) => i),
  );
  assert.equal(world.pending, 0);
});

clock('a task that schedules another at once lets those already due go first', () => {
  const world = new WorldClock();
  const order: string[] = [];
  world.schedule(() => {
    order.push('first');
    world.schedule(() => order.push('third'), 0);
  }, 5);
  world.schedule(() => order.push('second'), 5);
  world.advance(5);
  assert.deepEqual(order, ['first', 'second', 'third']);
});

clock('advance runs what is due on the way and ends exactly there', () => {
  const world = new WorldClock();
  const seen: number[] = [];
  const tick = (): void => {
    seen.push(world.nowMs);
    world.schedule(tick, 30);
  };
  world.schedule(tick, 30);
  world.advance(100);
  assert.deepEqual(seen, [30, 60, 90]);
  assert.equal(world.nowMs, 100);
  world.advance(20);
  assert.equal(seen.length, 4);
});

clock('a timer runs once, never within the call, and not when it was cleared', () => {
  const world = new WorldClock();
  const life = new LifeClock(world);
  let runs = 0;
  const once = life.setTimeout(() => (runs += 1), 0);
  const cleared = life.setTimeout(() => assert.fail('cleared'), 1);
  assert.equal(runs, 0);
  assert.equal(life.pending, 2);
  life.clearTimeout(cleared);
  life.clearTimeout(cleared);
  while (world.step());
  assert.equal(runs, 1);
  assert.equal(life.pending, 0);
  life.clearTimeout(once);
  assert.equal(life.pending, 0);
});

clock('the end of the turn comes after what the turn had begun', () => {
  const world = new WorldClock();
  const life = new LifeClock(world);
  const order: string[] = [];
  life.setTimeout(() => {
    life.endOfTurn(() => order.push(`end ${world.nowMs}`));
    order.push('begin');
  }, 7);
  life.setTimeout(() => order.push('same instant'), 7);
  world.advance(7);
  assert.deepEqual(order, ['begin', 'same instant', 'end 7']);
});

clock('when a life ends its timers are inert, those set before and after', () => {
  const world = new WorldClock();
  const [dead, living] = [new LifeClock(world), new LifeClock(world)];
  let alive = 0;
  dead.setTimeout(() => assert.fail('set before'), 10);
  living.setTimeout(() => (alive += 1), 10);
  dead.end();
  const after = dead.setTimeout(() => assert.fail('set after'), 1);
  dead.endOfTurn(() => assert.fail('end of turn'));
  dead.clearTimeout(after);
  world.advance(100);
  assert.equal(alive, 1);
  assert.equal(dead.pending, 0);
});

clock('a timer that ends its own life silences the rest of that instant', () => {
  const world = new WorldClock();
  const life = new LifeClock(world);
  life.setTimeout(() => life.end(), 10);
  life.setTimeout(() => assert.fail('after the end'), 10);
  world.advance(20);
});

clock('monotonic time starts anew with each life and never goes back', () => {
  const world = new WorldClock();
  world.advance(1000);
  const life = new LifeClock(world);
  assert.equal(life.monotonicMs(), 0);
  let last = 0;
  for (const rate of [1, 1.1, 0.5, 1]) {
    life.drift(rate);
    life.skewMs -= 3_600_000;
    assert.equal(life.monotonicMs(), last);
    world.advance(100);
    assert.ok(Math.abs(life.monotonicMs() - last - 100 * rate) < 1e-6);
    last = life.monotonicMs();
  }
});

clock('a skewed wall clock jumps, timers and monotonic time do not', () => {
  const world = new WorldClock();
  const life = new LifeClock(world, 5000);
  const right = new LifeClock(world);
  assert.equal(life.wallMs() - right.wallMs(), 5000);
  let ran = 0;
  life.setTimeout(() => (ran += 1), 100);
  life.skewMs = -60_000;
  assert.equal(life.wallMs() - right.wallMs(), -60_000);
  world.advance(100);
  assert.equal(ran, 1);
  assert.equal(life.monotonicMs(), right.monotonicMs());
  assert.ok(Number.isInteger(life.wallMs()));
});

clock('a fast clock fires early in the world, and never early by its own time', () => {
  const world = new WorldClock();
  const [fast, slow] = [new LifeClock(world), new LifeClock(world)];
  fast.drift(1.25);
  slow.drift(0.8);
  const fired: (readonly [string, number, number])[] = [];
  fast.setTimeout(() => fired.push(['fast', Math.round(world.nowMs), fast.monotonicMs()]), 1000);
  slow.setTimeout(() => fired.push(['slow', Math.round(world.nowMs), slow.monotonicMs()]), 1000);
  world.advance(2000);
  assert.deepEqual(
    fired.map(([name, atMs]) => [name, atMs]),
    [
      ['fast', 800],
      ['slow', 1250],
    ],
  );
  for (const [name, , localMs] of fired) assert.ok(localMs >= 1000, `${name} at ${localMs}`);
});

clock('waiting again for what is left ends, however time is rounded', () => {
  const world = new WorldClock();
  const random = randomStream(2, 'drift');
  for (let round = 0; round < 200; round++) {
    const life = new LifeClock(world);
    life.drift(0.9 + random.fraction() / 5);
    const deadlineMs = life.monotonicMs() + random.fraction() * 1000;
    let steps = 0;
    const look = (): void => {
      const leftMs = deadlineMs - life.monotonicMs();
      if (leftMs > 0 && ++steps < 100) life.setTimeout(look, leftMs);
    };
    look();
    while (world.step());
    assert.ok(steps < 5, `${steps} looks`);
  }
});

clock('a paused process runs its timers late, all at once, in their order', () => {
  const world = new WorldClock();
  const [paused, running] = [new LifeClock(world), new LifeClock(world)];
  const order: string[] = [];
  for (const delayMs of [10, 20, 90]) {
    paused.setTimeout(() => order.push(`paused ${delayMs} at ${world.nowMs}`), delayMs);
    running.setTimeout(() => order.push(`running ${delayMs}`), delayMs);
  }
  paused.pause(50);
  world.advance(100);
  assert.deepEqual(order, [
    'running 10',
    'running 20',
    'paused 10 at 50',
    'paused 20 at 50',
    'paused 90 at 90',
    'running 90',
  ]);
});

clock('a delay that is no number is refused, a negative one is none', () => {
  const world = new WorldClock();
  const life = new LifeClock(world);
  assert.throws(() => life.setTimeout(() => undefined, Number.NaN), RangeError);
  let ran = 0;
  life.setTimeout(() => (ran += 1), -5);
  world.advance(0);
  assert.equal(ran, 1);
});

clock('streams of one seed are equal by name and differ otherwise', () => {
  const draw = (seed: number, name: string): string =>
    Buffer.from(randomStream(seed, name).bytes(16)).toString('hex');
  assert.equal(draw(1, 'a'), draw(1, 'a'));
  assert.equal(new Set([draw(1, 'a'), draw(1, 'b'), draw(2, 'a'), draw(2, 'b')]).size, 4);
  const random = randomStream(5, 'spread');
  const counts = Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) counts[random.integer(10)]! += 1;
  assert.ok(
    counts.every((count) => count > 850 && count < 1150),
    counts.join(),
  );
  for (let i = 0; i < 1000; i++) {
    const fraction = random.fraction();
    assert.ok(fraction >= 0 && fraction < 1);
  }
  assert.equal(random.integer(1), 0);
});

clock.run();
