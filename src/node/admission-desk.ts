/**
 * Where foreground latencies are gathered and background tasks ask how long to rest (paper § 6.5).
 * What the slices are is decided by the admission actor; between its looks the last word holds.
 */
import type { AdmissionInput, AdmissionPorts } from '../../actors/admission.ts';
import { BACKGROUND_TASKS, SLICES, restAfter, sliceOf } from '../core/admission.ts';
import type {
  AdmissionLimits,
  BackgroundTask,
  ForegroundLoad,
  Pressure,
} from '../core/admission.ts';
import { LatencyWindow } from '../core/latency-window.ts';
import type { Clock } from '../ports/clock.ts';

/** What background tasks see of it: say when a step begins, ask how long to rest after it. */
export type Admission = {
  begin(task: BackgroundTask): void;
  /** The step of `task` is done: how long to rest before the next one, ms. */
  grant(task: BackgroundTask): number;
};

export type AdmissionReport = {
  readonly pressure: Pressure;
  readonly thresholdMs: number;
  /** 99th percentiles of the trailing minute, ms; undefined: no request. */
  readonly readP99Ms: number | undefined;
  readonly writeP99Ms: number | undefined;
  /** Hundredths of the time that background tasks share. */
  readonly slices: number;
  readonly tasks: readonly {
    readonly task: BackgroundTask;
    /** Whether it worked within the last seconds. */
    readonly active: boolean;
    /** Its part of the slices: now, or if it began. */
    readonly slices: number;
    readonly steps: number;
    readonly workedMs: number;
    readonly restedMs: number;
  }[];
};

type Ledger = {
  begunAtMs: number;
  seenAtMs: number;
  steps: number;
  workedMs: number;
  restedMs: number;
};

export type AdmissionDeskParts = {
  readonly clock: Clock;
  readonly limits: AdmissionLimits;
  /** Coordinators alive that have not answered yet, or linger. */
  readonly inFlight: () => number;
};

/** A task that has not been heard of for this long shares in nothing. */
const ACTIVE_MS = 5000;
/** A step that seems to have taken longer was interrupted; it is not punished for that. */
const STEP_MS_MAX = 10_000;
/** So many requests between two looks tell enough: of more, every second, third … is timed. */
const TIMED_MAX = 100;

export class AdmissionDesk implements AdmissionPorts, Admission {
  readonly #parts: AdmissionDeskParts;
  readonly #reads = new LatencyWindow();
  readonly #writes = new LatencyWindow();
  readonly #ledgers = new Map<BackgroundTask, Ledger>();
  #slices = SLICES;
  #pressure: Pressure = 'alone';
  /** Requests since the last look, and of how many one is timed. */
  #asked = 0;
  #every = 1;

  constructor(parts: AdmissionDeskParts) {
    this.#parts = parts;
  }

  /** Hands a client's `reply` on and notes how long the client had to wait for it; when there are many, of some. */
  timed<T>(kind: 'read' | 'write', reply: (result: T) => void): (result: T) => void {
    if (++this.#asked % this.#every !== 0) return reply;
    const { clock } = this.#parts;
    const window = kind === 'read' ? this.#reads : this.#writes;
    const bornMs = clock.monotonicMs();
    return (result) => {
      const nowMs = clock.monotonicMs();
      window.record(nowMs - bornMs, nowMs);
      reply(result);
    };
  }

  /** What the actor that weighs the slices is born with. */
  actorInput(tickMs: number): AdmissionInput {
    return { ports: this, tickMs, limits: this.#parts.limits };
  }

  load(): ForegroundLoad {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#every = Math.max(1, Math.floor(this.#asked / TIMED_MAX));
    this.#asked = 0;
    const lately = this.#reads.lately(nowMs) + this.#writes.lately(nowMs);
    return { ...this.#percentiles(nowMs), busy: lately > 0 || this.#parts.inFlight() > 0 };
  }

  publish(slices: number, pressure: Pressure): void {
    this.#slices = slices;
    this.#pressure = pressure;
  }

  begin(task: BackgroundTask): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const ledger = this.#ledgerOf(task);
    ledger.begunAtMs = nowMs;
    ledger.seenAtMs = nowMs;
  }

  grant(task: BackgroundTask): number {
    const { clock, limits } = this.#parts;
    const nowMs = clock.monotonicMs();
    const ledger = this.#ledgerOf(task);
    const busyMs = Math.min(STEP_MS_MAX, nowMs - ledger.begunAtMs);
    ledger.seenAtMs = nowMs;
    const restMs = restAfter(busyMs, this.#sliceNow(nowMs), limits);
    ledger.steps += 1;
    ledger.workedMs += busyMs;
    ledger.restedMs += restMs;
    // Who does not say when the next step begins, begins when the rest is over.
    ledger.begunAtMs = nowMs + restMs;
    return restMs;
  }

  report(): AdmissionReport {
    const nowMs = this.#parts.clock.monotonicMs();
    return {
      pressure: this.#pressure,
      thresholdMs: this.#parts.limits.thresholdMs,
      ...this.#percentiles(nowMs),
      slices: this.#slices,
      tasks: BACKGROUND_TASKS.map((task) => {
        const ledger = this.#ledgers.get(task);
        const active = this.#isActive(ledger, nowMs);
        return {
          task,
          active,
          slices: this.#sliceNow(nowMs, active ? 0 : 1),
          steps: ledger?.steps ?? 0,
          workedMs: ledger?.workedMs ?? 0,
          restedMs: ledger?.restedMs ?? 0,
        };
      }),
    };
  }

  #percentiles(nowMs: number): Pick<ForegroundLoad, 'readP99Ms' | 'writeP99Ms'> {
    return {
      readP99Ms: this.#reads.percentile(0.99, nowMs),
      writeP99Ms: this.#writes.percentile(0.99, nowMs),
    };
  }

  #sliceNow(nowMs: number, more = 0): number {
    const active = [...this.#ledgers.values()].filter((each) => this.#isActive(each, nowMs)).length;
    return sliceOf(this.#slices, this.#pressure, active + more);
  }

  #isActive(ledger: Ledger | undefined, nowMs: number): boolean {
    return ledger !== undefined && nowMs - ledger.seenAtMs < ACTIVE_MS;
  }

  #ledgerOf(task: BackgroundTask): Ledger {
    const known = this.#ledgers.get(task);
    if (known !== undefined) return known;
    const begunAtMs = this.#parts.clock.monotonicMs();
    const ledger = { begunAtMs, seenAtMs: begunAtMs, steps: 0, workedMs: 0, restedMs: 0 };
    this.#ledgers.set(task, ledger);
    return ledger;
  }
}
