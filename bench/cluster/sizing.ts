/** How much load is a fair share of what a cluster can do, found out where it will be used. */
import { failuresIn, percentileMs } from './jobs.ts';
import type { Job, JobResult } from './jobs.ts';
import type { LoadGenerator } from './load.ts';

export type Sized = {
  /** What a closed loop reached, operations a second; undefined: the rate was given. */
  readonly most: number | undefined;
  readonly perSecond: number;
  /** Rates that were too much; that of `perSecond` too if none was little enough. */
  readonly tooMuch: readonly number[];
};

export type SizingOptions = {
  /** Of what a closed loop reaches; where one tries first. */
  readonly share: number;
  /** Above it a rate is too much. */
  readonly p99MsMax: number;
  readonly closedSeconds: number;
  readonly trySeconds: number;
  readonly tell: (line: string) => void;
};

/** Each rate that is too much is followed by this share of it. */
const STEP = 0.8;
/** More rates are not tried: what is slow then is not this load. */
const TRIES_MAX = 4;
const KEPT_UP = 0.95;

export const openLoop = (perSecond: number): Job['pace'] => ({
  ...{ type: 'open', perSecond: Math.max(1, Math.round(perSecond)), arrivals: 'poisson' },
  inFlightMax: 4096,
});

/** p99 from the moment an operation was due, ms. */
export const p99MsOf = (result: JobResult): number => percentileMs(result.fromIntended, 99);

/**
 * A share of what a closed loop reaches now; less, step by step, until an open loop of some seconds
 * keeps up without a failure and with a sane p99. If none of some rates is little enough: the least.
 */
export const sized = async (
  generator: LoadGenerator,
  job: Job,
  { share, p99MsMax, closedSeconds, trySeconds, tell }: SizingOptions,
): Promise<Sized> => {
  const closed = { type: 'closed', inFlight: 64 } as const;
  const { perSecond: most } = await generator.run({ ...job, pace: closed, seconds: closedSeconds });
  tell(`a closed loop of ${closed.inFlight} reaches ${Math.round(most)} a second`);
  const tooMuch: number[] = [];
  for (let perSecond = Math.round(most * share); ;) {
    // The first run after another rate still has that one's queue before it.
    const seconds = Math.ceil(trySeconds / 2);
    await generator.run({ ...job, pace: openLoop(perSecond), seconds });
    const run = await generator.run({ ...job, pace: openLoop(perSecond), seconds: trySeconds });
    const isSane =
      failuresIn(run) === 0 &&
      p99MsOf(run) <= p99MsMax &&
      run.perSecond >= KEPT_UP * (run.targetPerSecond ?? 0);
    if (!isSane) tooMuch.push(perSecond);
    const isLast = tooMuch.length === TRIES_MAX;
    tell(
      `${perSecond} a second: ${failuresIn(run)} failed, p99 ${p99MsOf(run).toFixed(0)} ms, ` +
        (isSane ? 'taken' : isLast ? 'too much, and taken: less does not help' : 'too much'),
    );
    if (isSane || isLast) return { most, perSecond, tooMuch };
    perSecond = Math.max(1, Math.round(perSecond * STEP));
  }
};
