/**
 * Which keys have changed within the last while. It may take an unchanged key for a changed one,
 * about once in twenty times, and never the other way: what it lets through has rested.
 *
 *   ── slot ──┼── slot ──┼── slot ──┼─ now      a Bloom filter each, of the four words of the key's
 *    (dropped)     ▲ since │                      MD5; one that is full goes on in another twice as large
 */
/** The time looked back at is cut into so many slots. */
const SLOTS = 8;
const BITS_PER_KEY = 16;
const KEYS_MIN = 1024;
const WORDS = 4;

type Filter = { readonly bits: Uint32Array; keys: number };
type Slot = { readonly fromMs: number; lastMs: number; readonly filters: Filter[] };

export class RecentChanges {
  readonly #slotMs: number;
  #slots: Slot[];

  /** Looks back at least `spanMs`, from `nowMs` (monotonic) on; of before it knows nothing. */
  constructor(spanMs: number, nowMs: number) {
    this.#slotMs = spanMs / SLOTS;
    this.#slots = [newSlot(nowMs)];
  }

  /** The key with the MD5 at `offset` of `bytes` changes now. */
  add(bytes: Uint8Array, offset: number, nowMs: number): void {
    this.#turn(nowMs);
    const slot = this.#slots.at(-1)!;
    const { filters } = slot;
    slot.lastMs = nowMs;
    const last = filters.at(-1)!;
    const keysMax = (last.bits.length * 32) / BITS_PER_KEY;
    const filter = last.keys < keysMax ? last : newFilter(keysMax * 2);
    if (filter !== last) filters.push(filter);
    filter.keys += 1;
    for (let word = 0; word < WORDS; word++) {
      const bit = wordAt(bytes, offset + 4 * word);
      filter.bits[(bit >>> 5) & (filter.bits.length - 1)]! |= 1 << (bit & 31);
    }
  }

  /** Whether that key has changed at `sinceMs` or later, as far as is known. */
  changedSince(bytes: Uint8Array, offset: number, sinceMs: number): boolean {
    if (sinceMs < this.#slots[0]!.fromMs) return true;
    return this.#slots.some(
      ({ lastMs, filters }) =>
        lastMs >= sinceMs && filters.some((filter) => has(filter, bytes, offset)),
    );
  }

  #turn(nowMs: number): void {
    if (nowMs - this.#slots.at(-1)!.fromMs < this.#slotMs) return;
    // The oldest one is needed until the others span the whole time without it.
    this.#slots = [...this.#slots, newSlot(nowMs)].slice(-(SLOTS + 1));
  }
}

const has = ({ bits }: Filter, bytes: Uint8Array, offset: number): boolean => {
  for (let word = 0; word < WORDS; word++) {
    const bit = wordAt(bytes, offset + 4 * word);
    if ((bits[(bit >>> 5) & (bits.length - 1)]! & (1 << (bit & 31))) === 0) return false;
  }
  return true;
};

const wordAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;

/** Room for `keys`, a power of two. */
const newFilter = (keys: number): Filter => ({
  bits: new Uint32Array((keys * BITS_PER_KEY) / 32),
  keys: 0,
});

const newSlot = (fromMs: number): Slot => ({
  ...{ fromMs, lastMs: -Infinity },
  filters: [newFilter(KEYS_MIN)],
});
