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
import type { HandledRequest, KeysReply, RingReply } from '../wire/client-messages.ts';
import type { Codec } from './codecs.ts';
import { Events } from './events.ts';
import type { ClientEvent } from './events.ts';
import { bytesOf, contextsOf, keyOf } from './inputs.ts';
import type { KeyInput, ValueInput } from './inputs.ts';
import { mergedState } from './mergeable.ts';
import type { Mergeable, Own, Stamp } from './mergeable.ts';
import { runMany } from './many.ts';
import type { GotOne, PutOne } from './many.ts';
import { planOfGets, planOfPuts } from './many-plans.ts';
import { jitteredMs, runOperation } from './operation.ts';
import type { Answered, OperationPlan } from './operation.ts';
import type {
  Applied,
  Change,
  ClientOptions,
  GetOptions,
  Merge,
  OperationOptions,
  PutOptions,
  ScanOptions,
  UpdateOptions,
  WriteOptions,
} from './options.ts';
import {
  appliedOf,
  conditionOf,
  expiryOf,
  isStale,
  mergedOf,
  modeOf,
  newGet,
  readingOf,
  unexpected,
  valuesOf,
} from './requests.ts';
import type { AnyMergeable, Earlier, NewPut } from './requests.ts';
import { RetryBudget } from './restraint.ts';
import { Session } from './session.ts';
import type { Transport } from './transport.ts';
import { Stamps } from './stamps.ts';
import { keysOf, repeated } from './streams.ts';
import { TypedClient } from './typed.ts';
import { Values } from './values.ts';

