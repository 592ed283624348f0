/** The supervisor: a crashed actor comes back after a growing pause, and too many crashes end the node. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { createActor, createMachine } from 'xstate';
import { nodeMachine } from '../../actors/node.ts';
import type { LongLivedActor, NodeInput } from '../../actors/node.ts';
import { xstateClock } from '../../src/node/requests/nursery.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';

const supervisor = suite('the supervisor');

const MINUTE_MS = 60_000;
const BACKOFF_MS = 10;

/** Does nothing until it is told to crash. */
const crashing = createMachine({
  on: {
    crash: {
      actions: () => {
        throw new Error('as asked');
      },
    },
  },
});

const node = (restartsMax: number) => {
  const world = new WorldClock();
  const log: string[] = [];
  const fakes = [
    ...['membership', 'failureDetector', 'writeBuffer', 'handoff', 'antiEntropy'],
    ...['admission', 'transfer', 'scrub', 'reap'],
  ].map((name) => [name, crashing] as const);
  const actor = createActor(nodeMachine.provide({ actors: Object.fromEntries(fakes) as never }), {
    clock: xstateClock(new LifeClock(world)),
    // The fakes look at no input of theirs.
    input: {
      ports: {
        serve: () => log.push('serve'),
        drain: () => log.push('drain'),
        stopped: () => log.push('stopped'),
        failed: (which) => log.push(`${which} failed`),
        crashed: (which) => log.push(`${which} crashed`),
      },
      ...{ restartBackoffMs: BACKOFF_MS, restartsMax, drainTimeoutMs: 1000 },
    } as Partial<NodeInput> as NodeInput,
  });
  actor.start();
  const crash = (which: LongLivedActor): void => actor.system.get(which).send({ type: 'crash' });
  const state = (which: LongLivedActor): string => String(actor.getSnapshot().value[which]);
  /** Crashes of `which`, each as soon as it is back. */
  const crashes = (which: LongLivedActor, times: number): void => {
    for (let i = 0; i < times; i++) {
      while (state(which) === 'backingOff') world.advance(1);
      crash(which);
    }
  };
  return { world, log, crash, crashes, state, stop: () => actor.stop() };
};

supervisor('a crashed actor is back after a pause that doubles', () => {
  const { world, log, crash, state, stop } = node(10);
  for (const pauseMs of [2 * BACKOFF_MS, 4 * BACKOFF_MS, 8 * BACKOFF_MS]) {
    crash('handoff');
    assert.equal(state('handoff'), 'backingOff');
    world.advance(pauseMs - 1);
    assert.equal(state('handoff'), 'backingOff', `${pauseMs} ms`);
    world.advance(1);
    assert.equal(state('handoff'), 'running', `${pauseMs} ms`);
  }
  assert.deepEqual(log, ['handoff crashed', 'handoff crashed', 'handoff crashed']);
  stop();
});

supervisor('too many crashes within a minute end the node, and say whose', () => {
  const { log, crashes, state, stop } = node(3);
  crashes('handoff', 3);
  assert.equal(log.at(-1), 'handoff failed');
  assert.equal(state('handoff'), 'failed');
  assert.equal(state('membership'), 'running', 'the others are not touched');
  stop();
});

supervisor('an actor that ran for a minute is as good as new: its crashes are forgotten', () => {
  const { world, log, crash, crashes, state, stop } = node(3);
  for (let i = 0; i < 4; i++) {
    crashes('handoff', 2);
    // Less than a minute of running forgets nothing, so the wait begins when it is back.
    while (state('handoff') === 'backingOff') world.advance(1);
    world.advance(MINUTE_MS);
  }
  assert.ok(!log.includes('handoff failed'), log.join());
  crash('handoff');
  world.advance(2 * BACKOFF_MS);
  assert.equal(state('handoff'), 'running', 'the pause is the first one again');
  stop();
});

supervisor('crashes just below a minute apart are counted together', () => {
  const { world, log, crash, state, stop } = node(3);
  for (let i = 0; i < 3; i++) {
    while (state('handoff') === 'backingOff') world.advance(1);
    world.advance(MINUTE_MS - 1);
    assert.equal(log.includes('handoff failed'), false);
    crash('handoff');
  }
  assert.equal(log.at(-1), 'handoff failed');
  stop();
});

supervisor.run();
