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
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { checkedKey, checkedTimeoutMs, kindOf } from '../wire/fields.ts';
import type { HandledRequest } from '../wire/client-messages.ts';
import { runOperation } from './operation.ts';
import type { Answered } from './operation.ts';
import type { Transport } from './transport.ts';
import { Values } from './values.ts';

/** Text stands for its UTF-8 bytes; a key is 1–1,024 of them. */
export type KeyInput = string | Uint8Array;
export type ValueInput = string | Uint8Array;

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
};

export type ClientParts = { readonly clock: Clock; readonly random: Random };

const TIMEOUT_MS = 5000;
/** With doubling jittered pauses about 3 s: longer than a failure needs to be noticed. */
const RETRIES_MAX = 10;
/** Rounds of read and write in one update; each needs a refusal of the one before. */
const UPDATE_ROUNDS_MAX = 10;

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

  /** Throws CoterieError BAD_TIMEOUT. */
  constructor(transport: Transport, parts: ClientParts, options: ClientOptions) {
    this.#transport = transport;
    this.#parts = parts;
    this.#timeoutMs = checkedTimeoutMs(options.timeoutMs ?? TIMEOUT_MS);
    this.#retriesMax = options.retriesMax ?? RETRIES_MAX;
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
   * one deadline. With `merge` the change sees the one value that siblings were merged into, or
   * undefined where there is none; without it all siblings, and merges them itself. What others
   * write meanwhile stays as a sibling. `change` runs again only after a write that certainly did
   * not happen.
   */
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
    change: Change<never>,
    options: UpdateOptions & { readonly merge?: Merge } = {},
  ): Promise<Applied> {
    const name = keyOf(key);
    const deadlineMs = this.#deadlineOf(options);
    for (let round = 1; ; round++) {
      const { values, context } = await this.#read(name, options, deadlineMs);
      const { merge } = options;
      // The overloads pair `merge` with what `change` takes.
      const seen = (merge === undefined ? values : mergedOf(values, merge)) as never;
      const value = bytesOf(await change(seen));
      try {
        return await this.#write(name, value, { ...options, context }, deadlineMs);
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

  /** Ends what is under way with CANCELLED and lets go of the connection. */
  async close(): Promise<void> {
    this.#transport.close();
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

  #run(
    build: (timeoutMs: number, attempt: number) => HandledRequest,
    { signal }: OperationOptions,
    deadlineMs: number,
  ): Promise<Answered> {
    const retriesMax = this.#retriesMax;
    const plan = { build, deadlineMs, retriesMax, ...(signal === undefined ? {} : { signal }) };
    return runOperation({ transport: this.#transport, ...this.#parts }, plan);
  }
}

const utf8 = new TextEncoder();

const keyOf = (key: KeyInput): Key => {
  if (typeof key === 'string') return checkedKey(utf8.encode(key));
  if (key instanceof Uint8Array) return checkedKey(key);
  throw new CoterieError('BAD_ARGUMENT', `a key is text or bytes, found ${kindOf(key)}`);
};

/** A copy: a retry must send what the first try sent, whatever the caller does meanwhile. */
const bytesOf = (value: ValueInput): Uint8Array => {
  if (typeof value === 'string') return utf8.encode(value);
  if (value instanceof Uint8Array) return new Uint8Array(value);
  throw new CoterieError('BAD_ARGUMENT', `a value is text or bytes, found ${kindOf(value)}`);
};

const contextsOf = (context: WriteOptions['context']): readonly Uint8Array[] => {
  if (context === undefined) return [];
  const contexts = context instanceof Uint8Array ? [context] : context;
  return contexts.map((each) => new Uint8Array(each));
};

/** What the read before a delete takes over: W and dw say nothing about it. */
const readingOf = ({ strict, signal }: WriteOptions): GetOptions => ({
  ...(strict === undefined ? {} : { strict }),
  ...(signal === undefined ? {} : { signal }),
});

const mergedOf = (siblings: readonly Uint8Array[], merge: Merge): Uint8Array | undefined =>
  siblings.length < 2 ? siblings[0] : bytesOf(merge(siblings));

/** Nothing was written, and a fresh read may mend it: its context is newer. */
const isStale = (error: unknown): boolean =>
  error instanceof CoterieError && error.outcome === 'refused' && error.code === 'BAD_CONTEXT';

const unexpected = (reply: Answered): CoterieError =>
  new CoterieError('INTERNAL', `the node answered with ${reply.type}`);
