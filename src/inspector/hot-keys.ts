/** The keys asked for most, in bounded memory (Metwally et al. 2005, Space-Saving). */
import { showKey } from '../core/ids.ts';
import type { Key } from '../core/ids.ts';

export class HotKeys {
  readonly #counts = new Map<string, number>();
  readonly #keysMax: number;

  constructor(keysMax: number) {
    this.#keysMax = keysMax;
  }

  touch(key: string): void {
    const count = this.#counts.get(key);
    if (count !== undefined) this.#counts.set(key, count + 1);
    else if (this.#counts.size < this.#keysMax) this.#counts.set(key, 1);
    else this.#replaceLeast(key);
  }

  /** An upper bound of how often each was touched, most first; keys escaped. */
  top(many: number): readonly { readonly key: string; readonly count: number }[] {
    return [...this.#counts]
      .sort((a, b) => b[1] - a[1])
      .slice(0, many)
      .map(([key, count]) => ({ key: showKey(key as Key), count }));
  }

  #replaceLeast(key: string): void {
    let least: string | undefined;
    let count = Infinity;
    for (const [each, touched] of this.#counts) {
      if (touched < count) [least, count] = [each, touched];
    }
    this.#counts.delete(least!);
    this.#counts.set(key, count + 1);
  }
}
