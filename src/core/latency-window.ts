/**
 * Latencies of the trailing minute as a small histogram (paper § 6.5): twelve slots, by default of five
 * seconds, each a row of counters whose buckets grow by an eighth, so that recording costs one addition and
 * a percentile is right within 6 %.
 */

const SLOT_MS = 5000;
const SLOTS = 12;
/** Latencies are counted in sixteenths of a millisecond, up to 65 s. */
const UNITS_PER_MS = 16;
const UNITS_MAX = 2 ** 20 - 1;
const BUCKETS = 152;

/** How far back the window looks, ms. */
export const WINDOW_MS = SLOT_MS * SLOTS;

export class LatencyWindow {
  readonly #counts = new Uint32Array(SLOTS * BUCKETS);
  readonly #totals = new Uint32Array(SLOTS);
  readonly #slotMs: number;
  /** The number of the youngest slot: monotonic time divided by its length. */
  #slot = 0;

  /** Looks back for twelve times `slotMs`. */
  constructor(slotMs = SLOT_MS) {
    this.#slotMs = slotMs;
  }

  /** `latencyMs` of something that ended at `nowMs`; times never go back. */
  record(latencyMs: number, nowMs: number): void {
    this.#moveTo(nowMs);
    const at = this.#slot % SLOTS;
    this.#counts[at * BUCKETS + bucketOf(latencyMs)]! += 1;
    this.#totals[at]! += 1;
  }

  /** How many were recorded in the window. */
  count(nowMs: number): number {
    this.#moveTo(nowMs);
    return this.#totals.reduce((sum, total) => sum + total, 0);
  }

  /** How many in the youngest slot and the one before it: by default the last five to ten seconds. */
  lately(nowMs: number): number {
    this.#moveTo(nowMs);
    return this.#totals[this.#slot % SLOTS]! + this.#totals[(this.#slot + SLOTS - 1) % SLOTS]!;
  }

  /** The latency that `share` (0–1) of the window stay below, ms; undefined if it is empty. */
  percentile(share: number, nowMs: number): number | undefined {
    const total = this.count(nowMs);
    if (total === 0) return undefined;
    let left = Math.ceil(total * share);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      for (let slot = 0; slot < SLOTS; slot++) left -= this.#counts[slot * BUCKETS + bucket]!;
      if (left <= 0) return middleOf(bucket);
    }
    return middleOf(BUCKETS - 1);
  }

  /** Empties the slots that time has passed over. */
  #moveTo(nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs);
    if (slot <= this.#slot) return;
    const first = Math.max(this.#slot + 1, slot - SLOTS + 1);
    for (let passed = first; passed <= slot; passed++) {
      const at = passed % SLOTS;
      this.#counts.fill(0, at * BUCKETS, (at + 1) * BUCKETS);
      this.#totals[at] = 0;
    }
    this.#slot = slot;
  }
}

/** Below 16 units one bucket each, then eight for every doubling. */
const bucketOf = (latencyMs: number): number => {
  const units = Math.min(UNITS_MAX, Math.max(0, Math.round(latencyMs * UNITS_PER_MS)));
  if (units < 8) return units;
  const shift = 28 - Math.clz32(units);
  return shift * 8 + (units >> shift);
};

const middleOf = (bucket: number): number => {
  if (bucket < 8) return bucket / UNITS_PER_MS;
  const shift = (bucket >> 3) - 1;
  const from = ((bucket & 7) + 8) << shift;
  return (from + ((1 << shift) - 1) / 2) / UNITS_PER_MS;
};
