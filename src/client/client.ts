/**
 * The client: get, put, delete and update over a transport, with one deadline for the whole
 * operation. A put keeps its put id through every retry, so trying again never makes a sibling,
 * and after one attempt of unknown outcome an operation ends applied or unknown, never refused.
 */
import { CoterieError } from '../core/errors.ts';
import { hexOf, keyOfBytes, keyOfText, putId } from '../core/ids.ts';
import type { Key } from '../core/ids.ts';
import type { HandledReply, HandledRequest } from '../wire/client-messages.ts';
import { NoReply } from './transport.ts';
import type { Chance, Timers, Transport } from './transport.ts';

export type KeyInput = string | Uint8Array;
export type ValueInput = string | Uint8Array;

export type GetOptions = {
  /** Replicas that must answer; by default the cluster's R. */
  readonly r?: number;
  /** Count real owners only. */
  readonly strict?: boolean;
  /** Deadline of the whole operation, ms. */
  readonly timeoutMs?: number;
};

export type PutOptions = {
  /** Replicas that must have it, and of these on disk. */
  readonly w?: number;
  readonly dw?: number;
  readonly strict?: boolean;
  /** Drop what is older by the writers' clocks instead of keeping siblings. */
  readonly lastWriteWins?: boolean;
  readonly timeoutMs?: number;
};

/** `context`: what earlier gets or puts of this key returned; without it a put overwrites nothing. */
export type WriteOptions = PutOptions & { readonly context?: Uint8Array | readonly Uint8Array[] };

export type Applied = {
  readonly outcome: 'applied';
  /** Nodes that hold the write, and those on whose disk it is. */
  readonly acks: readonly string[];
  readonly durable: readonly string[];
  /** What this writer has now seen of the key. */
  readonly context: Uint8Array;
};

/** What R replicas know of a key: no value, one, or several concurrent siblings. */
export class Values {
  readonly state: 'found' | 'deleted' | 'never-seen';
  readonly values: readonly Uint8Array[];
  /** Pass it to the put that replaces what was read here. */
  readonly context: Uint8Array;

  constructor(state: Values['state'], values: readonly Uint8Array[], context: Uint8Array) {
    this.state = state;
    this.values = values;
    this.context = context;
  }

  /** Each sibling as UTF-8 text; throws TypeError on bytes that are none. */
  texts(): readonly string[] {
    const utf8 = new TextDecoder('utf-8', { fatal: true });
    return this.values.map((value) => utf8.decode(value));
  }

  /** Each sibling parsed as JSON; throws SyntaxError on bytes that are none. */
  json<T = unknown>(): readonly T[] {
    return this.texts().map((text) => JSON.parse(text) as T);
  }
}

export type ClientOptions = {
  /** Deadline of an operation that names none, ms. */
  readonly timeoutMs?: number;
  /** How often an answered but retryable failure is tried again within the deadline. */
  readonly retriesMax?: number;
};

const RETRY_PAUSE_MS = 50;
const RETRY_PAUSE_MS_MAX = 1000;
const UPDATE_ROUNDS_MAX = 10;

export class Client {
  readonly #transport: Transport;
  readonly #timers: Timers;
  readonly #chance: Chance;
  readonly #timeoutMs: number;
  readonly #retriesMax: number;

  constructor(transport: Transport, timers: Timers, chance: Chance, options: ClientOptions = {}) {
    this.#transport = transport;
    this.#timers = timers;
    this.#chance = chance;
    this.#timeoutMs = options.timeoutMs ?? 5000;
    this.#retriesMax = options.retriesMax ?? 3;
  }

