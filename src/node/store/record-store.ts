/**
 * What this node holds: records and hints, read through the memory buffer, written back in batches
 * whose commit carries the Merkle branches they change (paper §§ 4.7, 6.1). It knows where things
 * are and when they are durable; what they mean is the replica's business.
 *
 *   open ──▶ Slot ──put──▶ Memtable ──(write-buffer actor: commit)──▶ Storage, Forest
 *                             └──────────── whenDurable ◀─────────────────┘
 */
import type { BufferEvent, Waiting } from '../../../actors/write-buffer.ts';
import { kept } from '../../core/bytes.ts';
import type { Key, PartitionId } from '../../core/ids.ts';
import { showKey } from '../../core/ids.ts';
import { NO_HASH } from '../../core/merkle.ts';
import { encodeRecord } from '../../core/record-bytes.ts';
import type { RecordForm } from '../../core/record-bytes.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Storage, StorageOp } from '../../ports/storage.ts';
import type { Trace } from '../../ports/trace.ts';
import { Audit } from './audit.ts';
import { Forest, leafHash } from './forest.ts';
import { HintStore } from './hint-store.ts';
import { rowsOfLeaves } from './leaf-rows.ts';
import type { LeafRows, LeafRowsParts } from './leaf-rows.ts';
import { Memtable } from './memtable.ts';
import type { Layer, Place, RecordChange, StoredRecord } from './memtable.ts';
import { pageOf, someOf } from './record-pages.ts';
import type { KeyHash, Most, RecordPage, RecordPagesParts } from './record-pages.ts';
import type { RingView } from '../membership/ring-view.ts';
import { RowCache } from './row-cache.ts';
import type { RowCacheCounts } from './row-cache.ts';
import type { Witness } from './witness.ts';
import {
  decodeStored,
  eachEntry,
  encodeHint,
  encodeStored,
  hashOfRecord,
  hashOfRow,
  hintKey,
  partitionRange,
  placeOf,
  recordBytesIn,
  recordBytesOf,
  recordKey,
  storedIn,
} from './stored.ts';

export type RecordStoreParts = {
  readonly storage: Storage;
  readonly digest: Digest;
  readonly trace: Trace;
  readonly ring: RingView;
  /** Counts commits; whoever only looks at records needs none. */
  readonly witness?: Witness;
  readonly limits: StoreLimits;
  /** The record of `key` is another one from here on, or gone. */
  readonly changed: (key: Key, place: Place) => void;
  /** Tells the write-buffer actor, while no commit is under way: afterwards it looks itself. */
  readonly tellBuffer: (event: BufferEvent) => void;
};

export type StoreLimits = {
  readonly bufferedObjectsMax: number;
  readonly hintsMax: number;
  readonly freeBytesMin: number;
  readonly rowCacheBytes: number;
};

/** What lies under a key; `corrupt`: the disk gave back something else than was written. */
export type Slot = {
  readonly key: Key;
  readonly place: Place;
  readonly held: StoredRecord | 'nothing' | 'corrupt';
  /** What of it counts in the tree, or did before it was buffered. */
  readonly hash: bigint | 'unknown';
  /** Its own hash, unless that would have to be made. */
  readonly ownHash: bigint | undefined;
};

/** What is held of a key: its record in binary form. */
export type Look = {
  readonly partition: PartitionId;
  readonly bytes: Uint8Array | 'nothing' | 'corrupt';
};

export class RecordStore {
  readonly hints: HintStore;
  readonly forest: Forest;
  /** How the rows look on disk. */
  readonly audit: Audit;
  readonly #parts: RecordStoreParts;
  readonly #memtable = new Memtable();
  /** Committed rows as they lie in storage. */
  readonly #rows: RowCache;
  /** What those need who look at many records. */
  readonly #looking: LeafRowsParts & RecordPagesParts;
  readonly #waiting: { readonly sequence: number; readonly task: () => void }[] = [];
  /** The open layer's commit is wanted: the write buffer is told once. */
  #hurried = false;
  /** A commit is wanted by what goes with one beside the changes. */
  #wanted = false;
  #spaceIsLow = false;
  #corruptFound = 0;

