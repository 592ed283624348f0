/**
 * What every operation of a client passes through while it is open: its deadline, its share of the
 * retry budget, and the count that a drained close waits for.
 *
 *   open ── close('drained') ─▶ closing ── nothing under way, or time is over ─▶ closed
 *     └────────────────────── close('now') ───────────────────────────────────────▲
 */
import { CoterieError } from '../core/errors.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { checkedTimeoutMs } from '../wire/fields.ts';
import type { HandledRequest } from '../wire/client-messages.ts';
import { Events } from './events.ts';
import { runOperation } from './operation.ts';
import type { Answered, OperationPlan } from './operation.ts';
import type { ClientOptions, OperationOptions } from './options.ts';
import { RetryBudget } from './restraint.ts';
import type { Transport } from './transport.ts';

export type ClientParts = {
  readonly clock: Clock;
  readonly random: Random;
  /** Where the transport tells what happens, if it does. */
  readonly events?: Events;
};

/** The request of one try, from the time the node may take (ms) and the number of the try. */
export type BuildRequest = (timeoutMs: number, attempt: number) => HandledRequest;
export type RunMore = Pick<OperationPlan, 'part' | 'earlier'> & { readonly tries?: 'one' };

const TIMEOUT_MS = 5000;
/** With doubling jittered pauses about 3 s: longer than a failure needs to be noticed. */
const RETRIES_MAX = 10;
const DRAIN_MS = 2000;

export class Executor {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
  readonly #transport: Transport;
  readonly #timeoutMs: number;
  readonly #retriesMax: number;
  readonly #quorumRetriesMax: number;
  readonly #drainMs: number;
  readonly #budget: RetryBudget;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #underWay = 0;
  #drained = (): void => undefined;

  /** Throws CoterieError BAD_TIMEOUT. */
  constructor(transport: Transport, parts: ClientParts, options: ClientOptions) {
    this.clock = parts.clock;
    this.random = parts.random;
    this.events = parts.events ?? new Events();
    this.#transport = transport;
    this.#timeoutMs = checkedTimeoutMs(options.timeoutMs ?? TIMEOUT_MS);
    this.#retriesMax = options.retriesMax ?? RETRIES_MAX;
    this.#quorumRetriesMax = options.quorumRetriesMax ?? this.#retriesMax;
    this.#drainMs = options.drainMs ?? DRAIN_MS;
    this.#budget = new RetryBudget(parts.clock.monotonicMs());
  }

  /** When an operation that begins now must have ended, on the monotonic clock. */
  deadlineOf({ timeoutMs }: OperationOptions): number {
    const ms = timeoutMs === undefined ? this.#timeoutMs : checkedTimeoutMs(timeoutMs);
    return this.clock.monotonicMs() + ms;
  }

  /** One operation, of one request or several: a close that drains waits for all of it. */
  async whole<T>(options: OperationOptions, task: (deadlineMs: number) => Promise<T>): Promise<T> {
    if (this.#state !== 'open') throw closedError();
    return this.#counted(() => task(this.deadlineOf(options)));
  }

  /** An operation of one request; the answer that is no failure. */
  one(build: BuildRequest, options: OperationOptions): Promise<Answered> {
    return this.whole(options, (deadlineMs) => this.run(build, options, deadlineMs));
  }

  /** One request of an operation; the answer that is no failure. Rejects with CoterieError. */
  async run(
    build: BuildRequest,
    { signal }: OperationOptions,
    deadlineMs: number,
    more: RunMore = {},
  ): Promise<Answered> {
    if (this.#state === 'closed') throw closedError();
    const plan = {
      build,
      deadlineMs,
      retriesMax: more.tries === 'one' ? 0 : this.#retriesMax,
      quorumRetriesMax: more.tries === 'one' ? 0 : this.#quorumRetriesMax,
      ...more,
      ...(signal === undefined ? {} : { signal }),
    };
    const { clock, random, events } = this;
    const [transport, budget] = [this.#transport, this.#budget];
    // What goes on with an earlier try began with that.
    if (more.earlier === undefined) budget.earn();
    return this.#counted(() => runOperation({ transport, clock, random, budget, events }, plan));
  }

  async #counted<T>(task: () => Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await task();
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#drained();
    }
  }

  async close(when: 'drained' | 'now' = 'drained'): Promise<void> {
    if (this.#state === 'closed') return;
    if (when === 'drained' && this.#underWay > 0 && this.#state === 'open') {
      this.#state = 'closing';
      await this.#drain();
    }
    this.#state = 'closed';
    this.#drained();
    this.#transport.close();
    this.events.emit({ type: 'closed' });
  }

  #drain(): Promise<void> {
    const { clock } = this;
    return new Promise((resolve) => {
      const timer: Timer = clock.setTimeout(resolve, this.#drainMs);
      this.#drained = () => {
        clock.clearTimeout(timer);
        resolve();
      };
    });
  }
}

const closedError = (): CoterieError =>
  new CoterieError('CANCELLED', 'the client was closed', { outcome: 'refused' });
