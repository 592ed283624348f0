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
import type { CoordinatorWatch, Watch } from '../inspector/watch.ts';
import type { RequestId } from '../wire/peer-messages.ts';

export type CoordinatorEvent = PutEvent | GetEvent | ForwardEvent;

export type Birth = {
  readonly logic: AnyActorLogic;
  readonly input: unknown;
  /** Answers the client when the machine itself broke: code INTERNAL. */
  readonly onCrash: (error: unknown) => void;
};

type Living = { readonly actor: AnyActorRef; readonly watch: CoordinatorWatch | undefined };

export class Nursery {
  readonly #alive = new Map<RequestId, Living>();
  readonly #watch: Watch | undefined;
  readonly #clock: Clock;
  readonly #trace: Trace;
  readonly #aliveMax: number;
  #lastRequest: RequestId;
  #onEmpty: (() => void) | undefined;

  /** Numbers begin at `firstRequest`, drawn at random: an answer to a former life finds nobody. */
  constructor(
    clock: Clock,
    trace: Trace,
    aliveMax: number,
    firstRequest: RequestId,
    watch?: Watch,
  ) {
    this.#watch = watch;
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
    const watch = this.#watch?.born(request, machineOf(birth.logic), birth.input);
    const actor = createActor(birth.logic, {
      input: watch === undefined ? birth.input : watch.input,
      clock: xstateClock(this.#clock),
      ...(watch?.inspect === undefined ? {} : { inspect: watch.inspect }),
    });
    this.#alive.set(request, { actor, watch });
    actor.subscribe({
      complete: () => this.#bury(request, 'done'),
      error: (error) => {
        this.#trace.log('error', 'coordinator.crashed', { request, error: String(error) });
        birth.onCrash(error);
        this.#bury(request, 'crashed');
      },
    });
    actor.start();
  }

  /** Hands an answer to the coordinator that waits for it; an answer to nobody is dropped. */
  deliver(request: RequestId, event: CoordinatorEvent): void {
    const living = this.#alive.get(request);
    if (living === undefined) return;
    living.watch?.heard(event);
    living.actor.send(event);
  }

  /** The coordinator of `request` has answered its client. */
  replied(request: RequestId, reply: object): void {
    this.#alive.get(request)?.watch?.replied(reply);
  }

  /** Calls `task` as soon as no coordinator is alive. */
  whenEmpty(task: () => void): void {
    if (this.#alive.size === 0) task();
    else this.#onEmpty = task;
  }

  /** Ends every coordinator where it stands: this process is going. */
  stop(): void {
    for (const { actor } of this.#alive.values()) actor.stop();
    this.#alive.clear();
  }

  #bury(request: RequestId, how: 'done' | 'crashed'): void {
    this.#alive.get(request)?.watch?.ended(how);
    this.#alive.delete(request);
    if (this.#alive.size > 0) return;
    this.#onEmpty?.();
    this.#onEmpty = undefined;
  }
}

const machineOf = (logic: AnyActorLogic): string =>
  (logic as { readonly id?: string }).id ?? 'coordinator';

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
