/**
 * Where coordinators are born, fed and buried: one root actor per client request, under a hard cap,
 * so that overload is answered at birth (DESIGN: one request, one machine). Their own roots, never
 * children: a child costs its parent time that grows with the number alive.
 */
import { createActor } from 'xstate';
import type { AnyActorLogic, AnyActorRef } from 'xstate';
import type { Clock } from '../ports/clock.ts';
import type { Trace } from '../ports/trace.ts';
import type { ForwardEvent } from '../../actors/forward.ts';
import type { GetEvent } from '../../actors/get.ts';
import type { PutEvent } from '../../actors/put.ts';
import type { RequestId } from '../wire/peer-messages.ts';

export type CoordinatorEvent = PutEvent | GetEvent | ForwardEvent;

export type Birth = {
  readonly logic: AnyActorLogic;
  readonly input: unknown;
  /** Answers the client when the machine itself broke: code INTERNAL. */
  readonly onCrash: (error: unknown) => void;
};

export class Nursery {
  readonly #alive = new Map<RequestId, AnyActorRef>();
  readonly #clock: Clock;
  readonly #trace: Trace;
  readonly #aliveMax: number;
  #lastRequest: RequestId;
  #onEmpty: (() => void) | undefined;

  /** Numbers begin at `firstRequest`, drawn at random: an answer to a former life finds nobody. */
  constructor(clock: Clock, trace: Trace, aliveMax: number, firstRequest: RequestId) {
    this.#lastRequest = firstRequest;
    this.#clock = clock;
    this.#trace = trace;
    this.#aliveMax = aliveMax;
  }

  get alive(): number {
    return this.#alive.size;
  }

  get isFull(): boolean {
    return this.#alive.size >= this.#aliveMax;
  }

  /** The number for one more request; it is used by the birth that follows. */
  nextRequest(): RequestId {
    return ++this.#lastRequest;
  }

  /** Starts the coordinator of `request`; ask `isFull` first. */
  bear(request: RequestId, birth: Birth): void {
    const actor = createActor(birth.logic, { input: birth.input, clock: xstateClock(this.#clock) });
    this.#alive.set(request, actor);
    actor.subscribe({
      complete: () => this.#bury(request),
      error: (error) => {
        this.#trace.log('error', 'coordinator.crashed', { request, error: String(error) });
        this.#bury(request);
        birth.onCrash(error);
      },
    });
    actor.start();
  }

  /** Hands an answer to the coordinator that waits for it; an answer to nobody is dropped. */
  deliver(request: RequestId, event: CoordinatorEvent): void {
    this.#alive.get(request)?.send(event);
  }

  /** Calls `task` as soon as no coordinator is alive. */
  whenEmpty(task: () => void): void {
    if (this.#alive.size === 0) task();
    else this.#onEmpty = task;
  }

  /** Ends every coordinator where it stands: this process is going. */
  stop(): void {
    for (const actor of this.#alive.values()) actor.stop();
    this.#alive.clear();
  }

  #bury(request: RequestId): void {
    this.#alive.delete(request);
    if (this.#alive.size > 0) return;
    this.#onEmpty?.();
    this.#onEmpty = undefined;
  }
}

/** A Clock in the shape XState wants for `after` and delayed sends. */
export const xstateClock = (
  clock: Clock,
): {
  setTimeout(task: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
} => ({
  setTimeout: (task, delayMs) => clock.setTimeout(task, delayMs),
  clearTimeout: (timer) => {
    if (timer !== undefined) clock.clearTimeout(timer as object | number);
  },
});
