/** A whole node in this process, on LMDB and WebSockets: for what is counted rather than timed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openStorage } from '../../src/storage.ts';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { systemClock } from '../../src/adapters/system-clock.ts';
import { systemRandom } from '../../src/adapters/system-random.ts';
import { openWsLinks } from '../../src/adapters/ws-links.ts';
import type { NodeId } from '../../src/core/ids.ts';
import type { Config } from '../../src/node/config.ts';
import { Node } from '../../src/node/node.ts';
import type { Connection, Links } from '../../src/ports/links.ts';

export type NodeHere = { readonly node: Node; readonly url: string };

export type NodeHereParts = {
  readonly dir: string;
  readonly self: NodeId;
  readonly founders: readonly NodeId[];
  readonly partitions: number;
  /** Copies of each key; by default one on each founder. */
  readonly n?: number;
  /** Addresses of those that run already. */
  readonly seeds: readonly string[];
  readonly config: Config;
  /** Between the node and each frame it sends. */
  readonly send: (frame: Uint8Array, connection: Connection) => void;
};

/** Throws, in a turn of its own, what ends the node. */
export const startHere = async (parts: NodeHereParts): Promise<NodeHere> => {
  const { self, config, founders, partitions, seeds } = parts;
  const links = await openWsLinks({ host: '127.0.0.1', port: 0, limits: config.links });
  const node = new Node({
    ...{ self, config, clock: systemClock, random: systemRandom, digest: nodeDigest },
    storage: openStorage(parts.dir),
    links: through(parts.send, links),
    trace: { log: () => undefined },
    advertise: links.address(),
    seeds,
    founding: {
      clusterName: 'bench',
      n: parts.n ?? founders.length,
      partitions,
      founders: founders.map((id) => ({ id, zone: 'default', weight: 1 })),
    },
    failed: (reason) => {
      throw new Error(reason);
    },
  });
  node.start();
  return { node, url: links.address() };
};

const through = (send: NodeHereParts['send'], links: Links): Links => {
  const wrap = (connection: Connection): Connection => ({
    ...connection,
    remote: connection.remote,
    send: (frame) => send(frame, connection),
    bufferedBytes: () => connection.bufferedBytes(),
    close: (code, reason) => connection.close(code, reason),
    terminate: () => connection.terminate(),
  });
  return {
    dial: (address, purpose, events) => wrap(links.dial(address, purpose, events)),
    listen: (accept) => links.listen((connection, purpose) => accept(wrap(connection), purpose)),
    close: (done) => links.close(done),
  };
};

/** Looks every 50 ms, for two minutes at most. */
export const until = async (what: string, met: () => boolean): Promise<void> => {
  const deadlineMs = performance.now() + 120_000;
  while (!met()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain: ${what}`);
    await sleep(50);
  }
};
