/**
 * CPU of all servers per quorum operation, in *echoes*: multiples of what one bare `ws` echo costs
 * a server in the same run. Three server processes, N = 3, R = W = 2, 100-byte values, 64 in flight
 * on 8 connections.
 *
 *   npm run bench:cluster -- --quick [--json FILE]
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';

const CONNECTIONS = 8;
const IN_FLIGHT = 64;
const KEYS = 10_000;
const SECONDS = 5;
const WARM_SECONDS = 4;
const VALUE_BYTES = 100;
/** Clock ticks a second in /proc/PID/stat: 100 on every Linux of today. */
const TICKS = 100;

type Case = {
  readonly operation: string;
  readonly valueBytes: number;
  readonly echoes: number;
  readonly perSecond: number;
  readonly serverMicroseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
};

/** CPU seconds of a process so far, user and system. */
const cpuOf = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
};

const cpu = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + cpuOf(pid), 0);

/** Closed loop: IN_FLIGHT operations at a time for `seconds`. */
const load = async (seconds: number, operate: (slot: number) => Promise<unknown>) => {
  const latencies = createHistogram();
  const end = performance.now() + seconds * 1000;
  let count = 0;
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async (_, slot) => {
      while (performance.now() < end) {
        const started = performance.now();
        await operate(slot);
        latencies.record(Math.max(1, Math.round((performance.now() - started) * 1000)));
        count += 1;
      }
    }),
  );
  return { count, latencies };
};

const measure = async (
  operation: string,
  pids: readonly number[],
  echoMicroseconds: number,
  operate: (slot: number) => Promise<unknown>,
): Promise<Case> => {
  await load(WARM_SECONDS, operate);
  const before = cpu(pids);
  const { count, latencies } = await load(SECONDS, operate);
  const micro = ((cpu(pids) - before) * 1e6) / count;
  const ms = (percent: number) => latencies.percentile(percent) / 1000;
  return {
    operation,
    valueBytes: VALUE_BYTES,
    echoes: Number((micro / echoMicroseconds).toFixed(1)),
    perSecond: Math.round(count / SECONDS),
    serverMicroseconds: Number(micro.toFixed(1)),
    p50Ms: ms(50),
    p99Ms: ms(99),
    p999Ms: ms(99.9),
  };
};

const echoCost = async (): Promise<number> => {
  const server = fork(fileURLToPath(new URL('./echo-server.js', import.meta.url)));
  const port = await new Promise<number>((resolve) => server.once('message', resolve));
  const sockets = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
      return new Promise<WebSocket>((resolve) => ws.once('open', () => resolve(ws)));
    }),
  );
  const waiting = sockets.map(() => [] as (() => void)[]);
  sockets.forEach((ws, i) => ws.on('message', () => waiting[i]!.shift()!()));
  const frame = Buffer.alloc(VALUE_BYTES + 20);
  const echo = (slot: number) =>
    new Promise<void>((resolve) => {
      const at = slot % CONNECTIONS;
      waiting[at]!.push(resolve);
      sockets[at]!.send(frame);
    });
  const { serverMicroseconds } = await measure('echo', [server.pid!], 1, echo);
  for (const ws of sockets) ws.terminate();
  await ended(server);
  return serverMicroseconds;
};

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });

const main = async (): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), 'coterie-bench-'));
  const cases: Case[] = [];
  const echoMicroseconds = await echoCost();
  process.stdout.write(`one ws echo: ${echoMicroseconds} µs of server CPU\n`);
  const cli = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
  const args = [
    'cluster',
    '--nodes',
    '3',
    '--port',
    '0',
    '--data',
    dir,
    '--json',
    '--log-level',
    'error',
  ];
  const cluster = fork(cli, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  try {
    const line = await new Promise<string>((resolve) =>
      cluster.stdout!.once('data', (text: Buffer) => resolve(text.toString())),
    );
    const { nodes } = JSON.parse(line) as { nodes: { pid: number; url: string }[] };
    const pids = nodes.map(({ pid }) => pid);
    const clients: Client[] = Array.from({ length: CONNECTIONS }, (_, i) =>
      connect(nodes[i % nodes.length]!.url, { timeoutMs: 30_000 }),
    );
    const value = new Uint8Array(VALUE_BYTES).fill(7);
    const contexts = new Map<string, Uint8Array>();
    let turn = 0;
    const key = (): string => `key${(turn = (turn * 1103515245 + 12345) % 2147483648) % KEYS}`;
    const put = (dw: number) => async (slot: number) => {
      const name = key();
      const context = contexts.get(name);
      const options = { dw, ...(context === undefined ? {} : { context }) };
      contexts.set(name, (await clients[slot % CONNECTIONS]!.put(name, value, options)).context);
    };
    for (const dw of [0, 1]) {
      cases.push(await measure(`put dw=${dw}`, pids, echoMicroseconds, put(dw)));
    }
    cases.push(
      await measure('get', pids, echoMicroseconds, (slot) =>
        clients[slot % CONNECTIONS]!.get(key()),
      ),
    );
    for (const client of clients) await client.close();
  } finally {
    await ended(cluster);
    rmSync(dir, { recursive: true, force: true });
  }
  console.table(cases);
  const file = process.argv[process.argv.indexOf('--json') + 1];
  if (process.argv.includes('--json') && file !== undefined) {
    writeFileSync(file, `${JSON.stringify({ echoMicroseconds, cases }, undefined, 2)}\n`);
  }
};

await main();
