/**
 * What this node can testify in a reap round (RULES A9): that it has held exactly this record since
 * before the round, and longer than any retry may take; and since when it has kept nothing of a
 * partition that others own. A slow walk over the partitions it leads finds what could be forgotten.
 */
import { partitionId } from '../../core/ids.ts';
import type { Key, NodeId, PartitionId } from '../../core/ids.ts';
import { excessKind } from '../../core/reap.ts';
import type { Excess } from '../../core/reap.ts';
import { RecentChanges } from '../../core/recent.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Place } from '../store/memtable.ts';
import type { RecordStore, Slot } from '../store/record-store.ts';
import type { RingView } from '../membership/ring-view.ts';
import { POSITION_AT, keyOfPlace } from '../store/stored.ts';

export type ReapLimits = {
  readonly pruneAtLeast: number;
  readonly candidatesMax: number;
};

export type ReapWatchParts = {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly ring: RingView;
  readonly store: () => RecordStore;
  readonly limits: ReapLimits;
  /** For so long a record must have been the same: until no retry of its puts can come (A9.4), ms. */
  readonly restMs: number;
};

/** A record that could be forgotten, or a living one that could be rid of what nobody needs. */
export type Rested = { readonly slot: Slot; readonly excess: Excess; readonly hash: bigint };

/** Rows looked at in one step of the walk. */
const STEP_ROWS = 256;

export class ReapWatch {
  readonly #parts: ReapWatchParts;
  readonly #recent: RecentChanges;
  /** What the walk has found to be ready, of partitions this node leads. */
  readonly #candidates = new Map<Key, PartitionId>();
  /** What the walk found to be too young still: in the one under way, and in the last one. */
  #young = 0;
  #youngBefore = 0;
  /** When a record of a partition that is not this node's last came or went. */
  readonly #foreignAtMs = new Map<PartitionId, number>();
  #walk: { readonly partitions: PartitionId[]; after: Uint8Array | undefined } | undefined;

  constructor(parts: ReapWatchParts) {
    this.#parts = parts;
    this.#recent = new RecentChanges(parts.restMs, parts.clock.monotonicMs());
  }

  /** Records known of that wait to be forgotten, those too young included. */
  get waiting(): number {
    return this.#candidates.size + Math.max(this.#young, this.#youngBefore);
  }

  /** Keys that were ready when the walk saw them, by partition. */
  candidates(): Iterable<readonly [Key, PartitionId]> {
    return this.#candidates;
  }

  /** The record of `key` has changed, come or gone. */
  changed(key: Key, { partition, name }: Place): void {
    const { ring, self, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    this.#candidates.delete(key);
    this.#recent.add(name, POSITION_AT, nowMs);
    const isOwner = ring.ring.table[partition]?.includes(self) === true;
    if (!isOwner) this.#foreignAtMs.set(partition, nowMs);
  }

  /** What lies under `key`, if it can go and has been the same since `sinceMs` and long enough. */
  rested(key: Key, sinceMs: number): Rested | undefined {
    const { clock, limits, restMs, store } = this.#parts;
    const slot = store().open(key);
    if (slot.held === 'nothing' || slot.held === 'corrupt') return undefined;
    const excess = excessKind(slot.held.record, clock.wallMs(), limits.pruneAtLeast);
    if (excess === undefined) return undefined;
    const longAgoMs = Math.min(sinceMs, clock.monotonicMs() - restMs);
    if (this.#recent.changedSince(slot.place.name, POSITION_AT, longAgoMs)) return undefined;
    return { slot, excess, hash: store().hashOf(slot) };
  }

  /** Whether nothing of a foreign partition has been here at or after `sinceMs`. */
  hadNothingOf(partition: PartitionId, sinceMs: number): boolean {
    if (this.#parts.store().partitionsHeld().has(partition)) return false;
    return (this.#foreignAtMs.get(partition) ?? -Infinity) < sinceMs;
  }

  /** Looks at some more rows; false once the walk is through, or has found enough for now. */
  step(): boolean {
    if (this.#candidates.size >= this.#parts.limits.candidatesMax) return false;
    this.#walk ??= this.#newWalk();
    const partition = this.#walk.partitions[0];
    if (partition === undefined) {
      this.#youngBefore = this.#young;
      this.#young = 0;
      this.#walk = undefined;
      return false;
    }
    const { after } = this.#walk;
    const { entries, next } = this.#parts.store().recordsFrom(partition, after, STEP_ROWS);
    for (const { place, record } of entries) {
      if (record !== 'corrupt' && this.#isExcess(record)) this.#look(keyOfPlace(place), partition);
    }
    this.#walk.after = next;
    if (next === undefined) this.#walk.partitions.shift();
    return true;
  }

  /** Whether the walk stopped in the middle because it had found enough. */
  get isHeldUp(): boolean {
    return this.#walk !== undefined;
  }

  #newWalk() {
    const { ring, self } = this.#parts;
    this.#candidates.clear();
    const partitions = ring.ring.table.flatMap((owners, index) =>
      owners[0] === self ? [partitionId(index)] : [],
    );
    return { partitions, after: undefined };
  }

  #look(key: Key, partition: PartitionId): void {
    if (this.rested(key, Infinity) === undefined) this.#young += 1;
    else this.#candidates.set(key, partition);
  }

  #isExcess(record: Parameters<typeof excessKind>[0]): boolean {
    const { clock, limits } = this.#parts;
    return excessKind(record, clock.wallMs(), limits.pruneAtLeast) !== undefined;
  }
}
