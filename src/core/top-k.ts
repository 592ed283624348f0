/**
 * The keys asked for most, in bounded memory (Metwally et al. 2005, Space-Saving), over a sliding time:
 * counts of the running period and of the one before it.
 */
type Counted<T> = { item: T; count: number };

export class TopK<T> {
  readonly #itemsMax: number;
  #now: Counted<T>[] = [];
  #places = new Map<T, Counted<T>>();
  #before: readonly Counted<T>[] = [];

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  touch(item: T): void {
    const known = this.#places.get(item);
    if (known !== undefined) known.count += 1;
    else if (this.#now.length < this.#itemsMax) {
      const counted = { item, count: 1 };
      this.#now.push(counted);
      this.#places.set(item, counted);
    } else this.#replaceLeast(item);
  }

  /** A new period begins. */
  turn(): void {
    this.#before = this.#now;
    this.#now = [];
    this.#places = new Map();
  }

  /** Upper bounds of how often each was touched in the last two periods, most first. */
  top(many: number): readonly { readonly item: T; readonly count: number }[] {
    const sums = new Map(this.#before.map(({ item, count }) => [item, count]));
    for (const { item, count } of this.#now) sums.set(item, (sums.get(item) ?? 0) + count);
    return [...sums]
      .sort((a, b) => b[1] - a[1])
      .slice(0, many)
      .map(([item, count]) => ({ item, count }));
  }

  #replaceLeast(item: T): void {
    let least = this.#now[0]!;
    for (const each of this.#now) if (each.count < least.count) least = each;
    this.#places.delete(least.item);
    least.item = item;
    least.count += 1;
    this.#places.set(item, least);
  }
}
