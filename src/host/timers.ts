/**
 * Many waits of few lengths over one clock. Coordinators wait for the same few delays, and nearly
 * every wait is called off: those of one length stand in a line, which is in order by itself, and
 * only its first holds a timer of the clock.
 *
 * Who is called off leaves the line at once and lets go of its neighbours. A line that kept the dead
 * for a while would let them grow old, and the collector takes what the old point at for alive.
 */
import { NumberMap } from '../core/number-map.ts';
import type { Clock, Timer } from '../ports/clock.ts';

const EARLY_MS = 0.5;

/** A wait; `task` is gone once it was called off or is over. */
type Wait = {
  task: (() => void) | undefined;
  readonly dueMs: number;
  readonly line: Line;
  before: Wait | undefined;
  after: Wait | undefined;
};

type Line = {
  readonly delayMs: number;
  first: Wait | undefined;
  last: Wait | undefined;
  /** `ringing` while those due are called: what they bring is looked at afterwards. */
  timer: Timer | 'ringing' | undefined;
};

export class Timers implements Pick<Clock, 'setTimeout' | 'clearTimeout'> {
  readonly #clock: Clock;
  readonly #lines = new NumberMap<Line>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  setTimeout(task: () => void, delayMs: number): Timer {
    let line = this.#lines.get(delayMs);
    if (line === undefined) {
      line = { delayMs, first: undefined, last: undefined, timer: undefined };
      this.#lines.set(delayMs, line);
    }
    const { last } = line;
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const wait: Wait = { task, dueMs, line, before: last, after: undefined };
    if (last === undefined) line.first = wait;
    else last.after = wait;
    line.last = wait;
    if (line.timer === undefined) this.#arm(line, delayMs);
    return wait;
  }

  clearTimeout(timer: Timer): void {
    const wait = timer as Wait;
    if (wait.task === undefined) return;
    leave(wait);
    if (wait.line.first === undefined) this.#end(wait.line);
  }

  #arm(line: Line, delayMs: number): void {
    line.timer = this.#clock.setTimeout(() => this.#ring(line), Math.max(0, delayMs));
  }

  /** Calls those that are due, then waits for the next. */
  #ring(line: Line): void {
    line.timer = 'ringing';
    const nowMs = this.#clock.monotonicMs();
    // The clock may ring a fraction early.
    while (line.first !== undefined && line.first.dueMs <= nowMs + EARLY_MS) {
      const { task } = line.first;
      leave(line.first);
      task?.();
    }
    line.timer = undefined;
    if (line.first === undefined) this.#end(line);
    else this.#arm(line, line.first.dueMs - nowMs);
  }

  /** A line without anyone leaves nothing behind. */
  #end({ delayMs, timer }: Line): void {
    if (timer === 'ringing') return;
    if (timer !== undefined) this.#clock.clearTimeout(timer);
    this.#lines.delete(delayMs);
  }
}

const leave = (wait: Wait): void => {
  const { line, before, after } = wait;
  if (before === undefined) line.first = after;
  else before.after = after;
  if (after === undefined) line.last = before;
  else after.before = before;
  wait.before = wait.after = wait.task = undefined;
};
