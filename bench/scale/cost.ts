/** What one operation costs all servers, in echoes measured before and after it, and what rest costs. */
import { setTimeout as pause } from 'node:timers/promises';
import { cpuSoFar, median, rounded } from '../support/processes.ts';
import type { Cpu } from '../support/processes.ts';
import type { Echo } from '../cluster/echo.ts';
import { YCSB, failuresIn, percentileMs } from '../cluster/jobs.ts';
import type { Job } from '../cluster/jobs.ts';
import { measured } from '../cluster/load.ts';
import type { LoadGenerator, Measured } from '../cluster/load.ts';

/** Two or more for each of nine nodes, and the same for three. */
export const CONNECTIONS = 18;
/** Of a closed loop with three nodes. */
export const IN_FLIGHT = 36;
const ECHO_SECONDS = 0.8;
const WARM_MS_MAX = 120_000;

export type Bench = {
  readonly generator: LoadGenerator;
  readonly keys: number;
  readonly valueBytes: number;
  readonly seconds: number;
  /** Of a closed loop. */
  readonly inFlight?: number;
  readonly tell: (line: string) => void;
};

export type Case = {
  readonly name: string;
  readonly workload: 'get' | 'put' | 'getAndPut';
  readonly dw?: number;
  /** A closed loop, or so many a second. */
  readonly pace: 'closed' | number;
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
      ? { type: 'closed', inFlight: bench.inFlight ?? IN_FLIGHT }
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

/** Several clusters that run at once, of which one at a time is asked, and what stands beside it. */
export type Cluster = {
  readonly bench: Bench;
  readonly pids: () => readonly number[];
  /** Other clusters that are asked the same meanwhile, so that the machine has as much to do. */
  readonly neighbours?: readonly Cluster[];
};

/** Begun before what is measured, and ended after it. */
const BESIDE_SECONDS = 0.5;

const askedBeside = ({ neighbours = [] }: Cluster, wanted: Case, seed: number) =>
  neighbours.map(({ bench }) => {
    const seconds = bench.seconds + BESIDE_SECONDS;
    return bench.generator.run(jobOf({ ...bench, seconds }, wanted, seed));
  });

/**
 * Every case on every cluster, one after the other and again and again: what else a machine does,
 * and how fast it is just then, meets all of them alike. `keep` hears whose sample each is.
 */
export const inTurns = async <T extends Cluster>(
  echo: Echo,
  clusters: readonly T[],
  cases: readonly Case[],
  rounds: number,
  keep: (cluster: T, sample: Sample) => void,
): Promise<void> => {
  let before = await echo.microseconds(ECHO_SECONDS);
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? clusters : [...clusters].reverse();
    for (const wanted of cases) {
      for (const cluster of order) {
        const job = jobOf(cluster.bench, wanted, 2 + round);
        const spent = (): Cpu => cpuSoFar(cluster.pids());
        const beside = askedBeside(cluster, wanted, 2 + round);
        const run = await measured(cluster.bench.generator, spent, job);
        await Promise.all(beside);
        const after = await echo.microseconds(ECHO_SECONDS);
        keep(cluster, sampleOf(wanted, run, (before + after) / 2));
        before = after;
      }
    }
  }
};

const sampleOf = ({ name }: Case, run: Measured, echoMicroseconds: number): Sample => ({
  name,
  perSecond: Math.round(run.perSecond),
  echoes: rounded(run.serverMicroseconds / echoMicroseconds, 2),
  microseconds: rounded(run.serverMicroseconds, 1),
  p50Ms: rounded(percentileMs(run.fromIntended, 50), 2),
  p99Ms: rounded(percentileMs(run.fromIntended, 99), 2),
  failed: failuresIn(run),
  echoMicroseconds: rounded(echoMicroseconds, 2),
});

/** CPU of each node at rest, ms a second, of several clusters at the same time. */
export const restCosts = async (
  clusters: readonly Cluster[],
  seconds: number,
): Promise<readonly number[]> => {
  const spent = (): readonly number[] => clusters.map(({ pids }) => cpuSoFar(pids()).seconds);
  const before = spent();
  const beganMs = performance.now();
  await pause(seconds * 1000);
  const lasted = (performance.now() - beganMs) / 1000;
  return spent().map((now, i) =>
    rounded(((now - before[i]!) * 1000) / lasted / clusters[i]!.pids().length, 2),
  );
};

/** The median of what was measured more than once. */
export const middle = <T>(of: readonly T[], value: (each: T) => number, digits = 2): number =>
  of.length === 0 ? NaN : rounded(median(of.map(value)), digits);
