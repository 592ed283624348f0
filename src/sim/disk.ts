/**
 * The storage port on a simulated disk. The platter outlives the process:
 *
 *     commit ──▶ under way ──▶ durable, visible, answered     power loss, wipe take what they can
 *                    │ crash
 *                    ▼
 *                in the page cache, some of it ──▶ synced by the next open
 *
 * A commit under way when the process dies is there in whole or not at all, and none without those
 * before it.
 */
import { sameBytes } from '../core/bytes.ts';
import { byteString, bytesOfString } from '../core/ids.ts';
import type { StorageReader } from '../node/store/write-log.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type {
  CommitResult,
  Storage,
  StorageEntry,
  StorageOp,
  StorageRange,
  StorageTable,
} from '../ports/storage.ts';
import { demand } from './invariants.ts';

/** As the adapter's: the port promises no more. */
const KEY_BYTES_MAX = 1900;
/** A commit that takes longer has failed, though it may reach the platter: the adapter's deadline. */
const COMMIT_DEADLINE_MS = 10_000;

export type DiskFaults = {
  /** How long a commit takes, ms: from, to. */
  commitMs: readonly [number, number];
  /** A commit of more bytes than this fails: the disk is full. */
  freeBytes: number;
  /** The next commit fails, and all that follow it in the same life. */
  failing: boolean;
};

type Commit = {
  /** As they were when the commit began. */
  readonly ops: readonly StorageOp[];
  /** As whoever began it may have changed them since, which is against the port. */
  readonly given: readonly StorageOp[];
  readonly tookMs: number;
  readonly done: (result: CommitResult) => void;
};

/** Commits of one process life, the oldest first; those of an ended one change nothing any more. */
type Life = { readonly underWay: Commit[]; closing: (() => void) | undefined };

export class SimDisk {
  readonly faults: DiskFaults = { commitMs: [0.2, 3], freeBytes: 2 ** 40, failing: false };
  /** Commits begun in all lives. */
  commits = 0;
  /** Hears what came of each commit. */
  observe: ((ops: readonly StorageOp[], result: CommitResult) => void) | undefined;
  #tables = new Map<StorageTable, SortedTable>();
  /** Files made on this disk. */
  #births = 1;
  /** Written by a process that died before it was synced: readable, until a power loss. */
  #pageCache: (readonly StorageOp[])[] = [];
  #life: Life = { underWay: [], closing: undefined };

