/**
 * What being watched costs: CPU of three servers per operation without an inspector, with one that
 * nobody looks at, with a page that samples one request in a hundred, and with one that records all.
 *
 *   npm run build && node dist/bench/inspector/cost.js [--rounds 5] [--seconds 3]
 *
 * Two clusters are alive at once, one without admin listeners; the cases take turns in every round,
 * so that what the machine does besides hits all of them. Reported: the median over the rounds.
 */
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import type { FeedMessage, PageMessage } from '../../src/inspector/records.ts';
import { OPERATIONS, measure, start, stop } from './nodes.ts';
import type { Cluster, Operation } from './nodes.ts';

const WARM_SECONDS = 6;
/** After the sampling was changed; leases are renewed every second. */
const SETTLE_MS = 1500;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
  },
});

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
  const bare = await start('bare', 'off');
  const watched = await start('watched', '127.0.0.1:0');
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
    await stop([bare, watched]);
  }
};

await main();
