/**
 * Where foreground latencies are gathered and background tasks ask how long to rest (paper § 6.5).
 * What the slices are is decided by the admission actor; between its looks the last word holds.
 *
 * Whoever drives a task rests between its steps; and who is asked for records rests before it gives
 * them: a node that fills itself may have no clients of its own, those it takes from do.
 */
import type { AdmissionInput, AdmissionPorts } from '../../actors/admission.ts';
import { BACKGROUND_TASKS, SLICES, paidAfter, sliceOf, workOf } from '../core/admission.ts';
import type {
  AdmissionLimits,
  BackgroundTask,
  Carried,
  ForegroundLoad,
  Pressure,
} from '../core/admission.ts';
import { LatencyWindow } from '../core/latency-window.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import { Strain } from './strain.ts';

/** What background tasks see of it: say when a step begins, ask how long to rest after it. */
export type Admission = {
  begin(task: BackgroundTask): void;
  /**
   * The step of `task` is done: how long to rest before the next one, ms. With `carried` that is what
   * it worked, and the rest was waiting; without, all of it was work.
   */
  grant(task: BackgroundTask, carried?: Carried): number;
  /**
   * A step of `task` begins that another node drives: it is answered, by what this returns, when this
   * node has rested.
   */
  paced<A>(
    task: BackgroundTask,
    carried: (answer: A) => Carried,
    reply: (answer: A) => void,
  ): (answer: A) => void;
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
const TIMED_MAX = 200;
/** How much of what is known of the slices in use is of the last look. */
const USED_LATELY = 1 / 3;

export class AdmissionDesk implements AdmissionPorts, Admission {
  readonly #parts: AdmissionDeskParts;
  readonly #reads = new LatencyWindow();
  readonly #writes = new LatencyWindow();
  readonly #strain = new Strain();
  /** Answers that wait until this node has rested. */
  readonly #resting = new Set<Timer>();
  #lookedAtMs = 0;
  #paidUntilMs = -Infinity;
  #workedMs = 0;
  #workedBefore = 0;
  #used = 0;
  readonly #ledgers = new Map<BackgroundTask, Ledger>();
  #slices: number;
  #pressure: Pressure = 'alone';
  /** Whether clients of other nodes had something to ask since the last look. */
  #hasServed = false;
  /** Requests since the last look, and of how many one is timed. */
  #asked = 0;
  #every = 1;

  constructor(parts: AdmissionDeskParts) {
    this.#parts = parts;
    this.#slices = parts.limits.slicesMin;
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
      this.#strain.record(kind, nowMs - bornMs, nowMs);
      reply(result);
    };
  }

  /** A coordinator elsewhere asks this replica for something: a client waits there. */
  served(): void {
    this.#hasServed = true;
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
    const used = this.#usedSinceLook(nowMs);
    // What clients wait for while background work is at its floor is none of its doing.
    const { slicesMin } = this.#parts.limits;
    const isHeld = this.#pressure !== 'alone' && this.#slices <= slicesMin;
    const strain = this.#strain.look(nowMs, isHeld || used <= slicesMin);
    const busy = lately > 0 || this.#hasServed || this.#parts.inFlight() > 0;
    this.#hasServed = false;
    return { ...this.#percentiles(nowMs), strain, used, busy };
  }

  publish(slices: number, pressure: Pressure): void {
    this.#slices = slices;
    this.#pressure = pressure;
  }

  /** Whoever still waits for an answer waits in vain. */
  close(): void {
    for (const timer of this.#resting) this.#parts.clock.clearTimeout(timer);
    this.#resting.clear();
  }

  begin(task: BackgroundTask): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const ledger = this.#ledgerOf(task);
    ledger.begunAtMs = nowMs;
  }

  grant(task: BackgroundTask, carried?: Carried): number {
    const nowMs = this.#parts.clock.monotonicMs();
    const ledger = this.#ledgerOf(task);
    const tookMs = nowMs - ledger.begunAtMs;
    const busyMs = carried === undefined ? tookMs : workOf(carried);
    const restMs = this.#enter(ledger, busyMs, tookMs, nowMs);
    // Who does not say when the next step begins, begins when the rest is over.
    ledger.begunAtMs = nowMs + restMs;
    return restMs;
  }

  paced<A>(
    task: BackgroundTask,
    carried: (answer: A) => Carried,
    reply: (answer: A) => void,
  ): (answer: A) => void {
    const { clock } = this.#parts;
    const begunAtMs = clock.monotonicMs();
    return (answer) => {
      const nowMs = clock.monotonicMs();
      const tookMs = nowMs - begunAtMs;
      const restMs = this.#enter(this.#ledgerOf(task), workOf(carried(answer)), tookMs, nowMs);
      if (restMs === 0) return reply(answer);
      const timer = clock.setTimeout(() => {
        this.#resting.delete(timer);
        reply(answer);
      }, restMs);
      this.#resting.add(timer);
    };
  }

  report(): AdmissionReport {
    const nowMs = this.#parts.clock.monotonicMs();
    return {
      pressure: this.#pressureNow(),
      thresholdMs: this.#parts.limits.thresholdMs,
      ...this.#percentiles(nowMs),
      slices: this.#pressureNow() === 'alone' ? SLICES : this.#slices,
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

  /** A step of a task is done: how long to rest, ms. */
  #enter(ledger: Ledger, workMs: number, tookMs: number, nowMs: number): number {
    const busyMs = Math.min(STEP_MS_MAX, workMs);
    const restMs = this.#pressureNow() === 'alone' ? 0 : this.#owed(busyMs, tookMs, nowMs);
    ledger.seenAtMs = nowMs;
    ledger.steps += 1;
    ledger.workedMs += busyMs;
    ledger.restedMs += restMs;
    this.#workedMs += busyMs;
    return restMs;
  }

  /** What is more than the longest rest is let off. */
  #owed(busyMs: number, tookMs: number, nowMs: number): number {
    const { restMaxMs } = this.#parts.limits;
    const paidUntilMs = paidAfter(this.#paidUntilMs, nowMs - tookMs, busyMs, this.#slices);
    this.#paidUntilMs = Math.min(paidUntilMs, nowMs + restMaxMs);
    return Math.max(0, this.#paidUntilMs - nowMs);
  }

  #usedSinceLook(nowMs: number): number {
    const passedMs = nowMs - this.#lookedAtMs;
    const used = passedMs > 0 ? ((this.#workedMs - this.#workedBefore) / passedMs) * SLICES : 0;
    // A rest may be longer than the time between two looks: that is no sign that nothing is left to do.
    this.#used += (used - this.#used) * USED_LATELY;
    this.#lookedAtMs = nowMs;
    this.#workedBefore = this.#workedMs;
    return this.#used;
  }

  #percentiles(nowMs: number): Pick<ForegroundLoad, 'readP99Ms' | 'writeP99Ms'> {
    return {
      readP99Ms: this.#reads.percentile(0.99, nowMs),
      writeP99Ms: this.#writes.percentile(0.99, nowMs),
    };
  }

  #sliceNow(nowMs: number, more = 0): number {
    const active = [...this.#ledgers.values()].filter((each) => this.#isActive(each, nowMs)).length;
    return sliceOf(this.#slices, this.#pressureNow(), active + more);
  }

  /** Whoever asks first does not wait for the next look to be noticed. */
  #pressureNow(): Pressure {
    const isAsked = this.#asked > 0 || this.#hasServed || this.#parts.inFlight() > 0;
    return this.#pressure === 'alone' && isAsked ? 'easy' : this.#pressure;
  }

  #isActive(ledger: Ledger | undefined, nowMs: number): boolean {
    return ledger !== undefined && nowMs - ledger.seenAtMs < ACTIVE_MS;
  }

  #ledgerOf(task: BackgroundTask): Ledger {
    const known = this.#ledgers.get(task);
    if (known !== undefined) return known;
    const begunAtMs = this.#parts.clock.monotonicMs();
    const ledger = { begunAtMs, seenAtMs: -Infinity, steps: 0, workedMs: 0, restedMs: 0 };
    this.#ledgers.set(task, ledger);
    return ledger;
  }
}
