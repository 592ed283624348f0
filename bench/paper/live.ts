/** The figures that need real processes and a real disk: Fig. 4, Fig. 5 and Table 2. */
import { YCSB, percentileMs } from '../cluster/jobs.ts';
import type { Job, JobResult, Latencies, Percent } from '../cluster/jobs.ts';
import { LoadGenerator } from '../cluster/load.ts';
import { Nodes } from '../cluster/nodes.ts';
import type { Section } from '../support/page.ts';
import { median, rounded } from '../support/processes.ts';

const CONNECTIONS = 8;
const KEYS = 20_000;
const VALUE_BYTES = 1024;

export type LiveOptions = {
  /** 1 is for a reader who can wait ten minutes; less for a look. */
  readonly patience: number;
};

const jobOf = (workload: string, perSecond: number, seconds: number, seed: number): Job => ({
  ...{ type: 'run', seconds, ...YCSB[workload]! },
  pace: { type: 'open', perSecond, arrivals: 'poisson', inFlightMax: 4096 },
  ...{ keys: KEYS, valueBytes: VALUE_BYTES, timeoutMs: 5000, seed },
});

const withCluster = async <T>(
  options: { readonly nodes: number; readonly delayMs?: number },
  use: (nodes: Nodes, generator: LoadGenerator) => Promise<T>,
): Promise<T> => {
  const nodes = await Nodes.start(options);
  const generator = new LoadGenerator();
  try {
    await generator.open(nodes.addresses, CONNECTIONS);
    await generator.fill(KEYS, VALUE_BYTES);
    return await use(nodes, generator);
  } finally {
    await generator.close();
    await nodes.stop();
  }
};

/** What this machine can do now, closed loop: rates below it are chosen from it. */
const capacityOf = async (generator: LoadGenerator, workload: string): Promise<number> => {
  const job = { ...jobOf(workload, 1, 4, 1), pace: { type: 'closed', inFlight: 64 } as const };
  await generator.run(job);
  return (await generator.run({ ...job, seed: 2 })).perSecond;
};

export type Fig4Hour = {
  readonly hour: number;
  readonly perSecond: number;
  readonly read: { readonly meanMs: number; readonly p999Ms: number };
  readonly write: { readonly meanMs: number; readonly p999Ms: number };
};

/** A day of traffic, an hour in some seconds: least at five in the morning, most at five at night. */
export const figure4 = ({ patience }: LiveOptions): Promise<readonly Fig4Hour[]> =>
  withCluster({ nodes: 3 }, async (_, generator) => {
    const peak = 0.5 * (await capacityOf(generator, 'a'));
    const hours: Fig4Hour[] = [];
    for (let hour = 0; hour < 24; hour++) {
      const share = 0.6 - 0.4 * Math.cos(((hour - 5) / 24) * 2 * Math.PI);
      const job = jobOf('a', Math.max(20, peak * share), Math.max(1, 6 * patience), hour);
      const { perSecond, byOperation } = await generator.run({ ...job, w: 2, r: 2 });
      const of = (latencies: Latencies | undefined) => ({
        meanMs: latencies?.meanMs ?? NaN,
        p999Ms: percentileMs(latencies, 99.9),
      });
      hours.push({ hour, perSecond, read: of(byOperation.read), write: of(byOperation.update) });
    }
    return hours;
  });

export type Fig5Row = {
  readonly mode: string;
  /** Of what the slowest mode can do. */
  readonly share: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
};

const MODES = [
  { mode: 'buffered (dw = 0)', disks: 0 },
  { mode: 'one durable (dw = 1)', disks: 1 },
  { mode: 'all durable (dw = 3)', disks: 3 },
] as const;
/** Loads of a day, of what the slowest mode can do; the last is the one that is aimed at. */
const FIG5_SHARES = [0.1, 0.2, 0.4] as const;

