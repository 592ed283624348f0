/** Every machine is well-formed: targets exist, entry states start; XState checks them when run. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { createActor } from 'xstate';
import { writeBufferMachine } from '../../actors/write-buffer.ts';
import type { Waiting } from '../../actors/write-buffer.ts';
import { handoffMachine } from '../../actors/handoff.ts';
import { xstateClock } from '../../src/node/requests/nursery.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';

const machines = suite('long-lived actors');

const buffer = (waiting: Waiting = 'nothing') => {
  const store = { waiting, flushAfterMs: 100, restMs: 3 };
  const world = new WorldClock();
  const log: string[] = [];
  const actor = createActor(writeBufferMachine, {
    clock: xstateClock(new LifeClock(world)),
    input: {
      ports: {
        waiting: () => store.waiting,
        commit: () => {
          log.push('commit');
          store.waiting = 'nothing';
        },
        committed: () => log.push('committed'),
        flushAfterMs: () => store.flushAfterMs,
        restMs: () => store.restMs,
      },
      groupCommitMs: 1,
    },
  });
  actor.start();
  return { world, log, actor, store };
};

/** One at rest: what it says when it begins is told elsewhere. */
const begun = () => {
  const made = buffer();
  made.log.length = 0;
  return made;
};

machines('the write buffer commits after the flush interval, and waits for the disk', () => {
  const { world, log, actor } = begun();
  actor.send({ type: 'buffer.filled' });
  world.advance(99);
  assert.deepEqual(log, []);
  world.advance(2);
  assert.deepEqual(log, ['commit']);
  world.advance(1000);
  assert.deepEqual(log, ['commit'], 'nobody is told before the disk has said so');
  actor.send({ type: 'commit.done' });
  assert.deepEqual(log, ['commit', 'committed']);
});

machines('each batch waits as long as is drawn for it', () => {
  const { world, log, actor, store } = begun();
  for (const flushAfterMs of [100, 60, 80]) {
    store.flushAfterMs = flushAfterMs;
    actor.send({ type: 'buffer.filled' });
    world.advance(flushAfterMs - 1);
    assert.deepEqual(log, [], `before ${flushAfterMs} ms`);
    world.advance(2);
    assert.deepEqual(log.splice(0), ['commit']);
    actor.send({ type: 'commit.done' });
    log.length = 0;
  }
});

machines('a durable write hurries it; those that come meanwhile share the next commit', () => {
  const { world, log, actor, store } = begun();
  actor.send({ type: 'buffer.filled' });
  actor.send({ type: 'sync.wanted' });
  world.advance(1.5);
  assert.deepEqual(log, ['commit']);
  store.waiting = 'hurry';
  actor.send({ type: 'commit.done' });
  assert.deepEqual(log, ['commit', 'committed']);
  world.advance(2.5);
  assert.deepEqual(log, ['commit', 'committed'], 'it rests');
  world.advance(1);
  assert.deepEqual(log, ['commit', 'committed', 'commit']);
});

machines('a full buffer does not let it rest', () => {
  const { log, actor, store } = begun();
  actor.send({ type: 'buffer.full' });
  store.waiting = 'full';
  actor.send({ type: 'commit.done' });
  assert.deepEqual(log, ['commit', 'committed', 'commit']);
  store.waiting = 'hurry';
  actor.send({ type: 'commit.done' });
  actor.send({ type: 'buffer.full' });
  assert.deepEqual(log.slice(3), ['committed', 'commit'], 'nor one that fills meanwhile');
});

machines('what nobody waits for and came meanwhile waits for the next interval', () => {
  const { world, log, actor, store } = begun();
  actor.send({ type: 'buffer.full' });
  store.waiting = 'writes';
  actor.send({ type: 'commit.done' });
  world.advance(99);
  assert.deepEqual(log, ['commit', 'committed']);
  world.advance(2);
  assert.deepEqual(log, ['commit', 'committed', 'commit']);
});

machines('what was under way when the buffer crashed is told as well', () => {
  const { log, actor } = buffer('writes');
  const first = ['committed', 'commit'];
  assert.deepEqual(log, first, 'what is buffered, beside a commit of the life before');
  actor.send({ type: 'commit.done' });
  actor.send({ type: 'commit.done' });
  assert.deepEqual(log, [...first, 'committed', 'committed']);
});

machines(
  'what became durable while nobody listened is told after a crash, though nothing waits',
  () => {
    assert.deepEqual(buffer().log, ['committed']);
  },
);

machines('what came in under a commit of its former life is committed after that', () => {
  const { world, log, actor, store } = begun();
  store.waiting = 'hurry';
  actor.send({ type: 'commit.done' });
  world.advance(4);
  assert.deepEqual(log, ['committed', 'commit']);
});

machines('after a failed commit nobody is told anything any more', () => {
  const { world, log, actor } = begun();
  actor.send({ type: 'buffer.full' });
  actor.send({ type: 'commit.failed' });
  actor.send({ type: 'sync.wanted' });
  actor.send({ type: 'commit.done' });
  world.advance(1000);
  assert.deepEqual(log, ['commit']);
});

machines('restarted after a crash it commits what was left in memory', () => {
  assert.deepEqual(buffer('writes').log, ['committed', 'commit']);
});

const desk = () => {
  const world = new WorldClock();
  const log: string[] = [];
  const actor = createActor(handoffMachine, {
    clock: xstateClock(new LifeClock(world)),
    input: {
      ports: {
        sendBatch: () => log.push('send'),
        forgetBatch: (batch) => log.push(`forget ${batch}`),
        giveUpBatch: (batch) => log.push(`give up ${batch}`),
        paceMs: () => 40,
      },
      scanIntervalMs: 1000,
      deliveryTimeoutMs: 5000,
    },
  });
  actor.start();
  return { world, log, actor };
};

machines('handoff forgets a batch only after its durable ack, and only that batch', () => {
  const { world, log, actor } = desk();
  world.advance(1001);
  actor.send({ type: 'batch.sent', batch: 7 });
  actor.send({ type: 'batch.delivered', batch: 6 });
  assert.deepEqual(log, ['send']);
  actor.send({ type: 'batch.delivered', batch: 7 });
  assert.deepEqual(log, ['send', 'forget 7']);
  world.advance(41);
  assert.deepEqual(log, ['send', 'forget 7', 'send'], 'after the rest it was told to take');
  actor.send({ type: 'batch.delivered', batch: 7 });
  assert.deepEqual(log, ['send', 'forget 7', 'send'], 'an old answer means nothing');
});

machines('handoff passes over a silent target and wakes when a peer recovers', () => {
  const { world, log, actor } = desk();
  actor.send({ type: 'peer.recovered' });
  actor.send({ type: 'batch.sent', batch: 1 });
  world.advance(5001);
  assert.deepEqual(log, ['send', 'give up 1', 'send']);
});

machines.run();
