/**
 * The hints this node keeps for owners that missed a write (paper § 4.6): references to keys in a
 * separate table, bounded by count. A full store refuses new hints and never drops an old one
 * (RULES A10).
 */
import type { Key, NodeId } from '../../core/ids.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Storage } from '../../ports/storage.ts';
import type { Hint, Memtable } from './memtable.ts';
import { decodeHint, eachEntry, hintKey, hintRange } from './stored.ts';

const FIRST = new Uint8Array([0]);

export type HintGauge = {
  readonly target: NodeId;
  readonly count: number;
  /** No hint of it is older than this wall-clock time: since then there was always one. */
  readonly sinceMs: number | undefined;
};

export class HintStore {
  readonly #storage: Storage;
  readonly #digest: Digest;
  readonly #memtable: Memtable;
  readonly #hintsMax: number;
  readonly #counts = new Map<NodeId, number>();
  readonly #since = new Map<NodeId, number>();
  #total = 0;
  #stamp = 0;

  /** Counts what an earlier life left: its hints are re-armed by being there. */
  constructor(storage: Storage, digest: Digest, memtable: Memtable, hintsMax: number) {
    this.#storage = storage;
    this.#digest = digest;
    this.#memtable = memtable;
    this.#hintsMax = hintsMax;
    this.recount();
  }

  /**
   * Looks at stored hints behind `after`, at most `limit` of them: the names of those that are not
   * what was written, and where the next look goes on; absent at the end.
   */
  look(
    after: Uint8Array | undefined,
    limit: number,
  ): {
    readonly rows: number;
    readonly damaged: readonly Uint8Array[];
    readonly next?: Uint8Array;
  } {
    const from = after === undefined ? FIRST : new Uint8Array([...after, 0]);
    const page = this.#storage.range('hints', { from, limit });
    const damaged = page.flatMap(({ key, value }) =>
      decodeHint(this.#digest, key, value) === 'corrupt' ? [key] : [],
    );
    const last = page.length < limit ? undefined : page.at(-1)!.key;
    return { rows: page.length, damaged, ...(last === undefined ? {} : { next: last }) };
  }

  /** Removes damaged hints of which nobody could be kept anew. */
  drop(names: readonly Uint8Array[]): void {
    const ops = names.map((key) => ({ type: 'remove', table: 'hints', key }) as const);
    // Should it fail, so does every later commit: the node hears of it then.
    this.#storage.commit(ops, () => undefined);
  }

  /** Counts anew, once damaged hints were found: nobody knows whether, and for whom, they had counted. */
  recount(): void {
    this.#counts.clear();
    this.#since.clear();
    this.#total = 0;
    const count = ({ target, sinceMs }: Hint): void => {
      this.#count(target, 1);
      this.#noteSince(target, sinceMs);
    };
    for (const { key, value } of eachEntry(this.#storage, 'hints', { from: FIRST })) {
      const hint = decodeHint(this.#digest, key, value);
      if (hint === 'corrupt') continue;
      this.#stamp = Math.max(this.#stamp, hint.stamp);
      if (this.#memtable.hint(hint.target, hint.key) === undefined) count(hint);
    }
    for (const { hint, state } of this.#memtable.hints()) if (state === 'kept') count(hint);
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
    const hint = value === undefined ? undefined : decodeHint(this.#digest, name, value);
    return hint === 'corrupt' ? undefined : hint;
  }

  /** Up to `limit` hints for `target`, buffered ones included. */
  next(target: NodeId, limit: number): readonly Hint[] {
    const buffered = this.#memtable.hints().filter(({ hint }) => hint.target === target);
    const hints = buffered.filter(({ state }) => state === 'kept').map(({ hint }) => hint);
    const overlaid = new Set(buffered.map(({ hint }) => hint.key));
    // At most as many stored ones as are wanted beyond those that the buffer speaks of.
    const page = { ...hintRange(target), limit: limit + overlaid.size };
    for (const { key, value } of this.#storage.range('hints', page)) {
      const hint = decodeHint(this.#digest, key, value);
      if (hint !== 'corrupt' && !overlaid.has(hint.key)) hints.push(hint);
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