  /** All concurrent values of `key`. Throws CoterieError. */
  async get(key: KeyInput, options: GetOptions = {}): Promise<Values> {
    const name = keyFrom(key);
    const reply = await this.#request(options.timeoutMs, (timeoutMs) => ({
      type: 'get',
      key: name,
      ...(options.r === undefined ? {} : { r: options.r }),
      strict: options.strict ?? false,
      timeoutMs,
    }));
    if (reply.type !== 'value') throw unexpected(reply);
    return new Values(reply.state, reply.values, reply.context);
  }

  /**
   * Writes one value, replacing exactly what `context` has seen. Throws CoterieError, whose
   * `outcome` says whether the write may have happened.
   */
  async put(key: KeyInput, value: ValueInput, options: WriteOptions = {}): Promise<Applied> {
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
    return this.#write(key, bytes, options);
  }

  async putJson(key: KeyInput, value: unknown, options: WriteOptions = {}): Promise<Applied> {
    return this.put(key, JSON.stringify(value), options);
  }

  /** Deletes what `context` has seen; without one it reads first. */
  async delete(key: KeyInput, options: WriteOptions = {}): Promise<Applied> {
    if (options.context !== undefined) return this.#write(key, 'tombstone', options);
    const { context } = await this.get(key, {
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    });
    return this.#write(key, 'tombstone', { ...options, context });
  }

  /**
   * Reads, lets `change` make one value of all siblings, and writes that with the context of the
   * read. `change` gets an empty list for a key without a value; it may run more than once.
   */
  async update(
    key: KeyInput,
    change: (siblings: readonly Uint8Array[]) => ValueInput,
    options: PutOptions & GetOptions = {},
  ): Promise<Applied> {
    for (let round = 1; ; round++) {
      const read = await this.get(key, options);
      try {
        return await this.put(key, change(read.values), { ...options, context: read.context });
      } catch (error) {
        const stale = error instanceof CoterieError && error.code === 'BAD_CONTEXT';
        if (!stale || round >= UPDATE_ROUNDS_MAX) throw error;
      }
    }
  }

  /** The cluster as the connected node sees it. */
  async status(): Promise<Readonly<Record<string, unknown>>> {
    const reply = await this.#request(undefined, () => ({ type: 'status' }));
    if (reply.type !== 'status-is') throw unexpected(reply);
    return reply.status;
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #write(
    key: KeyInput,
    value: Uint8Array | 'tombstone',
    { context, ...options }: WriteOptions,
  ): Promise<Applied> {
    const name = keyFrom(key);
    const contexts =
      context === undefined ? [] : context instanceof Uint8Array ? [context] : context;
    const put = putId(hexOf(this.#chance.bytes(8)));
    const writtenAt = Math.floor(this.#timers.wallMs());
    const reply = await this.#request(options.timeoutMs, (timeoutMs, attempt) => ({
      type: 'put',
      key: name,
      value,
      contexts,
      putId: put,
      writtenAt,
      attempt,
      mode: options.lastWriteWins === true ? 'last-write-wins' : 'causal',
      ...(options.w === undefined ? {} : { w: options.w }),
      ...(options.dw === undefined ? {} : { dw: options.dw }),
      strict: options.strict ?? false,
      timeoutMs,
    }));
    if (reply.type !== 'applied') throw unexpected(reply);
    const { acks, durable } = reply;
    return { outcome: 'applied', acks, durable, context: reply.context };
  }

  /** One operation: tries until it is answered for good, or its deadline passes. */
  async #request(
    wantedMs: number | undefined,
    call: (timeoutMs: number, attempt: number) => HandledRequest,
  ): Promise<HandledReply> {
    const timeoutMs = wantedMs ?? this.#timeoutMs;
    const deadlineMs = this.#timers.monotonicMs() + timeoutMs;
    let maybeWritten = false;
    let failures = 0;
    let last = new CoterieError('UNREACHABLE', `no node answered within ${timeoutMs} ms`);
    for (let attempt = 1; ; attempt++) {
      const leftMs = Math.floor(deadlineMs - this.#timers.monotonicMs());
      if (leftMs < 1) throw asUnknown(last, maybeWritten);
      let reply: HandledReply;
      try {
        reply = await this.#transport.request(call(leftMs, attempt), leftMs);
      } catch (error) {
        if (!(error instanceof NoReply)) throw error;
        maybeWritten ||= error.sent;
        last = error.sent
          ? new CoterieError('TIMEOUT', `${error.message}: the outcome is unknown`)
          : new CoterieError('UNREACHABLE', error.message);
        await this.#pause(attempt, deadlineMs);
        continue;
      }
      if (reply.type !== 'failed') return reply;
      last = new CoterieError(reply.code, reply.message, reply.details);
      maybeWritten ||= last.outcome === 'unknown';
      failures += 1;
      if (!last.retryable || failures > this.#retriesMax) throw asUnknown(last, maybeWritten);
      await this.#pause(attempt, deadlineMs);
    }
  }

  /** Full jitter: anything from nothing to a doubling ceiling. */
  #pause(attempt: number, deadlineMs: number): Promise<void> {
    const ceiling = Math.min(RETRY_PAUSE_MS_MAX, RETRY_PAUSE_MS * 2 ** Math.min(attempt - 1, 10));
    const leftMs = Math.max(0, deadlineMs - this.#timers.monotonicMs());
    const pauseMs = Math.min(leftMs, ceiling * this.#chance.fraction());
    return new Promise((resolve) => this.#timers.setTimeout(resolve, pauseMs));
  }
}

/** Throws CoterieError KEY_EMPTY or KEY_TOO_LONG. */
const keyFrom = (key: KeyInput): Key => {
  try {
    return typeof key === 'string' ? keyOfText(key) : keyOfBytes(key);
  } catch (error) {
    const code = key.length === 0 ? 'KEY_EMPTY' : 'KEY_TOO_LONG';
    throw new CoterieError(code, error instanceof Error ? error.message : String(error));
  }
};

const asUnknown = (error: CoterieError, maybeWritten: boolean): CoterieError =>
  maybeWritten && error.outcome === 'refused'
    ? new CoterieError(error.code, error.message, { ...error.details, outcome: 'unknown' })
    : error;

const unexpected = (reply: HandledReply): CoterieError =>
  new CoterieError('INTERNAL', `the store answered with ${reply.type}`);
