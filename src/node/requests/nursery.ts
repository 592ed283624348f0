/**
 * Where coordinators are born, fed and buried: one root actor per client request, under a hard cap,
 * so that overload is answered at birth (DESIGN: one request, one machine). Their own roots, never
 * children: a child costs its parent time that grows with the number alive. One that is watched is a
 * stock actor of XState; the others run the same machine in the light host (`src/host`).
 */
import { createActor } from 'xstate';
import type { AnyActorLogic, AnyActorRef } from 'xstate';
import type { Clock } from '../../ports/clock.ts';
import type { Trace } from '../../ports/trace.ts';
import type { ForwardEvent } from '../../../actors/forward.ts';
import type { GetEvent } from '../../../actors/get.ts';
import type { PutEvent } from '../../../actors/put.ts';
import { NumberMap } from '../../core/number-map.ts';
import type { CoordinatorWatch, Watch } from '../../inspector/watch.ts';
import type { ScanEvent } from '../../../actors/scan.ts';
import type { RequestId } from '../../wire/peer-messages.ts';
import { chartOf } from '../../host/chart.ts';
import { LightLife } from '../../host/light-host.ts';
import { Timers } from '../../host/timers.ts';

export type CoordinatorEvent = PutEvent | GetEvent | ForwardEvent | ScanEvent;

export type Birth = {
  readonly logic: AnyActorLogic;
  readonly input: unknown;
  /** Answers the client when the machine itself broke: code INTERNAL. */
  readonly onCrash: (error: unknown) => void;
};

/** `light`: unwatched requests, and the write buffer, run in the light host. `stock`: all in XState alone. */
export type ActorHost = 'light' | 'stock';

type Life = { send(event: CoordinatorEvent): void; stop(): unknown };
type Living = {
  readonly request: RequestId;
  readonly life: Life;
  readonly watch: CoordinatorWatch | undefined;
};

export class Nursery {
  readonly #alive = new NumberMap<Living>();
  readonly #watch: Watch | undefined;
  readonly #host: ActorHost;
  readonly #timers: Timers;
  readonly #trace: Trace;
  readonly #aliveMax: number;
  #lastRequest: RequestId;
  #answering: RequestId | undefined;
  #onEmpty: (() => void)[] = [];

  /** Numbers begin at `firstRequest`, drawn at random: an answer to a former life finds nobody. */
  constructor(
    clock: Clock,
    trace: Trace,
    aliveMax: number,
    firstRequest: RequestId,
    watch?: Watch,
    host: ActorHost = 'light',
  ) {
    this.#watch = watch;
    this.#host = host;
    this.#timers = new Timers(clock);
    this.#lastRequest = firstRequest;
    this.#trace = trace;
    this.#aliveMax = aliveMax;
  }

  get alive(): number {
    return this.#alive.size;
  }

  get isFull(): boolean {
    return this.#alive.size >= this.#aliveMax;
  }

  /** The number that the next request will have. */
  get upcoming(): RequestId {
    return this.#lastRequest + 1;
  }

  /** The number for one more request; it is used by the birth that follows. */
  nextRequest(): RequestId {
    return ++this.#lastRequest;
  }

  /** Starts the coordinator of `request`; ask `isFull` first. */
  bear(request: RequestId, birth: Birth): void {
    const watch = this.#watch?.born(request, machineOf(birth.logic), birth.input);
    const input = watch === undefined ? birth.input : watch.input;
    const ends = {
      done: () => this.#bury(request, 'done'),
      crashed: (error: unknown) => {
        this.#trace.log('error', 'coordinator.crashed', { request, error: String(error) });
        birth.onCrash(error);
        this.#bury(request, 'crashed');
      },
    };
    const inspect = watch?.inspect;
    const chart =
      this.#host === 'light' && inspect === undefined ? chartOf(birth.logic) : undefined;
    if (chart !== undefined) {
      const life = new LightLife(chart, input, this.#timers, ends);
      this.#alive.set(request, { request, life, watch });
      life.start();
      return;
    }
    const actor = createActor(birth.logic, {
      input,
      clock: xstateClock(this.#timers),
      ...(inspect === undefined ? {} : { inspect }),
    });
    this.#alive.set(request, { request, life: actor as AnyActorRef, watch });
    actor.subscribe({ complete: ends.done, error: ends.crashed });
    actor.start();
  }

  /** Hands an answer to the coordinator that waits for it; an answer to nobody is dropped. */
  deliver(request: RequestId, event: CoordinatorEvent): void {
    const living = this.#alive.get(request);
    if (living === undefined) return;
    living.watch?.heard(event);
    living.life.send(event);
  }

  /** Tells all that are alive now. */
  deliverToAll(event: CoordinatorEvent): void {
    for (const { request } of this.#alive.values()) this.deliver(request, event);
  }

  /** The coordinator of `request` answers whoever waits for it, if anybody still does. */
  answer<Reply extends object>(
    request: RequestId,
    reply: Reply,
    hear: ((reply: Reply) => void) | undefined,
  ): void {
    this.#alive.get(request)?.watch?.replied(reply);
    this.#answering = request;
    hear?.(reply);
    this.#answering = undefined;
  }

  /** The request that is being answered in this very call. */
  get answering(): RequestId | undefined {
    return this.#answering;
  }

  /** Calls `task` as soon as no coordinator is alive. */
  whenEmpty(task: () => void): void {
    if (this.#alive.size === 0) task();
    else this.#onEmpty.push(task);
  }

  /** Ends every coordinator where it stands: this process is going. */
  stop(): void {
    this.#onEmpty = [];
    for (const { life } of this.#alive.values()) life.stop();
    this.#alive.clear();
  }

  #bury(request: RequestId, how: 'done' | 'crashed'): void {
    this.#alive.get(request)?.watch?.ended(how);
    this.#alive.delete(request);
    if (this.#alive.size > 0) return;
    for (const task of this.#onEmpty.splice(0)) task();
  }
}

const machineOf = (logic: AnyActorLogic): string =>
  (logic as { readonly id?: string }).id ?? 'coordinator';

/** A Clock in the shape XState wants for `after` and delayed sends. */
export const xstateClock = (
  clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>,
): {
  setTimeout(task: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
} => ({
  setTimeout: (task, delayMs) => clock.setTimeout(task, delayMs),
  clearTimeout: (timer) => {
    if (timer !== undefined) clock.clearTimeout(timer as object | number);
  },
});
