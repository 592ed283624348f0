/** What a draining node waits for before it goes: hints that somebody could take now. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId } from '../../src/core/ids.ts';
import type { Health } from '../../src/core/suspicion.ts';
import { handHintsOver } from '../../src/node/healing/hand-over.ts';
import type { HandOverParts } from '../../src/node/healing/hand-over.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';

const handOvers = suite('handing hints over');

const TARGET = nodeId('n3');

const draining = () => {
  const world = new WorldClock();
  const node = { hints: 2, health: 'healthy' as Health, isAwaited: true };
  const said: string[] = [];
  const parts = {
    clock: new LifeClock(world),
    store: {
      hints: { gauges: () => (node.hints > 0 ? [{ target: TARGET, count: node.hints }] : []) },
    },
    ring: { healthOf: () => node.health },
    hurry: () => said.push('hurry'),
    isAwaited: () => node.isAwaited,
  };
  handHintsOver(parts as unknown as HandOverParts, () => said.push('done'));
  return { world, node, said };
};

handOvers('it is over once nothing is left', () => {
  const { world, node, said } = draining();
  world.advance(200);
  assert.ok(said.length > 2 && !said.includes('done'));
  node.hints = 0;
  world.advance(200);
  assert.equal(said.at(-1), 'done');
  assert.equal(said.filter((word) => word === 'done').length, 1);
});

handOvers('a target that is silent for a moment is waited for, one that is down is not', () => {
  const { world, node, said } = draining();
  node.health = 'suspect';
  world.advance(500);
  assert.ok(!said.includes('done'));
  node.health = 'down';
  world.advance(200);
  assert.equal(said.at(-1), 'done');
});

handOvers('nobody is told any more once the time to drain has run out', () => {
  const { world, node, said } = draining();
  node.isAwaited = false;
  world.advance(200);
  assert.deepEqual(said, ['hurry']);
  assert.equal(world.pending, 0);
});

handOvers.run();
