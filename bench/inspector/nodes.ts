/** Clusters of three server processes, and a load on them, for the benchmarks of the inspector. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../src/cli/free-ports.ts';
import { NODE_FLAGS } from '../../src/cli/node-flags.ts';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { cpuSoFar, ended } from '../support/processes.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const NODES = ['n1', 'n2', 'n3'] as const;
const IN_FLIGHT = 64;
export const KEYS = 10_000;

export type Cluster = {
  readonly processes: readonly ChildProcess[];
  readonly clients: readonly Client[];
  readonly inspector: string | undefined;
};

const dir = mkdtempSync(join(tmpdir(), 'coterie-cost-'));

export const start = async (name: string, admin: '127.0.0.1:0' | 'off'): Promise<Cluster> => {
  const urls = (await freePorts(NODES.length)).map((port) => `ws://127.0.0.1:${port}`);
  const processes: ChildProcess[] = [];
  let inspector: string | undefined;
  for (const [i, id] of NODES.entries()) {
    const args = ['start', '--id', id, '--data', join(dir, name, id), '--admin', admin];
    args.push('--listen', urls[i]!.slice(5), '--bootstrap', NODES.join(), '--log-level', 'error');
    for (const seed of urls) if (seed !== urls[i]) args.push('--seed', seed);
    const child = fork(MAIN, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [...NODE_FLAGS],
    });
    processes.push(child);
    await new Promise<void>((resolve) =>
      child.once('message', (message: { readonly inspector?: string }) => {
        inspector ??= message.inspector;
        resolve();
      }),
    );
  }
  return { processes, clients: urls.map((url) => connect(url)), inspector };
};

const cpuOf = ({ processes }: Cluster): number =>
  cpuSoFar(processes.map(({ pid }) => pid!)).seconds;

export const OPERATIONS = {
  get: (client: Client, key: string) => client.get(key),
  'put, dw = 0': (client: Client, key: string) =>
    client.put(key, VALUE, { dw: 0, lastWriteWins: true }),
} as const;
const VALUE = new Uint8Array(100).fill(7);
export type Operation = keyof typeof OPERATIONS;

/** Server CPU of one operation, µs, in a closed loop over `seconds`. */
export const measure = async (
  cluster: Cluster,
  operation: Operation,
  seconds: number,
): Promise<{ readonly micro: number; readonly perSecond: number }> => {
  const before = cpuOf(cluster);
  const started = performance.now();
  const end = started + seconds * 1000;
  let count = 0;
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async (_, slot) => {
      const client = cluster.clients[slot % cluster.clients.length]!;
      for (let i = slot; performance.now() < end; i += IN_FLIGHT) {
        await OPERATIONS[operation](client, `key${(i * 7919) % KEYS}`);
        count += 1;
      }
    }),
  );
  const perSecond = (count * 1000) / (performance.now() - started);
  return { micro: ((cpuOf(cluster) - before) * 1e6) / count, perSecond };
};

export const stop = async (clusters: readonly Cluster[]): Promise<void> => {
  for (const { clients, processes } of clusters) {
    await Promise.all(clients.map((client) => client.close()));
    await Promise.all(processes.map(ended));
  }
  rmSync(dir, { recursive: true, force: true });
};
