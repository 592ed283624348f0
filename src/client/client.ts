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
import type { HandledRequest, KeysReply, RingReply } from '../wire/client-messages.ts';
import type { Codec } from './codecs.ts';
import type { ClientEvent } from './events.ts';
import { Executor } from './executor.ts';
import type { ClientParts } from './executor.ts';
import { bytesOf, keyOf } from './inputs.ts';
import type { KeyInput, ValueInput } from './inputs.ts';
import type { Mergeable } from './mergeable.ts';
import { runMany } from './many.ts';
import type { GotOne, PutOne } from './many.ts';
import { planOfGets, planOfPuts } from './many-plans.ts';
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
import { Reader } from './reader.ts';
import { isStale, mergedOf, newGet, readingOf, unexpected } from './requests.ts';
import type { AnyMergeable } from './requests.ts';
import { Session } from './session.ts';
import { keysOf, repeated } from './streams.ts';
import type { Transport } from './transport.ts';
import { TypedClient } from './typed.ts';
import type { Values } from './values.ts';
import { Writer } from './writer.ts';

export type { ClientParts } from './executor.ts';
export type { KeyInput, ValueInput } from './inputs.ts';
export type * from './options.ts';

/** Rounds of read and write in one update; each needs a refusal of the one before. */
const UPDATE_ROUNDS_MAX = 10;
const STATUS_EVERY_MS = 1000;

/** A client over any transport; `connect` and `clientOver` make the usual ones. */
export const createClient = (
  transport: Transport,
  parts: ClientParts,
  options: ClientOptions = {},
): Client => new Client(transport, parts, options);

export class Client {
  readonly #executor: Executor;
  readonly #reader: Reader;
  readonly #writer: Writer;

  /** Throws CoterieError BAD_TIMEOUT. */
  constructor(transport: Transport, parts: ClientParts, options: ClientOptions) {
    const session = options.session === true ? new Session() : undefined;
    this.#executor = new Executor(transport, parts, options);
    this.#reader = new Reader(this.#executor, session);
    this.#writer = new Writer(this.#executor, session);
  }

  /**
   * Calls `listener` with what happens to this client, until the returned function is called. One that
   * throws disturbs no operation: its error becomes an unhandled rejection.
   */
  on(listener: (event: ClientEvent) => void): () => void {
    return this.#executor.events.on(listener);
  }

  /** What happens to this client from now on; ends when it is closed. */
  events(): AsyncIterableIterator<ClientEvent> {
    return this.#executor.events.iterate();
  }

  /** This client with values of one codec. */
  as<T>(codec: Codec<T>): TypedClient<T> {
    return new TypedClient(this, codec);
  }

