/** What the load generator is asked, and what it answers. */
import type { KeyChoice } from '../support/random.ts';

/** Shares of the operations; they add up to 1. */
export type Mix = {
  readonly read: number;
  readonly update: number;
  readonly insert: number;
  readonly readModifyWrite: number;
};
export type Operation = keyof Mix;
export const OPERATIONS = ['read', 'update', 'insert', 'readModifyWrite'] as const;

export type Pace =
  /** The next operation begins when one ends: finds the most that is possible, hides waiting. */
  | { readonly type: 'closed'; readonly inFlight: number }
  /** Operations begin when they are due, whatever became of the others. */
  | {
      readonly type: 'open';
      readonly perSecond: number;
      readonly arrivals: 'fixed' | 'poisson';
      /** Beyond it, what is due waits: its latency from the intended start grows. */
      readonly inFlightMax: number;
    };

export type Job = {
  readonly type: 'run';
  readonly seconds: number;
  readonly pace: Pace;
  readonly mix: Mix;
  readonly choice: KeyChoice;
  readonly keys: number;
  readonly valueBytes: number;
  readonly seed: number;
  readonly timeoutMs: number;
  readonly r?: number;
  readonly w?: number;
  readonly dw?: number;
};

/** The key of an index, for whoever fills a cluster and whoever asks it. */
export const keyOf = (index: number): string => `user${index}`;

/** Who runs the coordinators of reads, and finds an owner for writes. */
export type Coordination = 'server' | 'owner' | 'client';

export type Order =
  | {
      readonly type: 'open';
      readonly addresses: readonly string[];
      readonly connections: number;
      readonly coordination: Coordination;
      /** Of the clients; absent: as they are by default. */
      readonly retriesMax?: number;
    }
  /** Writes every key once. */
  | {
      readonly type: 'fill';
      readonly keys: number;
      readonly valueBytes: number;
      readonly inFlight: number;
    }
  /** Makes the generator's process ready for a job. */
  | { readonly type: 'ready'; readonly job: Job }
  | Job;

/** Latencies in ms; percentiles in the order of `PERCENTILES`. */
export type Latencies = {
  readonly count: number;
  readonly meanMs: number;
  readonly percentilesMs: readonly number[];
};
export const PERCENTILES = [50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100] as const;
export type Percent = (typeof PERCENTILES)[number];

/** ms; NaN if nothing was measured. */
export const percentileMs = (latencies: Latencies | undefined, percent: Percent): number =>
  latencies?.percentilesMs[PERCENTILES.indexOf(percent)] ?? NaN;

/** Operations that ended with an error, whichever. */
export const failuresIn = ({ errors }: Pick<JobResult, 'errors'>): number =>
  Object.values(errors).reduce((sum, count) => sum + count, 0);

/** What happened in one second of the run. */
export type Second = {
  readonly second: number;
  readonly operations: number;
  readonly errors: number;
  readonly meanMs: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
};

export type JobResult = {
  readonly seconds: number;
  readonly operations: number;
  readonly perSecond: number;
  /** What an open loop aimed at. */
  readonly targetPerSecond?: number;
  readonly errors: Readonly<Record<string, number>>;
  /** From the moment the operation was due: what a user feels. Only an open loop has a due. */
  readonly fromIntended: Latencies;
  /** From the moment it was really sent. */
  readonly fromStart: Latencies;
  /** How long after it was due an operation began: the generator's own fault, not the servers'. */
  readonly startedLate: Latencies;
  /** Operations of an open loop that had to wait because `inFlightMax` others were under way. */
  readonly heldBack: number;
  readonly byOperation: Readonly<Partial<Record<Operation, Latencies>>>;
  readonly timeline: readonly Second[];
  /** How late the generator's own event loop was, ms: if this is large it measured itself. */
  readonly ownDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly siblingsMax: number;
};

/** YCSB's core workloads (Cooper et al., 2010, table 2). E scans key ranges: no such operation here. */
export const YCSB: Readonly<Record<string, { readonly mix: Mix; readonly choice: KeyChoice }>> = {
  a: { mix: mixOf({ read: 0.5, update: 0.5 }), choice: 'zipfian' },
  b: { mix: mixOf({ read: 0.95, update: 0.05 }), choice: 'zipfian' },
  c: { mix: mixOf({ read: 1 }), choice: 'zipfian' },
  d: { mix: mixOf({ read: 0.95, insert: 0.05 }), choice: 'latest' },
  f: { mix: mixOf({ read: 0.5, readModifyWrite: 0.5 }), choice: 'zipfian' },
  get: { mix: mixOf({ read: 1 }), choice: 'uniform' },
  put: { mix: mixOf({ update: 1 }), choice: 'uniform' },
};

function mixOf(some: Partial<Mix>): Mix {
  return { read: 0, update: 0, insert: 0, readModifyWrite: 0, ...some };
}
