/**
 * Rows of records that were read or written lately, as they lie in storage: a read of LMDB costs a
 * search of its tree. They stand one behind another in one block of memory, the oldest overwritten
 * first, so the collector sees one object however many they are. A key has one slot; whoever comes
 * later takes it.
 *
 *   slots ──▶ │ head │ key │ row │ head │ key │ row │ … as far back as the block goes
 *
 * It knows nothing of commits: its owner replaces what changed, before anyone could read it here.
 */
import { partitionId } from '../../core/ids.ts';
import type { Key, PartitionId } from '../../core/ids.ts';

/** The room for key and row, the lengths of both, the partition: two bytes each. */
const HEAD_BYTES = 8;
/** Entries take whole units: mostly a row finds room where the one before it was. */
const UNIT_BYTES = 32;
/** Of the block for each slot. Small rows take three to five times as much: most get a slot. */
const BYTES_PER_SLOT = 64;
/** A larger row costs little more to copy than to find, and would drive out many. */
const ROW_BYTES_MAX = 4096;

/** `row`: a view, true until the next change. */
export type CachedRow = { readonly partition: PartitionId; readonly row: Uint8Array };

/** Since the start. */
export type RowCacheCounts = { readonly hits: number; readonly misses: number };

export class RowCache {
  readonly #block: Uint8Array;
  /** Where each entry begins, counted in all bytes ever taken. */
  readonly #slots: Float64Array;
  #taken: number;
  #hits = 0;
  #misses = 0;

  /** A block of so many bytes; of 0 it keeps nothing. */
  constructor(bytes: number) {
    const slots = 2 ** Math.floor(Math.log2(Math.max(1, bytes / BYTES_PER_SLOT)));
    this.#block = new Uint8Array(bytes);
    this.#slots = new Float64Array(slots);
    // So that a slot nobody took says what one says whose entry was overwritten.
    this.#taken = bytes;
  }

  /** Of `get`. */
  get counts(): RowCacheCounts {
    return { hits: this.#hits, misses: this.#misses };
  }

  get(key: Key): CachedRow | undefined {
    const at = this.#find(key);
    if (at === undefined) {
      this.#misses += 1;
      return undefined;
    }
    this.#hits += 1;
    const block = this.#block;
    const rowAt = at + HEAD_BYTES + key.length;
    const row = block.subarray(rowAt, rowAt + uint16At(block, at + 4));
    return { partition: partitionId(uint16At(block, at + 6)), row };
  }

  keep(key: Key, partition: PartitionId, row: Uint8Array): void {
    const bytes = key.length + row.length;
    if (row.length > ROW_BYTES_MAX || HEAD_BYTES + bytes > this.#block.length) {
      return this.forget(key);
    }
    const before = this.#find(key);
    const hasRoom = before !== undefined && uint16At(this.#block, before) >= bytes;
    const at = hasRoom ? before : this.#append(key, bytes);
    const block = this.#block;
    putUint16(block, at + 4, row.length);
    putUint16(block, at + 6, partition);
    block.set(row, at + HEAD_BYTES + key.length);
  }

  forget(key: Key): void {
    if (this.#find(key) !== undefined) this.#slots[this.#slotOf(key)] = 0;
  }

  clear(): void {
    this.#slots.fill(0);
  }

  /** Where in the block the entry of `key` begins. */
  #find(key: Key): number | undefined {
    const block = this.#block;
    const began = this.#slots[this.#slotOf(key)]!;
    // What lies further back has been written over.
    if (began <= this.#taken - block.length) return undefined;
    const at = began % block.length;
    if (uint16At(block, at + 2) !== key.length) return undefined;
    const keyAt = at + HEAD_BYTES;
    for (let i = 0; i < key.length; i++) {
      if (block[keyAt + i] !== key.charCodeAt(i)) return undefined;
    }
    return at;
  }

  /** Takes room for an entry, in one piece; where it begins. */
  #append(key: Key, bytes: number): number {
    const { length } = this.#block;
    const size = Math.min(length, Math.ceil((HEAD_BYTES + bytes) / UNIT_BYTES) * UNIT_BYTES);
    const left = length - (this.#taken % length);
    if (left < size) this.#taken += left;
    const at = this.#taken % length;
    this.#slots[this.#slotOf(key)] = this.#taken;
    this.#taken += size;
    putUint16(this.#block, at, size - HEAD_BYTES);
    putUint16(this.#block, at + 2, key.length);
    for (let i = 0; i < key.length; i++) this.#block[at + HEAD_BYTES + i] = key.charCodeAt(i);
    return at;
  }

  /** FNV-1a of the key, folded. */
  #slotOf(key: Key): number {
    let hash = 0x811c9dc5;
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
    return (hash ^ (hash >>> 15)) & (this.#slots.length - 1);
  }
}

const uint16At = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

const putUint16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
};
