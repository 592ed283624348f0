/**
 * `npm run bench:overload`: what a cluster does with more than it can do (paper § 2.2 is about the
 * 99.9th percentile; this is about what is left of it). An open loop at rising multiples of what a
 * closed loop reaches, then half of it again: how soon is all as before? And one hot key: nine requests
 * of ten for it from one generator, the tenth for all other keys from another, whose latency counts.
 * Clients do not retry, so that what a node refuses is counted; then some that do. At the end the
 * ratio that is aimed at, and whether the generator was quick enough for it to mean anything. Three
 * minutes.
 */
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { Command } from 'commander';
import { plotSvg } from '../support/page.ts';
import { anonymousMb, cpuSoFar, pin, processors, rounded } from '../support/processes.ts';
import { settingNow, writeJson } from '../support/table.ts';
import { YCSB, failuresIn, percentileMs } from './jobs.ts';
import type { Job, JobResult } from './jobs.ts';
import { LoadGenerator } from './load.ts';
import { Nodes } from './nodes.ts';

const SHARES = [0.25, 0.5, 0.75, 1, 1.5, 2, 3];
const CONNECTIONS = 48;
const RECOVERY_SECONDS = 12;
const RETURNING_SHARES = [1, 1.5, 3];
/** What the better of two closed loops reaches is the knee: no more than three nodes always let in. */
const IN_FLIGHT = [64, 96];
/** If more is accepted in any step, the knee was found too low. */
const ABOVE_KNEE_MAX = 1.25;
/** If more of it is accepted, so many times the knee were not. */
const ACCEPTED_MAX = 0.75;
const TIMEOUT_MS = 3000;
/** Above what all other processes get: a load that waits for the CPU is not the load it claims to be. */
const GENERATOR_NICE = -10;
/** The aim: accepted at `over` times too much wait at most `timesMax` as long as at `normal`. */
const AIM = { over: 3, normal: 0.5, timesMax: 5 };
/** Told beside it: below the knee too, but nearer to it. */
const NEAR = 0.75;
/** A row tells of the servers if so much of its p99 is the generator's, and so few failed, at most. */
const OWN_SHARE_MAX = 0.25;
const LATE_SHARE_MAX = 0.01;

type Row = {
  readonly of: number;
  readonly offered: number;
  /** Within the step; what is answered after its end counts for latency alone. */
  readonly accepted: number;
  readonly refused: number;
  /** Timed out, or failed in another way, in the whole step and its end. */
  readonly late: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the largest node, at the end of the step. */
  readonly memoryMb: number;
  /** p99 of how late the generator's event loop was, and of how long after it was due a request left. */
  readonly generatorLateMs: number;
  readonly startedLateMs: number;
  /** Due, but held back: too many were under way. */
  readonly heldBack: number;
  /** CPU of the generator and of all servers, in cores. */
  readonly generatorCores: number;
  readonly serverCores: number;
};

const program = new Command('bench:overload')
  .option('--seconds <count>', 'each step', Number, 10)
  .option('--warm <count>', 'closed loops before, three times', Number, 15)
  .option('--keys <count>', 'written before', Number, 20_000)
  .option('--value-bytes <count>', 'of each', Number, 1024)
  .option('--dw <count>', 'disks that a write waits for', Number, 1)
  .option('--workload <name>', 'a YCSB workload, or get, put', 'a')
  .option('--pin', 'the generator gets one processor, the servers all others')
  .option('--json <file>', 'also write the results there')
  .option('--svg <file>', 'the curve')
  .parse();
const flags = program.opts<{
  readonly seconds: number;
  readonly warm: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly dw: number;
  readonly workload: string;
  readonly pin?: true;
  readonly json?: string;
  readonly svg?: string;
}>();

const job: Job = {
  ...{ type: 'run', seconds: flags.seconds, pace: { type: 'closed', inFlight: 64 } },
  ...YCSB[flags.workload]!,
  // Zipf's favourite keys would be hot ones; those have a measurement of their own.
  choice: 'uniform',
  ...{ keys: flags.keys, valueBytes: flags.valueBytes, dw: flags.dw },
  ...{ timeoutMs: TIMEOUT_MS, seed: 1 },
};

const open = (perSecond: number): Job['pace'] => ({
  ...{ type: 'open', perSecond: Math.max(1, Math.round(perSecond)), arrivals: 'poisson' },
  inFlightMax: 50_000,
});

const at = (result: JobResult, percent: 50 | 99): number =>
  rounded(percentileMs(result.fromIntended, percent), 1);

const perSecond = (result: JobResult, code: string): number =>
  Math.round((result.errors[code] ?? 0) / flags.seconds);

