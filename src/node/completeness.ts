/**
 * Which of its partitions this node may answer reads of (RULES C4, C7). An owner that lost its disk,
 * or a single damaged row, knows that it does not know: until it holds a snapshot of enough other
 * owners, its reads are NOT_READY and never "not found".
 */
import { partitionId } from '../core/ids.ts';
import type { NodeId, PartitionId } from '../core/ids.ts';
import type { Storage } from '../ports/storage.ts';
import type { Trace } from '../ports/trace.ts';
import type { RecordStore } from './record-store.ts';
import type { RingView } from './ring-view.ts';

const COMPLETE = new TextEncoder().encode('complete');

export type CompletenessParts = {
  readonly self: NodeId;
  readonly ring: RingView;
  readonly storage: Storage;
  readonly store: RecordStore;
  readonly trace: Trace;
  /** The cluster's default W: writes with a smaller one rely on hints alone (C4). */
  readonly defaultW: number;
};

export class Completeness {
  readonly #parts: CompletenessParts;
  readonly #complete: Set<PartitionId>;
  /** Per incomplete partition the owners whose snapshot is held, and whether they were complete. */
  readonly #snapshots = new Map<PartitionId, Map<NodeId, boolean>>();

  constructor(parts: CompletenessParts) {
    this.#parts = parts;
    this.#complete = new Set(fromBits(parts.storage.get('meta', COMPLETE)));
  }

  isComplete(partition: PartitionId): boolean {
    return this.#complete.has(partition);
  }

  /** Partitions this node owns and may not answer reads of yet. */
  missing(): readonly PartitionId[] {
    return this.#owned().filter((partition) => !this.#complete.has(partition));
  }

  /** Whether an exchange with `peer` could bring a partition closer to complete. */
  wants(peer: NodeId): boolean {
    const { ring } = this.#parts;
    return this.missing().some(
      (partition) =>
        ring.ring.table[partition]!.includes(peer) && !this.#snapshotsOf(partition).has(peer),
    );
  }

  /** All that `peer` held of `partition` when an exchange began is durable here. */
  recordSnapshot(partition: PartitionId, peer: NodeId, peerIsComplete: boolean): void {
    if (this.#complete.has(partition)) return;
    this.#snapshotsOf(partition).set(peer, peerIsComplete);
    this.#review([partition]);
  }

  /** The ring changed: marks of what is no longer owned go, a lone owner needs nobody. */
  ringChanged(): void {
    const owned = new Set(this.#owned());
    const lost = [...this.#complete].filter((partition) => !owned.has(partition));
    for (const partition of lost) this.#complete.delete(partition);
    if (lost.length > 0) this.#save();
    this.#review(this.missing());
  }

  /** Something of this partition was lost here: it has to be refilled before it is read again. */
  forget(partitions: readonly PartitionId[]): void {
    for (const partition of partitions) {
      this.#complete.delete(partition);
      this.#snapshots.delete(partition);
    }
    this.#save();
    this.#review(partitions);
  }

  #review(partitions: readonly PartitionId[]): void {
    const filled = partitions.filter((partition) => this.#isFilled(partition));
    if (filled.length === 0) return;
    for (const partition of filled) {
      this.#complete.add(partition);
      this.#snapshots.delete(partition);
    }
    this.#save();
    if (this.missing().length === 0) {
      this.#parts.trace.log('info', 'node.complete', { partitions: this.#complete.size });
    }
  }

  /** C4: a snapshot of N - W + 1 complete other owners, or of all of them, complete or not. */
  #isFilled(partition: PartitionId): boolean {
    const { ring, self, defaultW } = this.#parts;
    const owners = ring.ring.table[partition] ?? [];
    if (!owners.includes(self)) return false;
    const held = this.#snapshotsOf(partition);
    const others = owners.filter((owner) => owner !== self);
    if (others.every((owner) => held.has(owner))) return true;
    const complete = others.filter((owner) => held.get(owner) === true);
    return complete.length >= owners.length - Math.min(defaultW, owners.length) + 1;
  }

  #snapshotsOf(partition: PartitionId): Map<NodeId, boolean> {
    const held = this.#snapshots.get(partition) ?? new Map<NodeId, boolean>();
    this.#snapshots.set(partition, held);
    return held;
  }

  #owned(): readonly PartitionId[] {
    const { ring, self } = this.#parts;
    return ring.ring.table.flatMap((owners, p) => (owners.includes(self) ? [partitionId(p)] : []));
  }

  /** In the next commit, together with whatever row was given up. */
  #save(): void {
    const { store } = this.#parts;
    const value = toBits(this.#complete);
    store.change(() => store.putMeta(COMPLETE, value));
  }
}

const toBits = (partitions: ReadonlySet<PartitionId>): Uint8Array => {
  const bits = new Uint8Array(Math.floor(Math.max(0, ...partitions) / 8) + 1);
  for (const partition of partitions) bits[partition >> 3]! |= 1 << (partition & 7);
  return bits;
};

const fromBits = (bits: Uint8Array | undefined): readonly PartitionId[] =>
  Array.from({ length: (bits?.length ?? 0) * 8 }, (_, partition) => partition)
    .filter((partition) => (bits![partition >> 3]! & (1 << (partition & 7))) !== 0)
    .map(partitionId);
