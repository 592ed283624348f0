/**
 * `npm run bench:overload`: what a cluster does with more than it can do (paper § 2.2 is about the
 * 99.9th percentile; this is about what is left of it). An open loop at rising multiples of what a
 * closed loop reaches, then half of it again: how soon is all as before? And one hot key: nine requests
 * of ten for it from one generator, the tenth for all other keys from another, whose latency counts.
 * Clients do not retry: what a node refuses is counted.
 */
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { plotSvg } from '../support/page.ts';
import { anonymousMb, rounded } from '../support/processes.ts';
import { settingNow, writeJson } from '../support/table.ts';
import { YCSB, failuresIn, percentileMs } from './jobs.ts';
import type { Job, JobResult } from './jobs.ts';
import { LoadGenerator } from './load.ts';
import { Nodes } from './nodes.ts';

const SHARES = [0.25, 0.5, 0.75, 1, 1.5, 2, 3];
const CONNECTIONS = 48;
const RECOVERY_SECONDS = 12;

type Row = {
  readonly of: number;
  readonly offered: number;
  readonly accepted: number;
  readonly refused: number;
  readonly late: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the largest node, at the end of the step. */
  readonly memoryMb: number;
  readonly generatorLateMs: number;
};

const program = new Command('bench:overload')
  .option('--seconds <count>', 'each step', Number, 10)
  .option('--warm <count>', 'closed loop before, twice', Number, 8)
  .option('--keys <count>', 'written before', Number, 20_000)
  .option('--workload <name>', 'a YCSB workload, or get, put', 'a')
  .option('--json <file>', 'also write the results there')
  .option('--svg <file>', 'the curve')
  .parse();
const flags = program.opts<{
  readonly seconds: number;
  readonly warm: number;
  readonly keys: number;
  readonly workload: string;
  readonly json?: string;
  readonly svg?: string;
}>();

const job: Job = {
  ...{ type: 'run', seconds: flags.seconds, pace: { type: 'closed', inFlight: 64 } },
  ...YCSB[flags.workload]!,
  // Zipf's favourite keys would be hot ones; those have a measurement of their own.
  choice: 'uniform',
  ...{ keys: flags.keys, valueBytes: 100, timeoutMs: 3000, seed: 1 },
};

const open = (perSecond: number): Job['pace'] => ({
  ...{ type: 'open', perSecond: Math.max(1, Math.round(perSecond)), arrivals: 'poisson' },
  inFlightMax: 50_000,
});

const at = (result: JobResult, percent: 50 | 99): number =>
  rounded(percentileMs(result.fromIntended, percent), 1);

const perSecond = (result: JobResult, code: string): number =>
  Math.round((result.errors[code] ?? 0) / flags.seconds);

const rowOf = (of: number, result: JobResult, pids: readonly number[]): Row => {
  const failed = failuresIn(result);
  const refused = perSecond(result, 'OVERLOADED');
  return {
    of,
    offered: result.targetPerSecond ?? 0,
    accepted: Math.round(result.operations / flags.seconds),
    refused,
    late: Math.round(failed / flags.seconds) - refused,
    p50Ms: at(result, 50),
    p99Ms: at(result, 99),
    memoryMb: Math.max(...pids.map((pid) => anonymousMb(pid))),
    generatorLateMs: rounded(result.ownDelayMs.p99, 1),
  };
};

const curve = async (nodes: Nodes, generator: LoadGenerator, most: number) => {
  const rows: Row[] = [];
  for (const [i, share] of SHARES.entries()) {
    const result = await generator.run({ ...job, pace: open(most * share), seed: 2 + i });
    rows.push(rowOf(share, result, nodes.pids));
    process.stderr.write(
      `${share} × : ${JSON.stringify(rows.at(-1))} ${JSON.stringify(result.errors)}\n`,
    );
  }
  // Straight after three times too much.
  const seconds = RECOVERY_SECONDS;
  const after = await generator.run({ ...job, pace: open(most * 0.5), seconds, seed: 99 });
  const recovery = after.timeline.map(({ second, operations, errors, p99Ms }) => ({
    ...{ second, operations, errors, p99Ms: rounded(p99Ms, 1) },
  }));
  return { rows, recovery };
};

