/**
 * Frames and bytes between nodes for one operation, counted, so that the machine does not matter: 3, 5,
 * 7 and 9 whole nodes in this process, operations one after the other, each through the next node.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../src/adapters/system-clock.ts';
import { systemRandom } from '../../src/adapters/system-random.ts';
import { clientOver } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { nodeId } from '../../src/core/ids.ts';
import { DEFAULT_CONFIG as CONFIG } from '../../src/node/config.ts';
import type { Node } from '../../src/node/node.ts';
import { keyOf } from '../cluster/jobs.ts';
import { startHere, until } from '../support/node-here.ts';
import type { NodeHere } from '../support/node-here.ts';
import { rounded, whenInterrupted } from '../support/processes.ts';

export type Frames = {
  readonly nodes: number;
  readonly operation: 'get' | 'put';
  /** Between nodes, what they say at rest left out; clients' are not counted. */
  readonly frames: number;
  readonly bytes: number;
  /** A second, of all nodes at rest. */
  readonly restFrames: number;
};

const PARTITIONS = 256;
const KEYS = 400;
const OPERATIONS = 1200;
const REST_MS = 4000;
const COPIES = 3;
const VALUE = new Uint8Array(100);

type Traffic = { frames: number; bytes: number };

export const framesOf = async (size: number): Promise<readonly Frames[]> => {
  const root = mkdtempSync(join(tmpdir(), 'coterie-frames-'));
  const uninterrupted = whenInterrupted(async () => rmSync(root, { recursive: true, force: true }));
  const founders = Array.from({ length: size }, (_, i) => nodeId(`n${i + 1}`));
  const traffic: Traffic = { frames: 0, bytes: 0 };
  const here: NodeHere[] = [];
  try {
    for (const self of founders) {
      const dir = join(root, self);
      mkdirSync(dir);
      const seeds = here.map(({ url }) => url);
      here.push(
        await startHere({
          ...{ dir, self, founders, partitions: PARTITIONS, n: COPIES, seeds, config: CONFIG },
          send: (frame, connection) => {
            traffic.frames += 1;
            traffic.bytes += frame.length;
            connection.send(frame);
          },
        }),
      );
    }
    await until('all are healthy and whole', () => here.every(({ node }) => isWhole(node)));
    return await counted(here, traffic);
  } finally {
    await Promise.all(here.map(({ node }) => new Promise<void>((done) => node.stop(done))));
    rmSync(root, { recursive: true, force: true });
    uninterrupted();
  }
};

const isWhole = (node: Node): boolean => {
  const { nodes, incomplete } = node.status();
  return incomplete === 0 && nodes.every(({ health }) => health === 'healthy');
};

const counted = async (here: readonly NodeHere[], traffic: Traffic): Promise<readonly Frames[]> => {
  const ports = { clock: systemClock, random: systemRandom };
  // In the same process, without a socket: all that is counted is between nodes.
  const clients = here.map(({ node }) => clientOver(node.handler, ports));
  // Another key each time, so that each node meets each partition as often as any other.
  const each = async (operate: (client: Client, key: string) => Promise<unknown>) => {
    for (let i = 0; i < OPERATIONS; i++) {
      await operate(clients[i % clients.length]!, keyOf((i * 7) % KEYS));
    }
  };
  const put = (client: Client, key: string) => client.put(key, VALUE, { lastWriteWins: true });
  await each(put);
  const rest = await spent(traffic, () => pause(REST_MS));
  const restFrames = rounded((rest.frames * 1000) / rest.ms, 1);
  const found: Frames[] = [];
  for (const operation of ['get', 'put'] as const) {
    const took = await spent(traffic, () =>
      each(operation === 'get' ? (client, key) => client.get(key) : put),
    );
    const own = (all: number, atRest: number): number =>
      rounded((all - (atRest * took.ms) / rest.ms) / OPERATIONS, 2);
    found.push({
      ...{ nodes: here.length, operation, restFrames },
      frames: own(took.frames, rest.frames),
      bytes: Math.round(own(took.bytes, rest.bytes)),
    });
  }
  for (const client of clients) await client.close();
  return found;
};

const spent = async (
  traffic: Traffic,
  task: () => Promise<unknown>,
): Promise<Traffic & { readonly ms: number }> => {
  const before = { ...traffic };
  const beganMs = performance.now();
  await task();
  const { frames, bytes } = traffic;
  return {
    ...{ frames: frames - before.frames, bytes: bytes - before.bytes },
    ms: performance.now() - beganMs,
  };
};

export const frameRows = (found: readonly Frames[]): object[] =>
  found
    .filter(({ operation }) => operation === 'get')
    .map((get) => {
      const put = found.find(({ nodes, operation }) => nodes === get.nodes && operation === 'put')!;
      return {
        nodes: get.nodes,
        'frames of a get': get.frames,
        'bytes ': get.bytes,
        'frames of a put': put.frames,
        bytes: put.bytes,
        'frames a second at rest, of a node': rounded(get.restFrames / get.nodes, 1),
      };
    });
