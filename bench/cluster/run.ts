/**
 * One workload against a real cluster: at one rate, up a ladder of rates until it breaks, or closed
 * loop; with faults at given seconds; and what the servers paid, in echoes measured before and after.
 */
import { anonymousMb, median, rounded } from '../support/processes.ts';
import type { Section } from '../support/page.ts';
import { openEcho } from './echo.ts';
import { OPERATIONS, PERCENTILES, YCSB } from './jobs.ts';
import type { Coordination, Job, Pace } from './jobs.ts';
import { LoadGenerator, measured } from './load.ts';
import type { Measured } from './load.ts';
import { Nodes } from './nodes.ts';

/** `kill@5` the first node with kill -9 in second 5, `heal@10` start it again, `join@5` one more. */
export type Fault = { readonly what: 'kill' | 'heal' | 'join'; readonly atSeconds: number };

export type RunOptions = {
  readonly workload: string;
  readonly nodes: number;
  readonly connections: number;
  readonly coordination: Coordination;
  readonly keys: number;
  readonly valueBytes: number;
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly pace: Pace;
  /** Shares of the rate that a closed loop reaches, one run each; empty: only `pace`. */
  readonly ladder: readonly number[];
  readonly faults: readonly Fault[];
  readonly quorum: Pick<Job, 'r' | 'w' | 'dw'>;
};

export type Step = Measured & { readonly name: string; readonly echoes: number };

export type RunResult = {
  readonly echoMicroseconds: number;
  readonly steps: readonly Step[];
  /** Of each server at the end, MB. */
  readonly anonymousMb: readonly number[];
};

/** Below this share of its target, a rate is beyond the knee. */
const KEPT_UP = 0.97;

export const runWorkload = async (options: RunOptions): Promise<RunResult> => {
  const nodes = await Nodes.start({ nodes: options.nodes });
  const generator = new LoadGenerator();
  const echo = await openEcho();
  try {
    await generator.open(nodes.addresses, options.connections, options.coordination);
    await generator.fill(options.keys, options.valueBytes);
    const job: Job = {
      ...{ type: 'run', seconds: options.seconds, pace: options.pace },
      ...YCSB[options.workload]!,
      ...{ keys: options.keys, valueBytes: options.valueBytes, timeoutMs: 5000, seed: 1 },
      ...options.quorum,
    };
    const closed = { type: 'closed', inFlight: 64 } as const;
    await generator.run({ ...job, pace: closed, seconds: options.warmSeconds });
    // What it can do now, once warm: the ladder's highest rung.
    const most =
      options.ladder.length === 0
        ? 0
        : (await generator.run({ ...job, pace: closed, seconds: options.warmSeconds })).perSecond;
    const steps: Step[] = [];
    const echoes: number[] = [await echo.microseconds(1)];
    for (const [name, pace] of pacesOf(options, most)) {
      const timers: NodeJS.Timeout[] = [];
      const step = { ...job, pace, seed: 2 + steps.length };
      const run = await measured(
        generator,
        () => nodes.cpu,
        step,
        () => {
          for (const { what, atSeconds } of options.faults) {
            timers.push(setTimeout(() => happen(nodes, what), atSeconds * 1000));
          }
        },
      );
      for (const timer of timers) clearTimeout(timer);
      const before = echoes.at(-1)!;
      const after = await echo.microseconds(1);
      echoes.push(after);
      steps.push({ ...run, name, echoes: (2 * run.serverMicroseconds) / (before + after) });
    }
    return {
      echoMicroseconds: median(echoes),
      steps,
      anonymousMb: nodes.pids.map((pid) => anonymousMb(pid)),
    };
  } finally {
    await generator.close();
    await nodes.stop();
    await echo.close();
  }
};

const pacesOf = ({ pace, ladder }: RunOptions, most: number): (readonly [string, Pace])[] => {
  if (ladder.length === 0 || pace.type === 'closed') return [[nameOf(pace), pace]];
  return ladder.map((share) => {
    const step = { ...pace, perSecond: Math.max(1, Math.round(most * share)) };
    return [nameOf(step), step];
  });
};

const nameOf = (pace: Pace): string =>
  pace.type === 'closed'
    ? `closed, ${pace.inFlight} in flight`
    : `${pace.perSecond}/s ${pace.arrivals}`;

const happen = (nodes: Nodes, what: Fault['what']): void => {
  if (what === 'kill') nodes.kill(0);
  else if (what === 'heal') nodes.restart(0);
  else
    void nodes.join().catch((error: unknown) => process.stderr.write(`join: ${String(error)}\n`));
};

/** The highest rate that was kept up with; undefined if none was. */
export const kneeOf = (steps: readonly Step[]): number | undefined =>
  steps
    .filter((step) => step.perSecond >= KEPT_UP * (step.targetPerSecond ?? Infinity))
    .map(({ targetPerSecond }) => targetPerSecond)
    .at(-1);

const at = (percentiles: readonly number[], percent: (typeof PERCENTILES)[number]): number =>
  rounded(percentiles[PERCENTILES.indexOf(percent)] ?? NaN, 2);

