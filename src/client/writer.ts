/** Writes of one client: each put has one id and one time, whatever it is tried (RULES A7, A8). */
import { hexOf, putId } from '../core/ids.ts';
import type { Key } from '../core/ids.ts';
import type { HandledRequest } from '../wire/client-messages.ts';
import type { Executor } from './executor.ts';
import { contextsOf } from './inputs.ts';
import { mergedState } from './mergeable.ts';
import type { Own, Stamp } from './mergeable.ts';
import type { Answered } from './operation.ts';
import type { Applied, OperationOptions, WriteOptions } from './options.ts';
import { appliedOf, conditionOf, expiryOf, modeOf } from './requests.ts';
import type { AnyMergeable, Earlier, NewPut } from './requests.ts';
import type { Session } from './session.ts';
import { Stamps } from './stamps.ts';

/** Keys of which a client remembers what it was as a writer of mergeable values. */
const OWN_MAX = 4096;

export class Writer {
  readonly #executor: Executor;
  readonly #session: Session | undefined;
  readonly #own = new Map<Key, Own>();
  readonly #stamps = new Stamps();

  constructor(executor: Executor, session: Session | undefined) {
    this.#executor = executor;
    this.#session = session;
  }

  async write(
    key: Key,
    value: Uint8Array | 'tombstone',
    options: WriteOptions,
    deadlineMs: number,
  ): Promise<Applied> {
    return this.send(this.newPut(key, value, options), options, deadlineMs);
  }

  /** One put as every try of it repeats it: one id, one time. */
  newPut(key: Key, value: Uint8Array | 'tombstone', options: WriteOptions): NewPut {
    const { context, w, dw, strict = false, lastWriteWins, traceparent } = options;
    const { clock, random } = this.#executor;
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

  async send(
    put: NewPut,
    options: OperationOptions,
    deadlineMs: number,
    earlier: Earlier = { attempts: 0 },
  ): Promise<Applied> {
    const { attempts, error } = earlier;
    const build = (timeoutMs: number, attempt: number): HandledRequest => ({
      timeoutMs,
      attempt: attempts + attempt,
      ...put,
    });
    const reply = await this.#executor.run(build, options, deadlineMs, { earlier: error });
    return this.applied(put, reply);
  }

  /** What a put became; remembered, so that this client's reads do not go back behind it. */
  applied(put: NewPut, reply: Answered): Applied {
    const applied = appliedOf(reply);
    this.#session?.wrote(put, applied.context, this.#executor.clock.monotonicMs());
    return applied;
  }

  /** The update of one mergeable value: its change, and the write of what that made. */
  async edit(
    key: Key,
    siblings: readonly Uint8Array[],
    change: (face: never) => unknown,
    type: AnyMergeable,
    options: WriteOptions & { readonly deadlineMs: number },
  ): Promise<Applied> {
    const own = this.#own.get(key);
    // Taken, so that no other update goes on as the same writer meanwhile.
    this.#own.delete(key);
    const { clock, random } = this.#executor;
    const tag = (): string => hexOf(random.bytes(8));
    const stamp: Stamp = { nowMs: Math.floor(clock.wallMs()), tag, own };
    const { face, finish } = type.edit(mergedState(type, siblings) as never, stamp);
    const value = type.codec.encode(finish((await change(face)) as never) as never);
    const applied = await this.write(key, value, options, options.deadlineMs);
    if (stamp.leaves !== undefined && this.#own.size < OWN_MAX) this.#own.set(key, stamp.leaves);
    return applied;
  }
}
