/** Durations in buckets of about 9 %: a count of fixed size, cheap to record, good for percentiles. */
import type { Percentiles } from './records.ts';

const BUCKETS_PER_DOUBLING = 8;
const BUCKETS = 256;
/** The first bucket ends here, ms. */
const LEAST_MS = 0.01;

export class Histogram {
  #counts = new Uint32Array(BUCKETS);
  #older = new Uint32Array(BUCKETS);

  record(ms: number): void {
    const bucket = Math.ceil(Math.log2(Math.max(ms, LEAST_MS) / LEAST_MS) * BUCKETS_PER_DOUBLING);
    const index = Math.min(BUCKETS - 1, bucket);
    this.#counts[index] = this.#counts[index]! + 1;
  }

  /** Forgets what is older than one turn. */
  turn(): void {
    const older = this.#older;
    this.#older = this.#counts;
    this.#counts = older.fill(0);
  }

  /** Of this turn and the one before. */
  percentiles(): Percentiles {
    const counts = this.#counts.map((count, i) => count + this.#older[i]!);
    const count = counts.reduce((sum, each) => sum + each, 0);
    const at = (share: number): number => {
      let left = share * count;
      for (let i = 0; i < BUCKETS; i++) {
        left -= counts[i]!;
        if (count > 0 && left <= 0) return LEAST_MS * 2 ** (i / BUCKETS_PER_DOUBLING);
      }
      return 0;
    };
    return { count, p50: at(0.5), p99: at(0.99), p999: at(0.999) };
  }
}
