import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nextRoom } from '../../src/core/throttle.ts';
import { Throttle } from '../../src/node/requests/throttle.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';

const throttle = suite('the throttle');
const LIMITS = { waitingMin: 64, waitingMax: 4096, lateMs: 25 };

throttle('shrinks from what waits, not from what might; grows where the room is used', () => {
  for (const [room, peak, lateMs, expected] of [
    [256, 1000, 0, 261],
    [256, 100, 0, 256],
    [256, 210, 25, 261],
    [256, 250, 26, 175],
    [4000, 300, 26, 210],
    // A pause of an idle process is no queue: it takes several.
    [4000, 20, 500, 90],
    [90, 20, 500, 64],
    [90, 20, 0, 99],
    [130, 20, 0, 130],
    [64, 64, 9000, 64],
    [4090, 4090, 0, 4096],
  ] as const) {
    assert.equal(nextRoom(room, { peak, lateMs }, LIMITS), expected, `${room} ${peak} ${lateMs}`);
  }
  assert.equal(nextRoom(1, { peak: 1, lateMs: 0 }, { ...LIMITS, waitingMin: 1 }), 2);
});

/** A node whose timers ring `lateBy` ms after they are due. */
const world = () => {
  const worldClock = new WorldClock();
  const real = new LifeClock(worldClock);
  const state = { lateBy: 0, waiting: 0, begun: 0, busyMs: 0 };
  const clock = {
    monotonicMs: () => real.monotonicMs(),
    setTimeout: (task: () => void, delayMs: number) =>
      real.setTimeout(task, delayMs + state.lateBy),
  };
  const config = { throttle: { waitingMin: 64, lateMs: 25 }, coordinatorsMax: 4096 };
  const one = new Throttle({
    clock: { ...real, ...clock } as LifeClock,
    ...{ config, waiting: () => state.waiting },
    ...{ begun: () => state.begun, busyMs: () => state.busyMs },
  });
  /** One more request, of so much work, unless it is refused. */
  const begin = (msOfWork = 0): boolean => {
    if (one.refusal() !== undefined) return false;
    state.waiting += 1;
    state.begun += 1;
    state.busyMs += msOfWork;
    return true;
  };
  /** Asks until it is refused. */
  const fill = (): number => {
    while (state.waiting < 10_000 && begin());
    return state.waiting;
  };
  return { one, state, begin, fill, advance: (ms: number) => worldClock.advance(ms), real };
};

throttle('while it is late ever fewer are let in, down to some; then more again', () => {
  const { state, fill, advance } = world();
  assert.equal(fill(), 256);
  state.lateBy = 100;
  for (let look = 0; look < 20; look++) {
    advance(120);
    state.waiting = 0;
    fill();
  }
  assert.equal(state.waiting, 64);
  state.lateBy = 0;
  for (let look = 0; look < 400; look++) {
    advance(120);
    state.waiting = 0;
    fill();
  }
  assert.equal(state.waiting, 4096);
});

throttle('stays small while short turns come next to late ones, and grows soon when calm', () => {
  let room = 256;
  for (let i = 0; i < 20; i++) {
    for (const lateMs of [0, 0, 0, 0, 100]) room = nextRoom(room, { peak: room, lateMs }, LIMITS);
  }
  assert.equal(room, 64);
  for (let i = 0; i < 4; i++) room = nextRoom(room, { peak: room, lateMs: 0 }, LIMITS);
  assert.equal(room, 68);
  for (let i = 0; i < 10; i++) room = nextRoom(room, { peak: 10, lateMs: 0 }, LIMITS);
  assert.ok(room >= 128, `${room} after ten looks at ten who wait`);
});

throttle('begins anew when nobody has waited for a second', () => {
  const { one, state, fill, advance } = world();
  state.lateBy = 100;
  for (let look = 0; look < 20; look++) {
    fill();
    advance(120);
  }
  assert.equal(one.room, 64);
  state.waiting = 0;
  advance(240);
  state.lateBy = 0;
  advance(500);
  assert.equal(one.refusal(), undefined);
  assert.equal(one.room, 64);
  advance(2000);
  assert.equal(one.refusal(), undefined);
  assert.equal(one.room, 256);
});

throttle('what it works off in 50 ms may always wait, however late it is', () => {
  const { one, state, begin, advance } = world();
  state.lateBy = 100;
  // 200 requests a look, each a fifth of a millisecond's work, then each two, then next to none.
  for (const [msOfWork, room, looks] of [
    [0.2, 250, 100],
    [2, 64, 100],
    [0.01, 512, 100],
    // What was seen fades by time, not by looks.
    [2, 64, 20],
  ] as const) {
    for (let look = 0; look < looks; look++) {
      for (let i = 0; i < 200 && begin(msOfWork); i++);
      state.waiting = 1;
      advance(120);
    }
    assert.ok(Math.abs(one.room - room) <= 4, `room for ${one.room} of ${msOfWork} ms`);
    state.waiting = 0;
    advance(120);
  }
});

throttle('what is refused for another reason after it was let in is no work done', () => {
  const { one, state, begin, advance } = world();
  state.lateBy = 100;
  begin();
  for (let look = 0; look < 50; look++) {
    for (let i = 0; i < 1000; i++) one.refusal();
    state.busyMs += 1;
    advance(120);
  }
  assert.equal(one.room, 64);
});

throttle('says when to come back, later the later it is itself', () => {
  const { one, state, fill, advance } = world();
  fill();
  const soon = one.refusal();
  assert.ok(soon !== undefined && soon.code === 'OVERLOADED');
  assert.equal(soon.details['retryAfterMs'], 100);
  state.lateBy = 180;
  advance(500);
  const later = one.refusal();
  assert.equal(later?.details['retryAfterMs'], 720);
});

throttle('leaves no timer behind once nobody waits', () => {
  const { one, state, advance, real } = world();
  assert.equal(one.refusal(), undefined);
  state.waiting = 1;
  advance(1000);
  state.waiting = 0;
  advance(1000);
  assert.equal(real.pending, 0);
});

throttle.run();