export const stepRow = (step: Step): object => ({
  step: step.name,
  'per second': Math.round(step.perSecond),
  'of target':
    step.targetPerSecond === undefined ? '' : rounded(step.perSecond / step.targetPerSecond, 2),
  echoes: rounded(step.echoes, 1),
  'p50 ms': at(step.fromIntended.percentilesMs, 50),
  'p99 ms': at(step.fromIntended.percentilesMs, 99),
  'p99.9 ms': at(step.fromIntended.percentilesMs, 99.9),
  'p99.99 ms': at(step.fromIntended.percentilesMs, 99.99),
  'p99.9 from start': at(step.fromStart.percentilesMs, 99.9),
  'own delay p99 ms': rounded(step.ownDelayMs.p99, 1),
  errors: Object.entries(step.errors)
    .map(([code, count]) => `${code} ${count}`)
    .join(', '),
});

export const runSections = (options: RunOptions, result: RunResult): readonly Section[] => {
  const { steps } = result;
  const knee = kneeOf(steps);
  const overview: Section = {
    title: 'Rates and latencies',
    text:
      `Workload ${options.workload.toUpperCase()}: ${options.nodes} server processes, ${options.keys} keys, values of ` +
      `${options.valueBytes} bytes, ${options.connections} connections, coordinated by the ${options.coordination}. ` +
      'Latencies count from the moment an operation was due, so waiting is not hidden; the last columns tell how late the ' +
      'generator itself was. Echoes: CPU of all servers for one operation, as a multiple of one bare ws echo of ' +
      `${rounded(result.echoMicroseconds, 1)} µs, measured before and after each step.` +
      (options.ladder.length === 0
        ? ''
        : ` The knee: ${knee === undefined ? 'below the lowest step' : `${knee}/s`}.`),
    plots: steps.length < 2 ? [] : [ladderPlot(steps)],
    tables: [
      { title: 'Steps', rows: steps.map(stepRow) },
      {
        title: 'Anonymous memory at the end, MB',
        rows: result.anonymousMb.map((mb, i) => ({ node: `n${i + 1}`, MB: mb })),
      },
    ],
  };
  return [overview, ...steps.map((step) => stepSection(step, options.faults))];
};

const ladderPlot = (steps: readonly Step[]) => ({
  title: 'Latency against rate',
  x: 'operations a second, achieved',
  y: 'ms',
  scaleY: 'log' as const,
  lines: ([50, 99, 99.9] as const).map((percent) => ({
    name: `p${percent}`,
    points: steps.map(
      (step) => [step.perSecond, at(step.fromIntended.percentilesMs, percent)] as const,
    ),
  })),
});

const stepSection = (step: Step, faults: readonly Fault[]): Section => ({
  title: step.name,
  text:
    faults.length === 0
      ? 'Second by second, and the whole distribution.'
      : `Faults: ${faults.map(({ what, atSeconds }) => `${what} in second ${atSeconds}`).join(', ')}.`,
  plots: [
    {
      title: 'Operations and errors a second',
      x: 'second',
      y: 'a second',
      fromY: 0,
      lines: [
        {
          name: 'operations',
          points: step.timeline.map((each) => [each.second, each.operations] as const),
        },
        {
          name: 'errors',
          points: step.timeline.map((each) => [each.second, each.errors] as const),
        },
      ],
    },
    {
      title: 'Latency by second, ms',
      x: 'second',
      y: 'ms',
      scaleY: 'log',
      lines: [
        { name: 'p99.9', points: step.timeline.map((each) => [each.second, each.p999Ms] as const) },
        { name: 'p99', points: step.timeline.map((each) => [each.second, each.p99Ms] as const) },
        { name: 'mean', points: step.timeline.map((each) => [each.second, each.meanMs] as const) },
      ],
    },
    {
      title: 'Distribution: one operation in so many takes longer',
      x: 'one in',
      y: 'ms',
      scaleX: 'log',
      scaleY: 'log',
      lines: [
        { name: 'from the intended start', points: tail(step.fromIntended.percentilesMs) },
        { name: 'from the actual start', points: tail(step.fromStart.percentilesMs) },
      ],
    },
  ],
  tables: [
    {
      title: 'By operation, ms',
      rows: OPERATIONS.flatMap((operation) => {
        const latencies = step.byOperation[operation];
        if (latencies === undefined) return [];
        return [
          {
            operation,
            count: latencies.count,
            mean: rounded(latencies.meanMs, 2),
            ...Object.fromEntries(
              PERCENTILES.map((percent) => [`p${percent}`, at(latencies.percentilesMs, percent)]),
            ),
          },
        ];
      }),
    },
  ],
});

const tail = (percentiles: readonly number[]): (readonly [number, number])[] =>
  PERCENTILES.flatMap((percent, i) =>
    percent === 100 || percentiles[i] === undefined
      ? []
      : [[100 / (100 - percent), percentiles[i]] as const],
  );