export type { KeyInput, ValueInput } from './inputs.ts';
export type * from './options.ts';

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
const STATUS_EVERY_MS = 1000;
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
  readonly #session: Session | undefined;
  readonly #stamps = new Stamps();
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
    this.#session = options.session === true ? new Session() : undefined;
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

  /**
   * Gets many keys, each by a coordinator of its own but few messages; results come as they are
   * there, each with the index of its key. A key that failed is a result with an `error`.
   */
  getMany(keys: readonly KeyInput[], options: GetOptions = {}): AsyncIterableIterator<GotOne> {
    const deadlineMs = this.#deadlineOf(options);
    const plan = planOfGets(
      keys.map((key) => newGet(keyOf(key), options)),
      {
        run: (build, part) => this.#run(build, options, deadlineMs, { part, tries: 'one' }),
        // One that is behind is left to be read again by itself.
        notice: ({ key }, values) => this.#notice(key, values),
        single: ({ key }) => this.#read(key, options, deadlineMs),
      },
    );
    return runMany(plan, (index, values) => ({ index, values }));
  }

  /** Puts many values, as `getMany` gets them. Not a transaction: each is applied or not by itself. */
  putMany(
    entries: readonly {
      readonly key: KeyInput;
      readonly value: ValueInput;
      readonly context?: Uint8Array;
    }[],
    options: PutOptions = {},
  ): AsyncIterableIterator<PutOne> {
    const deadlineMs = this.#deadlineOf(options);
    const puts = entries.map(({ key, value, context }) =>
      this.#newPut(keyOf(key), bytesOf(value), { ...options, ...(context ? { context } : {}) }),
    );
    const plan = planOfPuts(puts, {
      run: (build, part) => this.#run(build, options, deadlineMs, { part, tries: 'one' }),
      applied: (put, reply) => this.#applied(put, reply),
      single: (put, earlier) => this.#send(put, options, deadlineMs, earlier),
    });
    return runMany(plan, (index, applied) => ({ index, applied }));
  }

  /**
   * The keys of the store, in no order, a page at a time; each page has the deadline of an operation
   * of its own. A key deleted a moment ago may show, one written meanwhile may not. Stop iterating
   * to stop scanning.
   */
  async *scan(options: ScanOptions = {}): AsyncGenerator<Uint8Array, void, void> {
    const { partition, prefix, pageSize: limit = 1000 } = options;
    const { partitions } = await this.ring(options);
    const all = Array.from({ length: partitions }, (_, each) => each);
    const page = async (of: number, after: Uint8Array | undefined): Promise<KeysReply> => {
      const cursor = after === undefined ? {} : { after };
      const request = { type: 'scan', partition: of, limit, ...cursor } as const;
      const build = (timeoutMs: number): HandledRequest => ({ ...request, timeoutMs });
      const reply = await this.#run(build, options, this.#deadlineOf(options));
      if (reply.type !== 'keys') throw unexpected(reply);
      return reply;
    };
    const wanted = prefix === undefined ? '' : keyOf(prefix);
    yield* keysOf(partition === undefined ? all : [partition], wanted, page);
  }

  /** Who owns which partition, as the connected node knows it. */
  async ring(options: OperationOptions = {}): Promise<RingReply> {
    const reply = await this.#run(() => ({ type: 'ring' }), options, this.#deadlineOf(options));
    if (reply.type !== 'ring-is') throw unexpected(reply);
    return reply;
  }

  /** Has all reachable owners of `key` brought to the same record. */
  async repair(key: KeyInput, options: OperationOptions = {}): Promise<void> {
    const repair = { type: 'repair', key: keyOf(key) } as const;
    const build = (timeoutMs: number): HandledRequest => ({ ...repair, timeoutMs });
    const reply = await this.#run(build, options, this.#deadlineOf(options));
    if (reply.type !== 'done') throw unexpected(reply);
  }

  /** The cluster as the connected node sees it. */
  async status(options: OperationOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    const reply = await this.#run(() => ({ type: 'status' }), options, this.#deadlineOf(options));
    if (reply.type !== 'status-is') throw unexpected(reply);
    return reply.status;
  }

  /**
   * The status every `everyMs` (by default a second), until the client is closed or `signal` ends it;
   * a status that could not be had ends it with that error.
   */
  statuses({
    everyMs = STATUS_EVERY_MS,
    ...options
  }: OperationOptions & { readonly everyMs?: number } = {}): AsyncIterableIterator<
    Readonly<Record<string, unknown>>
  > {
    const parts = { clock: this.#parts.clock, events: this.#events };
    return repeated(() => this.status(options), parts, { everyMs, signal: options.signal });
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
    const get = newGet(key, options);
    for (let round = 1; ; round++) {
      const reply = await this.#run((timeoutMs) => ({ ...get, timeoutMs }), options, deadlineMs);
      const values = valuesOf(reply);
      if (this.#notice(key, values) === 'fresh') return values;
      await this.#catchUp(key, options, deadlineMs, round);
    }
  }

  /** Whether a read may be shown; if so it is remembered. */
  #notice(key: Key, { context, values }: Values): 'fresh' | 'stale' {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#session?.isStale(key, context, values.length, nowMs) === true) return 'stale';
    this.#session?.saw(key, context, values.length, nowMs);
    return 'fresh';
  }

  /** An answer was behind: has the owners brought together before the next. */
  async #catchUp(
    key: Key,
    { signal }: OperationOptions,
    deadlineMs: number,
    round: number,
  ): Promise<void> {
    const { clock, random } = this.#parts;
    this.#events.emit({ type: 'retrying', attempt: round, code: 'STALE_READ' });
    const repair = { type: 'repair', key } as const;
    const build = (timeoutMs: number): HandledRequest => ({ ...repair, timeoutMs });
    const repairing = signal === undefined ? {} : { signal };
    await this.#run(build, repairing, deadlineMs, { tries: 'one' }).catch((error: unknown) => {
      if (error instanceof CoterieError && error.code === 'CANCELLED') throw error;
    });
    const pauseMs = jitteredMs(random, round);
    if (clock.monotonicMs() + pauseMs >= deadlineMs) {
      const message = 'what this client has seen of the key is with none of the nodes that answer';
      throw new CoterieError('STALE_READ', message, { attempts: round });
    }
    await new Promise<void>((resolve) => void clock.setTimeout(resolve, pauseMs));
  }

  #applied(put: NewPut, reply: Answered): Applied {
    const applied = appliedOf(reply);
    this.#session?.wrote(put, applied.context, this.#parts.clock.monotonicMs());
    return applied;
  }

  async #write(
    key: Key,
    value: Uint8Array | 'tombstone',
    options: WriteOptions,
    deadlineMs: number,
  ): Promise<Applied> {
    return this.#send(this.#newPut(key, value, options), options, deadlineMs);
  }

  /** One put as every try of it repeats it: one id, one time. */
  #newPut(key: Key, value: Uint8Array | 'tombstone', options: WriteOptions): NewPut {
    const { context, w, dw, strict = false, lastWriteWins, traceparent } = options;
    const { clock, random } = this.#parts;
    const writtenAt = this.#stamps.next(key, Math.floor(clock.wallMs()));
    return {
      type: 'put',
      key,
      value,
      contexts: contextsOf(context),
      putId: putId(hexOf(random.bytes(8))),
      writtenAt,
      strict,
      ...modeOf(lastWriteWins),
      ...conditionOf(options),
      ...expiryOf(options, writtenAt),
      ...(w === undefined ? {} : { w }),
      ...(dw === undefined ? {} : { dw }),
      ...(traceparent === undefined ? {} : { traceparent }),
    };
  }

  async #send(
    put: NewPut,
    options: OperationOptions,
    deadlineMs: number,
    earlier: Earlier = { attempts: 0 },
  ): Promise<Applied> {
    const { attempts, unknown } = earlier;
    const build = (timeoutMs: number, attempt: number): HandledRequest => ({
      ...put,
      timeoutMs,
      attempt: attempts + attempt,
    });
    return this.#applied(put, await this.#run(build, options, deadlineMs, { unknown }));
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
    more: Pick<OperationPlan, 'part' | 'unknown'> & { readonly tries?: 'one' } = {},
  ): Promise<Answered> {
    if (this.#state !== 'open') {
      throw new CoterieError('CANCELLED', 'the client was closed', { outcome: 'refused' });
    }
    const plan = {
      build,
      deadlineMs,
      retriesMax: more.tries === 'one' ? 0 : this.#retriesMax,
      quorumRetriesMax: more.tries === 'one' ? 0 : this.#quorumRetriesMax,
      ...more,
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
