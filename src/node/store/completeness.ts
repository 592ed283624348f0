/**
 * Which of its partitions this node has whole (RULES C4, C7). An owner that lost its disk, or a
 * single damaged row, knows that it does not know: until it holds a snapshot of enough other owners,
 * its reads are NOT_READY and never "not found". A newcomer that has become whole in the same way
 * steps in as owner when it is its turn (C5).
 *
 * The marks count in the file they were written in. A copy of it is from another day, as far as
 * anybody can tell, so a node that is started on one refills itself first.
 */
import { partitionId } from '../../core/ids.ts';
import type { NodeId, PartitionId } from '../../core/ids.ts';
import type { CommitResult, Storage, StorageOp } from '../../ports/storage.ts';
import type { Trace } from '../../ports/trace.ts';
import { META } from './meta-rows.ts';
import type { RecordStore } from './record-store.ts';
import type { RingView } from '../membership/ring-view.ts';

const utf8 = new TextEncoder();

export type CompletenessParts = {
  readonly self: NodeId;
  readonly ring: RingView;
  readonly storage: Storage;
  readonly store: RecordStore;
  readonly trace: Trace;
  /** The cluster's default W: writes with a smaller one rely on hints alone (C4). */
  readonly defaultW: number;
  /** An operator holds moves back (`coterie transfers pause`). */
  readonly movesArePaused: () => boolean;
  /** This newcomer holds the partition: it may take its place among the owners (C5). */
  readonly filled: (partitions: readonly PartitionId[]) => void;
  /** There is something to refill. */
  readonly lost: () => void;
};

export class Completeness {
  readonly #parts: CompletenessParts;
  readonly #complete: Set<PartitionId>;
  readonly #snapshots = new Map<PartitionId, Snapshots>();
  /** Given up for a damaged row alone: what the file says of registers still holds. */
  readonly #damaged = new Set<PartitionId>();
  /** Partitions filled as a newcomer whose register is being bumped. */
  readonly #earned = new Set<PartitionId>();
  #losses = 0;
  #hasLost: boolean;
  #isCopy = false;

  constructor(parts: CompletenessParts) {
    this.#parts = parts;
    this.#complete = new Set(fromBits(parts.storage.get('meta', META.complete)));
    this.#hasLost = parts.storage.get('meta', META.lost) !== undefined;
  }

  /** How often something was lost here: a snapshot begun before the last time is worth nothing. */
  get losses(): number {
    return this.#losses;
  }

  /** Whether this life found its directory to be a copy. */
  get isCopy(): boolean {
    return this.#isCopy;
  }

