/**
 * Reads of one client. With a session an answer that is behind what the client has seen is not shown:
 * the owners are brought together and asked again, until the deadline.
 */
import { CoterieError } from '../core/errors.ts';
import type { Key } from '../core/ids.ts';
import type { HandledRequest } from '../wire/client-messages.ts';
import type { Executor } from './executor.ts';
import { jitteredMs } from './operation.ts';
import type { GetOptions, OperationOptions } from './options.ts';
import { newGet, valuesOf } from './requests.ts';
import type { Session } from './session.ts';
import type { Values } from './values.ts';

export class Reader {
  readonly #executor: Executor;
  readonly #session: Session | undefined;

  constructor(executor: Executor, session: Session | undefined) {
    this.#executor = executor;
    this.#session = session;
  }

  /** `earlier`: how a try before this read failed. */
  async read(
    key: Key,
    options: GetOptions,
    deadlineMs: number,
    earlier?: CoterieError,
  ): Promise<Values> {
    const get = newGet(key, options);
    for (let round = 1; ; round++) {
      const reply = await this.#executor.run(
        (timeoutMs) => ({ timeoutMs, ...get }),
        options,
        deadlineMs,
        round === 1 ? { earlier } : {},
      );
      const values = valuesOf(reply);
      if (this.notice(key, values) === 'fresh') return values;
      await this.#catchUp(key, options, deadlineMs, round);
    }
  }

  /** Whether a read may be shown; if so it is remembered. */
  notice(key: Key, { context, values }: Values): 'fresh' | 'stale' {
    const nowMs = this.#executor.clock.monotonicMs();
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
    const { clock, random, events } = this.#executor;
    events.emit({ type: 'retrying', attempt: round, code: 'STALE_READ' });
    const repair = { type: 'repair', key } as const;
    const build = (timeoutMs: number): HandledRequest => ({ ...repair, timeoutMs });
    const repairing = signal === undefined ? {} : { signal };
    await this.#executor
      .run(build, repairing, deadlineMs, { tries: 'one' })
      .catch((error: unknown) => {
        if (error instanceof CoterieError && error.code === 'CANCELLED') throw error;
      });
    const pauseMs = jitteredMs(random, round);
    if (clock.monotonicMs() + pauseMs >= deadlineMs) {
      const message = 'what this client has seen of the key is with none of the nodes that answer';
      throw new CoterieError('STALE_READ', message, { attempts: round });
    }
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clock.clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = clock.setTimeout(end, pauseMs);
      signal?.addEventListener('abort', end, { once: true });
    });
  }
}
