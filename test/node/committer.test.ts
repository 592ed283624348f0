/** The ports of the write-buffer actor: how long it gathers and rests, and whom a commit is told. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { Committer } from '../../src/node/store/committer.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { randomStream } from '../../src/sim/random.ts';

const committers = suite('the committer');

const committer = () => {
  const world = new WorldClock();
  const log: string[] = [];
  const disk = { end: (_failure?: string): void => assert.fail('no commit is under way') };
  const ports = new Committer({
    store: {
      waiting: 'writes',
      commit: (done) => {
        disk.end = done;
      },
      releaseDurable: () => log.push('released'),
    },
    clock: new LifeClock(world),
    random: randomStream(1, 'committer'),
    config: { flushIntervalMs: 100, groupCommitMs: 1 },
    tell: (actor, { type }) => log.push(`${actor} ${type}`),
    failed: (reason) => log.push(reason),
  });
  return { world, log, disk, ports };
};

committers('it rests as long as the last commit took, five windows at most', () => {
  const { world, disk, ports, log } = committer();
  assert.equal(ports.restMs(), 0, 'there was none');
  for (const [tookMs, restMs] of [
    [2, 2],
    [60, 5],
    [1, 1],
  ] as const) {
    ports.commit();
    world.advance(tookMs);
    disk.end();
    assert.equal(ports.restMs(), restMs);
  }
  assert.deepEqual(log, Array(3).fill('writeBuffer commit.done'));
});

committers('an unhurried write stays in memory for half of the interval to all of it', () => {
  const { ports } = committer();
  const drawn = Array.from({ length: 200 }, () => ports.flushAfterMs());
  assert.ok(drawn.every((ms) => ms > 50 && ms <= 100));
  assert.ok(Math.max(...drawn) - Math.min(...drawn) > 40, 'spread over it');
});

committers('a commit that failed is told to the actor, then to the node', () => {
  const { disk, ports, log } = committer();
  ports.commit();
  disk.end('no space left');
  assert.deepEqual(log, ['writeBuffer commit.failed', 'commit failed: no space left']);
});

committers.run();
