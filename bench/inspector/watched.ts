/**
 * A minute of being watched at 80 % of what the cluster can do: frame times of the page in a real
 * Chromium, and what memory page and nodes need, minute begun and minute over.
 *
 *   npm run build && node dist/bench/inspector/watched.js [--seconds 60] [--sample 100]
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { launchChromium } from '../support/chromium.ts';
import { OPERATIONS, KEYS, measure, start, stop } from './nodes.ts';
import type { Cluster, Operation } from './nodes.ts';

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    sample: { type: 'string', default: '100' },
  },
});
const KNEE_SECONDS = 8;
/** At this load a second makes some thousand records of all requests. */
const FILL_SECONDS = 20;
const HISTORY_SECONDS = 125;
const SHARE = 0.8;
const TICK_MS = 20;
const MIB = 1024 * 1024;

/** Open loop: `perSecond` operations, half of them gets, whether answered or not. */
const load = async ({ clients }: Cluster, perSecond: number, seconds: number): Promise<number> => {
  const names = Object.keys(OPERATIONS) as Operation[];
  const started = performance.now();
  let [sent, failed] = [0, 0];
  const pending = new Set<Promise<unknown>>();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = ((performance.now() - started) / 1000) * perSecond;
      for (; sent < due; sent++) {
        const client = clients[sent % clients.length]!;
        const one = OPERATIONS[names[sent % names.length]!](client, `key${(sent * 7919) % KEYS}`);
        const kept: Promise<unknown> = one
          .catch(() => (failed += 1))
          .finally(() => pending.delete(kept));
        pending.add(kept);
      }
      if (performance.now() - started < seconds * 1000) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  await Promise.all(pending);
  return failed;
};

const residentMiB = ({ processes }: Cluster): readonly number[] =>
  processes.map(({ pid }) => {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Math.round(Number(kib) / 1024);
  });

/** Runs in the page: the pauses between its frames, ms. */
const COUNT_FRAMES = `(() => {
  window.frames_ = [];
  let last = performance.now();
  const next = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
})()`;

const main = async (): Promise<void> => {
  const seconds = Number(flags.seconds);
  const cluster = await start('watched', '127.0.0.1:0');
  const browser = await launchChromium();
  try {
    await measure(cluster, 'put, dw = 0', KNEE_SECONDS);
    const rates = [];
    for (const operation of Object.keys(OPERATIONS) as Operation[]) {
      rates.push((await measure(cluster, operation, KNEE_SECONDS)).perSecond);
    }
    // Half of each: the rate at which both together take all there is.
    const knee = 2 / rates.reduce((sum, rate) => sum + 1 / rate, 0);
    const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
    await page.goto(`${cluster.inspector!}#requests`);
    const choice = page.locator('.tools select');
    const session = await page.context().newCDPSession(page);
    const heapMiB = async (): Promise<number> => {
      await session.send('HeapProfiler.collectGarbage');
      const { usedSize } = await session.send('Runtime.getHeapUsage');
      return Math.round((usedSize / MIB) * 10) / 10;
    };
    // The page keeps 20,000 records, 1,000 requests and two minutes of gauges: it is full before the
    // minute begins.
    await choice.selectOption('1');
    await load(cluster, knee * SHARE, FILL_SECONDS);
    await choice.selectOption(flags.sample);
    await load(cluster, knee * SHARE, HISTORY_SECONDS - FILL_SECONDS);
    const before = { heap: await heapMiB(), nodes: residentMiB(cluster) };
    await page.evaluate(COUNT_FRAMES);
    const failed = await load(cluster, knee * SHARE, seconds);
    const frames = ((await page.evaluate('window.frames_')) as number[]).sort((a, b) => a - b);
    const at = (share: number): string =>
      `${frames[Math.floor(frames.length * share)]!.toFixed(0)} ms`;
    console.table({
      'operations a second': Math.round(knee * SHARE),
      'of them failed': failed,
      'frames a second': Math.round(frames.length / seconds),
      'frame p50, p99, longest': `${at(0.5)}, ${at(0.99)}, ${frames.at(-1)!.toFixed(0)} ms`,
      'heap of the page, MiB': `${before.heap} before, ${await heapMiB()} after`,
      'resident of each node, MiB': `${before.nodes.join(' ')} before, ${residentMiB(cluster).join(' ')} after`,
    });
  } finally {
    await browser.close();
    await stop([cluster]);
  }
};

await main();
