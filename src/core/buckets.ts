/**
 * A histogram of fixed buckets, as Prometheus counts them: cheap to fill (a few comparisons), and
 * those of many nodes add up.
 */
export class Buckets {
  readonly bounds: readonly number[];
  /** One more than the bounds: the last is for what lies above all of them. */
  readonly #counts: number[];
  #sum = 0;

  /** `bounds` ascending; each bucket holds what is at most its bound. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  record(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > this.bounds[index]!) index += 1;
    this.#counts[index]! += 1;
    this.#sum += value;
  }

  get sum(): number {
    return this.#sum;
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** How many were at most each bound. */
  cumulative(): readonly number[] {
    let sum = 0;
    return this.bounds.map((_, index) => (sum += this.#counts[index]!));
  }
}
