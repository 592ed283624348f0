/**
 * The times a client writes at: of two writes of one key the later one always has the greater time,
 * also within one millisecond, or last-write-wins might keep the earlier (A8).
 */
import type { Key } from '../core/ids.ts';

export class Stamps {
  #nowMs = 0;
  /** Keys written at this millisecond, or ahead of it. */
  readonly #last = new Map<Key, number>();

  next(key: Key, nowMs: number): number {
    if (nowMs !== this.#nowMs) {
      this.#nowMs = nowMs;
      for (const [each, atMs] of this.#last) if (atMs < nowMs) this.#last.delete(each);
    }
    const stamp = Math.max(nowMs, 1 + (this.#last.get(key) ?? 0));
    this.#last.set(key, stamp);
    return stamp;
  }
}
