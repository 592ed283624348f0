/**
 * Balancing background against foreground (paper § 6.5): background tasks share slices of the
 * machine's time, and how many there are follows the trailing 99th percentile of what clients wait
 * for. A minute is too long to notice what a burst of work does, and far below the threshold clients
 * feel it too: so the last seconds also count, as a multiple of what is usual, the strain. Additive
 * increase while both stay low, halving when either is high: gentle upwards, quick to yield. Who uses
 * little has little, so that every burst begins at the floor. Pure; the admission actor turns the
 * crank.
 *
 *   p99 12 ms of 50, strain 1.1   easy      60 → 65 slices, if they are used; 55 if not
 *   p99 45 ms, or strain 1.4      close     65 stay
 *   p99 80 ms, or strain 2        pressed   65 → 32 → 16 → 8 → 4, the floor: work goes on, slowly
 *   nobody asks                   alone     all of them; the floor again when somebody does
 */

export const BACKGROUND_TASKS = ['handoff', 'anti-entropy', 'transfer', 'reap', 'scrub'] as const;
export type BackgroundTask = (typeof BACKGROUND_TASKS)[number];

/** All the slices there are: hundredths of the time. */
export const SLICES = 100;

/** What the foreground has seen of late. */
export type ForegroundLoad = {
  /** Of the trailing minute, ms; undefined: there was nothing to measure. */
  readonly readP99Ms: number | undefined;
  readonly writeP99Ms: number | undefined;
  /** How many times as long as usual requests took in the last seconds; undefined: not known. */
  readonly strain: number | undefined;
  /** Slices that background work filled since the last look. */
  readonly used: number;
  /** Whether a request is under way or ended within the last seconds. */
  readonly busy: boolean;
};

export type AdmissionLimits = {
  /** What the 99th percentile should stay below, ms (paper: 50). */
  readonly thresholdMs: number;
  /** Slices that background work keeps under any pressure, 1 … SLICES. */
  readonly slicesMin: number;
  /** Slices added by one easy look. */
  readonly slicesStep: number;
  /** Longest rest between two steps of a task, ms: the floor below the floor. */
  readonly restMaxMs: number;
};

export type Pressure = 'alone' | 'easy' | 'close' | 'pressed';

/** From this share of the threshold on no more slices are added. */
const CLOSE = 0.8;
/** Strain from which no more are added, and from which they are halved: clients should not see 2. */
const STRAIN = { close: 1.3, pressed: 1.6 };
/** Slices are used if so much of them is. */
const USED = 0.25;

export const pressureOf = (
  { readP99Ms, writeP99Ms, strain = 1, busy }: ForegroundLoad,
  { thresholdMs }: AdmissionLimits,
): Pressure => {
  if (!busy) return 'alone';
  const worstMs = Math.max(readP99Ms ?? 0, writeP99Ms ?? 0);
  if (worstMs > thresholdMs || strain > STRAIN.pressed) return 'pressed';
  return worstMs > thresholdMs * CLOSE || strain > STRAIN.close ? 'close' : 'easy';
};

/**
 * How many slices there are after one more look. While nobody asks they do not count (`sliceOf`), and
 * whoever asks first finds background work at its floor.
 */
export const nextSlices = (
  slices: number,
  pressure: Pressure,
  used: number,
  { slicesMin, slicesStep }: AdmissionLimits,
): number => {
  switch (pressure) {
    case 'alone':
      return slicesMin;
    case 'easy':
      return used >= slices * USED
        ? Math.min(SLICES, Math.max(slices, slicesMin) + slicesStep)
        : Math.max(slicesMin, slices - slicesStep);
    case 'close':
      return slices;
    case 'pressed':
      return Math.max(slicesMin, Math.floor(slices / 2));
  }
};

/** What a step did that other nodes had a part in. */
export type Carried = {
  /** Keys looked at, compared or deleted, and records given or taken. */
  readonly looked: number;
  readonly records: number;
  readonly bytes: number;
};

export const NOTHING_CARRIED: Carried = { looked: 0, records: 0, bytes: 0 };

/**
 * What that takes, ms of one core: estimates, rather too much, since whoever is at the other end has as
 * much to do, perhaps on the same machine. A step mostly waits, for another node and for its disk: to
 * call that work would be to slow down most where the least is done.
 */
const STEP_MS = 1;
const LOOK_MS = 0.05;
const RECORD_MS = 0.25;
const BYTES_PER_MS = 64 * 1024;

export const workOf = ({ looked, records, bytes }: Carried): number =>
  STEP_MS + looked * LOOK_MS + records * RECORD_MS + bytes / BYTES_PER_MS;

/** The part of one task when `active` of them want as much as they get: never nothing; alone, all. */
export const sliceOf = (slices: number, pressure: Pressure, active: number): number =>
  pressure === 'alone' ? SLICES : Math.max(1, Math.floor(slices / Math.max(1, active)));

/**
 * All tasks work on one account: `paidUntilMs` is when so much rest has passed that the work done so far
 * filled just `slices` of the time. A step that began at `begunAtMs` adds `busyMs` of work, and whoever
 * did it rests until that is paid; what it waited for others is paid already. So a task that
 * is alone has all slices, and those that want more than there is take turns.
 */
export const paidAfter = (
  paidUntilMs: number,
  begunAtMs: number,
  busyMs: number,
  slices: number,
): number => Math.max(paidUntilMs, begunAtMs) + (Math.max(0, busyMs) * SLICES) / slices;
