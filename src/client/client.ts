/**
 * The client: get, put, delete and update over a transport. Each operation has one deadline, within
 * which it is tried as often as makes sense (operation.ts).
 *
 *   const cart = await client.get('cart:alice');
 *   await client.put('cart:alice', next, { context: cart.context });   // replaces what was read
 *   await client.update('cart:alice', addBread, { merge });            // both, siblings merged
 *
 * Every failure is a CoterieError: `retryable`, for writes `outcome` (refused: nothing was written;
 * unknown: it may have been), and who acked in `details.acks`.
 */
import { CoterieError } from '../core/errors.ts';
import { hexOf, putId } from '../core/ids.ts';
import type { Key } from '../core/ids.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { checkedTimeoutMs } from '../wire/fields.ts';
import type { HandledRequest } from '../wire/client-messages.ts';
import type { Codec } from './codecs.ts';
import { Events } from './events.ts';
import type { ClientEvent } from './events.ts';
import { bytesOf, contextsOf, keyOf } from './inputs.ts';
import type { KeyInput, ValueInput } from './inputs.ts';
import { mergedState } from './mergeable.ts';
import type { Mergeable, Own, Stamp } from './mergeable.ts';
import { runOperation } from './operation.ts';
import type { Answered } from './operation.ts';
import { RetryBudget } from './restraint.ts';
import type { Transport } from './transport.ts';
import { TypedClient } from './typed.ts';
import { Values } from './values.ts';

export type { KeyInput, ValueInput } from './inputs.ts';

export type OperationOptions = {
  /** Deadline of the whole operation with all its retries, ms, 1 … 600,000. */
  readonly timeoutMs?: number;
  /** Count real owners only, no stand-ins: R + W > N then reads your own writes. */
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
};
export type GetOptions = OperationOptions & {
  /** Replicas that must answer; by default the cluster's R. */
  readonly r?: number;
};
export type PutOptions = OperationOptions & {
  /** Replicas that must have it; by default the cluster's W. */
  readonly w?: number;
  /** How many of these on disk; 0 is the paper's mode. */
  readonly dw?: number;
  /** Replace what is older by the writers' clocks, instead of keeping siblings. */
  readonly lastWriteWins?: boolean;
};
export type WriteOptions = PutOptions & {
  /** What earlier gets or puts of this key returned. Without it a put overwrites nothing. */
  readonly context?: Uint8Array | readonly Uint8Array[];
};
export type UpdateOptions = PutOptions & GetOptions;
/** Makes one value of two or more siblings; the order it gets them in means nothing. */
export type Merge = (siblings: readonly Uint8Array[]) => ValueInput;
/** Makes the next value. */
export type Change<Seen> = (seen: Seen) => ValueInput | Promise<ValueInput>;

export type Applied = {
  readonly outcome: 'applied';
  /** Nodes that hold the write. */
  readonly acks: readonly string[];
  /** Those of them that had it on disk when they answered. */
  readonly durable: readonly string[];
  /** What this writer has now seen of the key. */
  readonly context: Uint8Array;
};

export type ClientOptions = {
  /** Deadline of an operation that names none, ms. */
  readonly timeoutMs?: number;
  /** How often a failure that a node answered is tried again, within the deadline. */
  readonly retriesMax?: number;
  /**
   * As `retriesMax`, for a quorum that a node refused because too few nodes can be reached. People
   * who wait for the answer want 0 or 1; programs rather wait for the nodes. By default `retriesMax`.
   */
  readonly quorumRetriesMax?: number;
  /** How long `close` waits for operations under way, ms. */
  readonly drainMs?: number;
};

export type ClientParts = {
  readonly clock: Clock;
  readonly random: Random;
  /** Where the transport tells what happens, if it does. */
  readonly events?: Events;
};

const TIMEOUT_MS = 5000;
/** With doubling jittered pauses about 3 s: longer than a failure needs to be noticed. */
const RETRIES_MAX = 10;
/** Rounds of read and write in one update; each needs a refusal of the one before. */
const UPDATE_ROUNDS_MAX = 10;
const DRAIN_MS = 2000;
/** Keys of which a client remembers what it was as a writer of mergeable values. */
const OWN_MAX = 4096;

/** A client over any transport; `connect` and `clientOver` make the usual ones. */
export const createClient = (
  transport: Transport,
  parts: ClientParts,
  options: ClientOptions = {},
): Client => new Client(transport, parts, options);

export class Client {
  readonly #transport: Transport;
  readonly #parts: ClientParts;
  readonly #timeoutMs: number;
  readonly #retriesMax: number;
  readonly #quorumRetriesMax: number;
  readonly #drainMs: number;
  readonly #budget: RetryBudget;
  readonly #events: Events;
  readonly #own = new Map<Key, Own>();
  #state: 'open' | 'closing' | 'closed' = 'open';
  #underWay = 0;
  #drained = (): void => undefined;