const acceptedIn = ({ timeline }: JobResult): number =>
  timeline
    .filter(({ second }) => second < flags.seconds)
    .reduce((sum, { operations }) => sum + operations, 0);

type Spent = { readonly generator: number; readonly servers: number };

const rowOf = (of: number, result: JobResult, spent: Spent, pids: readonly number[]): Row => {
  const refused = perSecond(result, 'OVERLOADED');
  return {
    of,
    offered: result.targetPerSecond ?? 0,
    accepted: Math.round(acceptedIn(result) / flags.seconds),
    refused,
    late: failuresIn(result) - (result.errors['OVERLOADED'] ?? 0),
    p50Ms: at(result, 50),
    p99Ms: at(result, 99),
    memoryMb: Math.max(...pids.map((pid) => anonymousMb(pid))),
    generatorLateMs: rounded(result.ownDelayMs.p99, 1),
    startedLateMs: rounded(percentileMs(result.startedLate, 99), 1),
    heldBack: result.heldBack,
    generatorCores: rounded(spent.generator / result.seconds, 2),
    serverCores: rounded(spent.servers / result.seconds, 2),
  };
};

/** Why a row says less about the servers than it seems to; nothing if it does not. */
const doubtsOf = (row: Row): string[] => {
  const answered = row.accepted * flags.seconds;
  return [
    ...(row.startedLateMs > OWN_SHARE_MAX * row.p99Ms
      ? [`at ${row.of} × one request in a hundred left ${row.startedLateMs} ms late`]
      : []),
    ...(row.heldBack > 0 ? [`at ${row.of} × ${row.heldBack} requests were held back`] : []),
    ...(row.late > LATE_SHARE_MAX * (answered + row.late)
      ? [
          `at ${row.of} × ${row.late} were neither accepted nor refused: their p99 is ${TIMEOUT_MS} ms`,
        ]
      : []),
  ];
};

/** What is aimed at, in plain words. */
const verdictOf = (rows: readonly Row[], most: number) => {
  const [over, normal, near] = [AIM.over, AIM.normal, NEAR].map((of) =>
    rows.find((row) => row.of === of),
  );
  const times = rounded(over!.p99Ms / normal!.p99Ms, 2);
  const taken = over!.accepted / over!.offered;
  const best = Math.max(...rows.map(({ accepted }) => accepted));
  const ofBest = rounded(over!.offered / best, 1);
  const doubts = [
    ...(best > ABOVE_KNEE_MAX * most
      ? [`${best} a second were accepted in one step: ${AIM.over} × is ${ofBest} times that`]
      : []),
    ...[normal!, over!].flatMap(doubtsOf),
    ...(taken > ACCEPTED_MAX
      ? [`of ${AIM.over} × ${Math.round(taken * 100)} % were accepted: it was no such overload`]
      : []),
  ];
  const verdict = times <= AIM.timesMax ? 'reached' : 'missed';
  const text = [
    `p99 of the accepted: ${over!.p99Ms} ms at ${AIM.over} ×, ${normal!.p99Ms} ms at ${AIM.normal} ×: ` +
      `${times} times as much (aim: at most ${AIM.timesMax}), ${verdict}`,
    `${rounded(over!.p99Ms / near!.p99Ms, 2)} times that at ${NEAR} × (${near!.p99Ms} ms); ` +
      `the servers had ${over!.serverCores} cores at ${AIM.over} ×, ${normal!.serverCores} at ${AIM.normal} ×`,
    ...doubts.map((doubt) => `but ${doubt}`),
  ].join('\n');
  return { times, verdict, doubts, text };
};

/** A run, and the CPU that it took, seconds. */
const runCounted = async (
  nodes: Nodes,
  generator: LoadGenerator,
  order: Job,
): Promise<{ readonly result: JobResult; readonly spent: Spent }> => {
  const spentBy = (pids: readonly number[]): number => cpuSoFar(pids).seconds;
  const spent = (): Spent => ({
    generator: spentBy([generator.pid]),
    servers: spentBy(nodes.pids),
  });
  let before = spent();
  const result = await generator.run(order, () => (before = spent()));
  const after = spent();
  return {
    result,
    spent: {
      generator: after.generator - before.generator,
      servers: after.servers - before.servers,
    },
  };
};

