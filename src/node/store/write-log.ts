/**
 * A storage port over another one that spares it random writes of records: a commit appends them to
 * a log, durable by the same commit, and holds them in memory; once enough is held they are written
 * to their places in sorted slices, each within a commit that comes anyway. A few hundred records at
 * random places cost five times the CPU of the same bytes side by side.
 *
 *   commit ──▶ log rows (+ a slice of what is held) ──▶ durable ──▶ held: reads look here first
 *                                                                     │ enough
 *   log rows of a finished pass go ◀── all slices durable ◀── pass ◀──┘
 *
 * Opening replays the log. What a pass wrote already is written again by a later one, so a crash
 * anywhere leaves the state of some prefix of the commits, as the port promises. Only records go
 * this way; the rest of a commit is in its place at once, in the same transaction.
 */
import { kept, sameBytes } from '../../core/bytes.ts';
import { byteString as nameOf } from '../../core/ids.ts';
import { compareBytes } from '../../core/key-page.ts';
import type { Digest } from '../../ports/digest.ts';
import { LOG_TABLE, STORAGE_KEY_BYTES_MAX } from '../../ports/storage.ts';
import type {
  CommitResult,
  LogCheck,
  Storage,
  StorageEntry,
  StorageOp,
  StorageRange,
  StorageTable,
} from '../../ports/storage.ts';
import { HeldRows } from './held-rows.ts';
import type { HeldRow } from './held-rows.ts';
import { Lately } from './lately.ts';
import { LogWriter, decodeLogRow, logKey, sequenceOf } from './log-rows.ts';
import type { LogEntry } from './log-rows.ts';

export type WriteLogLimits = {
  /** A pass begins when this many records are held: the more, the more of them lie side by side. */
  readonly heldRows: number;
  /** Or this many bytes of them. */
  readonly heldBytes: number;
  /** Or when the log has so many rows: what is placed at once is never held, but leaves its rows, too. */
  readonly logRows: number;
  /** At least this many records make a slice: each commit that carries one costs pages. */
  readonly sliceRows: number;
  /** A larger record goes to its place at once: to write it twice costs more than it spares. */
  readonly rowBytesMax: number;
  /**
   * … but up to this size not one that came lately: of what is written again and again only the last
   * goes to its place. A key that has been overwritten twenty times has a history of 400 bytes.
   */
  readonly hotRowBytesMax: number;
};

export const WRITE_LOG_LIMITS: WriteLogLimits = {
  heldRows: 32_768,
  heldBytes: 16 * 2 ** 20,
  logRows: 12_288,
  sliceRows: 512,
  rowBytesMax: 400,
  hotRowBytesMax: 1500,
};

/** Large records remembered as having come lately. */
const LATELY = 4096;

/** A pass writes so many held records for each one that comes in meanwhile: it comes to an end. */
const PASS_PACE = 2;
const PAGE = 64;

type Pass = {
  /** The log up to here is in its places once the pass is done. */
  readonly upTo: number;
  /** Groups of what was held at its beginning that it has not come to. */
  readonly groups: number[];
  /** Of the group it is at, what it has not come to. */
  rows: readonly HeldRow[];
  /** Slices under way. */
  slices: number;
};

/** Only reads: what a power cut would leave, say. */
export type StorageReader = Pick<Storage, 'get' | 'range'>;

/** Throws RangeError if the log in `base` is damaged. */
export const withWriteLog = (
  base: Storage,
  digest: Digest,
  limits: WriteLogLimits = WRITE_LOG_LIMITS,
): Storage => {
  const log = new WriteLog(base, digest, limits);
  return {
    get: (table, key) => log.get(table, key),
    range: (table, range) => log.range(table, range),
    commit: (ops, done) => log.commit(ops, done),
    checkLog: (rowsMax, isSound) => log.check(rowsMax, isSound),
    birthmark: () => base.birthmark(),
    usage: () => base.usage(),
    ...(base.pages === undefined ? {} : { pages: () => base.pages!() }),
    close: (done) => base.close(done),
  };
};

/** What lies under `key` of the records in a storage with a log that nobody has opened. */
export const recordThroughLog = (
  base: StorageReader,
  digest: Digest,
  key: Uint8Array,
): Uint8Array | undefined => {
  let newest: LogEntry | undefined;
  for (const { value } of base.range(LOG_TABLE, { limit: Infinity })) {
    for (const entry of decodeLogRow(digest, value)) if (sameBytes(entry.key, key)) newest = entry;
  }
  if (newest === undefined || newest.isPlaced) return base.get('records', key);
  return newest.copyOfValue();
};

class WriteLog {
  readonly #base: Storage;
  readonly #digest: Digest;
  readonly #limits: WriteLogLimits;
  readonly #held = new HeldRows();
  readonly #lately = new Lately(LATELY);
  /** Names of records that commits under way put into their places: nothing older may come after. */
  readonly #placedUnderWay = new Map<string, number>();
  #pass: Pass | undefined;
  /** Held records that the pass has to write by now. */
  #owed = 0;
  /** Log rows: the first that is left, the last that is in its places, is durable, was begun. */
  #first = 1;
  #placed = 0;
  #durable = 0;
  #begun = 0;
  /** The check under way: the last row that was looked at, and the last that was durable when it began. */
  #check: { at: number; readonly upTo: number } | undefined;

