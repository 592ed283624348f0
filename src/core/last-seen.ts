/**
 * Which numbered messages have come lately: the last `least` that were new for certain, at most twice
 * as many. Two generations in turns, for a set from which the oldest is deleted with every new one is
 * made anew again and again by the engine; a set for each sender, for one text of name and number
 * costs more than all the rest.
 */
export class LastSeen<Sender> {
  readonly #least: number;
  #newer: Map<Sender, Set<number>> = new Map();
  #older: ReadonlyMap<Sender, ReadonlySet<number>> = new Map();
  #size = 0;

  constructor(least: number) {
    this.#least = least;
  }

  /** Whether this number of `sender` has come before; from now on it has. */
  seen(sender: Sender, number: number): boolean {
    let numbers = this.#newer.get(sender);
    if (numbers?.has(number) === true || this.#older.get(sender)?.has(number) === true) return true;
    if (numbers === undefined) {
      numbers = new Set();
      this.#newer.set(sender, numbers);
    }
    numbers.add(number);
    this.#size += 1;
    if (this.#size >= this.#least) {
      this.#older = this.#newer;
      this.#newer = new Map();
      this.#size = 0;
    }
    return false;
  }
}