/** Rounds of the three modes in turn, at rates that the slowest of them can bear. */
export const figure5 = ({ patience }: LiveOptions): Promise<readonly Fig5Row[]> =>
  withCluster({ nodes: 3 }, async (_, generator) => {
    const slowest = { ...jobOf('put', 1, 4, 1), dw: 3 };
    const closed = { ...slowest, pace: { type: 'closed', inFlight: 64 } as const };
    await generator.run(closed);
    const most = (await generator.run({ ...closed, seed: 2 })).perSecond;
    const seconds = Math.max(1, 12 * patience);
    const rows: Fig5Row[] = [];
    for (const share of FIG5_SHARES) {
      const perSecond = share * most;
      const runs = new Map<string, JobResult[]>(MODES.map(({ mode }) => [mode, []]));
      for (let round = 0; round < 3; round++) {
        for (const { mode, disks } of MODES) {
          const job = { ...jobOf('put', perSecond, seconds, 3 + round), dw: disks };
          runs.get(mode)!.push(await generator.run(job));
        }
      }
      for (const { mode } of MODES) {
        const of = (percent: Percent): number =>
          median(runs.get(mode)!.map(({ fromIntended }) => percentileMs(fromIntended, percent)));
        rows.push({ mode, share, perSecond, p50Ms: of(50), p99Ms: of(99), p999Ms: of(99.9) });
      }
    }
    return rows;
  });

export type Table2Row = {
  readonly coordination: 'server' | 'client';
  readonly readMeanMs: number;
  readonly writeMeanMs: number;
  readonly readP999Ms: number;
  readonly writeP999Ms: number;
};
const DELAY_MS = 1;

/** Five nodes behind wires of 1 ms each way; rounds of both kinds of client in turn. */
export const table2 = ({ patience }: LiveOptions): Promise<readonly Table2Row[]> =>
  withCluster({ nodes: 5, delayMs: DELAY_MS }, async (nodes, generator) => {
    const ways = ['server', 'client'] as const;
    const perSecond = 0.2 * (await capacityOf(generator, 'a'));
    const runs = { server: [] as JobResult[], client: [] as JobResult[] };
    for (let round = 0; round < 3; round++) {
      for (const coordination of ways) {
        await generator.open(nodes.addresses, CONNECTIONS, coordination);
        await generator.run(jobOf('a', perSecond, 2, 90 + round));
        const seconds = Math.max(1, 12 * patience);
        runs[coordination].push(await generator.run(jobOf('a', perSecond, seconds, round)));
      }
    }
    return ways.map((coordination) => {
      const of = (value: (run: JobResult) => number): number =>
        median(runs[coordination].map(value));
      return {
        coordination,
        readMeanMs: of(({ byOperation }) => byOperation.read?.meanMs ?? NaN),
        writeMeanMs: of(({ byOperation }) => byOperation.update?.meanMs ?? NaN),
        readP999Ms: of(({ byOperation }) => percentileMs(byOperation.read, 99.9)),
        writeP999Ms: of(({ byOperation }) => percentileMs(byOperation.update, 99.9)),
      };
    });
  });

export const figure4Section = (hours: readonly Fig4Hour[]): Section => {
  const line = (name: string, of: (hour: Fig4Hour) => number) => ({
    name,
    points: hours.map((hour) => [hour.hour, of(hour)] as const),
  });
  const ratio = (kind: 'read' | 'write'): number =>
    median(hours.map((hour) => hour[kind].p999Ms / hour[kind].meanMs));
  return {
    title: 'Fig. 4: mean against p99.9 over a day',
    text:
      'The paper: the 99.9th percentiles lie around 200 ms, an order of magnitude above the means, follow the load ' +
      'through the day, and writes are slower than reads, for they always reach a disk.\n\n' +
      'Ours: a day in which an hour lasts some seconds, half reads and half updates of 1 KiB, arrivals at random (Poisson) ' +
      'at rates from a tenth to a half of what this machine can do; three server processes and the generator share it. ' +
      `Here p99.9 is ${rounded(ratio('read'), 1)} times the mean of reads and ${rounded(ratio('write'), 1)} times that of writes (medians over the hours).`,
    plots: [
      {
        title: 'Latency from the moment an operation was due, ms',
        x: 'hour of the day',
        y: 'ms',
        scaleY: 'log',
        lines: [
          line('read, p99.9', ({ read }) => read.p999Ms),
          line('write, p99.9', ({ write }) => write.p999Ms),
          line('read, mean', ({ read }) => read.meanMs),
          line('write, mean', ({ write }) => write.meanMs),
        ],
      },
      {
        title: 'Load',
        x: 'hour of the day',
        y: 'operations a second',
        fromY: 0,
        lines: [line('achieved', ({ perSecond }) => perSecond)],
      },
    ],
    tables: [],
  };
};

