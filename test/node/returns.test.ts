/** The time that removed nodes have to come back (RULES C8), as one member counts it. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/ids.ts';
import { Returns } from '../../src/node/membership/returns.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';

const returns = suite('the time to return');

const [A, B, X] = [nodeId('a'), nodeId('b'), nodeId('x')];
const HOUR_MS = 3_600_000;

/** Members a and b of which `self` counts, life after life, on one disk. */
const counting = (self: NodeId = A) => {
  const world = new WorldClock();
  const disk = new SimDisk();
  const removed: NodeId[] = [];
  const map = {
    mayReturn: () => [...removed],
    ring: { ring: { members: [A, B].map((id) => ({ id })) } },
  } as unknown as ConstructorParameters<typeof Returns>[0]['map'];
  let clock = new LifeClock(world);
  const born = (skewMs = 0): Returns => {
    clock = new LifeClock(world, skewMs);
    const storage = disk.open(clock, randomStream(1, 'disk'));
    const config = { removedReturnMs: HOUR_MS };
    const failed = (reason: string) => assert.fail(reason);
    return new Returns({ self, clock, storage, map, config, failed });
  };
  /** The first second of `ms` in which it says that somebody's time is over; undefined: in none. */
  const run = (life: Returns, ms: number): number | undefined => {
    for (let passedMs = 1000; passedMs <= ms; passedMs += 1000) {
      world.advance(1000);
      if (life.step().includes(X)) return passedMs;
    }
    return undefined;
  };
  return { removed, born, run, setClock: (skewMs: number) => (clock.skewMs = skewMs) };
};

returns('is counted from the moment a removal is heard of', () => {
  const { removed, born, run } = counting();
  const life = born();
  assert.equal(run(life, 2 * HOUR_MS), undefined);
  removed.push(X);
  assert.equal(run(life, 2 * HOUR_MS), HOUR_MS + 1000);
});

returns('is neither longer nor shorter when the wall clock jumps', () => {
  const { removed, born, run, setClock } = counting();
  const life = born(-100 * HOUR_MS);
  removed.push(X);
  assert.equal(run(life, HOUR_MS / 2), undefined);
  setClock(1e6 * HOUR_MS);
  assert.equal(run(life, HOUR_MS / 4), undefined);
  setClock(0);
  assert.equal(run(life, HOUR_MS), HOUR_MS / 4 + 1000);
});

returns('goes on after a restart, whatever the clock says then', () => {
  const { removed, born, run } = counting();
  removed.push(X);
  assert.equal(run(born(), HOUR_MS / 2), undefined);
  const after = run(born(1e6 * HOUR_MS), HOUR_MS);
  assert.ok(after !== undefined && after >= HOUR_MS / 2, 'not sooner');
  assert.ok(after <= HOUR_MS / 2 + 62_000, 'a restart costs a minute at most');
});

returns('begins anew for one that was let in and removed once more', () => {
  const { removed, born, run } = counting();
  const life = born();
  removed.push(X);
  assert.equal(run(life, HOUR_MS / 2), undefined);
  removed.pop();
  assert.equal(run(life, 1000), undefined);
  removed.push(X);
  assert.equal(run(life, 2 * HOUR_MS), HOUR_MS + 1000);
  removed.pop();
  assert.equal(run(born(), 2 * HOUR_MS), undefined);
});

returns('is called over by one member after the other, should the first be silent', () => {
  const { removed, born, run } = counting(B);
  removed.push(X);
  const saidAtMs = run(born(), 2 * HOUR_MS)!;
  assert.ok(saidAtMs > HOUR_MS + 4000 && saidAtMs < HOUR_MS + 10_000, `${saidAtMs}`);
});

returns('is nothing to a node that is no member', () => {
  const { removed, born, run } = counting(nodeId('c'));
  removed.push(X);
  assert.equal(run(born(), 2 * HOUR_MS), undefined);
});

returns.run();
