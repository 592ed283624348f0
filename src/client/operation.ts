/**
 * One operation of a client: tries a request until it is answered for good or its deadline passes,
 * and knows at each end what became of the write.
 *
 *   trying ──answer──▶ done
 *    │  ▲ └─ lost, or a failure that may pass ─▶ resting (full jitter)
 *    │  └────────────────────────────────────────┘
 *    └─ deadline, signal, close ─▶ failed: refused if nothing was sent or every node that answered
 *                                  wrote nothing, else unknown
 *
 * A retry repeats put id and time of writing, so it never makes a sibling (A7); after one try of
 * unknown outcome the operation ends applied or unknown, never refused.
 */
import { CoterieError } from '../core/errors.ts';
import type { ErrorDetails } from '../core/errors.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { FailedReply } from '../wire/peer-messages.ts';
import type { FinalReply, HandledRequest, PartReply } from '../wire/client-messages.ts';
import type { Events } from './events.ts';
import type { RetryBudget } from './restraint.ts';
import type { Ending, Transport } from './transport.ts';

export type OperationParts = {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly budget: RetryBudget;
  readonly events: Events;
};

export type OperationPlan = {
  /** The request of try number `attempt`, which the node should give up after `timeoutMs`. */
  readonly build: (timeoutMs: number, attempt: number) => HandledRequest;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  /** How often a failure that was answered is tried again; those that say when to come back aside. */
  readonly retriesMax: number;
  /** As that, for a quorum refused because too few nodes can be reached. */
  readonly quorumRetriesMax: number;
  readonly signal?: AbortSignal;
  /** How a try before this operation failed. */
  readonly earlier?: CoterieError | undefined;
  /** Hears the answers to a request for many. */
  readonly part?: (part: PartReply) => void;
};

/** The answer that is no failure; rejects with CoterieError. */
export type Answered = Exclude<FinalReply, FailedReply>;

export const runOperation = (parts: OperationParts, plan: OperationPlan): Promise<Answered> =>
  new Promise((resolve, reject) => new Operation(parts, plan, resolve, reject).start());

const PAUSE_MS = 50;
const PAUSE_MS_MAX = 1000;
/** A node's own deadline ends this much before ours, so that its answer (who acked) still arrives. */
const MARGIN_MS_MAX = 50;

/** Full jitter: uniform below a ceiling that doubles with each failure, ms. `failures` is from 1. */
export const jitteredMs = (random: Random, failures: number): number =>
  random.fraction() * Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(failures - 1, 10));

class Operation {
  readonly #parts: OperationParts;
  readonly #plan: OperationPlan;
  readonly #resolve: (reply: Answered) => void;
  readonly #reject: (error: CoterieError) => void;
  readonly #onAbort = (): void => this.#cancelled('cancelled by its caller');
  #state: 'trying' | 'resting' | 'done' = 'resting';
  #call: { cancel(): void } | undefined;
  #deadline: Timer | undefined;
  #pause: Timer | undefined;
  /** Tries that left this process, and whether the one under way did. */
  #sent = 0;
  #current: 'unsent' | 'sent' = 'unsent';
  #failures = 0;
  /** Whether a retry was taken from the budget. */
  #budgeted = false;
  #last: CoterieError | undefined;
  /** The newest failure after which the write may have happened. */
  #unknown: CoterieError | undefined;

  constructor(
    parts: OperationParts,
    plan: OperationPlan,
    resolve: (reply: Answered) => void,
    reject: (error: CoterieError) => void,
  ) {
    this.#parts = parts;
    this.#plan = plan;
    if (plan.earlier?.outcome === 'unknown') this.#unknown = plan.earlier;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { signal, earlier } = this.#plan;
    if (signal?.aborted === true) return this.#onAbort();
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    const { clock } = this.#parts;
    this.#deadline = clock.setTimeout(() => this.#expired(), Math.max(0, this.#leftMs()));
    if (earlier?.details['retryAfterMs'] === undefined) this.#try();
    else this.#failed(earlier);
  }

