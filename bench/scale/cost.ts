/** What one operation costs all servers, in echoes measured before and after it, and what rest costs. */
import { setTimeout as pause } from 'node:timers/promises';
import { cpuSoFar, median, rounded } from '../support/processes.ts';
import type { Echo } from '../cluster/echo.ts';
import { YCSB, failuresIn, percentileMs } from '../cluster/jobs.ts';
import type { Coordination, Job } from '../cluster/jobs.ts';
import { measured } from '../cluster/load.ts';
import type { LoadGenerator } from '../cluster/load.ts';

/** Two or more for each of nine nodes, and the same for three. */
export const CONNECTIONS = 18;
export const IN_FLIGHT = 36;
const ECHO_SECONDS = 0.8;
const WARM_MS_MAX = 120_000;

export type Bench = {
  readonly generator: LoadGenerator;
  readonly echo: Echo;
  readonly keys: number;
  readonly valueBytes: number;
  readonly seconds: number;
  readonly tell: (line: string) => void;
};

export type Case = {
  readonly name: string;
  readonly workload: 'get' | 'put' | 'getAndPut';
  readonly dw?: number;
  /** A closed loop, or so many a second. */
  readonly pace: 'closed' | number;
  readonly coordination: Coordination;
};

export type Sample = {
  readonly name: string;
  readonly perSecond: number;
  /** CPU of all servers for one operation, all that they did meanwhile included. */
  readonly echoes: number;
  readonly microseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
  readonly echoMicroseconds: number;
};

const MIXES: Readonly<Record<Case['workload'], Pick<Job, 'mix' | 'choice'>>> = {
  get: YCSB['get']!,
  put: YCSB['put']!,
  getAndPut: {
    ...YCSB['f']!,
    mix: { ...YCSB['f']!.mix, read: 0, readModifyWrite: 1 },
    choice: 'uniform',
  },
};

export const jobOf = (bench: Bench, { workload, dw, pace }: Case, seed: number): Job => ({
  ...{ type: 'run', seconds: bench.seconds, seed, timeoutMs: 10_000 },
  ...{ keys: bench.keys, valueBytes: bench.valueBytes, ...MIXES[workload] },
  pace:
    pace === 'closed'
      ? { type: 'closed', inFlight: IN_FLIGHT }
      : { type: 'open', perSecond: pace, arrivals: 'fixed', inFlightMax: 4096 },
  ...(dw === undefined ? {} : { dw }),
});

/** Until every process has compiled what it runs: operations tell that better than seconds. */
export const warmedUp = async (bench: Bench, wanted: Case, operations: number): Promise<void> => {
  const deadlineMs = performance.now() + WARM_MS_MAX;
  for (let left = operations; left > 0 && performance.now() < deadlineMs;) {
    const job = jobOf({ ...bench, seconds: 1 }, { ...wanted, pace: 'closed' }, 1000 + left);
    left -= (await bench.generator.run(job)).operations;
  }
};

export const sampleOf = async (
  bench: Bench,
  pids: readonly number[],
  wanted: Case,
  seed: number,
): Promise<Sample> => {
  const { generator, echo } = bench;
  const before = await echo.microseconds(ECHO_SECONDS);
  const run = await measured(generator, pids, jobOf(bench, wanted, seed));
  const echoMicroseconds = (before + (await echo.microseconds(ECHO_SECONDS))) / 2;
  return {
    name: wanted.name,
    perSecond: Math.round(run.perSecond),
    echoes: rounded(run.serverMicroseconds / echoMicroseconds, 2),
    microseconds: rounded(run.serverMicroseconds, 1),
    p50Ms: rounded(percentileMs(run.fromIntended, 50), 2),
    p99Ms: rounded(percentileMs(run.fromIntended, 99), 2),
    failed: failuresIn(run),
    echoMicroseconds: rounded(echoMicroseconds, 2),
  };
};

/** CPU of each process at rest, ms a second. */
export const restCost = async (pids: readonly number[], seconds: number): Promise<number> => {
  const before = cpuSoFar(pids).seconds;
  const beganMs = performance.now();
  await pause(seconds * 1000);
  const spentMs = (cpuSoFar(pids).seconds - before) * 1000;
  return rounded(spentMs / ((performance.now() - beganMs) / 1000) / pids.length, 2);
};

/** The median of what was measured more than once. */
export const middle = <T>(of: readonly T[], value: (each: T) => number, digits = 2): number =>
  of.length === 0 ? NaN : rounded(median(of.map(value)), digits);
