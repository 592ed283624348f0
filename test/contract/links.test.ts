/** WebSockets and the simulated network keep one contract; then the faults of the latter. */
import * as assert from 'node:assert/strict';
import { openWsLinks } from '../../src/adapters/ws-links.ts';
import type { WsLinks } from '../../src/adapters/ws-links.ts';
import { WorldClock } from '../../src/sim/clock.ts';
import { SimNetwork } from '../../src/sim/network.ts';
import { randomStream } from '../../src/sim/random.ts';
import { linksContract } from './links.ts';
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
