/**
 * Virtual time: one heap of tasks ordered by (due, sequence) for the whole world, and for each life
 * of each node a view of it with its own wall clock. When a life ends, everything it scheduled is
 * inert.
 */
import type { Clock, Timer } from '../ports/clock.ts';

type Task = { readonly due: number; readonly sequence: number; run: (() => void) | undefined };

export class WorldClock {
  #now = 0;
  #sequence = 0;
  readonly #heap: Task[] = [];

  get nowMs(): number {
    return this.#now;
  }

  /** Tasks that will still run. */
  get pending(): number {
    return this.#heap.filter((task) => task.run !== undefined).length;
  }

  schedule(run: () => void, delayMs: number): { cancel(): void } {
    const task: Task = { due: this.#now + Math.max(0, delayMs), sequence: this.#sequence++, run };
    this.#push(task);
    return {
      cancel: () => {
        task.run = undefined;
      },
    };
  }

  /** Runs the earliest task, moving time to it; false if there is none. */
  step(): boolean {
    const task = this.#pop();
    if (task === undefined) return false;
    const { run } = task;
    if (run === undefined) return true;
    this.#now = Math.max(this.#now, task.due);
    task.run = undefined;
    run();
    return true;
  }

  /** Runs all that is due within `ms` from now, and ends exactly there. */
  advance(ms: number): void {
    const end = this.#now + ms;
    while (this.#heap.length > 0 && this.#heap[0]!.due <= end) this.step();
    this.#now = end;
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let at = heap.push(task) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, task)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = task;
  }

  #pop(): Task | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

const isBefore = (a: Task, b: Task): boolean =>
  a.due < b.due || (a.due === b.due && a.sequence < b.sequence);

/** 2026-01-01, so that wall times look like wall times. */
export const EPOCH_MS = 1_767_225_600_000;

/** Under a drift, due times are rounded: rather a little late than early and at once again. */
const ROUNDING_MS = 1e-6;

type LifeTimer = { task: (() => void) | undefined };

/**
 * The clock of one life of one node. Like that of a real process its monotonic time starts anew
 * with each life, and it may run fast or slow.
 */
export class LifeClock implements Clock {
  readonly #world: WorldClock;
  readonly #bornMs: number;
  #alive = true;
  #pending = 0;
  #pausedUntil = 0;
  #rate = 1;
  /** How far the drift had brought this clock ahead at the last change of rate, and when that was. */
  #ahead = 0;
  #rateSince = 0;
  /** How far this node's wall clock is ahead, ms; a fault may change it at any time: a jump. */
  skewMs: number;

  constructor(world: WorldClock, skewMs = 0) {
    this.#world = world;
    this.#bornMs = world.nowMs;
    this.skewMs = skewMs;
  }

  /** Nothing this life scheduled, or will schedule, runs any more. */
  end(): void {
    this.#alive = false;
    this.#pending = 0;
  }

  /** The process is stopped for `ms`: its timers run late, all at once, as after SIGSTOP. */
  pause(ms: number): void {
    this.#pausedUntil = this.#world.nowMs + ms;
  }

  /** How much longer the process stands still, ms. */
  get pausedForMs(): number {
    return Math.max(0, this.#pausedUntil - this.#world.nowMs);
  }

  /** From now on a second of the world is `rate` seconds here; timers already set keep their due. */
  drift(rate: number): void {
    this.#ahead = this.#drifted();
    this.#rateSince = this.#world.nowMs;
    this.#rate = rate;
  }

  /** Timers of this life that will still run: none when a node has stopped. */
  get pending(): number {
    return this.#pending;
  }

  wallMs(): number {
    return Math.floor(EPOCH_MS + this.#world.nowMs + this.#drifted() + this.skewMs);
  }

  monotonicMs(): number {
    return this.#world.nowMs - this.#bornMs + this.#drifted();
  }

  setTimeout(task: () => void, delayMs: number): Timer {
    if (Number.isNaN(delayMs)) throw new RangeError('a delay is a number of ms, found NaN');
    const timer: LifeTimer = { task };
    if (!this.#alive) return timer;
    this.#pending += 1;
    const worldMs = this.#rate === 1 ? delayMs : delayMs / this.#rate + ROUNDING_MS;
    this.#world.schedule(() => this.#run(timer), worldMs);
    return timer;
  }

  clearTimeout(timer: Timer): void {
    const mine = timer as LifeTimer;
    if (mine.task !== undefined && this.#alive) this.#pending -= 1;
    mine.task = undefined;
  }

  endOfTurn(task: () => void): void {
    this.setTimeout(task, 0);
  }

  #run(timer: LifeTimer): void {
    const { task } = timer;
    if (!this.#alive || task === undefined) return;
    const leftMs = this.#pausedUntil - this.#world.nowMs;
    if (leftMs > 0) {
      this.#world.schedule(() => this.#run(timer), leftMs);
      return;
    }
    timer.task = undefined;
    this.#pending -= 1;
    task();
  }

  #drifted(): number {
    return this.#ahead + (this.#world.nowMs - this.#rateSince) * (this.#rate - 1);
  }
}