  /** Throws CoterieError BAD_TIMEOUT. */
  constructor(transport: Transport, parts: ClientParts, options: ClientOptions) {
    this.#transport = transport;
    this.#parts = parts;
    this.#timeoutMs = checkedTimeoutMs(options.timeoutMs ?? TIMEOUT_MS);
    this.#retriesMax = options.retriesMax ?? RETRIES_MAX;
    this.#quorumRetriesMax = options.quorumRetriesMax ?? this.#retriesMax;
    this.#drainMs = options.drainMs ?? DRAIN_MS;
    this.#budget = new RetryBudget(parts.clock.monotonicMs());
    this.#events = parts.events ?? new Events();
  }

  /** Calls `listener` with what happens to this client, until the returned function is called. */
  on(listener: (event: ClientEvent) => void): () => void {
    return this.#events.on(listener);
  }

  /** What happens to this client from now on; ends when it is closed. */
  events(): AsyncIterableIterator<ClientEvent> {
    return this.#events.iterate();
  }

  /** This client with values of one codec. */
  as<T>(codec: Codec<T>): TypedClient<T> {
    return new TypedClient(this, codec);
  }

  /** All concurrent values of `key`. */
  async get(key: KeyInput, options: GetOptions = {}): Promise<Values> {
    return this.#read(keyOf(key), options, this.#deadlineOf(options));
  }

  /** As `get`, with each sibling parsed. */
  async getJson<T = unknown>(
    key: KeyInput,
    options: GetOptions = {},
  ): Promise<{ readonly values: readonly T[]; readonly context: Uint8Array }> {
    const read = await this.get(key, options);
    return { values: read.json<T>(), context: read.context };
  }

  /** Writes one value, replacing exactly what `context` has seen. */
  async put(key: KeyInput, value: ValueInput, options: WriteOptions = {}): Promise<Applied> {
    return this.#write(keyOf(key), bytesOf(value), options, this.#deadlineOf(options));
  }

  async putJson(key: KeyInput, value: unknown, options: WriteOptions = {}): Promise<Applied> {
    return this.put(key, JSON.stringify(value), options);
  }

