/** Background work yields to clients and never stops (paper § 6.5). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { hexOf, keyOfText, putId } from '../../src/core/ids.ts';
import type { World } from '../../src/sim/world.ts';
import { cluster } from './cluster.ts';

const stories = suite('background yields to foreground');

const HINTS = 200;

/** Three nodes of which n1 keeps HINTS hints for n3, which has just come back. */
const withHints = () => {
  const c = cluster(3, 1, { hintBatchMax: 2, lingerMs: 100 });
  const { world } = c;
  const [first, , third] = world.hosts;
  world.crash(third!);
  world.clock.advance(100);
  for (let i = 0; i < HINTS; i++) ask(world, i);
  world.clock.advance(1000);
  assert.equal(kept(world), HINTS);
  // Nobody has asked for a while when the owner comes back.
  world.clock.advance(15_000);
  assert.equal(first!.node!.status().admission.pressure, 'alone');
  return c;
};

let asked = 0;
const ask = (world: World, i: number): void => {
  const id = new Uint8Array(8);
  new DataView(id.buffer).setUint32(4, ++asked);
  world.ask(
    world.hosts[0]!,
    {
      type: 'put',
      key: keyOfText(`k${i}`),
      value: new Uint8Array(10),
      contexts: [],
      putId: putId(hexOf(id)),
      writtenAt: world.hosts[0]!.clock.wallMs(),
      attempt: 1,
      mode: 'causal',
      strict: false,
      timeoutMs: 3000,
    },
    () => undefined,
  );
};

const kept = (world: World): number => world.hosts[0]!.node!.status().nodes[0]!.hints;

const slices = (world: World) => world.hosts[0]!.node!.status().admission;

/** Hints that n1 delivers in ten seconds in which clients put every 200 ms, or nobody asks. */
const deliveredInTen = (world: World, clients: 'put' | 'are away'): number => {
  const before = kept(world);
  for (let i = 0; i < 50; i++) {
    // Keys that n3 has, so that no new hints are kept.
    if (clients === 'put') ask(world, i % 20);
    world.clock.advance(200);
  }
  return before - kept(world);
};

stories('alone, handoff uses the machine; under pressure it sinks to the floor and goes on', () => {
  const alone = withHints().world;
  alone.network.faults.delayMs = [60, 70];
  alone.start(alone.hosts[2]!);
  alone.clock.advance(4000);
  const fast = deliveredInTen(alone, 'are away');
  assert.equal(slices(alone).pressure, 'alone');

  const { world } = withHints();
  // Every quorum takes 120 ms and more: far above the threshold of 50.
  world.network.faults.delayMs = [60, 70];
  for (let i = 0; i < 40; i++) {
    ask(world, i % 20);
    world.clock.advance(200);
  }
  assert.equal(slices(world).pressure, 'pressed');
  assert.equal(slices(world).slices, 4);
  world.start(world.hosts[2]!);
  for (let i = 0; i < 20; i++) {
    ask(world, i % 20);
    world.clock.advance(200);
  }
  const slow = deliveredInTen(world, 'put');
  const { pressure, writeP99Ms, thresholdMs, tasks } = slices(world);
  assert.equal(pressure, 'pressed');
  assert.ok(writeP99Ms! > thresholdMs, `${writeP99Ms}`);
  const handoff = tasks.find(({ task }) => task === 'handoff')!;
  assert.ok(handoff.active && handoff.restedMs > handoff.workedMs * 5, JSON.stringify(handoff));
  assert.ok(slow >= 12, `it goes on: ${slow}`);
  assert.ok(fast > 5 * slow, `${fast} alone, ${slow} under pressure`);

  // The clients leave: within seconds all slices are back, long before the minute has passed.
  world.clock.advance(12_000);
  assert.equal(slices(world).pressure, 'alone');
  assert.equal(slices(world).slices, 100);
  for (let s = 0; kept(world) > 0; s++) {
    assert.ok(s < 60, 'drained in time');
    world.clock.advance(1000);
  }
});

stories('repair of a stale replica rests between its batches while clients wait', () => {
  const steps = (clients: boolean) => {
    const c = cluster(3, 1, { exchangeIntervalMs: 500 });
    const { world } = c;
    const stale = world.hosts[2]!;
    const backup = stale.disk.snapshot();
    for (let i = 0; i < 60; i++) ask(world, i);
    world.clock.advance(2000);
    world.crash(stale);
    backup();
    world.network.faults.delayMs = [30, 35];
    world.start(stale);
    for (let i = 0; i < 200; i++) {
      if (clients) ask(world, i % 3);
      world.clock.advance(200);
    }
    const report = world.hosts.map(({ node }) => node!.status().admission);
    const of = report.flatMap(({ tasks }) => tasks.filter(({ task }) => task === 'anti-entropy'));
    return {
      steps: of.reduce((sum, each) => sum + each.steps, 0),
      rested: of.reduce((sum, each) => sum + each.restedMs, 0),
    };
  };
  const quiet = steps(false);
  const busy = steps(true);
  assert.ok(quiet.steps > 0 && busy.steps > 0, JSON.stringify({ quiet, busy }));
  assert.ok(
    busy.rested / busy.steps > 10 * (quiet.rested / quiet.steps + 1),
    JSON.stringify({ quiet, busy }),
  );
});

stories('a p99 below the threshold costs background work nothing', () => {
  const { world } = withHints();
  world.start(world.hosts[2]!);
  world.clock.advance(2000);
  for (let i = 0; i < 50; i++) {
    ask(world, i % 20);
    world.clock.advance(200);
  }
  const { pressure, slices: all } = slices(world);
  assert.deepEqual([pressure, all], ['easy', 100]);
  assert.equal(kept(world), 0);
});

stories.run();