  /** All concurrent values of `key`. */
  async get(key: KeyInput, options: GetOptions = {}): Promise<Values> {
    const name = keyOf(key);
    return this.#executor.whole(options, (deadlineMs) =>
      this.#reader.read(name, options, deadlineMs),
    );
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
    const [name, bytes] = [keyOf(key), bytesOf(value)];
    return this.#executor.whole(options, (deadlineMs) =>
      this.#writer.write(name, bytes, options, deadlineMs),
    );
  }

  async putJson(key: KeyInput, value: unknown, options: WriteOptions = {}): Promise<Applied> {
    return this.put(key, JSON.stringify(value), options);
  }

  /** Deletes what `context` has seen; without one it reads first. */
  async delete(key: KeyInput, options: WriteOptions = {}): Promise<Applied> {
    const name = keyOf(key);
    return this.#executor.whole(options, async (deadlineMs) => {
      const context =
        options.context ?? (await this.#reader.read(name, readingOf(options), deadlineMs)).context;
      return this.#writer.write(name, 'tombstone', { ...options, context }, deadlineMs);
    });
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
    const merge = options.merge as Merge | AnyMergeable | undefined;
    const once = async (deadlineMs: number): Promise<Applied> => {
      const { values, context } = await this.#reader.read(name, options, deadlineMs);
      const writing = { ...options, context };
      if (typeof merge === 'object') {
        return this.#writer.edit(name, values, change, merge, { ...writing, deadlineMs });
      }
      // The overloads pair `merge` with what `change` takes and makes.
      const seen = (merge === undefined ? values : mergedOf(values, merge)) as never;
      const value = bytesOf((await change(seen)) as ValueInput);
      return this.#writer.write(name, value, writing, deadlineMs);
    };
    return this.#executor.whole(options, async (deadlineMs) => {
      for (let round = 1; ; round++) {
        try {
          return await once(deadlineMs);
        } catch (error) {
          if (round >= UPDATE_ROUNDS_MAX || !isStale(error)) throw error;
        }
      }
    });
  }

  /**
   * Gets many keys, each by a coordinator of its own but few messages; results come as they are
   * there, each with the index of its key. A key that failed is a result with an `error`.
   */
  getMany(keys: readonly KeyInput[], options: GetOptions = {}): AsyncIterableIterator<GotOne> {
    const deadlineMs = this.#executor.deadlineOf(options);
    const plan = planOfGets(
      keys.map((key) => newGet(keyOf(key), options)),
      {
        run: (build, part) =>
          this.#executor.run(build, options, deadlineMs, { part, tries: 'one' }),
        // One that is behind is left to be read again by itself.
        notice: ({ key }, values) => this.#reader.notice(key, values),
        single: ({ key }, earlier) => this.#reader.read(key, options, deadlineMs, earlier),
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
    const deadlineMs = this.#executor.deadlineOf(options);
    const puts = entries.map(({ key, value, context }) =>
      this.#writer.newPut(keyOf(key), bytesOf(value), {
        ...options,
        ...(context ? { context } : {}),
      }),
    );
    const plan = planOfPuts(puts, {
      run: (build, part) => this.#executor.run(build, options, deadlineMs, { part, tries: 'one' }),
      applied: (put, reply) => this.#writer.applied(put, reply),
      single: (put, earlier) => this.#writer.send(put, options, deadlineMs, earlier),
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
      const reply = await this.#executor.one(build, options);
      if (reply.type !== 'keys') throw unexpected(reply);
      return reply;
    };
    const wanted = prefix === undefined ? '' : keyOf(prefix);
    yield* keysOf(partition === undefined ? all : [partition], wanted, page);
  }

  /** Who owns which partition, as the connected node knows it. */
  async ring(options: OperationOptions = {}): Promise<RingReply> {
    const reply = await this.#executor.one(() => ({ type: 'ring' }), options);
    if (reply.type !== 'ring-is') throw unexpected(reply);
    return reply;
  }

  /** Has all reachable owners of `key` brought to the same record. */
  async repair(key: KeyInput, options: OperationOptions = {}): Promise<void> {
    const repair = { type: 'repair', key: keyOf(key) } as const;
    const build = (timeoutMs: number): HandledRequest => ({ ...repair, timeoutMs });
    const reply = await this.#executor.one(build, options);
    if (reply.type !== 'done') throw unexpected(reply);
  }

  /** The cluster as the connected node sees it. */
  async status(options: OperationOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    const reply = await this.#executor.one(() => ({ type: 'status' }), options);
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
    const { clock, events } = this.#executor;
    return repeated(
      () => this.status(options),
      { clock, events },
      { everyMs, signal: options.signal },
    );
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
    const reply = await this.#executor.one(build, options);
    if (reply.type !== 'admin-is') throw unexpected(reply);
    return reply.result;
  }

  /**
   * Takes nothing new, waits up to `drainMs` for what is under way, ends the rest with CANCELLED and
   * lets go of the connection. `now` does not wait.
   */
  close(when: 'drained' | 'now' = 'drained'): Promise<void> {
    return this.#executor.close(when);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