const hotKey = async (nodes: Nodes, generator: LoadGenerator, most: number) => {
  const second = new LoadGenerator();
  const memory = (): number => Math.max(...nodes.pids.map((pid) => anonymousMb(pid)));
  try {
    await second.open(nodes.addresses, 8, 'server', 0);
    const total = most * 0.5;
    const others = { ...job, pace: open(total * 0.1) };
    const before = memory();
    const hot = (keys: number): Job => ({ ...job, keys, pace: open(total * 0.9), seed: 7 });
    // The same load twice: once over all keys, once nine tenths of it on one.
    const result: Record<string, object> = {};
    for (const [name, keys] of [
      ['all keys alike', flags.keys],
      ['one key hot', 1],
    ] as const) {
      const [few, many] = await Promise.all([second.run(others), generator.run(hot(keys))]);
      result[name] = {
        'others, p50 ms': at(few, 50),
        'others, p99 ms': at(few, 99),
        'others, failed': failuresIn(few),
        'hot, p50 ms': at(many, 50),
        'hot, p99 ms': at(many, 99),
        'hot, failed': failuresIn(many),
        'most siblings seen': Math.max(few.siblingsMax, many.siblingsMax),
        'memory MB': memory(),
      };
    }
    return { perSecond: Math.round(total), memoryBeforeMb: before, result };
  } finally {
    await second.close();
  }
};

const svgOf = (rows: readonly Row[], title: string): string => {
  const lines = [
    { name: 'accepted a second', of: (row: Row) => row.accepted },
    { name: 'refused at once, a second', of: (row: Row) => row.refused },
    { name: 'p99 of the accepted, ms', of: (row: Row) => row.p99Ms },
    { name: 'memory of the largest node, MB', of: (row: Row) => row.memoryMb },
  ].map(({ name, of }) => ({
    name,
    points: rows.flatMap((row) => (of(row) > 0 ? [[row.offered, of(row)] as const] : [])),
  }));
  const figure = plotSvg({ title, x: 'offered a second', y: '', scaleY: 'log', lines });
  const colours = [...figure.matchAll(/<li style="color:(#\w+)">/g)].map(([, colour]) => colour!);
  const legend = lines.map(
    ({ name }, i) =>
      `<text x="${76 + (i % 2) * 280}" y="${338 + 18 * Math.floor(i / 2)}" fill="${colours[i]}">━ ${name}</text>`,
  );
  const body = figure.slice(figure.indexOf('<svg'), figure.indexOf('</svg>'));
  return body
    .replace('viewBox="0 0 640 320"', 'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 366"')
    .replace(
      '>',
      ' font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>',
    )
    .concat(legend.join('\n'), '\n</svg>\n');
};

const nodes = await Nodes.start({ nodes: 3 });
const generator = new LoadGenerator();
try {
  await generator.open(nodes.addresses, CONNECTIONS, 'server', 0);
  await generator.fill(flags.keys, 100);
  await generator.run({ ...job, seconds: flags.warm });
  const { perSecond: most } = await generator.run({ ...job, seconds: flags.warm });
  const { rows, recovery } = await curve(nodes, generator, most);
  const hot = await hotKey(nodes, generator, most);
  process.stdout.write(`a closed loop of 64 reaches ${Math.round(most)} a second\n`);
  console.table(rows);
  process.stdout.write('half of it, straight after three times too much:\n');
  console.table(recovery);
  process.stdout.write(`one hot key, ${hot.perSecond} a second in all:\n`);
  console.table(hot.result);
  const { commit, date, machine, node } = settingNow();
  const setting = `commit ${commit}, ${date}, ${machine}, Node ${node}`;
  if (flags.json !== undefined) writeJson(flags.json, { setting, most, rows, recovery, hot });
  if (flags.svg !== undefined) writeFileSync(flags.svg, svgOf(rows, `Overload, ${setting}`));
} finally {
  await generator.close();
  await nodes.stop();
}
