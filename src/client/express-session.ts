/**
 * `coterie/express-session`: keeps the sessions of express-session.
 *
 *   const CoterieStore = coterieStore(session);
 *   app.use(session({ store: new CoterieStore(connect('ws://127.0.0.1:7400')), … }));
 *
 * A session lives as long as its cookie, or `ttlMs` where the cookie names no end; each request that
 * touches it begins its time anew. Of two requests that change one session at once the later by the
 * clocks wins, as with every store of express-session.
 */
import { CoterieError } from '../core/errors.ts';
import type { Client } from './client.ts';
import { json } from './codecs.ts';

/** What of express-session is needed here. */
export type SessionModule = { readonly Store: new () => object };
export type SessionData = { readonly cookie: { readonly maxAge?: number | null | undefined } };

export type SessionStoreOptions = {
  /** Before each session id; by default `session:`. */
  readonly prefix?: string;
  /** Of sessions whose cookie lasts until the browser is closed, ms; by default one day. */
  readonly ttlMs?: number;
};

export type SessionStore = {
  get(sid: string, done: (error: unknown, session?: SessionData | null) => void): void;
  set(sid: string, session: SessionData, done?: (error?: unknown) => void): void;
  touch(sid: string, session: SessionData, done?: (error?: unknown) => void): void;
  destroy(sid: string, done?: (error?: unknown) => void): void;
};

const DAY_MS = 86_400_000;
const NEWEST = { lastWriteWins: true } as const;
const codec = json<SessionData>();

/** The class of stores for that copy of express-session; `client` stays the caller's to close. */
export const coterieStore = ({
  Store,
}: SessionModule): new (client: Client, options?: SessionStoreOptions) => SessionStore =>
  class CoterieStore extends Store implements SessionStore {
    readonly #client: Client;
    readonly #prefix: string;
    readonly #ttlMs: number;

    constructor(client: Client, { prefix = 'session:', ttlMs = DAY_MS }: SessionStoreOptions = {}) {
      super();
      this.#client = client;
      this.#prefix = prefix;
      this.#ttlMs = ttlMs;
    }

    get(sid: string, done: (error: unknown, session?: SessionData | null) => void): void {
      this.#client.get(this.#prefix + sid, NEWEST).then(
        (read) => {
          const bytes = read.bytes();
          done(undefined, bytes === undefined ? null : codec.decode(bytes));
        },
        (error: unknown) => done(error),
      );
    }

    set(sid: string, session: SessionData, done?: (error?: unknown) => void): void {
      const options = { ...NEWEST, ttlMs: this.#lifeMs(session) };
      settled(this.#client.put(this.#prefix + sid, codec.encode(session), options), done);
    }

    /** A request that changed nothing: what is stored gets a new end, unless it changed meanwhile. */
    touch(sid: string, session: SessionData, done?: (error?: unknown) => void): void {
      settled(this.#renew(this.#prefix + sid, this.#lifeMs(session)), done);
    }

    destroy(sid: string, done?: (error?: unknown) => void): void {
      settled(this.#client.delete(this.#prefix + sid), done);
    }

    #lifeMs({ cookie }: SessionData): number {
      return Math.max(1, Math.ceil(cookie.maxAge ?? this.#ttlMs));
    }

    async #renew(key: string, ttlMs: number): Promise<void> {
      const read = await this.#client.get(key, NEWEST);
      const stored = read.bytes();
      if (stored === undefined) return;
      try {
        await this.#client.put(key, stored, { context: read.context, ifContext: true, ttlMs });
      } catch (error) {
        // Whoever changed it has given it a new end, too.
        if (!(error instanceof CoterieError && error.code === 'CONDITION_NOT_MET')) throw error;
      }
    }
  };

const settled = (task: Promise<unknown>, done: (error?: unknown) => void = () => undefined): void =>
  void task.then(
    () => done(),
    (error: unknown) => done(error),
  );
