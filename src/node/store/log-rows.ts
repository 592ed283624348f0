/**
 * The rows of the write log: what a commit wrote of records, one after the other.
 *
 *   sequence (8)  →  count │ kind, key, length of each record │ CRC-32 (4) of that │ values
 *
 * A value is a row of the records table and has a checksum of its own: a flipped bit in it costs that
 * record, as it would in its place. In what frames them it could cost all that follow: such a log is
 * refused.
 */
import { Blocks } from '../../core/blocks.ts';
import { ByteReader, ByteWriter, kept, uint32At } from '../../core/bytes.ts';
import type { Digest } from '../../ports/digest.ts';
import type { StorageOp } from '../../ports/storage.ts';
import { POSITION_AT } from './stored.ts';

/**
 * Bytes of a log row, if its records let it. LMDB keeps a value of more than half a page in pages of
 * its own that lie side by side, and looking for those among its free pages costs it more than the
 * random writes that the log is to spare it.
 */
const LOG_ROW_BYTES = 1900;
/** They are held until a pass has placed what is in them: beside one another, and nothing else. */
const ROWS = new Blocks(65_536, 4096);
/** In the log: a record that is gone, one with its value, one that went to its place at once. */
const KIND = { removed: 0, put: 1, placed: 2 } as const;
type Kind = (typeof KIND)[keyof typeof KIND];

/**
 * What a log row says of one record, and where in the row it does. Thousands are held for seconds: as
 * one small object each, without views, for the collector carries them about.
 */
export class LogEntry {
  readonly row: Uint8Array;
  readonly kind: Kind;
  readonly keyAt: number;
  readonly keyEnd: number;
  readonly valueAt: number;
  readonly valueEnd: number;
  /** Tells most keys of one partition apart, in their order: what follows that in front. */
  readonly order: number;
  /** Whether it is held, and which other one with the same hash is: for held-rows.ts alone. */
  isHeld = false;
  besides: LogEntry | undefined = undefined;

  constructor(row: Uint8Array, frame: Frame, valueAt: number) {
    this.row = row;
    this.kind = frame.kind;
    this.keyAt = frame.keyAt;
    this.keyEnd = frame.keyEnd;
    this.valueAt = valueAt;
    this.valueEnd = valueAt + frame.valueBytes;
    this.order = orderIn(row, frame.keyAt + POSITION_AT, frame.keyEnd);
  }

  /** Its value is not in the log, but in its place. */
  get isPlaced(): boolean {
    return this.kind === KIND.placed;
  }

  /** A view. */
  get key(): Uint8Array {
    return this.row.subarray(this.keyAt, this.keyEnd);
  }

  /** A view; undefined where the log has no value. */
  get value(): Uint8Array | undefined {
    return this.kind === KIND.put ? this.row.subarray(this.valueAt, this.valueEnd) : undefined;
  }

  /** The value for keeps. */
  copyOfValue(): Uint8Array | undefined {
    return this.kind === KIND.put ? kept(this.row, this.valueAt, this.valueEnd) : undefined;
  }
}

/** 31 bits, which the engine keeps without an object; bytes that are not there count as zeros. */
const orderIn = (bytes: Uint8Array, from: number, end: number): number => {
  if (from + 4 <= end) return uint32At(bytes, from) >>> 1;
  let order = 0;
  for (let at = from; at < from + 4; at++) order = (order << 8) | (at < end ? bytes[at]! : 0);
  return order >>> 1;
};

/** What frames a record in a row. */
type Frame = {
  readonly kind: Kind;
  readonly keyAt: number;
  readonly keyEnd: number;
  readonly valueBytes: number;
};

/** What one commit adds to the log: rows, each with as many records as it takes. */
export class LogWriter {
  /** Log rows. */
  readonly rows: Uint8Array[] = [];
  /** What is in them, in order. */
  readonly entries: LogEntry[] = [];
  readonly #digest: Digest;
  #ops: StorageOp[] = [];
  #kinds: Kind[] = [];
  #bytes = 0;

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  add(op: StorageOp, how: 'logged' | 'placed'): void {
    const kind = how === 'placed' ? KIND.placed : KIND[op.type === 'put' ? 'put' : 'removed'];
    const bytes = op.key.length + valueBytesOf(op, kind);
    if (this.#bytes + bytes > LOG_ROW_BYTES) this.end();
    this.#bytes += bytes;
    this.#ops.push(op);
    this.#kinds.push(kind);
  }

  /** Ends the row that was begun. */
  end(): void {
    const [ops, kinds] = [this.#ops, this.#kinds];
    if (ops.length === 0) return;
    const writer = new ByteWriter();
    writer.varint(ops.length);
    const frames = ops.map((op, i): Frame => {
      const kind = kinds[i]!;
      const valueBytes = valueBytesOf(op, kind);
      writer.byte(kind);
      writer.varint(op.key.length);
      writer.raw(op.key);
      const keyEnd = writer.length;
      if (kind === KIND.put) writer.varint(valueBytes);
      return { kind, keyAt: keyEnd - op.key.length, keyEnd, valueBytes };
    });
    writer.uint32(this.#digest.crc32(writer.view()));
    const valuesAt = writer.length;
    ops.forEach((op, i) => {
      if (op.type === 'put' && kinds[i] === KIND.put) writer.raw(op.value);
    });
    const row = writer.take(ROWS);
    this.rows.push(row);
    for (const entry of entriesOf(row, frames, valuesAt)) this.entries.push(entry);
    this.#ops = [];
    this.#kinds = [];
    this.#bytes = 0;
  }
}

const entriesOf = (
  row: Uint8Array,
  frames: readonly Frame[],
  valuesAt: number,
): readonly LogEntry[] => {
  let valueAt = valuesAt;
  return frames.map((frame) => {
    const entry = new LogEntry(row, frame, valueAt);
    valueAt = entry.valueEnd;
    return entry;
  });
};

/** Of the log's. */
const valueBytesOf = (op: StorageOp, kind: Kind): number =>
  op.type === 'put' && kind === KIND.put ? op.value.length : 0;

/** Throws RangeError if the row's frame is not what was written. */
export const decodeLogRow = (digest: Digest, row: Uint8Array): readonly LogEntry[] => {
  const reader = new ByteReader(row);
  const frames: Frame[] = [];
  let valueBytesInAll = 0;
  for (let left = reader.varint(); left > 0; left--) {
    const kind = reader.byte() as Kind;
    const keyBytes = reader.varint();
    reader.skip(keyBytes);
    const keyEnd = reader.offset;
    const valueBytes = kind === KIND.put ? reader.varint() : 0;
    valueBytesInAll += valueBytes;
    frames.push({ kind, keyAt: keyEnd - keyBytes, keyEnd, valueBytes });
  }
  const checked = row.subarray(0, reader.offset);
  const isWhole = digest.crc32(checked) === reader.uint32();
  if (!isWhole || row.length !== reader.offset + valueBytesInAll) {
    throw new RangeError('a row of the write log is not what was written');
  }
  return entriesOf(row, frames, reader.offset);
};

export const logKey = (sequence: number): Uint8Array => {
  const writer = new ByteWriter();
  writer.uint53(sequence);
  return writer.take();
};

export const sequenceOf = (key: Uint8Array): number => Number(new ByteReader(key).uint64());
