/**
 * `coterie/keyv`: a store for Keyv 5.
 *
 *   const cache = new Keyv({ store: new KeyvCoterie(connect('ws://127.0.0.1:7400')) });
 *
 * Keyv has one value a key, so the newest by the writers' clocks is kept (last write wins); what has
 * a time-to-live ends on the nodes. `clear` and `iterator` scan the whole cluster.
 */
import type { Client } from './client.ts';
import { CoterieError } from '../core/errors.ts';

type Entry = { readonly key: string; readonly value: string; readonly ttl?: number };
type Listener = (error: unknown) => void;

const NEWEST = { lastWriteWins: true } as const;
/** Keys read at once by `iterator` and deleted at once by `clear`. */
const BATCH = 128;

export class KeyvCoterie {
  /** Keyv takes `iterator` only of stores that bear one of the names it knows. */
  readonly opts = { url: 'coterie', dialect: 'redis' } as const;
  /** Set by Keyv, which puts it and a colon before each key. */
  namespace: string | undefined;
  readonly #client: Client;
  readonly #listeners = new Set<Listener>();

  /** Closes `client` with `disconnect`. */
  constructor(client: Client) {
    this.#client = client;
  }

  on(event: string, listener: Listener): this {
    if (event === 'error') this.#listeners.add(listener);
    return this;
  }

  async get(key: string): Promise<string | undefined> {
    return this.#told(async () => (await this.#client.get(key, NEWEST)).text());
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    return this.#told(async () => {
      const found = keys.map((): string | undefined => undefined);
      for await (const { index, values, error } of this.#client.getMany(keys, NEWEST)) {
        if (error !== undefined) throw error;
        found[index] = values.text();
      }
      return found;
    });
  }

  async has(key: string): Promise<boolean> {
    return (await this.get(key)) !== undefined;
  }

  /** `ttl` in ms. Keyv tells of the failure itself. */
  async set(key: string, value: string, ttl?: number): Promise<void> {
    await this.#client.put(key, value, {
      ...NEWEST,
      ...(ttl === undefined ? {} : { ttlMs: Math.max(1, Math.ceil(ttl)) }),
    });
  }

  async setMany(entries: readonly Entry[]): Promise<void> {
    await Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
  }

  /** Whether there was something to delete. */
  async delete(key: string): Promise<boolean> {
    return this.#told(async () => {
      const { values, context } = await this.#client.get(key);
      if (values.length === 0) return false;
      await this.#client.delete(key, { context });
      return true;
    });
  }

  async deleteMany(keys: readonly string[]): Promise<boolean> {
    const deleted = await Promise.all(keys.map((key) => this.delete(key)));
    return deleted.includes(true);
  }

  /** All keys of the namespace. Without one that would be the whole cluster: BAD_ARGUMENT. */
  async clear(): Promise<void> {
    return this.#told(async () => {
      const { namespace } = this;
      if (namespace === undefined) {
        throw new CoterieError('BAD_ARGUMENT', 'clear() needs a namespace: it would delete all');
      }
      for await (const keys of this.#batches(namespace)) await this.deleteMany(keys);
    });
  }

  async *iterator(namespace?: string): AsyncGenerator<[string, string], void, void> {
    for await (const keys of this.#batches(namespace)) {
      const values = await this.getMany(keys);
      for (const [index, key] of keys.entries()) {
        const value = values[index];
        if (value !== undefined) yield [key, value];
      }
    }
  }

  async disconnect(): Promise<void> {
    await this.#client.close();
  }

  async *#batches(namespace: string | undefined): AsyncGenerator<string[], void, void> {
    const utf8 = new TextDecoder();
    let batch: string[] = [];
    const only = namespace === undefined ? {} : { prefix: `${namespace}:` };
    for await (const key of this.#client.scan(only)) {
      batch.push(utf8.decode(key));
      if (batch.length < BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  /** Keyv passes over what fails in a read: here it is told to whoever listens. */
  async #told<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      for (const listener of this.#listeners) listener(error);
      throw error;
    }
  }
}
