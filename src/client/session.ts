/**
 * What one client has seen and written, key by key, so that it can tell an answer that knows less:
 * monotonic reads and read-your-writes, for those who ask for them (paper § 2.3 leaves both to the
 * application).
 *
 * A write is known by its put id: an answer has it as a sibling, or lists it as replaced. Of writes
 * that were replaced more than a record remembers nothing can be told, so nothing is claimed.
 */
import { peekContext } from '../core/context.ts';
import type { Key, PutId } from '../core/ids.ts';
import { BLIND, RECORD_LIMITS, joinContexts } from '../core/record.ts';
import type { CausalContext } from '../core/record.ts';
import { hasSeen, oldestSeen } from '../core/seen-puts.ts';
import type { PutRequest } from '../wire/client-messages.ts';
import { unbundled } from './context-bundle.ts';

/** What a key showed when it was last seen: siblings, tombstones included, by their put ids. */
type Sight = {
  readonly puts: readonly PutId[];
  /** No later than the newest of them, on the clock of the dots. */
  readonly time: number;
  readonly shows: 'values' | 'nothing';
  readonly atMs: number;
};

/** Well below the time after which nodes may forget a delete (`replica.retryHorizonMs`), ms. */
const REMEMBERED_MS = 300_000;
const KEYS_MAX = 10_000;

export class Session {
  readonly #sights = new Map<Key, Sight>();

  /** An answer was shown to the application. */
  saw(key: Key, context: Uint8Array, values: number, nowMs: number): void {
    const { vector, shown, seen } = causalOf(context);
    const time = vector.reduce((latest, dot) => Math.max(latest, dot.time), 0);
    const puts = shown.filter((put) => !hasSeen(seen, put));
    this.#keep(key, { puts, time, shows: values > 0 ? 'values' : 'nothing', atMs: nowMs });
  }

  /** A write of this client was applied; `context` as the node answered it. */
  wrote(
    { key, value, writtenAt }: Pick<PutRequest, 'key' | 'value' | 'writtenAt'>,
    context: Uint8Array,
    nowMs: number,
  ): void {
    const { shown, seen } = causalOf(context);
    const before = this.#sightOf(key, nowMs);
    const beside = (before?.puts ?? []).filter(
      (put) => !hasSeen(seen, put) && !shown.includes(put),
    );
    const showed = beside.length > 0 && before?.shows === 'values';
    const shows = value !== 'tombstone' || showed ? 'values' : 'nothing';
    this.#keep(key, { puts: [...beside, ...shown], time: writtenAt, shows, atMs: nowMs });
  }

  /** Whether an answer lacks something that this client has seen or written. */
  isStale(key: Key, context: Uint8Array, values: number, nowMs: number): boolean {
    const sight = this.#sightOf(key, nowMs);
    // Nothing then and nothing now is no step back, though the tombstone may have been reaped.
    if (sight === undefined || (sight.shows === 'nothing' && values === 0)) return false;
    const { shown, seen } = causalOf(context);
    const forgets = seen.count >= RECORD_LIMITS.seenPutsMax && oldestSeen(seen) > sight.time;
    return sight.puts.some((put) => !shown.includes(put) && !hasSeen(seen, put) && !forgets);
  }

  #sightOf(key: Key, nowMs: number): Sight | undefined {
    const sight = this.#sights.get(key);
    return sight !== undefined && nowMs - sight.atMs < REMEMBERED_MS ? sight : undefined;
  }

  #keep(key: Key, sight: Sight): void {
    this.#sights.delete(key);
    this.#sights.set(key, sight);
    if (this.#sights.size <= KEYS_MAX) return;
    for (const oldest of this.#sights.keys()) {
      this.#sights.delete(oldest);
      return;
    }
  }
}

/** Of one context, or of all that a read of several replicas brought. */
const causalOf = (context: Uint8Array): CausalContext =>
  unbundled(context)
    .map((each) => peekContext(each) ?? BLIND)
    .reduce(joinContexts);