  /** Deletes what `context` has seen; without one it reads first. */
  async delete(key: KeyInput, options: WriteOptions = {}): Promise<Applied> {
    const name = keyOf(key);
    const deadlineMs = this.#deadlineOf(options);
    const context =
      options.context ?? (await this.#read(name, readingOf(options), deadlineMs)).context;
    return this.#write(name, 'tombstone', { ...options, context }, deadlineMs);
  }

  /**
   * Reads, lets `change` make the next value, and writes it with the context of the read, all within
   * one deadline. With a mergeable as `merge` the change edits its face; with a function it sees the
   * one value that siblings were merged into, or undefined where there is none; without either all
   * siblings, and merges them itself. What others write meanwhile stays as a sibling. `change` runs
   * again only after a write that certainly did not happen.
   */
  update<State, Face, Made>(
    key: KeyInput,
    change: (face: Face) => Made | Promise<Made>,
    options: UpdateOptions & { readonly merge: Mergeable<State, Face, Made> },
  ): Promise<Applied>;
  update(
    key: KeyInput,
    change: Change<Uint8Array | undefined>,
    options: UpdateOptions & { readonly merge: Merge },
  ): Promise<Applied>;
  update(
    key: KeyInput,
    change: Change<readonly Uint8Array[]>,
    options?: UpdateOptions,
  ): Promise<Applied>;
  async update(
    key: KeyInput,
    change: (seen: never) => unknown,
    options: UpdateOptions & { readonly merge?: unknown } = {},
  ): Promise<Applied> {
    const name = keyOf(key);
    const deadlineMs = this.#deadlineOf(options);
    const merge = options.merge as Merge | AnyMergeable | undefined;
    for (let round = 1; ; round++) {
      const { values, context } = await this.#read(name, options, deadlineMs);
      const writing = { ...options, context };
      try {
        if (typeof merge === 'object')
          return await this.#edit(name, values, change, merge, { ...writing, deadlineMs });
        // The overloads pair `merge` with what `change` takes and makes.
        const seen = (merge === undefined ? values : mergedOf(values, merge)) as never;
        const value = bytesOf((await change(seen)) as ValueInput);
        return await this.#write(name, value, writing, deadlineMs);
      } catch (error) {
        if (round >= UPDATE_ROUNDS_MAX || !isStale(error)) throw error;
      }
    }
  }

  /** The cluster as the connected node sees it. */
  async status(options: OperationOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    const reply = await this.#run(() => ({ type: 'status' }), options, this.#deadlineOf(options));
    if (reply.type !== 'status-is') throw unexpected(reply);
    return reply.status;
  }

  /**
   * A command of an operator to the connected node; what it answers. Like every operation it is tried
   * again within its deadline: doing a command twice is the same as once.
   */
  async admin(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    options: OperationOptions = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    const build = (timeoutMs: number) => ({ type: 'admin', command, args, timeoutMs }) as const;
    const reply = await this.#run(build, options, this.#deadlineOf(options));
    if (reply.type !== 'admin-is') throw unexpected(reply);
    return reply.result;
  }

  /**
   * Takes nothing new, waits up to `drainMs` for what is under way, ends the rest with CANCELLED and
   * lets go of the connection. `now` does not wait.
   */
  async close(when: 'drained' | 'now' = 'drained'): Promise<void> {
    if (this.#state === 'closed') return;
    if (when === 'drained' && this.#underWay > 0 && this.#state === 'open') {
      this.#state = 'closing';
      await this.#drain();
    }
    this.#state = 'closed';
    this.#drained();
    this.#transport.close();
    this.#events.emit({ type: 'closed' });
  }

  #drain(): Promise<void> {
    const { clock } = this.#parts;
    return new Promise((resolve) => {
      const timer: Timer = clock.setTimeout(resolve, this.#drainMs);
      this.#drained = () => {
        clock.clearTimeout(timer);
        resolve();
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #deadlineOf({ timeoutMs }: OperationOptions): number {
    const ms = timeoutMs === undefined ? this.#timeoutMs : checkedTimeoutMs(timeoutMs);
    return this.#parts.clock.monotonicMs() + ms;
  }

  async #read(key: Key, options: GetOptions, deadlineMs: number): Promise<Values> {
    const { r, strict = false } = options;
    const get = { type: 'get', key, strict, ...(r === undefined ? {} : { r }) } as const;
    const reply = await this.#run((timeoutMs) => ({ ...get, timeoutMs }), options, deadlineMs);
    if (reply.type !== 'value') throw unexpected(reply);
    return new Values(reply);
  }

  async #write(
    key: Key,
    value: Uint8Array | 'tombstone',
    options: WriteOptions,
    deadlineMs: number,
  ): Promise<Applied> {
    const { context, w, dw, strict = false, lastWriteWins = false } = options;
    const { clock, random } = this.#parts;
    const put = {
      type: 'put',
      key,
      value,
      contexts: contextsOf(context),
      // Every try of this write is the same write: one id, one time.
      putId: putId(hexOf(random.bytes(8))),
      writtenAt: Math.floor(clock.wallMs()),
      mode: lastWriteWins ? 'last-write-wins' : 'causal',
      strict,
      ...(w === undefined ? {} : { w }),
      ...(dw === undefined ? {} : { dw }),
    } as const;
    const build = (timeoutMs: number, attempt: number) => ({ ...put, timeoutMs, attempt });
    const reply = await this.#run(build, options, deadlineMs);
    if (reply.type !== 'applied') throw unexpected(reply);
    return { outcome: 'applied', acks: reply.acks, durable: reply.durable, context: reply.context };
  }

  /** The update of one mergeable value: its change, and the write of what that made. */
  async #edit(
    key: Key,
    siblings: readonly Uint8Array[],
    change: (face: never) => unknown,
    type: AnyMergeable,
    options: WriteOptions & { readonly deadlineMs: number },
  ): Promise<Applied> {
    const own = this.#own.get(key);
    // Taken, so that no other update goes on as the same writer meanwhile.
    this.#own.delete(key);
    const { clock, random } = this.#parts;
    const tag = (): string => hexOf(random.bytes(8));
    const stamp: Stamp = { nowMs: Math.floor(clock.wallMs()), tag, own };
    const { face, finish } = type.edit(mergedState(type, siblings) as never, stamp);
    const value = type.codec.encode(finish((await change(face)) as never) as never);
    const applied = await this.#write(key, value, options, options.deadlineMs);
    if (stamp.leaves !== undefined && this.#own.size < OWN_MAX) this.#own.set(key, stamp.leaves);
    return applied;
  }

  async #run(
    build: (timeoutMs: number, attempt: number) => HandledRequest,
    { signal }: OperationOptions,
    deadlineMs: number,
  ): Promise<Answered> {
    if (this.#state !== 'open') {
      throw new CoterieError('CANCELLED', 'the client was closed', { outcome: 'refused' });
    }
    const plan = {
      build,
      deadlineMs,
      retriesMax: this.#retriesMax,
      quorumRetriesMax: this.#quorumRetriesMax,
      ...(signal === undefined ? {} : { signal }),
    };
    const { clock, random } = this.#parts;
    const [transport, budget, events] = [this.#transport, this.#budget, this.#events];
    budget.earn();
    this.#underWay += 1;
    try {
      return await runOperation({ transport, clock, random, budget, events }, plan);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#drained();
    }
  }
}

type AnyMergeable = Mergeable<unknown, never, never>;

/** What the read before a delete takes over: W and dw say nothing about it. */
const readingOf = ({ strict, signal }: WriteOptions): GetOptions => ({
  ...(strict === undefined ? {} : { strict }),
  ...(signal === undefined ? {} : { signal }),
});

const mergedOf = (siblings: readonly Uint8Array[], merge: Merge): Uint8Array | undefined =>
  siblings.length < 2 ? siblings[0] : bytesOf(merge(siblings));

/** Nothing was written, and a fresh read may mend it: its context is newer. */
const isStale = (error: unknown): boolean =>
  error instanceof CoterieError && error.outcome === 'refused' && STALE.has(error.code);

const STALE: ReadonlySet<string> = new Set(['BAD_CONTEXT', 'TOO_MANY_SIBLINGS']);

const unexpected = (reply: Answered): CoterieError =>
  new CoterieError('INTERNAL', `the node answered with ${reply.type}`);