const curve = async (nodes: Nodes, generator: LoadGenerator, most: number) => {
  const rows: Row[] = [];
  for (const [i, share] of SHARES.entries()) {
    const order = { ...job, pace: open(most * share), seed: 2 + i };
    const { result, spent } = await runCounted(nodes, generator, order);
    rows.push(rowOf(share, result, spent, nodes.pids));
    process.stderr.write(
      `${share} × : ${JSON.stringify(rows.at(-1))} ${JSON.stringify(result.errors)}\n`,
    );
  }
  // Straight after three times too much.
  const seconds = RECOVERY_SECONDS;
  const order = { ...job, pace: open(most * 0.5), seconds, seed: 99 };
  const after = await generator.runAtOnce(order);
  const recovery = after.timeline.map(({ second, operations, errors, p99Ms }) => ({
    ...{ second, operations, errors, p99Ms: rounded(p99Ms, 1) },
  }));
  return { rows, recovery };
};

/** As much too much once more, from clients that come back as they do by default. */
const returning = async (nodes: Nodes, generator: LoadGenerator, most: number) => {
  await generator.open(nodes.addresses, CONNECTIONS, 'server');
  const rows = [];
  for (const of of RETURNING_SHARES) {
    const order = { ...job, pace: open(most * of), seed: 50 };
    const { result, spent } = await runCounted(nodes, generator, order);
    const { accepted, p50Ms, p99Ms, offered, ...own } = rowOf(of, result, spent, nodes.pids);
    const { generatorLateMs, generatorCores, serverCores } = own;
    const failed = failuresIn(result);
    rows.push({
      ...{ of, offered, accepted, failed, p50Ms, p99Ms },
      ...{ generatorLateMs, generatorCores, serverCores },
    });
  }
  await generator.open(nodes.addresses, CONNECTIONS, 'server', 0);
  return rows;
};

const hotKey = async (nodes: Nodes, generator: LoadGenerator, most: number) => {
  const second = new LoadGenerator();
  if (cpus !== undefined) pin(second.pid, cpus.generator);
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

/** Only root may: without it the generator is one process among others. */
const hurried = (pid: number): boolean => {
  try {
    setPriority(pid, GENERATOR_NICE);
    return true;
  } catch {
    return false;
  }
};

/** Who runs where; undefined: wherever there is room, as the generator finds it too. */
const cpusOf = () => {
  if (flags.pin === undefined) return undefined;
  const [first, ...others] = processors() ?? [];
  if (first !== undefined && others.length > 0) return { generator: [first], servers: others };
  const why = first === undefined ? 'there is no taskset' : 'there is but one processor';
  process.stderr.write(`not pinned: ${why}\n`);
  return undefined;
};

const cpus = cpusOf();
const nodes = await Nodes.start({ nodes: 3 });
const generator = new LoadGenerator();
try {
  const beganMs = performance.now();
  const isFirst = hurried(generator.pid);
  if (cpus !== undefined) {
    pin(generator.pid, cpus.generator);
    for (const pid of nodes.pids) pin(pid, cpus.servers);
  }
  await generator.open(nodes.addresses, CONNECTIONS, 'server', 0);
  await generator.fill(flags.keys, flags.valueBytes);
  await generator.run({ ...job, seconds: flags.warm });
  let most = 0;
  for (const inFlight of IN_FLIGHT) {
    const pace = { type: 'closed', inFlight } as const;
    most = Math.max(most, (await generator.run({ ...job, pace, seconds: flags.warm })).perSecond);
  }
  const { rows, recovery } = await curve(nodes, generator, most);
  const comeBack = await returning(nodes, generator, most);
  const hot = await hotKey(nodes, generator, most);
  process.stdout.write(`a closed loop reaches ${Math.round(most)} a second\n`);
  console.table(rows);
  process.stdout.write('half of it, straight after three times too much:\n');
  console.table(recovery);
  process.stdout.write(`clients that come back, deadline ${TIMEOUT_MS} ms:\n`);
  console.table(comeBack);
  process.stdout.write(`one hot key, ${hot.perSecond} a second in all:\n`);
  console.table(hot.result);
  const verdict = verdictOf(rows, most);
  const seconds = Math.round((performance.now() - beganMs) / 1000);
  process.stdout.write(
    `${verdict.text}\nthe generator ran ${isFirst ? 'before all others' : 'at the priority of all'}, ${
      cpus === undefined ? 'on no processor of its own' : 'on a processor of its own'
    }; done in ${seconds} s\n`,
  );
  const { commit, date, machine, node } = settingNow();
  const setting = `commit ${commit}, ${date}, ${machine}, Node ${node}`;
  if (flags.json !== undefined)
    writeJson(flags.json, {
      setting,
      pinned: cpus ?? 'no',
      most,
      rows,
      recovery,
      comeBack,
      hot,
      verdict,
    });
  if (flags.svg !== undefined) writeFileSync(flags.svg, svgOf(rows, `Overload, ${setting}`));
} finally {
  await generator.close();
  await nodes.stop();
}
