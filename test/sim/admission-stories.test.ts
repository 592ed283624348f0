/** Background work yields to clients and never stops (paper § 6.5). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { hexOf, keyOfText, nodeId, putId } from '../../src/core/ids.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import type { Host, World } from '../../src/sim/world.ts';
import { cluster } from './cluster.ts';

const stories = suite('background yields to foreground');

const HINTS = 800;

/** Three nodes of which n1 keeps HINTS hints for n3, which has just come back. */
const withHints = (thresholdMs = 50) => {
  const admission = { ...DEFAULT_CONFIG.admission, thresholdMs };
  const c = cluster(3, 1, { hintBatchMax: 8, lingerMs: 100, admission });
  const { world } = c;
  const [first, , third] = world.hosts;
  world.crash(third!);
  world.clock.advance(100);
  for (let i = 0; i < HINTS; i++) {
    ask(world, i);
    if (i % 100 === 0) world.clock.advance(100);
  }
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

/** Hints that n1 delivers in two seconds in which clients put every 200 ms, or nobody asks. */
const deliveredInTwo = (world: World, clients: 'put' | 'are away'): number => {
  const before = kept(world);
  for (let i = 0; i < 10; i++) {
    // Keys that n3 has, so that no new hints are kept.
    if (clients === 'put') ask(world, i % 20);
    world.clock.advance(200);
  }
  return before - kept(world);
};

const until = (world: World, met: () => boolean): void => {
  for (let ms = 0; !met(); ms += 100) {
    assert.ok(ms < 30_000, 'in time');
    world.clock.advance(100);
  }
};

stories('alone, handoff uses the machine; under pressure it sinks to the floor and goes on', () => {
  const alone = withHints(5).world;
  alone.network.faults.delayMs = [5, 6];
  alone.start(alone.hosts[2]!);
  until(alone, () => kept(alone) < HINTS);
  const fast = deliveredInTwo(alone, 'are away');
  assert.equal(slices(alone).pressure, 'alone');

  const { world } = withHints(5);
  // Every quorum takes 10 ms and more: far above the threshold.
  world.network.faults.delayMs = [5, 6];
  for (let i = 0; i < 40; i++) {
    ask(world, i % 20);
    world.clock.advance(200);
  }
  assert.equal(slices(world).pressure, 'pressed');
  assert.equal(slices(world).slices, 4);
  world.start(world.hosts[2]!);
  for (let i = 0; kept(world) === HINTS; i++) {
    ask(world, i % 20);
    world.clock.advance(200);
  }
  const slow = deliveredInTwo(world, 'put');
  const { pressure, writeP99Ms, thresholdMs, tasks } = slices(world);
  assert.equal(pressure, 'pressed');
  assert.ok(writeP99Ms! > thresholdMs, `${writeP99Ms}`);
  const handoff = tasks.find(({ task }) => task === 'handoff')!;
  assert.ok(handoff.active && handoff.restedMs > handoff.workedMs * 5, JSON.stringify(handoff));
  assert.ok(slow >= 12, `it goes on: ${slow}`);
  assert.ok(fast > 4 * slow, `${fast} alone, ${slow} under pressure`);

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
    // Those were clients, too: nobody has asked for a while when it comes back.
    world.clock.advance(15_000);
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

stories(
  'the first client finds background work at its floor, and lets it grow while all is well',
  () => {
    const { world } = withHints();
    world.network.faults.delayMs = [5, 6];
    const seen: number[] = [];
    for (let i = 0; i < 200 && (i < 10 || kept(world) > 0); i++) {
      ask(world, i % 20);
      world.clock.advance(200);
      if (i === 10) world.start(world.hosts[2]!);
      if (i >= 10) seen.push(slices(world).slices);
    }
    assert.equal(slices(world).pressure, 'easy');
    assert.deepEqual([seen[0], kept(world)], [4, 0]);
    assert.ok(Math.max(...seen) >= 14, seen.join());
    // Nothing is left to do: what nobody uses is given back, and the next burst begins anew.
    for (let i = 0; i < 150; i++) {
      ask(world, i % 20);
      world.clock.advance(200);
    }
    assert.deepEqual([slices(world).pressure, slices(world).slices], ['easy', 4]);
  },
);

stories('a node that fills itself rests, and so does whoever gives', () => {
  const c = cluster(3, 1, { exchangeIntervalMs: 500 });
  const { world } = c;
  const [giver, other, wiped] = world.hosts as [Host, Host, Host];
  for (let i = 0; i < 300; i++) ask(world, i);
  world.clock.advance(2000);
  const refillMs = (clients: 'put' | 'are away'): number => {
    world.crash(wiped);
    wiped.disk.wipe();
    world.clock.advance(15_000);
    world.start(wiped);
    let ms = 0;
    for (; ms === 0 || wiped.node!.status().incomplete > 0; ms += 100) {
      assert.ok(ms < 60_000, 'it comes to an end');
      if (clients === 'put') ask(world, ms / 100);
      world.clock.advance(100);
    }
    return ms;
  };
  const restedBy = ({ node }: Host): number =>
    node!.status().admission.tasks.find(({ task }) => task === 'anti-entropy')!.restedMs;
  const alone = refillMs('are away');
  assert.equal(restedBy(giver) + restedBy(other) + restedBy(wiped), 0);
  const busy = refillMs('put');
  const givers = restedBy(giver) + restedBy(other);
  assert.ok(givers > 300, `the givers rested for ${givers} ms`);
  // It rests while they do, and need not do so again.
  assert.ok(restedBy(wiped) > 100, `the other for ${restedBy(wiped)} ms`);
  assert.ok(busy > 1.2 * alone, `${alone} ms alone, ${busy} ms while clients asked`);
});

stories('a move waits for disks and wires, and does not rest for having waited', () => {
  const c = cluster(4, 1, {}, 3);
  const { world } = c;
  for (let i = 0; i < 200; i++) {
    ask(world, i);
    if (i % 100 === 0) world.clock.advance(100);
  }
  world.clock.advance(1000);
  // Far above the threshold, whatever is moved: nothing is easier for clients if it rests longer.
  for (const host of world.hosts) host.disk.faults.commitMs = [80, 120];
  world.network.faults.delayMs = [20, 30];
  const node = nodeId('n4');
  const change = { type: 'join', node, zone: 'default', weight: 1 } as const;
  assert.equal(world.hosts[0]!.node!.changeMembership(change), undefined);
  const status = () => world.hosts.map((host) => host.node!.status());
  const isOver = (): boolean =>
    status().every(({ transfers }) => transfers.moving + transfers.departing === 0);
  world.clock.advance(2000);
  let seconds = 2;
  for (; !isOver(); seconds++) {
    assert.ok(seconds < 60, 'it comes to an end');
    for (let i = 0; i < 5; i++) {
      ask(world, seconds);
      world.clock.advance(200);
    }
  }
  const [first] = status();
  assert.deepEqual([first!.admission.pressure, first!.admission.slices], ['pressed', 4]);
  assert.ok(seconds <= 8, `${seconds} s`);
});

stories('owners rest, too, when a node that leaves gives them what it holds', () => {
  const { world } = cluster(4, 1);
  for (let i = 0; i < 200; i++) {
    ask(world, i);
    if (i % 100 === 0) world.clock.advance(100);
  }
  world.network.faults.delayMs = [30, 40];
  const leaver = world.hosts[3]!;
  assert.equal(leaver.node!.changeMembership({ type: 'leave', node: leaver.id }), undefined);
  for (let seconds = 0; leaver.node!.state !== 'left'; seconds++) {
    assert.ok(seconds < 60, 'it comes to an end');
    for (let i = 0; i < 5; i++) {
      ask(world, seconds);
      world.clock.advance(200);
    }
  }
  for (const { id, node } of world.hosts.slice(0, 3)) {
    const { tasks } = node!.status().admission;
    const { steps, restedMs } = tasks.find(({ task }) => task === 'transfer')!;
    assert.ok(steps > 0 && restedMs > 0, `${id}: ${steps} steps, ${restedMs} ms`);
  }
});

stories.run();
