/**
 * What being watched costs: CPU of three servers per operation without an inspector, with one that
 * nobody looks at, with a page that samples one request in a hundred, and with one that records all.
 *
 *   npm run build && node dist/bench/inspector/cost.js [--rounds 5] [--seconds 3]
 *
 * Two clusters are alive at once, one without admin listeners; the cases take turns in every round,
 * so that what the machine does besides hits all of them. Reported: the median over the rounds.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import type { FeedMessage, PageMessage } from '../../src/inspector/records.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const NODES = ['n1', 'n2', 'n3'] as const;
const IN_FLIGHT = 64;
const KEYS = 10_000;
const WARM_SECONDS = 6;
/** After the sampling was changed; leases are renewed every second. */
const SETTLE_MS = 1500;
/** Clock ticks a second in /proc/PID/stat: 100 on every Linux of today. */
const TICKS = 100;

type Cluster = {
  readonly processes: readonly ChildProcess[];
  readonly clients: readonly Client[];
  readonly inspector: string | undefined;
};

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    base: { type: 'string', default: '7910' },
  },
});

const dir = mkdtempSync(join(tmpdir(), 'coterie-cost-'));

const start = async (
  name: string,
  base: number,
  admin: '127.0.0.1:0' | 'off',
): Promise<Cluster> => {
  const urls = NODES.map((_, i) => `ws://127.0.0.1:${base + i}`);
  const processes: ChildProcess[] = [];
  let inspector: string | undefined;
  for (const [i, id] of NODES.entries()) {
    const args = ['start', '--id', id, '--data', join(dir, name, id), '--admin', admin];
    args.push('--listen', urls[i]!.slice(5), '--bootstrap', NODES.join(), '--log-level', 'error');
    for (const seed of urls) if (seed !== urls[i]) args.push('--seed', seed);
    const child = fork(MAIN, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
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
  processes.reduce((sum, { pid }) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS;
  }, 0);

const OPERATIONS = {
  get: (client: Client, key: string) => client.get(key),
  'put, dw = 0': (client: Client, key: string) =>
    client.put(key, VALUE, { dw: 0, lastWriteWins: true }),
} as const;
const VALUE = new Uint8Array(100).fill(7);
type Operation = keyof typeof OPERATIONS;

/** Server CPU of one operation, µs, in a closed loop over `seconds`. */
const measure = async (
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

/** A page as far as nodes can tell: it takes what comes, at once. */
class Page {
  records = 0;
  dropped = 0;
  readonly #ws: WebSocket;

  private constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as FeedMessage;
      if (message.type !== 'tell' || message.tell.type !== 'records') return;
      this.records += message.tell.records.length;
      this.dropped += message.tell.dropped;
      this.#say({ type: 'taken', records: message.tell.records.length });
    });
  }

  static async open(inspector: string, sampleEvery: number): Promise<Page> {
    const ws = new WebSocket(`${inspector.replace('http', 'ws')}/feed`);
    const page = new Page(ws);
    await new Promise((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('error', reject);
    });
    page.#say({ type: 'watch', sampleEvery });
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    return page;
  }

  async close(): Promise<void> {
    this.#ws.terminate();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  }

  #say(message: PageMessage): void {
    this.#ws.send(JSON.stringify(message));
  }
}

type Case = { readonly name: string; readonly on: Cluster; readonly sampleEvery?: number };

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;

const main = async (): Promise<void> => {
  const base = Number(flags.base);
  const bare = await start('bare', base, 'off');
  const watched = await start('watched', base + 10, '127.0.0.1:0');
  try {
    const cases: readonly Case[] = [
      { name: 'no inspector (--admin off)', on: bare },
      { name: 'nobody looks', on: watched },
      { name: 'a page, 1 request in 100', on: watched, sampleEvery: 100 },
      { name: 'a page, every request', on: watched, sampleEvery: 1 },
    ];
    const operations = Object.keys(OPERATIONS) as Operation[];
    for (const cluster of [bare, watched]) {
      for (const operation of [...operations].reverse()) {
        await measure(cluster, operation, WARM_SECONDS);
      }
    }
    const found = new Map<string, { readonly micro: number; readonly perSecond: number }[]>();
    const told = new Map<string, string>();
    for (let round = 0; round < Number(flags.rounds); round++) {
      for (const { name, on, sampleEvery } of cases) {
        const page =
          sampleEvery === undefined ? undefined : await Page.open(on.inspector!, sampleEvery);
        for (const operation of operations) {
          const id = `${operation} | ${name}`;
          found.set(id, [
            ...(found.get(id) ?? []),
            await measure(on, operation, Number(flags.seconds)),
          ]);
        }
        if (page !== undefined) told.set(name, `${page.records} drawn, ${page.dropped} dropped`);
        await page?.close();
      }
    }
    const rows = operations.flatMap((operation) => {
      const micro = (name: string) =>
        median(found.get(`${operation} | ${name}`)!.map((each) => each.micro));
      return cases.map(({ name }) => ({
        operation,
        inspector: name,
        'server µs': Math.round(micro(name)),
        'of none': `${(micro(name) / micro(cases[0]!.name)).toFixed(2)}×`,
        'per second': Math.round(
          median(found.get(`${operation} | ${name}`)!.map((each) => each.perSecond)),
        ),
        'records of the last round': told.get(name) ?? '',
      }));
    });
    console.table(rows);
  } finally {
    for (const { clients, processes } of [bare, watched]) {
      await Promise.all(clients.map((client) => client.close()));
      await Promise.all(
        processes.map((child) => {
          const gone = new Promise((resolve) => child.once('exit', resolve));
          child.kill('SIGTERM');
          return gone;
        }),
      );
    }
    rmSync(dir, { recursive: true, force: true });
  }
};

await main();
