/** WebSockets and the simulated network keep one contract; then the faults of the latter. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { openWsLinks } from '../../src/adapters/ws-links.ts';
import type { WsLinks } from '../../src/adapters/ws-links.ts';
import { WorldClock } from '../../src/sim/clock.ts';
import { SimNetwork } from '../../src/sim/network.ts';
import { randomStream } from '../../src/sim/random.ts';
import { Witness, linksContract } from './links.ts';
import type { LinksHarness } from './links.ts';

const DEADLINE_MS = 10_000;

const onLoopback = (): LinksHarness => {
  const opened: WsLinks[] = [];
  return {
    open: async () => {
      const links = await openWsLinks({ host: '127.0.0.1', port: 0 });
      opened.push(links);
      let end: Promise<void> | undefined;
      const close = (): Promise<void> =>
        (end ??= new Promise<void>((resolve) => links.close(resolve)));
      opened[opened.length - 1] = { ...links, close: (done) => void close().then(done) };
      return { links: opened.at(-1)!, address: links.address() };
    },
    // The port of "tcpmux": privileged, and nobody has served it for decades.
    nowhere: 'ws://127.0.0.1:1',
    until: async (met) => {
      const deadlineMs = performance.now() + DEADLINE_MS;
      while (!met()) {
        if (performance.now() > deadlineMs) throw new Error(`waited ${DEADLINE_MS} ms in vain`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    end: async () => {
      await Promise.all(
        opened.map((links) => new Promise<void>((resolve) => links.close(resolve))),
      );
    },
  };
};

const onSimulatedNetwork = (): LinksHarness => {
  const world = new WorldClock();
  const network = new SimNetwork(world, randomStream(1, 'network'));
  let hosts = 0;
  return {
    open: async () => {
      const address = `n${++hosts}:1`;
      return { links: network.linksOf(address), address: `ws://${address}` };
    },
    nowhere: 'ws://nobody:1',
    until: async (met) => {
      while (!met()) assert.ok(world.step(), 'nothing more will ever happen');
    },
    end: async () => undefined,
  };
};

linksContract('ws', onLoopback);
linksContract('simulated network', onSimulatedNetwork);

const faults = suite('simulated network only');

type Scene = {
  readonly world: WorldClock;
  readonly network: SimNetwork;
  readonly near: Witness;
  readonly far: Witness;
  /** Sends the numbers from 0 to `count` from near to far, one each ms. */
  send(count: number): void;
  readonly arrived: () => readonly number[];
};

/** Two hosts, `a` and `b`, with one open connection. */
const scene = (seed = 1): Scene => {
  const world = new WorldClock();
  const network = new SimNetwork(world, randomStream(seed, 'network'));
  const far = new Witness();
  network.linksOf('b').listen((connection) => {
    far.connection = connection;
    return far;
  });
  const near = new Witness();
  near.connection = network.linksOf('a').dial('ws://b', 'peer', near);
  world.advance(10);
  assert.deepEqual(near.log, ['opened']);
  return {
    world,
    network,
    near,
    far,
    send: (count) => {
      for (let i = 0; i < count; i++) {
        near.connection!.send(Uint8Array.of(i));
        world.advance(1);
      }
    },
    arrived: () => far.frames.map((frame) => frame[0]!),
  };
};

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

faults('the same seed has the same faults, another seed others', () => {
  const story = (seed: number): string => {
    const { world, network, send, far } = scene(seed);
    Object.assign(network.faults, { loss: 0.2, duplication: 0.2, reordering: 0.2 });
    send(100);
    network.resetOne();
    world.advance(1000);
    return `${far.frames.map((frame) => frame[0]).join()} ${far.log.at(-1)} ${world.nowMs}`;
  };
  assert.equal(story(1), story(1));
  assert.notEqual(story(1), story(2));
});

faults('loss drops, duplication repeats, reordering swaps, each alone', () => {
  for (const fault of ['loss', 'duplication', 'reordering'] as const) {
    const { world, network, send, arrived } = scene();
    network.faults[fault] = 0.3;
    send(100);
    world.advance(100);
    const found = arrived();
    const sorted = [...new Set(found)].sort((a, b) => a - b);
    if (fault === 'loss') {
      assert.ok(found.length > 50 && found.length < 90, `${found.length}`);
      assert.deepEqual(found, sorted);
    } else {
      assert.deepEqual(sorted, upTo(100));
      assert.notDeepEqual(found, upTo(100));
      if (fault === 'duplication') assert.ok(found.length > 110 && found.length < 160);
      else assert.equal(found.length, 100);
    }
  }
});

faults('a one-way cut stops one way, and a dial needs both', () => {
  const { world, network, near, far, send, arrived } = scene();
  network.cut('a', 'b');
  send(5);
  far.connection!.send(Uint8Array.of(9));
  world.advance(10);
  assert.deepEqual(arrived(), []);
  assert.equal(near.frames.length, 1);
  const other = new Witness();
  network.linksOf('b').dial('ws://a', 'peer', other);
  world.advance(10);
  assert.match(other.log[0]!, /^closed 1006/);
  network.heal();
  send(3);
  world.advance(10);
  assert.deepEqual(arrived(), upTo(3));
});

faults('a clog holds frames and the goodbye behind them, and shows in bufferedBytes', () => {
  const { world, network, near, far, send, arrived } = scene();
  network.clog('a', 'b');
  send(5);
  near.connection!.send(new Uint8Array(1024 * 1024));
  world.advance(5000);
  assert.deepEqual(arrived(), []);
  assert.ok(near.connection!.bufferedBytes() > 512 * 1024);
  far.connection!.send(Uint8Array.of(9));
  world.advance(10);
  assert.equal(near.frames.length, 1);
  near.connection!.close(4000, 'enough');
  world.advance(10);
  assert.ok(near.isClosed && !far.isClosed);
  network.unclog('a', 'b');
  world.advance(10);
  assert.deepEqual(arrived().slice(0, 5), upTo(5));
  assert.equal(far.frames.length, 6);
  assert.equal(far.log.at(-1), 'closed 4000 enough');
});

faults(
  'a reset of the process is heard by the other end, a lost machine only by its silence',
  () => {
    for (const how of ['reset', 'silent'] as const) {
      const { world, network, near, far } = scene();
      network.dropHost('b', how);
      world.advance(20);
      assert.equal(near.isClosed, how === 'reset');
      world.advance(60_000);
      assert.match(near.log.at(-1)!, /^closed 1006/);
      assert.ok(!far.isClosed, 'the dead hear nothing');
      const again = new Witness();
      network.linksOf('a').dial('ws://b', 'peer', again);
      world.advance(10);
      assert.match(again.log[0]!, /^closed 1006/);
    }
  },
);

faults('a goodbye that meets a cut leaves the other end half open until its heartbeat', () => {
  const { world, network, near, far } = scene();
  network.cut('a', 'b');
  near.connection!.close(1000, '');
  world.advance(10_000);
  assert.ok(near.isClosed && !far.isClosed);
  network.heal();
  world.advance(60_000);
  assert.match(far.log.at(-1)!, /^closed 1006/);
});

faults('whoever keeps a frame beyond the call finds rubbish in it', () => {
  const { world, near, far } = scene();
  let kept: Uint8Array | undefined;
  far.received = (frame) => (kept = frame);
  near.connection!.send(Uint8Array.of(1, 2, 3));
  world.advance(10);
  assert.deepEqual(kept, Uint8Array.of(0xdb, 0xdb, 0xdb));
});

faults.run();
