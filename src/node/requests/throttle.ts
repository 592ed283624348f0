/** Lets requests in for as long as this process keeps up (core/throttle.ts). */
import { Pace, nextRoom } from '../../core/throttle.ts';
import type { Clock } from '../../ports/clock.ts';
import type { FailedReply } from '../../wire/peer-messages.ts';
import type { Config } from '../config.ts';
import { failed } from './refusals.ts';

/** Between two looks, while anybody waits. */
const LOOK_MS = 20;
/** A room to begin with: enough for many clients, little enough for a flood from the first moment. */
const ROOM_AT_START = 256;
/** Nobody waited for so long: what was seen before tells nothing any more. */
const CALM_MS = 1000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 1000;

export type ThrottleParts = {
  readonly clock: Clock;
  readonly config: Pick<Config, 'throttle' | 'coordinatorsMax'>;
  /** Requests that are not answered yet. */
  readonly waiting: () => number;
  /** Requests that coordinators were born for in this life, from an arbitrary start: refused ones cost nothing. */
  readonly begun: () => number;
  /** How long this process has been at work, ms; not known in simulated time. */
  readonly busyMs: (() => number) | undefined;
};

export class Throttle {
  readonly #parts: ThrottleParts;
  #room: number;
  #peak = 0;
  #lateMs = 0;
  #isLooking = false;
  #lookedMs = 0;
  readonly #pace = new Pace();

  constructor(parts: ThrottleParts) {
    this.#parts = parts;
    this.#room = this.#roomAtStart;
  }

  get #roomAtStart(): number {
    return Math.min(ROOM_AT_START, this.#parts.config.coordinatorsMax);
  }

  /** How many requests may wait now. */
  get room(): number {
    return this.#room;
  }

  /** What one more request is told, if it is one too many. */
  refusal(): FailedReply | undefined {
    const waiting = this.#parts.waiting();
    if (waiting >= this.#peak) this.#peak = waiting + 1;
    if (!this.#isLooking) this.#wake();
    if (waiting < this.#room) return undefined;
    const retryAfterMs = Math.min(RETRY_MS_MAX, Math.max(RETRY_MS_MIN, 4 * this.#lateMs));
    const message = `${waiting} requests wait at this node, and it is ${this.#lateMs} ms late`;
    return failed('OVERLOADED', message, { retryAfterMs });
  }

  #wake(): void {
    const calmMs = this.#parts.clock.monotonicMs() - this.#lookedMs;
    if (calmMs > CALM_MS) this.#room = Math.max(this.#room, this.#roomAtStart);
    this.#look();
  }

  #look(): void {
    const { clock, config } = this.#parts;
    this.#isLooking = true;
    const fromMs = clock.monotonicMs();
    const before = this.#done();
    clock.setTimeout(() => {
      this.#isLooking = false;
      this.#lookedMs = clock.monotonicMs();
      const { answered, busyMs } = this.#done();
      const elapsedMs = this.#lookedMs - fromMs;
      const answeredSince = Math.max(0, answered - before.answered);
      this.#pace.record(answeredSince, busyMs - before.busyMs, elapsedMs);
      this.#lateMs = Math.max(0, Math.round(elapsedMs - LOOK_MS));
      const { waitingMin, lateMs } = config.throttle;
      const waitingMax = config.coordinatorsMax;
      const always = Math.max(waitingMin, this.#pace.worth);
      const limits = { waitingMin: Math.min(always, waitingMax), waitingMax, lateMs };
      this.#room = nextRoom(this.#room, { peak: this.#peak, lateMs: this.#lateMs }, limits);
      this.#peak = this.#parts.waiting();
      if (this.#peak > 0) this.#look();
    }, LOOK_MS);
  }

  /** By now. */
  #done(): { readonly answered: number; readonly busyMs: number } {
    const { waiting, begun, busyMs } = this.#parts;
    return { answered: begun() - waiting(), busyMs: busyMs?.() ?? 0 };
  }
}