  #leftMs(): number {
    return this.#plan.deadlineMs - this.#parts.clock.monotonicMs();
  }

  #try(): void {
    this.#state = 'trying';
    this.#current = 'unsent';
    const call = this.#parts.transport.request(
      () => {
        this.#current = 'sent';
        const leftMs = this.#leftMs();
        const timeoutMs = Math.floor(leftMs - Math.min(MARGIN_MS_MAX, leftMs / 10));
        return this.#plan.build(Math.max(1, timeoutMs), ++this.#sent);
      },
      (ending) => this.#ended(ending),
      this.#plan.part,
    );
    // It may have ended within the call.
    if (this.#state === 'trying') this.#call = call;
  }

  #ended(ending: Ending): void {
    if (this.#state !== 'trying') return;
    this.#call = undefined;
    switch (ending.type) {
      case 'closed':
        return this.#cancelled('the client was closed');
      case 'lost':
        if (this.#current === 'sent') {
          this.#last = new CoterieError('CONNECTION_LOST', `no answer: ${ending.reason}`);
          this.#unknown = this.#last;
        }
        return this.#rest(0, 'free');
      case 'full': {
        const message = `${ending.waiting} requests wait for a node already`;
        return this.#fail(this.#withEarlier(new CoterieError('OVERLOADED', message)));
      }
      case 'replied':
        if (ending.reply.type !== 'failed') {
          if (this.#budgeted) this.#parts.budget.giveBack();
          this.#stop();
          return this.#resolve(ending.reply);
        }
        const { code, message, details } = ending.reply;
        return this.#failed(new CoterieError(code, message, details));
    }
  }

  #failed(error: CoterieError): void {
    const { code, details } = error;
    this.#last = error;
    if (error.outcome === 'unknown') this.#unknown = error;
    // A node may be newer than this client: its own word about its codes goes first.
    const { retryable = error.retryable, retryAfterMs } = details;
    const refusedQuorum = code === 'QUORUM_NOT_MET' && error.outcome === 'refused';
    const { retriesMax, quorumRetriesMax } = this.#plan;
    // Whoever is told when to come back is in a queue: its end is the deadline, not a count.
    const isAskedBack = typeof retryAfterMs === 'number' && retriesMax > 0;
    if (!isAskedBack) this.#failures += 1;
    if (retryable !== true || this.#failures > (refusedQuorum ? quorumRetriesMax : retriesMax)) {
      return this.#fail(this.#withEarlier(error));
    }
    this.#parts.events.emit({ type: 'retrying', attempt: this.#sent, code });
    this.#rest(isAskedBack ? retryAfterMs : 0, 'budgeted');
  }

  /** A lost connection costs no node a request, so its retry is free of the budget. */
  #rest(leastMs: number, retry: 'free' | 'budgeted', failures = Math.max(1, this.#sent)): void {
    this.#state = 'resting';
    const { clock, random, budget } = this.#parts;
    const pauseMs = leastMs + jitteredMs(random, failures);
    // A pause beyond the deadline could only end in the answer we have now.
    if (pauseMs >= this.#leftMs() && this.#last !== undefined) return this.#expired();
    this.#pause = clock.setTimeout(() => {
      if (retry === 'free') return this.#try();
      if (budget.spend(clock.monotonicMs()) === 'granted') {
        this.#budgeted = true;
        return this.#try();
      }
      this.#parts.events.emit({ type: 'retry-held-back', attempt: this.#sent });
      this.#rest(0, retry, Infinity);
    }, pauseMs);
  }

  #expired(): void {
    const waited = 'before the deadline of the operation';
    if (this.#sent === 0 && this.#last === undefined) {
      const problem = this.#parts.transport.problem() ?? 'no connection was ready';
      return this.#fail(
        new CoterieError('UNREACHABLE', `no node could be asked ${waited} (${problem})`),
      );
    }
    const isAwaited = this.#state === 'trying' && this.#current === 'sent';
    const last = this.#last;
    // What a node said in clear words tells more than that time ran out.
    const said = last !== undefined && last.code !== 'CONNECTION_LOST';
    if (!isAwaited && said && (this.#unknown === undefined || last.outcome === 'unknown')) {
      return this.#fail(last);
    }
    const lastCode = last === undefined ? {} : { lastCode: last.code };
    const timeout = new CoterieError('TIMEOUT', `no answer ${waited}`, {
      ...lastCode,
      attempts: this.#sent,
      outcome: 'unknown',
    });
    this.#fail(this.#withEarlier(timeout));
  }

  #cancelled(message: string): void {
    const mayBeWritten =
      this.#unknown !== undefined || (this.#state === 'trying' && this.#current === 'sent');
    const outcome = mayBeWritten ? 'unknown' : 'refused';
    this.#fail(this.#withEarlier(new CoterieError('CANCELLED', message, { outcome })));
  }

  /** `error`, with what earlier tries left open: the outcome, and who acked. */
  #withEarlier(error: CoterieError): CoterieError {
    const earlier = this.#unknown;
    if (earlier === undefined || earlier === error) return error;
    const acks = error.details['acks'] ?? earlier.details['acks'];
    const details: ErrorDetails = {
      ...error.details,
      outcome: 'unknown',
      ...(acks === undefined ? {} : { acks }),
    };
    return new CoterieError(error.code, error.message, details);
  }

  #fail(error: CoterieError): void {
    if (this.#state === 'done') return;
    this.#stop();
    this.#reject(error);
  }

  #stop(): void {
    this.#state = 'done';
    const { clock } = this.#parts;
    if (this.#deadline !== undefined) clock.clearTimeout(this.#deadline);
    if (this.#pause !== undefined) clock.clearTimeout(this.#pause);
    this.#plan.signal?.removeEventListener('abort', this.#onAbort);
    this.#call?.cancel();
    this.#call = undefined;
  }
}