  constructor(base: Storage, digest: Digest, limits: WriteLogLimits) {
    this.#base = base;
    this.#digest = digest;
    this.#limits = limits;
    this.#replay();
  }

  get(table: StorageTable, key: Uint8Array): Uint8Array | undefined {
    const row = table === 'records' ? this.#held.get(key) : undefined;
    return row === undefined ? this.#base.get(table, key) : row.copyOfValue();
  }

  range(table: StorageTable, range: StorageRange): readonly StorageEntry[] {
    if (table !== 'records' || this.#held.size === 0) return this.#base.range(table, range);
    const { from, to, limit } = range;
    const held = this.#held.between(from, to);
    let next = held.next();
    const found: StorageEntry[] = [];
    const takeNext = (): void => {
      if (next.done === true) return;
      const value = next.value.copyOfValue();
      if (value !== undefined) found.push({ key: kept(next.value.key), value });
      next = held.next();
    };
    /** Where the next of the held stands to `key`: below 0 before it. */
    const orderTo = (key: Uint8Array): number =>
      next.done === true ? 1 : compareBytes(next.value.key, key);
    let start = from;
    while (found.length < limit) {
      const wanted = limit - found.length;
      const page = this.#base.range(table, {
        limit: wanted,
        ...(start === undefined ? {} : { from: start }),
        ...(to === undefined ? {} : { to }),
      });
      for (const entry of page) {
        while (orderTo(entry.key) < 0 && found.length < limit) takeNext();
        if (found.length === limit) return found;
        if (orderTo(entry.key) === 0) takeNext();
        else found.push(entry);
      }
      if (page.length < wanted) {
        while (next.done !== true && found.length < limit) takeNext();
        return found;
      }
      start = new Uint8Array([...page.at(-1)!.key, 0]);
    }
    return found;
  }

  commit(ops: readonly StorageOp[], done: (result: CommitResult) => void): void {
    const direct: StorageOp[] = [];
    const writer = new LogWriter(this.#digest);
    for (const op of ops) {
      checkKey(op.key);
      if (op.table !== 'records') {
        direct.push(op);
        continue;
      }
      const goesToItsPlace = op.type === 'put' && this.#isTooLarge(op.key, op.value.length);
      if (goesToItsPlace) direct.push(op);
      writer.add(op, goesToItsPlace ? 'placed' : 'logged');
    }
    writer.end();
    const { entries } = writer;
    const logged = writer.rows.map((value): StorageOp => {
      this.#begun += 1;
      return { type: 'put', table: LOG_TABLE, key: logKey(this.#begun), value };
    });
    // Within one commit, too, nothing older may come after what goes to its place.
    const placed = entries.filter(({ isPlaced }) => isPlaced).map(({ key }) => nameOf(key));
    for (const name of placed) this.#countPlaced(name, 1);
    const upTo = this.#begun;
    const slice = this.#slice(entries.length);
    const trimmed = this.#trimmed(logged.length);
    this.#base.commit([...direct, ...logged, ...slice.ops, ...trimmed], (result) => {
      for (const name of placed) this.#countPlaced(name, -1);
      if (result.type === 'durable') {
        this.#durable = upTo;
        for (const entry of entries) this.#learn(entry);
        slice.durable();
      }
      done(result);
    });
  }

  #isTooLarge(key: Uint8Array, bytes: number): boolean {
    const { rowBytesMax, hotRowBytesMax } = this.#limits;
    if (bytes <= rowBytesMax) return false;
    return bytes > hotRowBytesMax || !this.#lately.seen(key);
  }

  /** What a crash would have to rely on; memory has it all, so whatever is damaged can be mended. */
  check(rowsMax: number, isSound: (value: Uint8Array) => boolean): LogCheck {
    // What comes meanwhile is for the next check: under steady writes this one would never end.
    const check = (this.#check ??= { at: 0, upTo: this.#durable });
    const from = Math.max(this.#first, check.at + 1);
    const to = Math.min(check.upTo + 1, from + rowsMax);
    const rows = Math.max(0, to - from);
    const bounds = { from: logKey(from), to: logKey(to), limit: rows };
    const found = rows === 0 ? [] : this.#base.range(LOG_TABLE, bounds);
    const sound = found.filter(({ value }) => this.#isWhole(value, isSound)).length;
    const done = to > check.upTo;
    check.at = to - 1;
    if (done) this.#check = undefined;
    if (sound < rows) this.#placeAll();
    return { rows, damaged: rows - sound, done };
  }

  #isWhole(row: Uint8Array, isSound: (value: Uint8Array) => boolean): boolean {
    try {
      const entries = decodeLogRow(this.#digest, row);
      return entries.every(({ value }) => value === undefined || isSound(value));
    } catch {
      return false;
    }
  }

  /**
   * All that is held goes to its place in one commit, and the log up to here goes with it: of a row
   * that cannot be read nobody knows what it said, and an older one must not be the last word.
   */
  #placeAll(): void {
    const upTo = this.#durable;
    const rows = this.#held
      .groups()
      .flatMap((group) => this.#held.inGroup(group))
      .filter((row) => !this.#isPlacedUnderWay(row));
    const ops = rows.map(opOf);
    for (; this.#first <= upTo; this.#first++) {
      ops.push({ type: 'remove', table: LOG_TABLE, key: logKey(this.#first) });
    }
    this.#pass = undefined;
    // Should it fail, so does every later one: the node hears of it then.
    this.#base.commit(ops, (result) => {
      if (result.type === 'durable') for (const row of rows) this.#held.forget(row);
    });
  }

  #learn(entry: LogEntry): void {
    if (entry.isPlaced) this.#held.remove(entry.key);
    else this.#held.set(entry);
  }

  #isPlacedUnderWay(row: HeldRow): boolean {
    return this.#placedUnderWay.size > 0 && this.#placedUnderWay.has(nameOf(row.key));
  }

  #countPlaced(name: string, by: 1 | -1): void {
    const count = (this.#placedUnderWay.get(name) ?? 0) + by;
    if (count === 0) this.#placedUnderWay.delete(name);
    else this.#placedUnderWay.set(name, count);
  }

  /** Held records that a commit carries to their places, if enough are due. */
  #slice(incoming: number): { readonly ops: readonly StorageOp[]; durable(): void } {
    this.#pass ??= this.#nextPass();
    const pass = this.#pass;
    if (pass === undefined) return NO_SLICE;
    this.#owed += PASS_PACE * incoming;
    if (this.#owed < this.#limits.sliceRows) return NO_SLICE;
    const rows = takeFrom(pass, this.#held, this.#owed);
    this.#owed = 0;
    pass.slices += 1;
    // What goes to its place by another commit under way, or this one, is newer.
    const placed = rows.filter((row) => !this.#isPlacedUnderWay(row));
    return {
      ops: placed.map(opOf),
      durable: () => {
        for (const row of placed) this.#held.forget(row);
        pass.slices -= 1;
        if (pass.slices > 0 || pass.rows.length > 0 || pass.groups.length > 0) return;
        this.#placed = Math.max(this.#placed, pass.upTo);
        if (this.#pass === pass) this.#pass = undefined;
      },
    };
  }

  #nextPass(): Pass | undefined {
    const { heldRows, heldBytes, logRows } = this.#limits;
    const isEnough =
      this.#held.size >= heldRows ||
      this.#held.bytes >= heldBytes ||
      this.#durable - this.#placed >= logRows;
    if (!isEnough) return undefined;
    this.#owed = 0;
    return { upTo: this.#durable, groups: this.#held.groups(), rows: [], slices: 0 };
  }

  /** Removes log rows that nobody needs any more, faster than they come. */
  #trimmed(incoming: number): readonly StorageOp[] {
    const last = Math.min(this.#placed, this.#first + PAGE + 4 * incoming - 1);
    const ops: StorageOp[] = [];
    for (; this.#first <= last; this.#first++) {
      ops.push({ type: 'remove', table: LOG_TABLE, key: logKey(this.#first) });
    }
    return ops;
  }

  #replay(): void {
    let from: Uint8Array | undefined;
    for (;;) {
      const start = from === undefined ? {} : { from };
      const page = this.#base.range(LOG_TABLE, { ...start, limit: PAGE });
      for (const { key, value } of page) {
        const sequence = sequenceOf(key);
        if (this.#begun === 0) this.#first = sequence;
        for (const entry of decodeLogRow(this.#digest, value)) this.#learn(entry);
        this.#begun = sequence;
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      from = new Uint8Array([...last.key, 0]);
    }
    this.#durable = this.#begun;
    this.#placed = this.#first - 1;
  }
}

const NO_SLICE = { ops: [], durable: () => undefined };

/** The next `count` held records of a pass, in order. */
const takeFrom = (pass: Pass, held: HeldRows, count: number): readonly HeldRow[] => {
  const taken: HeldRow[] = [];
  while (taken.length < count) {
    if (pass.rows.length === 0) {
      const group = pass.groups.shift();
      if (group === undefined) break;
      pass.rows = held.inGroup(group);
      continue;
    }
    const wanted = count - taken.length;
    // What was overwritten meanwhile has a younger log row, and its turn in the next pass.
    for (const row of pass.rows.slice(0, wanted)) if (row.isHeld) taken.push(row);
    pass.rows = pass.rows.slice(wanted);
  }
  return taken;
};

const opOf = ({ key, value }: HeldRow): StorageOp =>
  value === undefined
    ? { type: 'remove', table: 'records', key }
    : { type: 'put', table: 'records', key, value };

const checkKey = ({ length }: Uint8Array): void => {
  if (length === 0 || length > STORAGE_KEY_BYTES_MAX) {
    throw new RangeError(`a storage key is 1-${STORAGE_KEY_BYTES_MAX} bytes, found ${length}`);
  }
};
