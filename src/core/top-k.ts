/**
 * The keys asked for most, in bounded memory (Metwally et al. 2005, Space-Saving), over a sliding time:
 * counts of the running period and of the one before it.
 */
export class TopK<T> {
  readonly #itemsMax: number;
  #now = new Map<T, number>();
  #before: ReadonlyMap<T, number> = new Map();

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  touch(item: T): void {
    const count = this.#now.get(item);
    if (count !== undefined) this.#now.set(item, count + 1);
    else if (this.#now.size < this.#itemsMax) this.#now.set(item, 1);
    else this.#replaceLeast(item);
  }

  /** A new period begins. */
  turn(): void {
    this.#before = this.#now;
    this.#now = new Map();
  }

  /** Upper bounds of how often each was touched in the last two periods, most first. */
  top(many: number): readonly { readonly item: T; readonly count: number }[] {
    const sums = new Map(this.#before);
    for (const [item, count] of this.#now) sums.set(item, (sums.get(item) ?? 0) + count);
    return [...sums]
      .sort((a, b) => b[1] - a[1])
      .slice(0, many)
      .map(([item, count]) => ({ item, count }));
  }

  #replaceLeast(item: T): void {
    let least: T | undefined;
    let lowest = Infinity;
    for (const [each, count] of this.#now) if (count < lowest) [least, lowest] = [each, count];
    this.#now.delete(least!);
    this.#now.set(item, lowest + 1);
  }
}
