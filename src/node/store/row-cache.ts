/**
 * Rows of records that were read or written lately, as they lie in storage: a read of LMDB costs a
 * search of its tree. They stand one behind another in one block of memory, the oldest overwritten
 * first, so the collector sees one object however many they are. A key has two slots, side by side,
 * to share with others; whoever comes takes the one that was taken longer ago. With a row stands the
 * name it has in storage: in that is where the key lies, which to find out anew costs a hash.
 *
 *   slots ──▶ │ head │ name │ row │ head │ name │ row │ … as far back as the block goes
 *
 * It knows nothing of commits: its owner replaces what changed, before anyone could read it here.
 */
import { kept } from '../../core/bytes.ts';
import { fnv1a } from '../../core/fnv.ts';
import { partitionId } from '../../core/ids.ts';
import type { Key, PartitionId } from '../../core/ids.ts';
import { KEY_AT } from './stored.ts';

/** The lengths of name and row: two bytes each. */
const HEAD_BYTES = 4;
/** Entries take whole units: mostly a row finds room where the one before it was. */
const UNIT_BYTES = 32;
/** Of the largest entry they are 161. */
const UNITS_BITS = 8;
/** Of the block for each slot. Small rows take three to five times as much: most get a slot. */
const BYTES_PER_SLOT = 64;
const SLOT_WORDS = 2;
/** A larger row costs little more to copy than to find, and would drive out many. */
const ROW_BYTES_MAX = 4096;
/** Of units: numbers up to here the engine keeps as they are. */
const TAKEN_MAX = 2 ** 31 - 1;

/** Where an entry lies, true until the next change. */
export type Entry = number & { readonly __brand: 'Entry' };

/** Since the start. */
export type RowCacheCounts = { readonly hits: number; readonly misses: number };

export class RowCache {
  readonly #block: Uint8Array;
  /** Of the block. */
  readonly #units: number;
  /**
   * Of each slot where its entry begins, counted in all units ever taken; and the hash of its key, its
   * low byte replaced by the entry's units: to look at an entry only to learn that it is another
   * key's, or how much fits there, would fetch a line of memory for nothing.
   */
  readonly #slots: Uint32Array;
  #taken: number;
  #hits = 0;
  #misses = 0;

  /** A block of so many bytes; of 0 it keeps nothing. */
  constructor(bytes: number) {
    const slots = 2 ** Math.floor(Math.log2(Math.max(2, bytes / BYTES_PER_SLOT)));
    this.#units = Math.floor(bytes / UNIT_BYTES);
    this.#block = new Uint8Array(this.#units * UNIT_BYTES);
    this.#slots = new Uint32Array(SLOT_WORDS * slots);
    this.#taken = this.#units;
  }

  /** Of `get`. */
  get counts(): RowCacheCounts {
    return { hits: this.#hits, misses: this.#misses };
  }

  find(key: Key): Entry | undefined {
    const slot = this.#find(fnv1a(key));
    const entry = slot === undefined ? undefined : this.#entryOf(slot);
    if (entry === undefined || !this.#isEntryOf(entry, key)) {
      this.#misses += 1;
      return undefined;
    }
    this.#hits += 1;
    return entry;
  }

  partitionIn(entry: Entry): PartitionId {
    return partitionId(uint16At(this.#block, entry + HEAD_BYTES));
  }

  /** The name of the row in storage, for keeps. */
  nameIn(entry: Entry): Uint8Array {
    const from = entry + HEAD_BYTES;
    return kept(this.#block, from, from + uint16At(this.#block, entry));
  }

  /** The row: a view, as short-lived as the entry. */
  rowIn(entry: Entry): Uint8Array {
    const from = entry + HEAD_BYTES + uint16At(this.#block, entry);
    return this.#block.subarray(from, from + uint16At(this.#block, entry + 2));
  }

  /** From here on `row` is what lies under `key`, by the name it has in storage; undefined: nothing does. */
  keep(key: Key, name: Uint8Array, row: Uint8Array | undefined): void {
    if (row === undefined || row.length > ROW_BYTES_MAX) return this.#forget(key);
    const bytes = HEAD_BYTES + name.length + row.length;
    if (bytes > this.#block.length) return this.#forget(key);
    const hash = fnv1a(key);
    let slot = this.#find(hash);
    // Of a key with the same hash, too: to both there is room for one.
    if (slot === undefined || this.#unitsOf(slot) * UNIT_BYTES < bytes) {
      slot ??= this.#slotFor(hash);
      this.#take(slot, hash, Math.ceil(bytes / UNIT_BYTES));
    }
    const block = this.#block;
    const entry = this.#entryOf(slot);
    putUint16(block, entry, name.length);
    putUint16(block, entry + 2, row.length);
    block.set(name, entry + HEAD_BYTES);
    block.set(row, entry + HEAD_BYTES + name.length);
  }

  #forget(key: Key): void {
    const slot = this.#find(fnv1a(key));
    if (slot !== undefined) this.#slots[slot] = 0;
  }

  /** As if all of the block had been written over. */
  clear(): void {
    this.#taken += this.#units;
  }

  /** The slot whose entry is that of a key of this hash. */
  #find(hash: number): number | undefined {
    const slot = this.#slotOf(hash);
    if (this.#isSlotOf(slot, hash)) return slot;
    const beside = slot ^ SLOT_WORDS;
    return this.#isSlotOf(beside, hash) ? beside : undefined;
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

  #isSlotOf(slot: number, hash: number): boolean {
    if ((this.#slots[slot + 1]! ^ hash) >>> UNITS_BITS !== 0) return false;
    // What lies further back than the block is long has been written over.
    return this.#slots[slot]! > this.#taken - this.#units;
  }

  #isEntryOf(entry: Entry, key: Key): boolean {
    const block = this.#block;
    if (uint16At(block, entry) !== KEY_AT + key.length) return false;
    const keyAt = entry + HEAD_BYTES + KEY_AT;
    for (let i = 0; i < key.length; i++) {
      if (block[keyAt + i] !== key.charCodeAt(i)) return false;
    }
    return true;
  }

  #entryOf(slot: number): Entry {
    return ((this.#slots[slot]! % this.#units) * UNIT_BYTES) as Entry;
  }

  /** Of its entry. */
  #unitsOf(slot: number): number {
    return this.#slots[slot + 1]! % 2 ** UNITS_BITS;
  }

  /** A slot that nobody took says what one says whose entry was overwritten. */
  #beginAnew(): void {
    this.#slots.fill(0);
    this.#taken = this.#units;
  }

  /** Takes room for an entry, in one piece. */
  #take(slot: number, hash: number, units: number): void {
    if (this.#taken > TAKEN_MAX - 2 * this.#units) this.#beginAnew();
    const left = this.#units - (this.#taken % this.#units);
    if (left < units) this.#taken += left;
    this.#slots[slot] = this.#taken;
    this.#slots[slot + 1] = ((hash >>> UNITS_BITS) << UNITS_BITS) | units;
    this.#taken += units;
  }
}

const uint16At = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

const putUint16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
};
