/**
 * The rows of the write log: what a commit wrote of records, one after the other.
 *
 *   sequence (8)  →  count │ kind, key, length of each record │ CRC-32 (4) of that │ values
 *
 * A value is a row of the records table and has a checksum of its own: a flipped bit in it costs that
 * record, as it would in its place. In what frames them it could cost all that follow: such a log is
 * refused.
 */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { byteString } from '../../core/ids.ts';
import type { Digest } from '../../ports/digest.ts';
import type { StorageOp } from '../../ports/storage.ts';
import type { HeldRow } from './held-rows.ts';

/**
 * Bytes of a log row, if its records let it. LMDB keeps a value of more than half a page in pages of
 * its own that lie side by side, and looking for those among its free pages costs it more than the
 * random writes that the log is to spare it.
 */
const LOG_ROW_BYTES = 1900;
/** In the log: a record that is gone, one with its value, one that went to its place at once. */
const KIND = { removed: 0, put: 1, placed: 2 } as const;

/** What a log row says of one record. */
export type LogEntry = HeldRow | { readonly name: string; readonly kind: 'placed' };

/** What one commit adds to the log: rows, each with as many records as it takes. */
export class LogWriter {
  /** Log rows. */
  readonly rows: Uint8Array[] = [];
  /** What is in them, in order; values are views on the rows. */
  readonly entries: LogEntry[] = [];
  readonly #digest: Digest;
  #open: StorageOp[] = [];
  #placed = new Set<StorageOp>();
  #bytes = 0;

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  add(op: StorageOp, how: 'logged' | 'placed'): void {
    const bytes = op.key.length + (op.type === 'put' && how === 'logged' ? op.value.length : 0);
    if (this.#bytes + bytes > LOG_ROW_BYTES) this.end();
    this.#bytes += bytes;
    this.#open.push(op);
    if (how === 'placed') this.#placed.add(op);
  }

  /** Ends the row that was begun. */
  end(): void {
    if (this.#open.length === 0) return;
    const writer = new ByteWriter();
    writer.varint(this.#open.length);
    for (const op of this.#open) {
      const kind = this.#placed.has(op) ? 'placed' : op.type === 'put' ? 'put' : 'removed';
      writer.byte(KIND[kind]);
      writer.varint(op.key.length);
      writer.raw(op.key);
      if (op.type === 'put' && kind === 'put') writer.varint(op.value.length);
    }
    writer.uint32(this.#digest.crc32(writer.view()));
    let valueAt = writer.length;
    for (const op of this.#open) {
      if (op.type === 'put' && !this.#placed.has(op)) writer.raw(op.value);
    }
    const row = writer.take();
    this.rows.push(row);
    for (const op of this.#open) {
      const name = byteString(op.key);
      if (this.#placed.has(op)) this.entries.push({ name, kind: 'placed' });
      else if (op.type === 'remove') this.entries.push({ name, kind: 'removed' });
      else {
        const value = row.subarray(valueAt, (valueAt += op.value.length));
        this.entries.push({ name, kind: 'put', value });
      }
    }
    this.#open = [];
    this.#bytes = 0;
  }
}

/** Values are views. Throws RangeError if the row's frame is not what was written. */
export const decodeLogRow = (digest: Digest, row: Uint8Array): readonly LogEntry[] => {
  const reader = new ByteReader(row);
  const frames: { readonly name: string; readonly kind: number; readonly bytes: number }[] = [];
  let valueBytes = 0;
  for (let left = reader.varint(); left > 0; left--) {
    const kind = reader.byte();
    const name = byteString(reader.raw(reader.varint()));
    const bytes = kind === KIND.put ? reader.varint() : 0;
    valueBytes += bytes;
    frames.push({ name, kind, bytes });
  }
  const checked = row.subarray(0, reader.offset);
  const isWhole = digest.crc32(checked) === reader.uint32();
  if (!isWhole || row.length !== reader.offset + valueBytes) {
    throw new RangeError('a row of the write log is not what was written');
  }
  return frames.map(({ name, kind, bytes }): LogEntry => {
    if (kind === KIND.put) return { name, kind: 'put', value: reader.raw(bytes) };
    return { name, kind: kind === KIND.placed ? 'placed' : 'removed' };
  });
};

export const logKey = (sequence: number): Uint8Array => {
  const writer = new ByteWriter();
  writer.uint64(BigInt(sequence));
  return writer.take();
};

export const sequenceOf = (key: Uint8Array): number => Number(new ByteReader(key).uint64());
