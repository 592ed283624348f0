/**
 * What this node can testify in a reap round (RULES A9): since when it has held exactly this record,
 * and since when it has kept nothing of a partition that others own. A slow walk over its own
 * partitions finds what could be reaped or pruned; every change of a record ends its testimony.
 */
import { partitionId } from '../core/ids.ts';
import type { Key, NodeId, PartitionId } from '../core/ids.ts';
import { excessKind } from '../core/reap.ts';
import type { Excess } from '../core/reap.ts';
import type { RecordOfKey } from '../core/record.ts';
import type { Clock } from '../ports/clock.ts';
import type { RecordStore } from './record-store.ts';
import type { RingView } from './ring-view.ts';

export type ReapLimits = {
  readonly pruneAtLeast: number;
  readonly watchMax: number;
};

/** One record seen unchanged since a moment of the monotonic clock. */
export type Watched = {
  readonly key: Key;
  readonly partition: PartitionId;
  readonly hash: bigint;
  readonly excess: Excess;
  readonly sinceMs: number;
};

export type ReapWatchParts = {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly ring: RingView;
  readonly store: () => RecordStore;
  readonly limits: ReapLimits;
};

/** Rows looked at in one step of the walk. */
const STEP_ROWS = 256;

export class ReapWatch {
  readonly #parts: ReapWatchParts;
  readonly #watched = new Map<Key, Watched>();
  /** When a record of a partition that is not this node's last came or went. */
  readonly #foreignAtMs = new Map<PartitionId, number>();
  #walk: { partitions: PartitionId[]; after: Uint8Array | undefined } | undefined;

  constructor(parts: ReapWatchParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#watched.size;
  }

  all(): Iterable<Watched> {
    return this.#watched.values();
  }

  find(key: Key): Watched | undefined {
    return this.#watched.get(key);
  }

  /** The record of `key` has changed, come or gone. */
  changed(key: Key, partition: PartitionId): void {
    this.#watched.delete(key);
    const { ring, self, clock } = this.#parts;
    const isOwner = ring.ring.table[partition]?.includes(self) === true;
    if (!isOwner) this.#foreignAtMs.set(partition, clock.monotonicMs());
  }

  /** Whether nothing of a foreign partition has been here at or after `sinceMs`. */
  hadNothingOf(partition: PartitionId, sinceMs: number): boolean {
    if (this.#parts.store().partitionsHeld().has(partition)) return false;
    return (this.#foreignAtMs.get(partition) ?? -Infinity) < sinceMs;
  }

  /** Looks at some more rows; false once the walk is through. */
  step(): boolean {
    const { ring, self } = this.#parts;
    this.#walk ??= {
      partitions: ring.ring.table.flatMap((owners, index) =>
        owners.includes(self) ? [partitionId(index)] : [],
      ),
      after: undefined,
    };
    const partition = this.#walk.partitions[0];
    if (partition === undefined || this.#watched.size >= this.#parts.limits.watchMax) {
      this.#walk = undefined;
      return false;
    }
    const { rows, next } = this.#parts.store().page(partition, this.#walk.after, STEP_ROWS);
    for (const { key, stored, hash } of rows) this.#look(key, partition, stored.record, hash);
    this.#walk.after = next;
    if (next === undefined) this.#walk.partitions.shift();
    return true;
  }

  #look(key: Key, partition: PartitionId, record: RecordOfKey, hash: bigint): void {
    const { clock, limits } = this.#parts;
    const excess = excessKind(record, clock.wallMs(), limits.pruneAtLeast);
    if (excess === undefined) return;
    const sinceMs = this.#watched.get(key)?.sinceMs ?? clock.monotonicMs();
    this.#watched.set(key, { key, partition, hash, excess, sinceMs });
  }
}