export const figure5Section = (rows: readonly Fig5Row[]): Section => {
  const at = (mode: number, share: number): Fig5Row =>
    rows.find((row) => row.mode === MODES[mode]!.mode && row.share === share)!;
  const factors = FIG5_SHARES.map((share) => {
    const factor = at(2, share).p999Ms / at(0, share).p999Ms;
    return `${rounded(factor, 1)} at ${Math.round(at(0, share).perSecond)} a second`;
  });
  return {
    title: 'Fig. 5: buffered against durable writes',
    text:
      'The paper says in its text that a buffer in memory lowered p99.9 of writes by a factor of 5 at peak load; its figure ' +
      'shows 2 to 3 (about 190 ms against 60 to 90).\n\n' +
      'Ours, on one disk, puts of 1 KiB at a tenth, a fifth and two fifths of what the slowest mode can do, ' +
      `medians of three rounds in turn: all durable over buffered at p99.9 is ${factors.join(', ')}. ` +
      'The paper waits for no disk and may lose such a write in a power cut; here dw says how many disks to wait for.',
    plots: [
      {
        title: 'p99.9 of puts, ms (dashed: the figure of the paper at peak)',
        x: 'puts a second',
        y: 'ms',
        scaleY: 'log',
        lines: [
          ...MODES.map(({ mode }, i) => ({
            name: mode,
            points: FIG5_SHARES.map(
              (share) => [at(i, share).perSecond, at(i, share).p999Ms] as const,
            ),
          })),
          ...([75, 190] as const).map((ms, i) => ({
            name: `paper, ${['buffered', 'written to disk'][i]!}`,
            style: 'dashed' as const,
            points: FIG5_SHARES.map((share) => [at(0, share).perSecond, ms] as const),
          })),
        ],
      },
    ],
    tables: [
      {
        title: 'Puts, ms',
        rows: rows.map(({ mode, share, perSecond, p50Ms, p99Ms, p999Ms }) => ({
          mode,
          'of capacity': share,
          'a second': Math.round(perSecond),
          p50: rounded(p50Ms, 2),
          p99: rounded(p99Ms, 2),
          'p99.9': rounded(p999Ms, 2),
        })),
      },
    ],
  };
};

export const table2Section = (rows: readonly Table2Row[]): Section => {
  const [server, client] = rows;
  const ratio = client!.readMeanMs / server!.readMeanMs;
  return {
    title: 'Table 2: who coordinates',
    text:
      'The paper: coordination by the client takes a hop away. Its text says that the mean improves by 3 to 4 ms; its table ' +
      'says 2.35 ms for reads and 2.12 ms for writes.\n\n' +
      `Ours: five nodes, every connection ${DELAY_MS} ms slower each way, half reads and half updates of 1 KiB at a fifth of ` +
      `what this machine can do. The mean read of the client that coordinates is ${rounded(ratio, 2)} of the other's.`,
    plots: [],
    tables: [
      {
        title: 'ms (medians of three rounds in turn)',
        rows: [
          {
            '': 'paper, server',
            'mean read': 3.9,
            'mean write': 4.02,
            'p99.9 read': 68.9,
            'p99.9 write': 68.5,
          },
          {
            '': 'paper, client',
            'mean read': 1.55,
            'mean write': 1.9,
            'p99.9 read': 30.4,
            'p99.9 write': 30.4,
          },
          ...rows.map((row) => ({
            '': `ours, ${row.coordination}`,
            'mean read': rounded(row.readMeanMs, 2),
            'mean write': rounded(row.writeMeanMs, 2),
            'p99.9 read': rounded(row.readP999Ms, 2),
            'p99.9 write': rounded(row.writeP999Ms, 2),
          })),
        ],
      },
    ],
  };
};
