/**
 * `npm run bench`: what the small parts cost. `-- --json FILE` keeps the result, `-- --compare FILE`
 * shows what moved against a kept one beyond noise, `-- --only TEXT` runs cases with it in the name.
 */
import { Command } from 'commander';
import { Bench } from 'tinybench';
import { compareTimings, readJson, settingNow, writeJson } from '../support/table.ts';
import type { Moved, Timing } from '../support/table.ts';
import { CASES } from './cases.ts';
import { cradle } from './coordinators.ts';
import { diskCases } from './storage.ts';
import type { AsyncCase } from './storage.ts';

type Flags = {
  readonly json?: string;
  readonly compare?: string;
  readonly only?: string;
  readonly time: number;
};

const program = new Command('bench')
  .option('--json <file>', 'also write the results there')
  .option('--compare <file>', 'show what moved against results written earlier')
  .option('--only <text>', 'only cases whose name has this in it')
  .option('--time <ms>', 'how long each case runs', Number, 500)
  .parse();
const { json, compare, only, time } = program.opts<Flags>();

const timings: Timing[] = [];
const run = async (cases: readonly AsyncCase[]): Promise<void> => {
  for (const { name, call } of cases) {
    if (only !== undefined && !name.includes(only)) continue;
    // One bench a case: nothing that one leaves behind is collected in the time of another.
    const bench = new Bench({ time, warmupTime: time / 2, retainSamples: false });
    bench.add(name, call);
    const [task] = await bench.run();
    const result = task?.result;
    if (result === undefined || !('latency' in result)) {
      throw new Error(`${name}: ${JSON.stringify(result)}`);
    }
    const { p50, mad, samplesCount } = result.latency;
    timings.push({ name, medianNs: p50 * 1e6, madNs: mad * 1e6, samples: samplesCount });
    if (process.stdout.isTTY) process.stderr.write(`\r\x1b[K${name}`);
  }
};

/** Three digits are enough. */
const shown = (ns: number): string =>
  ns < 1000 ? `${Number(ns.toFixed(1))} ns` : `${Number((ns / 1000).toPrecision(3))} µs`;

const row = (timing: Timing): object => ({
  case: timing.name,
  median: shown(timing.medianNs),
  '±': shown(timing.madNs),
  samples: timing.samples,
});

const movedRow = (timing: Moved): object => ({
  ...row(timing),
  before: timing.beforeNs === undefined ? '' : shown(timing.beforeNs),
  'now / before': timing.ratio === undefined ? '' : timing.ratio.toFixed(2),
  verdict: timing.verdict,
});

const earlier = compare === undefined ? undefined : readJson<{ timings: Timing[] }>(compare);
await run(CASES);
for (const alive of [0, 1000, 5000]) {
  const { cases, close } = cradle('light', alive);
  await run(cases);
  close();
}
const stock = cradle('stock', 0);
await run(stock.cases);
stock.close();
const disk = await diskCases();
await run(disk.cases);
await disk.close();

const { commit, machine, node } = settingNow();
process.stdout.write(`\ncommit ${commit}, ${machine}, Node ${node}\n`);
if (earlier === undefined) console.table(timings.map(row));
else console.table(compareTimings(earlier.timings, timings).map(movedRow));
if (json !== undefined) writeJson(json, { timings });
