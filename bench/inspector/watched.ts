/**
 * A minute of being watched at 80 % of what the cluster can do *while it is watched*: frame times of
 * the page in a real Chromium, and what memory page and nodes need, minute begun and minute over. The
 * rate is found with the page open and its history full, since the browser takes its part of the
 * machine too; it is lowered until no request fails and p99 is sane.
 *
 *   npm run bench:watched -- [--seconds 60] [--rate N] [--sample 100] [--history 125] [--json FILE]
 */
import { Command } from 'commander';
import type { CDPSession, Page } from 'playwright-core';
import { YCSB, failuresIn } from '../cluster/jobs.ts';
import type { Job } from '../cluster/jobs.ts';
import { LoadGenerator } from '../cluster/load.ts';
import { Nodes } from '../cluster/nodes.ts';
import { openLoop, p99MsOf, sized } from '../cluster/sizing.ts';
import { launchChromium } from '../support/chromium.ts';
import { anonymousMb, residentMb, rounded } from '../support/processes.ts';
import { settingNow, writeJson } from '../support/table.ts';

const options = new Command('bench:watched')
  .option('--seconds <count>', 'how long it is measured', Number, 60)
  .option('--rate <per second>', 'in place of 80 % of what a closed loop reaches', Number)
  .option('--sample <count>', 'one request in so many is recorded', '100')
  .option('--history <seconds>', 'load before, until the page keeps all it can', Number, 125)
  .option('--json <file>', 'the result, to be kept')
  .parse()
  .opts<{
    readonly seconds: number;
    readonly rate?: number;
    readonly sample: string;
    readonly history: number;
    readonly json?: string;
  }>();

const KEYS = 10_000;
const SHARE = 0.8;
/** Above it the queue is what is measured. */
const P99_MS_MAX = 250;
const CLOSED_SECONDS = 8;
const TRY_SECONDS = 8;
/** At this share of what a closed loop reaches at first the history is filled. */
const FILL_SHARE = 0.2;
/** So long every request is recorded: some thousand records a second. */
const ALL_SECONDS = 20;
const SAMPLE_MS = 10_000;
const MIB = 1024 * 1024;

const job: Job = {
  ...{ type: 'run', seconds: options.seconds, pace: { type: 'closed', inFlight: 64 } },
  ...{ mix: YCSB['a']!.mix, choice: 'uniform', keys: KEYS, valueBytes: 100 },
  ...{ timeoutMs: 10_000, seed: 1, dw: 0 },
};

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Runs in the page: the pauses between its frames, ms. */
const COUNT_FRAMES = `(() => {
  window.frames_ = [];
  let last = performance.now();
  const next = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
})()`;

const heapMib = async (session: CDPSession): Promise<number> => {
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  return rounded(usedSize / MIB, 1);
};

const memoryOf = ({ pids }: Nodes) => ({
  anonymousMb: pids.map(anonymousMb),
  residentMb: pids.map(residentMb),
});

const requestsShown = (page: Page): Promise<string> => page.locator('table.rows').innerText();

/** The page keeps 20,000 records, 1,000 requests and two minutes of gauges: it fills with these. */
const fillHistory = async (page: Page, generator: LoadGenerator): Promise<void> => {
  const seconds = CLOSED_SECONDS;
  await generator.run({ ...job, seconds });
  const { perSecond } = await generator.run({ ...job, seconds });
  say(`the page just opened, a closed loop of 64 reaches ${Math.round(perSecond)} a second`);
  const pace = openLoop(options.rate ?? perSecond * FILL_SHARE);
  const all = Math.min(ALL_SECONDS, options.history);
  say(`the page watches; its history fills for ${options.history} s`);
  await page.locator('.tools select').selectOption('1');
  await generator.run({ ...job, pace, seconds: all });
  await page.locator('.tools select').selectOption(options.sample);
  if (options.history > all) await generator.run({ ...job, pace, seconds: options.history - all });
};

const measure = async (nodes: Nodes, page: Page, generator: LoadGenerator) => {
  await fillHistory(page, generator);
  const size =
    options.rate === undefined
      ? await sized(generator, job, {
          ...{ share: SHARE, p99MsMax: P99_MS_MAX, tell: say },
          ...{ closedSeconds: CLOSED_SECONDS, trySeconds: TRY_SECONDS },
        })
      : { most: undefined, perSecond: options.rate, tooMuch: [] };
  const session = await page.context().newCDPSession(page);
  const before = { heapMib: await heapMib(session), ...memoryOf(nodes) };
  const shown = await requestsShown(page);
  const anonymous = [before.anonymousMb];
  const sampling = setInterval(() => anonymous.push(nodes.pids.map(anonymousMb)), SAMPLE_MS);
  const run = await generator
    .run({ ...job, pace: openLoop(size.perSecond), seed: 99 }, () => page.evaluate(COUNT_FRAMES))
    .finally(() => clearInterval(sampling));
  const frames = ((await page.evaluate('window.frames_')) as number[]).sort((a, b) => a - b);
  const after = { heapMib: await heapMib(session), ...memoryOf(nodes) };
  if ((await requestsShown(page)) === shown) throw new Error('the page has stopped drawing');
  const frameMs = (share: number): number =>
    Math.round(frames[Math.min(frames.length - 1, Math.floor(frames.length * share))] ?? NaN);
  return {
    ...size,
    operations: run.operations,
    failed: failuresIn(run),
    errors: run.errors,
    p99Ms: rounded(p99MsOf(run), 1),
    generatorLateMs: rounded(run.ownDelayMs.p99, 1),
    framesPerSecond: Math.round(frames.length / run.seconds),
    frameMs: { p50: frameMs(0.5), p99: frameMs(0.99), longest: frameMs(1) },
    ...{ before, after },
    /** Of each node, every ten seconds. */
    anonymousMb: anonymous,
  };
};

const nodes = await Nodes.start({ nodes: 3 });
const generator = new LoadGenerator();
const browser = await launchChromium();
try {
  await generator.open(nodes.addresses, 8);
  await generator.fill(KEYS, 100);
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  await page.goto(`${nodes.inspector}#requests`);
  const result = await measure(nodes, page, generator);
  const { before, after, frameMs } = result;
  const each = (mb: readonly number[]): string => mb.join(' ');
  process.stdout.write(`${JSON.stringify(settingNow())}\n`);
  console.table({
    'a closed loop, watched': result.most === undefined ? 'not tried' : Math.round(result.most),
    'operations a second': result.perSecond,
    'of them failed': `${result.failed} of ${result.operations + result.failed}`,
    'p99 of operations': `${result.p99Ms} ms (the generator's own loop: ${result.generatorLateMs})`,
    'frames a second': result.framesPerSecond,
    'frame p50, p99, longest': `${frameMs.p50}, ${frameMs.p99}, ${frameMs.longest} ms`,
    'heap of the page, MiB': `${before.heapMib} → ${after.heapMib}`,
    'anonymous of each node, MB': `${each(before.anonymousMb)} → ${each(after.anonymousMb)}`,
    'meanwhile, every 10 s': result.anonymousMb.map(each).join(', '),
    'resident of each node, MB': `${each(before.residentMb)} → ${each(after.residentMb)}`,
  });
  if (options.json !== undefined) writeJson(options.json, { ...options, ...result });
} finally {
  await browser.close();
  await generator.close();
  await nodes.stop();
}
