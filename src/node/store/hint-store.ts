/**
 * The hints this node keeps for owners that missed a write (paper § 4.6): references to keys in a
 * separate table, bounded by count. A full store refuses new hints and never drops an old one
 * (RULES A10).
 */
import type { Key, NodeId } from '../../core/ids.ts';
import type { Storage } from '../../ports/storage.ts';
import type { Hint, Memtable } from './memtable.ts';
import { decodeHint, hintKey, hintRange } from './stored.ts';

const SCAN_PAGE = 1000;

export type HintGauge = {
  readonly target: NodeId;
  readonly count: number;
  /** No hint of it is older than this wall-clock time: since then there was always one. */
  readonly sinceMs: number | undefined;
};

export class HintStore {
  readonly #storage: Storage;
  readonly #memtable: Memtable;
  readonly #hintsMax: number;
  readonly #counts = new Map<NodeId, number>();
  readonly #since = new Map<NodeId, number>();
  #total = 0;
  #stamp = 0;

  /** Counts what an earlier life left: its hints are re-armed by being there. */
  constructor(storage: Storage, memtable: Memtable, hintsMax: number) {
    this.#storage = storage;
    this.#memtable = memtable;
    this.#hintsMax = hintsMax;
    let from = new Uint8Array([0]);
    for (;;) {
      const page = storage.range('hints', { from, limit: SCAN_PAGE });
      for (const { key, value } of page) {
        const hint = decodeHint(key, value);
        this.#count(hint.target, 1);
        this.#noteSince(hint.target, hint.sinceMs);
        this.#stamp = Math.max(this.#stamp, hint.stamp);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < SCAN_PAGE) return;
      from = new Uint8Array([...last.key, 0]);
    }
  }

  get total(): number {
    return this.#total;
  }

  gauges(): readonly HintGauge[] {
    return [...this.#counts].map(([target, count]) => ({
      ...{ target, count, sinceMs: this.#since.get(target) },
    }));
  }

  /** Whether `key` could be kept for all of `targets` at once. */
  hasRoomFor(targets: readonly NodeId[], key: Key): boolean {
    if (this.#total + targets.length <= this.#hintsMax) return true;
    const added = targets.filter((target) => this.find(target, key) === undefined);
    return this.#total + added.length <= this.#hintsMax;
  }

  /** Says (again) that `target` lacks `key`; ask `hasRoomFor` first. */
  keep(target: NodeId, key: Key, nowMs: number): void {
    const earlier = this.find(target, key);
    if (earlier === undefined) this.#count(target, 1);
    const sinceMs = earlier?.sinceMs ?? nowMs;
    this.#noteSince(target, sinceMs);
    this.#memtable.putHint({ target, key, stamp: ++this.#stamp, sinceMs }, 'kept');
  }

  find(target: NodeId, key: Key): Hint | undefined {
    const change = this.#memtable.hint(target, key);
    if (change !== undefined) return change.state === 'kept' ? change.hint : undefined;
    const name = hintKey(target, key);
    const value = this.#storage.get('hints', name);
    return value === undefined ? undefined : decodeHint(name, value);
  }

  /** Whether any owner still waits for `key`. */
  isWantedFor(key: Key): boolean {
    return [...this.#counts.keys()].some((target) => this.find(target, key) !== undefined);
  }

  /** Up to `limit` hints for `target`, buffered ones included. */
  next(target: NodeId, limit: number): readonly Hint[] {
    const buffered = this.#memtable.hints().filter(({ hint }) => hint.target === target);
    const hints = buffered.filter(({ state }) => state === 'kept').map(({ hint }) => hint);
    const overlaid = new Set(buffered.map(({ hint }) => hint.key));
    // At most as many stored ones as are wanted beyond those that the buffer speaks of.
    const page = { ...hintRange(target), limit: limit + overlaid.size };
    for (const { key, value } of this.#storage.range('hints', page)) {
      const hint = decodeHint(key, value);
      if (!overlaid.has(hint.key)) hints.push(hint);
    }
    return hints.slice(0, limit);
  }

  /** Forgets a delivered hint, unless it was renewed since it was read. */
  forget(hint: Hint): void {
    if (this.find(hint.target, hint.key)?.stamp !== hint.stamp) return;
    this.#memtable.putHint(hint, 'removed');
    this.#count(hint.target, -1);
  }

  /** Forgets every hint for `key`: all owners have its record. */
  forgetAll(key: Key): void {
    for (const target of [...this.#counts.keys()]) {
      const hint = this.find(target, key);
      if (hint !== undefined) this.forget(hint);
    }
  }

  #count(target: NodeId, by: number): void {
    this.#total += by;
    const count = (this.#counts.get(target) ?? 0) + by;
    if (count > 0) this.#counts.set(target, count);
    else {
      this.#counts.delete(target);
      this.#since.delete(target);
    }
  }

  #noteSince(target: NodeId, sinceMs: number): void {
    this.#since.set(target, Math.min(sinceMs, this.#since.get(target) ?? sinceMs));
  }
}
