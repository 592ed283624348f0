/**
 * The headline: CPU of all servers per quorum operation, in *echoes*: multiples of what one bare
 * `ws` echo costs a server in the same minute. Three server processes, N = 3, R = W = 2, 64 in
 * flight on 8 connections, keys uniform among 100,000. Rounds of echo, operation, echo: the host's
 * speed drifts, their ratio less. CPU is of all rounds together: while a node writes held records to
 * their places, for seconds at a time, a put costs it a fifth more.
 *
 *   npm run bench:cluster -- --quick [--json FILE] [--only NAME] [--profile DIR]
 */
import { median, rounded } from '../support/processes.ts';
import type { Cpu } from '../support/processes.ts';
import { openEcho } from './echo.ts';
import type { Echo } from './echo.ts';
import { YCSB, failuresIn, percentileMs } from './jobs.ts';
import type { Job, Percent } from './jobs.ts';
import { LoadGenerator, measured } from './load.ts';
import type { Measured } from './load.ts';
import { Nodes } from './nodes.ts';

const CONNECTIONS = 8;
const IN_FLIGHT = 64;
const ROUNDS = 3;
const ECHO_SECONDS = 0.8;
/** Their rounds are so many times as long as those of gets: each meets all that nodes do now and then. */
const PUT_ROUNDS = 2;

export type QuickCase = {
  readonly operation: string;
  readonly valueBytes: number;
  readonly echoes: number;
  readonly perSecond: number;
  readonly serverMicroseconds: number;
  /** Of these, on the event loops; the rest is LMDB's writer and the collector's threads. */
  readonly loopMicroseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly errors: number;
};

export type QuickOptions = {
  readonly only?: string | undefined;
  readonly profileDir?: string | undefined;
  readonly keys: number;
  /** Ahead of the first operation; half of it ahead of each other. Less than 8: the compiler is measured. */
  readonly warmSeconds: number;
  /** Of one round of gets. */
  readonly seconds: number;
};

type Wanted = {
  readonly name: string;
  readonly workload: 'put' | 'get';
  readonly bytes: number;
} & {
  readonly dw?: number;
};
const WANTED: readonly Wanted[] = [
  { name: 'put dw=0', workload: 'put', bytes: 100, dw: 0 },
  { name: 'put dw=1', workload: 'put', bytes: 100, dw: 1 },
  { name: 'get', workload: 'get', bytes: 100 },
  { name: 'put dw=0', workload: 'put', bytes: 1024, dw: 0 },
  { name: 'get', workload: 'get', bytes: 1024 },
];

export const quick = async (
  options: QuickOptions,
): Promise<{ readonly echoMicroseconds: number; readonly cases: readonly QuickCase[] }> => {
  const { only, profileDir, keys } = options;
  const nodes = await Nodes.start({ nodes: 3, profileDir });
  const generator = new LoadGenerator();
  const echo = await openEcho();
  try {
    const cases: QuickCase[] = [];
    const echoes: number[] = [];
    await generator.open(nodes.addresses, CONNECTIONS);
    await generator.fill(keys, 100);
    for (const wanted of WANTED) {
      const name = `${wanted.name} ${wanted.bytes}`;
      if (only !== undefined && !name.includes(only)) continue;
      const warmSeconds = cases.length === 0 ? options.warmSeconds : options.warmSeconds / 2;
      const each = { ...options, warmSeconds };
      const { micro, result } = await compared(wanted, each, () => nodes.cpu, generator, echo);
      echoes.push(micro);
      cases.push(result);
    }
    return { echoMicroseconds: rounded(median(echoes), 2), cases };
  } finally {
    await generator.close();
    await nodes.stop();
    await echo.close();
  }
};

const compared = async (
  { name, workload, bytes, dw }: Wanted,
  { keys, warmSeconds, seconds }: QuickOptions,
  spent: () => Cpu,
  generator: LoadGenerator,
  echo: Echo,
): Promise<{ readonly micro: number; readonly result: QuickCase }> => {
  const job: Job = {
    type: 'run',
    seconds: workload === 'put' ? PUT_ROUNDS * seconds : seconds,
    pace: { type: 'closed', inFlight: IN_FLIGHT },
    ...YCSB[workload]!,
    ...{ keys, valueBytes: bytes, timeoutMs: 5000, seed: 1 },
    ...(dw === undefined ? {} : { dw }),
  };
  await generator.run({ ...job, seconds: warmSeconds, seed: 2 });
  const rounds: (Measured & { readonly echo: number })[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = await echo.microseconds(ECHO_SECONDS);
    const run = await measured(generator, spent, { ...job, seed: 3 + round });
    const after = await echo.microseconds(ECHO_SECONDS);
    rounds.push({ ...run, echo: (before + after) / 2 });
  }
  const of = (value: (round: (typeof rounds)[number]) => number, digits: number): number =>
    rounded(median(rounds.map(value)), digits);
  const operations = rounds.reduce((sum, round) => sum + round.operations, 0);
  const inAll = (value: (round: (typeof rounds)[number]) => number): number =>
    rounds.reduce((sum, round) => sum + value(round) * round.operations, 0) /
    Math.max(1, operations);
  const serverMicroseconds = inAll((round) => round.serverMicroseconds);
  const percentile = (percent: Percent): number =>
    of(({ fromStart }) => percentileMs(fromStart, percent), 2);
  return {
    micro: of(({ echo: micro }) => micro, 2),
    result: {
      operation: name,
      valueBytes: bytes,
      echoes: rounded(serverMicroseconds / inAll((round) => round.echo), 1),
      perSecond: of(({ perSecond }) => perSecond, 0),
      serverMicroseconds: rounded(serverMicroseconds, 1),
      loopMicroseconds: rounded(
        inAll(({ loopMicroseconds }) => loopMicroseconds),
        1,
      ),
      p50Ms: percentile(50),
      p99Ms: percentile(99),
      p999Ms: percentile(99.9),
      errors: rounds.reduce((sum, run) => sum + failuresIn(run), 0),
    },
  };
};
