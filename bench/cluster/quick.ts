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
import type { RecordableHistogram } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';

const CONNECTIONS = 8;
const IN_FLIGHT = 64;
const KEYS = 100_000;
const ROUNDS = 3;
const SECONDS = 3;
const ECHO_SECONDS = 1;
/** Less, and the compiler is measured. */
const WARM_SECONDS = 8;
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

type Window = {
  readonly micro: number;
  readonly perSecond: number;
  readonly latencies: RecordableHistogram;
};

/** CPU that `pids` spend on one operation, µs, over `seconds`. */
const measure = async (
  pids: readonly number[],
  seconds: number,
  operate: (slot: number) => Promise<unknown>,
): Promise<Window> => {
  const before = cpu(pids);
  const { count, latencies } = await load(seconds, operate);
  const micro = ((cpu(pids) - before) * 1e6) / count;
  return { micro, perSecond: count / seconds, latencies };
};

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;

type EchoServer = {
  /** CPU of one echo, µs, now. */
  readonly cost: (seconds: number) => Promise<number>;
  readonly close: () => Promise<void>;
};

const openEcho = async (): Promise<EchoServer> => {
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
  return {
    cost: async (seconds) => (await measure([server.pid!], seconds, echo)).micro,
    close: () => {
      for (const ws of sockets) ws.terminate();
      return ended(server);
    },
  };
};

/** Each round measures the echo, then the operation, then the echo: the host's speed drifts. */
const compare = async (
  operation: string,
  pids: readonly number[],
  echo: EchoServer,
  operate: (slot: number) => Promise<unknown>,
): Promise<Case> => {
  await load(WARM_SECONDS, operate);
  const rounds: (Window & { readonly echoes: number })[] = [];
  const latencies = createHistogram();
  for (let round = 0; round < ROUNDS; round++) {
    const before = await echo.cost(ECHO_SECONDS);
    const window = await measure(pids, SECONDS, operate);
    const after = await echo.cost(ECHO_SECONDS);
    rounds.push({ ...window, echoes: (2 * window.micro) / (before + after) });
    latencies.add(window.latencies);
  }
  const ms = (percent: number) => latencies.percentile(percent) / 1000;
  return {
    operation,
    valueBytes: VALUE_BYTES,
    echoes: Number(median(rounds.map(({ echoes }) => echoes)).toFixed(1)),
    perSecond: Math.round(median(rounds.map(({ perSecond }) => perSecond))),
    serverMicroseconds: Number(median(rounds.map(({ micro }) => micro)).toFixed(1)),
    p50Ms: ms(50),
    p99Ms: ms(99),
    p999Ms: ms(99.9),
  };
};

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });

/** What follows `name` on the command line. */
const argumentOf = (name: string): string | undefined => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};

const main = async (): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), 'coterie-bench-'));
  const cases: Case[] = [];
  const echo = await openEcho();
  await echo.cost(2);
  const echoMicroseconds = await echo.cost(ECHO_SECONDS);
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
  // Inherited by the nodes: `--profile DIR` leaves one CPU profile of each process there.
  const profileDir = argumentOf('--profile');
  const execArgv = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  const cluster = fork(cli, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], execArgv });
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
    const next = (): number => (turn = (turn * 1103515245 + 12345) % 2147483648);
    const key = (): string => `key${next() % KEYS}`;
    const put = (dw: number) => async (slot: number) => {
      const name = key();
      const context = contexts.get(name);
      const options = { dw, ...(context === undefined ? {} : { context }) };
      contexts.set(name, (await clients[slot % CONNECTIONS]!.put(name, value, options)).context);
    };
    for (const dw of [0, 1]) cases.push(await compare(`put dw=${dw}`, pids, echo, put(dw)));
    const written = [...contexts.keys()];
    const get = (slot: number) =>
      clients[slot % CONNECTIONS]!.get(written[next() % written.length]!);
    cases.push(await compare('get', pids, echo, get));
    for (const client of clients) await client.close();
  } finally {
    await ended(cluster);
    await echo.close();
    rmSync(dir, { recursive: true, force: true });
  }
  console.table(cases);
  const file = argumentOf('--json');
  if (file !== undefined) {
    writeFileSync(file, `${JSON.stringify({ echoMicroseconds, cases }, undefined, 2)}\n`);
  }
};

await main();