  constructor(parts: RecordStoreParts) {
    this.#parts = parts;
    this.#rows = new RowCache(parts.limits.rowCacheBytes);
    this.forest = new Forest(parts.storage);
    this.hints = new HintStore(parts.storage, parts.digest, this.#memtable, parts.limits.hintsMax);
    this.#looking = { ...parts, memtable: this.#memtable };
    this.audit = new Audit({ ...this.#looking, forest: this.forest });
    this.#lookAtSpace();
  }

  /** Changes in memory only. */
  get buffered(): number {
    return this.#memtable.size;
  }

  /** What no commit carries yet. */
  get waiting(): Waiting {
    const { openSize } = this.#memtable;
    if (openSize >= this.#parts.limits.bufferedObjectsMax) return 'full';
    if (this.#hurried) return 'hurry';
    return openSize > 0 || this.#wanted ? 'writes' : 'nothing';
  }

  /** Something that goes with a commit is to be on disk by the next flush. */
  wantCommit(): void {
    this.#wanted = true;
    this.#tellBuffer('buffer.filled');
  }

  /** Free disk is below the floor: new writes are to be refused. */
  get spaceIsLow(): boolean {
    // Who refuses every write commits nothing, and would never look again.
    if (this.#spaceIsLow) this.#lookAtSpace();
    return this.#spaceIsLow;
  }

  /** Reads that found a row with a wrong checksum. */
  get corruptFound(): number {
    return this.#corruptFound;
  }

  /** How often a committed row that was read lay in memory. */
  get rowCache(): RowCacheCounts {
    return this.#rows.counts;
  }

  /** What lies on disk is not what was written: what memory says of it is not to be relied on. */
  distrustRows(): void {
    this.#rows.clear();
  }

  open(key: Key): Slot {
    const change = this.#memtable.record(key);
    if (change !== undefined) {
      const held = change.stored === 'removed' ? 'nothing' : change.stored;
      // An open change keeps what came before its layer; a sealed one knows its own hash.
      const { place, hash: ownHash, before } = change;
      return { key, place, held, hash: ownHash ?? before, ownHash };
    }
    const { ring } = this.#parts;
    const { partitions } = ring.ring;
    const cached = this.#rows.find(key);
    if (cached !== undefined) {
      const place = placeOf(this.#rows.nameIn(cached), partitions);
      const { stored, hash } = storedIn(kept(this.#rows.rowIn(cached)));
      return { key, place, held: stored, hash, ownHash: hash };
    }
    const { partition, position } = ring.placeOf(key);
    const place = placeOf(recordKey(partition, position, key), partitions);
    const row = this.#parts.storage.get('records', place.name);
    if (row === undefined) return { key, place, held: 'nothing', hash: NO_HASH, ownHash: NO_HASH };
    const found = decodeStored(this.#parts.digest, row);
    if (found !== 'corrupt') {
      const { stored, hash } = found;
      return { key, place, held: stored, hash, ownHash: hash };
    }
    this.#corruptFound += 1;
    const { trace } = this.#parts;
    trace.log('error', 'record.corrupt', { key: showKey(key), partition: place.partition });
    return { key, place, held: 'corrupt', hash: 'unknown', ownHash: undefined };
  }

  /** The record of `key` in its binary form, for who only passes it on; `corrupt`: `open` says more. */
  look(key: Key): Look {
    const change = this.#memtable.record(key);
    if (change !== undefined) {
      const { stored, form, place } = change;
      const { partition } = place;
      if (stored === 'removed') return { partition, bytes: 'nothing' };
      return { partition, bytes: form?.bytes ?? encodeRecord(stored.record, 'with-values') };
    }
    const cached = this.#rows.find(key);
    if (cached !== undefined) {
      const partition = this.#rows.partitionIn(cached);
      return { partition, bytes: kept(recordBytesIn(this.#rows.rowIn(cached))) };
    }
    const { partition, position } = this.#parts.ring.placeOf(key);
    const name = recordKey(partition, position, key);
    const row = this.#parts.storage.get('records', name);
    if (row === undefined) return { partition, bytes: 'nothing' };
    const bytes = recordBytesOf(this.#parts.digest, row);
    if (bytes !== 'corrupt') this.#rows.keep(key, name, row);
    return { partition, bytes };
  }

  /**
   * Replaces what lies in a slot that was opened just now; within `change` only. `form`: of that very
   * record with its values, if it is at hand: the flush need not make it.
   */
  put({ key, place, hash }: Slot, stored: StoredRecord | 'removed', form?: RecordForm): void {
    this.#memtable.putRecord(key, place, stored, hash, form);
    this.#parts.changed(key, place);
  }

  /** Replaces a fact in the meta table, in the same commit as the changes beside it; within `change`. */
  putMeta(name: Uint8Array, value: Uint8Array): void {
    this.#memtable.putMeta(name, value);
  }

  /** Makes buffered changes and tells the write buffer when it has to know. */
  change(make: () => void): void {
    const { limits } = this.#parts;
    const before = this.#memtable.openSize;
    make();
    const after = this.#memtable.openSize;
    if (before === 0 && after > 0) this.#tellBuffer('buffer.filled');
    if (before < limits.bufferedObjectsMax && after >= limits.bufferedObjectsMax) {
      this.#tellBuffer('buffer.full');
    }
  }

  /** Begins a commit of all that is buffered; `done` hears once whether it is durable. */
  commit(done: (failure: string | undefined) => void): void {
    this.#hurried = this.#wanted = false;
    const { storage, witness } = this.#parts;
    const layer = this.#memtable.seal();
    const carries = layer.records.size + layer.hints.size > 0 ? 'records' : 'none';
    const counted = witness?.commit(carries);
    storage.commit([...this.#opsOf(layer), ...(counted?.ops ?? [])], (result) => {
      if (result.type === 'durable') {
        // Until `settle` nobody looks below the layer: nothing older can be read.
        for (const [key, { row, place }] of layer.records) {
          this.#rows.keep(key, place.name, row);
        }
        this.#memtable.settle();
        counted?.durable();
        done(undefined);
      } else done(result.reason);
    });
  }

  /** Tells who waited for what is durable now, one by one: should a task throw, the others stay. */
  releaseDurable(): void {
    this.#lookAtSpace();
    while ((this.#waiting[0]?.sequence ?? Infinity) <= this.#memtable.durableSequence) {
      this.#waiting.shift()!.task();
    }
  }

  /**
   * Calls `task` once all that is known of `key` here survives a power cut; perhaps at once.
   * `in-time`: nobody waits for it, the next flush is soon enough.
   */
  whenDurable(key: Key, task: () => void, when: 'hurried' | 'in-time' = 'hurried'): void {
    const change = this.#memtable.record(key);
    // Nothing of the record is buffered, but a hint for it may be: then wait for all.
    const sequence = change?.sequence ?? (this.hints.total > 0 ? this.#memtable.lastSequence : 0);
    this.#whenSequenceDurable(sequence, task, when);
  }

  /** Calls `task` once nothing is in memory only. */
  whenAllDurable(task: () => void): void {
    this.#whenSequenceDurable(this.#memtable.lastSequence, task, 'hurried');
  }

  /** Hashes of the records in some leaves of a partition, by key, as buffered right now. */
  hashesIn(partition: PartitionId, leaves: readonly number[], keysMax = Infinity): LeafRows {
    return rowsOfLeaves(this.#looking, partition, leaves, keysMax);
  }

  /** The hash of what lies in a slot; NO_HASH for nothing. */
  hashOf({ key, held, hash }: Slot): bigint {
    if (held === 'nothing' || held === 'corrupt') return NO_HASH;
    const change = this.#memtable.record(key);
    // An open change has no hash of its own yet.
    return change !== undefined && change.hash === undefined
      ? hashOfRecord(this.#parts.digest, key, held.record)
      : (hash as bigint);
  }

  /** Nothing lies here at all. */
  get isEmpty(): boolean {
    return this.partitionsHeld().size === 0;
  }

  /** Partitions of which anything lies here, buffered or stored. */
  partitionsHeld(): ReadonlySet<PartitionId> {
    const held = new Set(this.forest.grown());
    for (const { place, stored } of this.#memtable.records().values()) {
      if (stored !== 'removed') held.add(place.partition);
    }
    return held;
  }

  /** Some records of a partition, with their hashes (record-pages.ts). */
  someOf(partition: PartitionId, most: Most, wanted: (key: Key) => boolean): readonly KeyHash[] {
    return someOf(this.#looking, partition, most, wanted);
  }

  /** A partition's root as its tree has it and as its committed rows give it; equal when idle. */
  rootsOf(partition: PartitionId): { readonly kept: bigint; readonly rebuilt: bigint } {
    const { storage, digest } = this.#parts;
    const hashes: bigint[] = [];
    for (const { value } of eachEntry(storage, 'records', partitionRange(partition))) {
      const hash = hashOfRow(digest, value);
      if (hash !== 'corrupt') hashes.push(hash);
    }
    return { kept: this.forest.tree(partition).root, rebuilt: leafHash(hashes) };
  }

  /** Records of a partition behind a place in it, as buffered right now (record-pages.ts). */
  recordsFrom(partition: PartitionId, after: Uint8Array | undefined, limit: number): RecordPage {
    return pageOf(this.#looking, partition, after, limit);
  }

  #whenSequenceDurable(sequence: number, task: () => void, when: 'hurried' | 'in-time'): void {
    if (sequence <= this.#memtable.durableSequence) {
      task();
      return;
    }
    const at = this.#waiting.findLastIndex((other) => other.sequence <= sequence);
    this.#waiting.splice(at + 1, 0, { sequence, task });
    if (when === 'in-time' || this.#hurried || sequence <= this.#memtable.sealedSequence) return;
    this.#hurried = true;
    this.#tellBuffer('sync.wanted');
  }

  #tellBuffer(event: BufferEvent): void {
    if (!this.#memtable.isCommitting) this.#parts.tellBuffer(event);
  }

  #opsOf(layer: Layer): readonly StorageOp[] {
    const ops: StorageOp[] = [];
    for (const [key, change] of layer.records) ops.push(this.#recordOp(key, change));
    // Only now that every change of the layer has its hash can a leaf be counted anew.
    for (const { place, before } of layer.records.values()) {
      if (before === 'unknown') this.#recount(place);
    }
    ops.push(...this.forest.takeOps());
    for (const { hint, state } of layer.hints.values()) {
      const name = hintKey(hint.target, hint.key);
      if (state === 'removed') ops.push({ type: 'remove', table: 'hints', key: name });
      else
        ops.push({
          type: 'put',
          table: 'hints',
          key: name,
          value: encodeHint(this.#parts.digest, hint),
        });
    }
    for (const { name, value } of layer.meta.values()) {
      ops.push({ type: 'put', table: 'meta', key: name, value });
    }
    return ops;
  }

  #recordOp(key: Key, change: RecordChange): StorageOp {
    const { place, stored, form, before } = change;
    const { partition, leaf, name } = place;
    const encoded =
      stored === 'removed' ? undefined : encodeStored(this.#parts.digest, key, stored, form);
    change.hash = encoded?.hash ?? NO_HASH;
    change.row = encoded?.row;
    if (before !== 'unknown') this.forest.replace(partition, leaf, before, change.hash);
    return encoded === undefined
      ? { type: 'remove', table: 'records', key: name }
      : { type: 'put', table: 'records', key: name, value: encoded.row };
  }

  /** Puts the leaf of a replaced corrupt row right: what the row once counted is not known. */
  #recount({ partition, leaf }: Place): void {
    const tree = this.forest.tree(partition);
    const counted = tree.leafAt(leaf);
    const held = leafHash(this.hashesIn(partition, [leaf]).hashes.values());
    this.forest.replace(partition, leaf, counted, held);
  }

  #lookAtSpace(): void {
    const { storage, limits, trace } = this.#parts;
    const low = storage.usage().freeBytes < limits.freeBytesMin;
    if (low !== this.#spaceIsLow) {
      trace.log(low ? 'error' : 'info', low ? 'disk.low' : 'disk.ok', storage.usage());
    }
    this.#spaceIsLow = low;
  }
}