  /** The platter as one life of a process sees it; whatever life came before has ended. */
  open(clock: Clock, random: Random): Storage {
    for (const ops of this.#pageCache.splice(0)) this.#apply(ops);
    const life: Life = { underWay: [], closing: undefined };
    this.#life = life;
    let lastDue = 0;
    let failure: string | undefined;
    const endOldest = (): void => {
      const oldest = life.underWay.shift();
      if (this.#life !== life || oldest === undefined) return;
      const { ops, given, tookMs, done } = oldest;
      demand(
        ops.every((op, i) => isSameOp(op, given[i]!)),
        'no crash',
        '',
        () => 'the bytes of a commit changed before it was done',
      );
      const failedBefore = failure !== undefined;
      failure ??= this.#failureOf(ops, tookMs);
      let result: CommitResult = { type: 'durable' };
      if (failure === undefined) this.#apply(ops);
      else {
        result = { type: 'failed', reason: failure };
        // Failed is not undone: the next process may find it. What came after was never tried.
        if (!failedBefore && random.fraction() < 0.5) this.#pageCache.push(ops);
      }
      this.observe?.(ops, result);
      done(result);
      if (life.underWay.length === 0) life.closing?.();
    };
    return {
      get: (table, key) => {
        checkKey(key);
        return this.#table(table).get(byteString(key))?.slice();
      },
      range: (table, range) => this.#table(table).range(range),
      commit: (ops, done) => {
        for (const { key } of ops) checkKey(key);
        if (this.#life !== life) return;
        this.commits += 1;
        const [least, most] = this.faults.commitMs;
        const begunMs = clock.monotonicMs();
        const tookMs = least + random.fraction() * (most - least);
        life.underWay.push({ ops: ops.map(copyOf), given: ops, tookMs, done });
        lastDue = Math.max(lastDue, begunMs + Math.min(tookMs, COMMIT_DEADLINE_MS));
        // In order, whatever each of them takes: the clock rounds, so it is not asked which one is due.
        clock.setTimeout(endOldest, lastDue - begunMs);
      },
      birthmark: () => String(this.#births),
      usage: () => ({ fileBytes: this.#fileBytes(), freeBytes: this.faults.freeBytes }),
      close: (done) => {
        const finish = (): void => {
          life.closing = undefined;
          clock.endOfTurn(done);
        };
        if (life.underWay.length === 0 || this.#life !== life) finish();
        else life.closing = finish;
      },
    };
  }

  /** Commits that a power loss now would undo. */
  get unsynced(): number {
    return this.#pageCache.length + this.#life.underWay.length;
  }

  /** What a power loss now would leave. */
  readonly platter: StorageReader = {
    get: (table, key) => this.#table(table).get(byteString(key))?.slice(),
    range: (table, range) => this.#table(table).range(range),
  };

  /** The process died, the machine runs on: each commit under way made it or did not, in order. */
  crash(random: Random): void {
    const { underWay } = this.#life;
    const made = random.integer(underWay.length + 1);
    this.#pageCache.push(...underWay.slice(0, made).map(({ ops }) => ops));
    this.#endLife();
  }

  /** The machine lost power: what was not synced is gone, also what an earlier crash left behind. */
  powerLoss(): void {
    this.#pageCache = [];
    this.#endLife();
  }

  /** A new, empty disk. */
  wipe(): void {
    this.#births += 1;
    this.#tables = new Map();
    this.#pageCache = [];
    this.#life.underWay.length = 0;
  }

  /** Flips a bit in each value whose key is `chosen`, or loses it: the disk gives back something else. */
  damage(
    table: StorageTable,
    chosen: (key: Uint8Array) => boolean,
    how: 'flip' | 'lose' = 'flip',
  ): void {
    for (const { key, value } of this.#table(table).range({ limit: Infinity })) {
      if (!chosen(key)) continue;
      if (how === 'lose') {
        this.#table(table).delete(byteString(key));
        continue;
      }
      const at = value.length >> 1;
      value[at] = value[at]! ^ 1;
      this.#table(table).set(byteString(key), value);
    }
  }

  /**
   * The platter as it is now, to be put back later: as a copy of its file, or block by block, below the
   * file system, which cannot be told from the disk itself.
   */
  snapshot(): (how?: 'copied' | 'in-place') => void {
    const copyAll = (tables: ReadonlyMap<StorageTable, SortedTable>) =>
      new Map([...tables].map(([name, table]) => [name, table.copy()]));
    const copy = copyAll(this.#tables);
    return (how = 'in-place') => {
      if (how === 'copied') this.#births += 1;
      this.#tables = copyAll(copy);
      this.#pageCache = [];
    };
  }

  #endLife(): void {
    this.#life = { underWay: [], closing: undefined };
  }

  #failureOf(ops: readonly StorageOp[], tookMs: number): string | undefined {
    if (this.faults.failing) return 'EIO';
    if (tookMs > COMMIT_DEADLINE_MS) return `a commit took longer than ${COMMIT_DEADLINE_MS} ms`;
    return bytesIn(ops) > this.faults.freeBytes ? 'ENOSPC' : undefined;
  }

  #apply(ops: readonly StorageOp[]): void {
    for (const op of ops) {
      if (op.type === 'put') this.#table(op.table).set(byteString(op.key), op.value);
      else this.#table(op.table).delete(byteString(op.key));
    }
  }

  #fileBytes(): number {
    let total = 0;
    for (const table of this.#tables.values()) total += table.bytes;
    return total;
  }

  #table(name: StorageTable): SortedTable {
    let table = this.#tables.get(name);
    if (table === undefined) this.#tables.set(name, (table = new SortedTable()));
    return table;
  }
}

/** Values by name, and the names in order, sorted anew only when one came or went. */
class SortedTable {
  readonly #values = new Map<string, Uint8Array>();
  #sorted: readonly string[] | undefined;
  /** Of all names and values. */
  bytes = 0;

  get(name: string): Uint8Array | undefined {
    return this.#values.get(name);
  }

  set(name: string, value: Uint8Array): void {
    const before = this.#values.get(name);
    if (before === undefined) this.#sorted = undefined;
    this.bytes += value.length + (before === undefined ? name.length : -before.length);
    this.#values.set(name, value);
  }

  delete(name: string): void {
    const before = this.#values.get(name);
    if (before === undefined) return;
    this.#values.delete(name);
    this.bytes -= before.length + name.length;
    this.#sorted = undefined;
  }

  range({ from, to, limit }: StorageRange): readonly StorageEntry[] {
    const sorted = (this.#sorted ??= [...this.#values.keys()].sort());
    const start = from === undefined ? 0 : firstAtLeast(sorted, byteString(from));
    const end = to === undefined ? sorted.length : firstAtLeast(sorted, byteString(to));
    return sorted.slice(start, Math.max(start, Math.min(end, start + limit))).map((name) => ({
      key: bytesOfString(name),
      value: this.#values.get(name)!.slice(),
    }));
  }

  copy(): SortedTable {
    const copy = new SortedTable();
    for (const [name, value] of this.#values) copy.set(name, value);
    return copy;
  }
}

const firstAtLeast = (sorted: readonly string[], name: string): number => {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < name) low = middle + 1;
    else high = middle;
  }
  return low;
};

const checkKey = ({ length }: Uint8Array): void => {
  if (length === 0 || length > KEY_BYTES_MAX) {
    throw new RangeError(`a storage key is 1-${KEY_BYTES_MAX} bytes, found ${length}`);
  }
};

const bytesIn = (ops: readonly StorageOp[]): number =>
  ops.reduce((sum, op) => sum + (op.type === 'put' ? op.key.length + op.value.length : 0), 0);

const isSameOp = (a: StorageOp, b: StorageOp): boolean =>
  sameBytes(a.key, b.key) &&
  (a.type !== 'put' || (b.type === 'put' && sameBytes(a.value, b.value)));

/** Not slice(): that of a Buffer copies nothing. */
const copyOf = (op: StorageOp): StorageOp =>
  op.type === 'put'
    ? { ...op, key: new Uint8Array(op.key), value: new Uint8Array(op.value) }
    : { ...op, key: new Uint8Array(op.key) };
