/**
 * Which names have come lately: the last `least` that were new for certain, at most twice as many.
 * Two sets in turns, for a set from which the oldest is deleted with every new one is made anew
 * again and again by the engine.
 */
export class LastSeen {
  readonly #least: number;
  #newer = new Set<string>();
  #older: ReadonlySet<string> = new Set();

  constructor(least: number) {
    this.#least = least;
  }

  /** Whether `name` has come before; from now on it has. */
  seen(name: string): boolean {
    if (this.#newer.has(name) || this.#older.has(name)) return true;
    this.#newer.add(name);
    if (this.#newer.size >= this.#least) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    return false;
  }
}
