/**
 * `npm run bench:soak -- --minutes 20`: three server processes at half of what a closed loop reaches,
 * for long. A line a minute: what clients felt, and each node's memory and open handles, which must
 * not grow. Beside the load a few checked clients read, modify, write and delete; at the end the
 * oracle of `npm run chaos` looks for what was lost. Exit 1 if anything was.
 */
import { Command } from 'commander';
import { connect } from '../../src/client/index.ts';
import { integer } from '../../src/cli/exit.ts';
import { randomStream } from '../../src/sim/random.ts';
import { judge } from '../chaos/oracle.ts';
import { Workload } from '../chaos/workload.ts';
import { YCSB, failuresIn, percentileMs } from '../cluster/jobs.ts';
import type { Job, JobResult } from '../cluster/jobs.ts';
import { LoadGenerator } from '../cluster/load.ts';
import { Nodes } from '../cluster/nodes.ts';
import { anonymousMb, handles, rounded } from '../support/processes.ts';
import { settingNow, writeJson } from '../support/table.ts';

const SHARE = 0.5;
const SLICE_SECONDS = 60;
const WARM_SECONDS = 10;
const CHECKED_CLIENTS = 2;

type Minute = {
  readonly minute: number;
  readonly perSecond: number;
  readonly failed: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Of each node, at the end of the minute. */
  readonly memoryMb: readonly number[];
  readonly handles: readonly number[];
};

const options = new Command('bench:soak')
  .option('--minutes <count>', 'how long', integer, 20)
  .option('--keys <count>', 'written before', integer, 100_000)
  .option('--value-bytes <count>', 'of each value', integer, 100)
  .option('--workload <name>', 'a YCSB workload, or get, put', 'a')
  .option('--json <file>', 'the result, to be kept')
  .parse()
  .opts<{
    readonly minutes: number;
    readonly keys: number;
    readonly valueBytes: number;
    readonly workload: string;
    readonly json?: string;
  }>();

const job: Job = {
  ...{ type: 'run', seconds: WARM_SECONDS, pace: { type: 'closed', inFlight: 64 } },
  ...YCSB[options.workload]!,
  ...{ keys: options.keys, valueBytes: options.valueBytes, timeoutMs: 10_000, seed: 0 },
};

const minuteOf = (minute: number, result: JobResult, pids: readonly number[]): Minute => {
  const at = (percent: 99 | 99.9): number => rounded(percentileMs(result.fromIntended, percent), 1);
  return {
    minute,
    perSecond: Math.round(result.perSecond),
    failed: failuresIn(result),
    ...{ p99Ms: at(99), p999Ms: at(99.9) },
    memoryMb: pids.map(anonymousMb),
    handles: pids.map(handles),
  };
};

const nodes = await Nodes.start({ nodes: 3 });
const generator = new LoadGenerator();
const end = new AbortController();
try {
  await generator.open(nodes.addresses, 8);
  await generator.fill(options.keys, options.valueBytes);
  await generator.run(job);
  const { perSecond: most } = await generator.run({ ...job, seed: 1 });
  const perSecond = Math.max(1, Math.round(most * SHARE));
  process.stdout.write(
    `${JSON.stringify({ ...settingNow(), most: Math.round(most), perSecond })}\n`,
  );

  const stream = randomStream(1, 'soak');
  const workload = new Workload(() => stream.fraction());
  const client = connect(nodes.addresses);
  const checked = Array.from({ length: CHECKED_CLIENTS }, (_, i) =>
    workload.run(client, `c${i}`, end.signal),
  );
  const minutes: Minute[] = [];
  for (let minute = 1; minute <= options.minutes; minute++) {
    const result = await generator.runAtOnce({
      ...job,
      seconds: SLICE_SECONDS,
      seed: 1 + minute,
      pace: { type: 'open', perSecond, arrivals: 'poisson', inFlightMax: 4096 },
    });
    minutes.push(minuteOf(minute, result, nodes.pids));
    process.stdout.write(`${JSON.stringify(minutes.at(-1))}\n`);
  }
  end.abort();
  await Promise.all(checked);
  const lost = judge(workload.writes, await workload.finalValues(client));
  await client.close();
  const summary = { ...workload.counts, broken: lost.length };
  process.stdout.write(`${JSON.stringify(summary)}\n${lost.join('\n')}\n`);
  if (options.json !== undefined)
    writeJson(options.json, { ...options, most, minutes, ...summary });
  if (lost.length > 0) process.exitCode = 1;
} finally {
  end.abort();
  await generator.close();
  await nodes.stop();
}