  /** Once, before anything is answered; the storage can commit by now. */
  begin(): void {
    const { storage, trace } = this.#parts;
    const written = new TextDecoder().decode(storage.get('meta', META.birthmark));
    if (written === storage.birthmark()) return;
    if (written === '') return this.#save();
    this.#isCopy = true;
    trace.log('warn', 'disk.copied', { partitions: this.#complete.size });
    this.forgetAll();
  }

  isComplete(partition: PartitionId): boolean {
    return this.#complete.has(partition);
  }

  /** Partitions this node owns and may not answer reads of yet. */
  missing(): readonly PartitionId[] {
    return this.#parts.ring.owned().filter((partition) => !this.#complete.has(partition));
  }

  /** Partitions this node is to own and fills itself for. */
  arriving(): readonly PartitionId[] {
    return this.#parts.ring.arriving();
  }

  /** Whether an exchange with `peer` could bring a partition closer to complete. */
  wants(peer: NodeId): boolean {
    const { movesArePaused } = this.#parts;
    const wanted = [...this.missing(), ...(movesArePaused() ? [] : this.arriving())];
    return wanted.some(
      (partition) =>
        this.#sourcesOf(partition).includes(peer) && !this.#heldOf(partition).has(peer),
    );
  }

  /** All that `peer` held of these partitions when an exchange began is durable here. */
  recordSnapshots(
    partitions: readonly PartitionId[],
    peer: NodeId,
    peerIsComplete: (partition: PartitionId) => boolean,
  ): void {
    const filling = partitions.filter((partition) => !this.#complete.has(partition));
    for (const partition of filling) {
      const seenAs = this.#parts.ring.seenAs(partition);
      const from = new Map(this.#heldOf(partition)).set(peer, peerIsComplete(partition));
      this.#snapshots.set(partition, { seenAs, from });
    }
    if (filling.length > 0) this.#review(filling);
  }

  /** The ring changed: marks of what is no longer owned go, what a newcomer earned stays. */
  ringChanged(): void {
    const owned = new Set(this.#parts.ring.owned());
    const holds = new Set([...owned, ...this.#parts.ring.arriving()]);
    const lost = [...this.#complete].filter((partition) => !owned.has(partition));
    const won = [...this.#earned].filter((partition) => owned.has(partition));
    for (const partition of lost) this.#complete.delete(partition);
    for (const partition of won) this.#complete.add(partition);
    // Whoever lost the tie has to convince the new owners (C5).
    this.#earned.clear();
    for (const partition of this.#snapshots.keys()) {
      if (!holds.has(partition)) this.#snapshots.delete(partition);
    }
    if (lost.length + won.length > 0) this.#save();
    this.#review([...this.missing(), ...this.arriving()]);
  }

  /** Something of this partition was lost here: it has to be refilled before it is read again. */
  forget(partitions: readonly PartitionId[]): void {
    this.#losses += 1;
    for (const partition of partitions) {
      if (this.#complete.has(partition)) this.#damaged.add(partition);
      this.#complete.delete(partition);
      this.#snapshots.delete(partition);
      this.#earned.delete(partition);
    }
    this.#save();
    this.#review(partitions.filter((partition) => this.#parts.ring.isHolder(partition)));
    this.#parts.lost();
  }

  /** Anything may have been lost here, registers included. */
  forgetAll(): void {
    this.#hasLost = true;
    this.forget([...this.#complete, ...this.missing(), ...this.arriving()]);
  }

  #review(partitions: readonly PartitionId[]): void {
    const { ring, trace, filled: tellFilled } = this.#parts;
    const filled = partitions.filter(
      (partition) => !this.#complete.has(partition) && this.#isFilled(partition),
    );
    const owned = filled.filter((each) => ring.isOwner(each));
    for (const partition of owned) {
      this.#complete.add(partition);
      this.#snapshots.delete(partition);
      this.#damaged.delete(partition);
    }
    if (owned.length > 0) {
      this.#save();
      if (this.missing().length === 0) {
        trace.log('info', 'node.complete', { partitions: this.#complete.size });
      }
    }
    const arrived = filled.filter((each) => ring.isNext(each) && !this.#earned.has(each));
    for (const partition of arrived) this.#earned.add(partition);
    if (arrived.length > 0) tellFilled(arrived);
  }

  /**
   * C4: a snapshot of N - W + 1 complete owners, or of all sources, complete or not. Of the cluster's N:
   * where there are fewer owners now, those who went may have been among the W that acknowledged.
   */
  #isFilled(partition: PartitionId): boolean {
    const { ring, defaultW } = this.#parts;
    const held = this.#heldOf(partition);
    const sources = this.#sourcesOf(partition);
    if (sources.every((source) => held.has(source))) return true;
    if (this.#mayHaveForgottenMove(partition)) return false;
    const { n } = ring.ring;
    const complete = sources.filter((source) => held.get(source) === true);
    return complete.length >= n - Math.min(defaultW, n) + 1;
  }

  /** Whoever may have what is lacking here: the other owners that are not removed. */
  #sourcesOf(partition: PartitionId): readonly NodeId[] {
    const { ring, self } = this.#parts;
    const asked = this.#mayHaveForgottenMove(partition)
      ? ring.holdersOf(partition)
      : (ring.ring.table[partition] ?? []);
    return asked.filter((node) => node !== self && !ring.isRemoved(node));
  }

  /**
   * C7: who lost what it held, while the partition moves, may have lost a register as well: a newcomer
   * that has stepped in long since, as far as others know, and acknowledged writes together with us. An
   * owner that is not complete has lost something, as far as it can tell; of a newcomer the file tells.
   */
  #mayHaveForgottenMove(partition: PartitionId): boolean {
    const { ring } = this.#parts;
    const lost = this.#hasLost || (ring.isOwner(partition) && !this.#damaged.has(partition));
    return lost && ring.isMoving(partition);
  }

  /** Snapshots that count: those taken as register and history are seen now (C3). */
  #heldOf(partition: PartitionId): ReadonlyMap<NodeId, boolean> {
    const held = this.#snapshots.get(partition);
    return held?.seenAs === this.#parts.ring.seenAs(partition) ? held.from : NO_SNAPSHOTS;
  }

  /** In the next commit, together with whatever row was given up. */
  #save(): void {
    const { store, storage } = this.#parts;
    const value = toBits(this.#complete);
    const birthmark = utf8.encode(storage.birthmark() ?? '');
    store.change(() => {
      store.putMeta(META.complete, value);
      store.putMeta(META.birthmark, birthmark);
      if (this.#hasLost) store.putMeta(META.lost, Uint8Array.of(1));
    });
    // Soon: a mark lost in a crash would have to be earned again, perhaps from nodes that are down.
    store.whenAllDurable(() => undefined);
  }
}

/**
 * The marks of the file with `birthmark` count in `copy`, too, which is to take its place; those of a
 * file that was a copy itself still count nowhere.
 */
export const carryMarks = (
  copy: Storage,
  birthmark: string | undefined,
  done: (result: CommitResult) => void,
): void => {
  const ops: StorageOp[] = [];
  if (new TextDecoder().decode(copy.get('meta', META.birthmark)) === birthmark) {
    const value = utf8.encode(copy.birthmark() ?? '');
    ops.push({ type: 'put', table: 'meta', key: META.birthmark, value });
  }
  copy.commit(ops, done);
};

/** Of a partition that is being filled: how it was seen then, from whom, and whether they were complete. */
type Snapshots = { readonly seenAs: bigint; readonly from: ReadonlyMap<NodeId, boolean> };

const NO_SNAPSHOTS: ReadonlyMap<NodeId, boolean> = new Map();

const toBits = (partitions: ReadonlySet<PartitionId>): Uint8Array => {
  const bits = new Uint8Array(Math.floor(Math.max(0, ...partitions) / 8) + 1);
  for (const partition of partitions) bits[partition >> 3]! |= 1 << (partition & 7);
  return bits;
};

const fromBits = (bits: Uint8Array | undefined): readonly PartitionId[] =>
  Array.from({ length: (bits?.length ?? 0) * 8 }, (_, partition) => partition)
    .filter((partition) => (bits![partition >> 3]! & (1 << (partition & 7))) !== 0)
    .map(partitionId);
