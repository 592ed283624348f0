/**
 * A map for numbers that come and go. V8's own Map keeps each table it has outgrown linked to the
 * next; where entries churn, one such table in the old generation keeps alive whatever the later
 * ones held, until a full collection. Here nothing points at what was deleted.
 *
 * Open addressing with linear probing; an entry that stands behind a deleted one moves up.
 */
const CAPACITY_MIN = 16;

export class NumberMap<T extends object> {
  #keys = new Float64Array(CAPACITY_MIN);
  #values: (T | undefined)[] = vacant(CAPACITY_MIN);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): T | undefined {
    return this.#values[this.#slotOf(key)];
  }

  has(key: number): boolean {
    return this.get(key) !== undefined;
  }

  set(key: number, value: T): void {
    // Half of it stays vacant: runs are short.
    if (this.#size * 2 >= this.#values.length) this.#resize(this.#values.length * 2);
    const slot = this.#slotOf(key);
    if (this.#values[slot] === undefined) this.#size += 1;
    this.#keys[slot] = key;
    this.#values[slot] = value;
  }

  /** Whether there was one. */
  delete(key: number): boolean {
    const values = this.#values;
    const keys = this.#keys;
    const mask = values.length - 1;
    let hole = this.#slotOf(key);
    if (values[hole] === undefined) return false;
    for (let at = (hole + 1) & mask; values[at] !== undefined; at = (at + 1) & mask) {
      const home = keys[at]! & mask;
      // It would be looked for from its home on, and not be found behind the hole.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      keys[hole] = keys[at]!;
      values[hole] = values[at];
      hole = at;
    }
    values[hole] = undefined;
    this.#size -= 1;
    return true;
  }

  clear(): void {
    this.#size = 0;
    this.#keys = new Float64Array(CAPACITY_MIN);
    this.#values = vacant(CAPACITY_MIN);
  }

  /** In no order that means anything. */
  values(): readonly T[] {
    return this.#values.filter((value) => value !== undefined);
  }

  /** Where `key` is, or would be. */
  #slotOf(key: number): number {
    const mask = this.#values.length - 1;
    let slot = key & mask;
    while (this.#values[slot] !== undefined && this.#keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  #resize(capacity: number): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Float64Array(capacity);
    this.#values = vacant(capacity);
    values.forEach((value, at) => {
      if (value === undefined) return;
      const slot = this.#slotOf(keys[at]!);
      this.#keys[slot] = keys[at]!;
      this.#values[slot] = value;
    });
  }
}

const vacant = <T>(length: number): (T | undefined)[] =>
  new Array<T | undefined>(length).fill(undefined);
