/**
 * Many waits of few lengths over one clock. Coordinators wait for the same few delays, and nearly
 * every wait is called off: those of one length stand in a queue, which is in order by itself, and
 * only its head holds a timer of the clock.
 */
import type { Clock, Timer } from '../../ports/clock.ts';

const EARLY_MS = 0.5;

/** How many that were called off may stand about, beside as many as are alive. */
const DEAD_MAX = 1024;

/** A wait; `task` is gone once it was called off or is over. */
export type Appointment = {
  task: (() => void) | undefined;
  readonly dueMs: number;
  readonly of: Queue;
};

type Queue = {
  readonly delayMs: number;
  waiting: Appointment[];
  /** Where in `waiting` the first one stands that may still be due. */
  head: number;
  /** How many of those waiting were not called off. */
  alive: number;
  /** `ringing` while those due are called: what they bring is looked at afterwards. */
  timer: Timer | 'ringing' | undefined;
};

export class Timers implements Pick<Clock, 'setTimeout' | 'clearTimeout'> {
  readonly #clock: Clock;
  readonly #queues = new Map<number, Queue>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits kept in memory, those called off among them. */
  get standing(): number {
    return [...this.#queues.values()].reduce((sum, { waiting }) => sum + waiting.length, 0);
  }

  setTimeout(task: () => void, delayMs: number): Appointment {
    let queue = this.#queues.get(delayMs);
    if (queue === undefined) {
      queue = { delayMs, waiting: [], head: 0, alive: 0, timer: undefined };
      this.#queues.set(delayMs, queue);
    }
    const appointment = { task, dueMs: this.#clock.monotonicMs() + delayMs, of: queue };
    queue.waiting.push(appointment);
    queue.alive += 1;
    if (queue.timer === undefined) this.#arm(queue, delayMs);
    return appointment;
  }

  clearTimeout(timer: Timer): void {
    const appointment = timer as Appointment;
    if (appointment.task === undefined) return;
    appointment.task = undefined;
    this.#left(appointment.of);
  }

  #arm(queue: Queue, delayMs: number): void {
    queue.timer = this.#clock.setTimeout(() => this.#ring(queue), Math.max(0, delayMs));
  }

  /** Keeps the appointments that are due, then waits for the next that was not called off. */
  #ring(queue: Queue): void {
    queue.timer = 'ringing';
    const nowMs = this.#clock.monotonicMs();
    for (;;) {
      const first = queue.waiting[queue.head];
      // The clock may ring a fraction early.
      if (first === undefined || (first.task !== undefined && first.dueMs > nowMs + EARLY_MS))
        break;
      queue.head += 1;
      const { task } = first;
      if (task === undefined) continue;
      first.task = undefined;
      this.#left(queue);
      task();
    }
    queue.timer = undefined;
    if (queue.head * 2 > queue.waiting.length) {
      queue.waiting.splice(0, queue.head);
      queue.head = 0;
    }
    const next = queue.waiting[queue.head];
    if (next !== undefined) this.#arm(queue, next.dueMs - nowMs);
    else this.#queues.delete(queue.delayMs);
  }

  /** One wait less; a queue without any leaves nothing behind. */
  #left(queue: Queue): void {
    queue.alive -= 1;
    if (queue.alive > 0) {
      if (queue.waiting.length - queue.head > 2 * queue.alive + DEAD_MAX) {
        queue.waiting = queue.waiting.filter(({ task }) => task !== undefined);
        queue.head = 0;
      }
      return;
    }
    queue.waiting.length = 0;
    queue.head = 0;
    if (queue.timer === 'ringing') return;
    if (queue.timer !== undefined) this.#clock.clearTimeout(queue.timer);
    queue.timer = undefined;
    this.#queues.delete(queue.delayMs);
  }
}
