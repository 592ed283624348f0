/**
 * Rows of records that were read or written lately, as they lie in storage: a read of LMDB costs a
 * search of its tree. They stand one behind another in one block of memory, the oldest overwritten
 * first, so the collector sees one object however many they are. A key has two slots, side by side,
 * to share with others; whoever comes takes the one that was taken longer ago.
 *
 *   slots ──▶ │ head │ key │ row │ head │ key │ row │ … as far back as the block goes
 *
 * It knows nothing of commits: its owner replaces what changed, before anyone could read it here.
 */
import { fnv1a } from '../../core/fnv.ts';
import { partitionId } from '../../core/ids.ts';
import type { Key, PartitionId } from '../../core/ids.ts';

/** The room for key and row, the lengths of both, the partition: two bytes each. */
const HEAD_BYTES = 8;
/** Entries take whole units: mostly a row finds room where the one before it was. */
const UNIT_BYTES = 32;
/** Of the block for each slot. Small rows take three to five times as much: most get a slot. */
const BYTES_PER_SLOT = 64;
const SLOT_WORDS = 2;
/** A larger row costs little more to copy than to find, and would drive out many. */
const ROW_BYTES_MAX = 4096;
/** Of units: numbers up to here the engine keeps as they are. */
const TAKEN_MAX = 2 ** 31 - 1;

/** `row`: a view, true until the next change. */
export type CachedRow = { readonly partition: PartitionId; readonly row: Uint8Array };

/** Since the start. */
export type RowCacheCounts = { readonly hits: number; readonly misses: number };

export class RowCache {
  readonly #block: Uint8Array;
  /** Of the block. */
  readonly #units: number;
  /**
   * Of each slot where its entry begins, counted in all units ever taken, and the hash of its key: to
   * look at an entry of another key would fetch a line of memory for nothing.
   */
  readonly #slots: Uint32Array;
  /** The same, signed: a hash is. */
  readonly #hashes: Int32Array;
  #taken: number;
  #hits = 0;
  #misses = 0;

  /** A block of so many bytes; of 0 it keeps nothing. */
  constructor(bytes: number) {
    const slots = 2 ** Math.floor(Math.log2(Math.max(2, bytes / BYTES_PER_SLOT)));
    this.#units = Math.floor(bytes / UNIT_BYTES);
    this.#block = new Uint8Array(this.#units * UNIT_BYTES);
    this.#slots = new Uint32Array(SLOT_WORDS * slots);
    this.#hashes = new Int32Array(this.#slots.buffer);
    this.#taken = this.#units;
  }

  /** Of `get`. */
  get counts(): RowCacheCounts {
    return { hits: this.#hits, misses: this.#misses };
  }

  get(key: Key): CachedRow | undefined {
    const slot = this.#find(key, fnv1a(key));
    if (slot === undefined) {
      this.#misses += 1;
      return undefined;
    }
    this.#hits += 1;
    const block = this.#block;
    const at = this.#entryOf(slot);
    const rowAt = at + HEAD_BYTES + key.length;
    const row = block.subarray(rowAt, rowAt + uint16At(block, at + 4));
    return { partition: partitionId(uint16At(block, at + 6)), row };
  }

  /** From here on `row` is what lies under `key`; undefined: nothing does. */
  keep(key: Key, partition: PartitionId, row: Uint8Array | undefined): void {
    if (row === undefined || row.length > ROW_BYTES_MAX) return this.#forget(key);
    const bytes = HEAD_BYTES + key.length + row.length;
    if (bytes > this.#block.length) return this.#forget(key);
    const block = this.#block;
    const hash = fnv1a(key);
    const found = this.#find(key, hash);
    const slot = found ?? this.#slotFor(hash);
    if (found === undefined || uint16At(block, this.#entryOf(found)) < bytes) {
      this.#take(slot, key, hash, bytes);
    }
    const at = this.#entryOf(slot);
    putUint16(block, at + 4, row.length);
    putUint16(block, at + 6, partition);
    block.set(row, at + HEAD_BYTES + key.length);
  }

  #forget(key: Key): void {
    const slot = this.#find(key, fnv1a(key));
    if (slot !== undefined) this.#slots[slot] = 0;
  }

  /** As if all of the block had been written over. */
  clear(): void {
    this.#taken += this.#units;
  }

  /** The slot whose entry is that of `key`. */
  #find(key: Key, hash: number): number | undefined {
    const slot = this.#slotOf(hash);
    if (this.#isEntryOf(slot, key, hash)) return slot;
    const beside = slot ^ SLOT_WORDS;
    return this.#isEntryOf(beside, key, hash) ? beside : undefined;
  }

  /** Of its two slots the one that was taken longer ago, or by nobody. */
  #slotFor(hash: number): number {
    const slots = this.#slots;
    const slot = this.#slotOf(hash);
    const beside = slot ^ SLOT_WORDS;
    return slots[slot]! <= slots[beside]! ? slot : beside;
  }

  /** The first of the two slots of all keys of this hash. */
  #slotOf(hash: number): number {
    return ((hash ^ (hash >>> 15)) << 1) & (this.#slots.length - 1);
  }

  #isEntryOf(slot: number, key: Key, hash: number): boolean {
    if (this.#hashes[slot + 1] !== hash) return false;
    // What lies further back than the block is long has been written over.
    if (this.#slots[slot]! <= this.#taken - this.#units) return false;
    const block = this.#block;
    const at = this.#entryOf(slot);
    if (uint16At(block, at + 2) !== key.length) return false;
    const keyAt = at + HEAD_BYTES;
    for (let i = 0; i < key.length; i++) {
      if (block[keyAt + i] !== key.charCodeAt(i)) return false;
    }
    return true;
  }

  #entryOf(slot: number): number {
    return (this.#slots[slot]! % this.#units) * UNIT_BYTES;
  }

  /** A slot that nobody took says what one says whose entry was overwritten. */
  #beginAnew(): void {
    this.#slots.fill(0);
    this.#taken = this.#units;
  }

  /** Takes room for an entry, in one piece. */
  #take(slot: number, key: Key, hash: number, bytes: number): void {
    const units = Math.ceil(bytes / UNIT_BYTES);
    if (this.#taken > TAKEN_MAX - 2 * this.#units) this.#beginAnew();
    const left = this.#units - (this.#taken % this.#units);
    if (left < units) this.#taken += left;
    this.#slots[slot] = this.#taken;
    this.#hashes[slot + 1] = hash;
    this.#taken += units;
    const block = this.#block;
    const at = this.#entryOf(slot);
    putUint16(block, at, units * UNIT_BYTES);
    putUint16(block, at + 2, key.length);
    for (let i = 0; i < key.length; i++) block[at + HEAD_BYTES + i] = key.charCodeAt(i);
  }
}

const uint16At = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

const putUint16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
};
