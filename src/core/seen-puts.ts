/**
 * The puts that a record or a context knows to be overwritten (A2), as they are written: in order of
 * put ids, one behind another. A key that many write takes as many as are allowed along through every
 * get and put, and hardly anyone asks for one of them: they are found, joined and cut where they lie.
 *
 *   put id (8) │ time (varint) │ put id (8) │ time │ …
 */
import { ByteWriter, hasBytesAt, sameBytes, varintAt } from './bytes.ts';
import type { ByteReader } from './bytes.ts';
import { hexOf, writeHex } from './ids.ts';
import type { PutId } from './ids.ts';

/** A put that was overwritten: its retry must be recognised, not minted again (A2). */
export type SeenPut = { readonly putId: PutId; readonly time: number };

export type SeenPuts = { readonly count: number; readonly bytes: Uint8Array };

export const NO_PUTS: SeenPuts = { count: 0, bytes: new Uint8Array(0) };

const PUT_ID_BYTES = 8;

export const seenPuts = (puts: readonly SeenPut[]): SeenPuts => {
  if (puts.length === 0) return NO_PUTS;
  const sorted = puts.length < 2 ? puts : [...puts].sort((a, b) => (a.putId < b.putId ? -1 : 1));
  const writer = new ByteWriter();
  for (const { putId, time } of sorted) {
    writer.hex(putId);
    writer.varint(time);
  }
  return { count: puts.length, bytes: writer.take() };
};

export const listed = ({ bytes }: SeenPuts): readonly SeenPut[] => {
  const puts: SeenPut[] = [];
  for (let at = 0; at < bytes.length; at = endOfEntry(bytes, at)) {
    puts.push({ putId: putIdAt(bytes, at), time: timeAt(bytes, at) });
  }
  return puts;
};

export const hasSeen = ({ count, bytes }: SeenPuts, putId: PutId): boolean => {
  if (count === 0) return false;
  writeHex(WANTED, 0, putId);
  for (let at = 0; at < bytes.length; at = endOfEntry(bytes, at)) {
    if (bytes[at]! > WANTED[0]!) return false;
    if (hasBytesAt(bytes, at, WANTED, PUT_ID_BYTES)) return true;
  }
  return false;
};
const WANTED = new Uint8Array(PUT_ID_BYTES);

/** The latest time at which one of them is known to have been overwritten; -Infinity of none. */
export const latestSeen = ({ bytes }: SeenPuts): number => {
  let latest = -Infinity;
  for (let at = 0; at < bytes.length; at = endOfEntry(bytes, at)) {
    latest = Math.max(latest, timeAt(bytes, at));
  }
  return latest;
};

/** The earliest; Infinity of none. */
export const oldestSeen = ({ bytes }: SeenPuts): number => {
  let oldest = Infinity;
  for (let at = 0; at < bytes.length; at = endOfEntry(bytes, at)) {
    oldest = Math.min(oldest, timeAt(bytes, at));
  }
  return oldest;
};

export const sameSeen = (a: SeenPuts, b: SeenPuts): boolean =>
  a === b || (a.count === b.count && sameBytes(a.bytes, b.bytes));

/** All of both, each put at its latest time. Quickest where the second says little that is new. */
export const joinSeen = (a: SeenPuts, b: SeenPuts): SeenPuts => {
  // A client mostly writes over what it has read: the two say the same.
  if (b.count === 0 || sameSeen(a, b)) return a;
  if (a.count === 0) return b;
  const writer = new ByteWriter();
  let shared = 0;
  let [i, j] = [0, 0];
  /** Where what is not yet copied of the first begins: it is copied in long pieces. */
  let from = 0;
  while (i < a.bytes.length && j < b.bytes.length) {
    const order = orderOf(a.bytes, i, b.bytes, j);
    const [end, endOfOther] = [endOfEntry(a.bytes, i), endOfEntry(b.bytes, j)];
    if (order === 0) shared += 1;
    if (order > 0 || (order === 0 && timeAt(b.bytes, j) > timeAt(a.bytes, i))) {
      writer.raw(a.bytes, from, i);
      writer.raw(b.bytes, j, endOfOther);
      from = order > 0 ? i : end;
    }
    if (order <= 0) i = end;
    if (order >= 0) j = endOfOther;
  }
  writer.raw(a.bytes, from);
  writer.raw(b.bytes, j);
  return { count: a.count + b.count - shared, bytes: writer.take() };
};

/** The newest `most` by (time, put id): the others are forgotten (A6). */
export const newestSeen = (seen: SeenPuts, most: number): SeenPuts => {
  const { count, bytes } = seen;
  const excess = count - most;
  if (excess <= 0) return seen;
  if (most === 0) return NO_PUTS;
  const times = sortedTimes(seen);
  const border = times[excess]!;
  // Of those at the border the smaller put ids go, which stand first.
  let leaving = excess - times.indexOf(border);
  return those(seen, (at) => {
    const time = timeAt(bytes, at);
    return time > border || (time === border && leaving-- <= 0);
  });
};

/** Without these, if they are among them. */
export const withoutPuts = (seen: SeenPuts, puts: readonly PutId[]): SeenPuts =>
  puts.some((putId) => hasSeen(seen, putId))
    ? those(seen, (at) => !puts.includes(putIdAt(seen.bytes, at)))
    : seen;

/** Those that stay, told by where they lie; what stays side by side is copied in one piece. */
const those = ({ bytes }: SeenPuts, stays: (at: number) => boolean): SeenPuts => {
  const writer = new ByteWriter();
  let count = 0;
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    const end = endOfEntry(bytes, at);
    if (stays(at)) count += 1;
    else {
      writer.raw(bytes, from, at);
      from = end;
    }
    at = end;
  }
  writer.raw(bytes, from);
  return { count, bytes: writer.take() };
};

export const writeSeen = (writer: ByteWriter, { count, bytes }: SeenPuts): void => {
  writer.varint(count);
  writer.raw(bytes);
};

/** A view: whoever keeps it keeps what was read. Throws RangeError where they are cut short. */
export const readSeen = (reader: ByteReader): SeenPuts => {
  const count = reader.varint();
  if (count === 0) return NO_PUTS;
  const from = reader.offset;
  skipEntries(reader, count);
  return { count, bytes: reader.since(from) };
};

export const skipSeen = (reader: ByteReader): void => skipEntries(reader, reader.varint());

const skipEntries = (reader: ByteReader, count: number): void => {
  for (let left = count; left > 0; left--) {
    reader.skip(PUT_ID_BYTES);
    reader.varint();
  }
};

const endOfEntry = (bytes: Uint8Array, at: number): number => {
  let end = at + PUT_ID_BYTES;
  while (bytes[end]! >= 0x80) end++;
  return end + 1;
};

const putIdAt = (bytes: Uint8Array, at: number): PutId => hexOf(bytes, at, PUT_ID_BYTES) as PutId;

const timeAt = (bytes: Uint8Array, at: number): number => varintAt(bytes, at + PUT_ID_BYTES);

/** By put ids: below 0 if that at `at` is the smaller. */
const orderOf = (bytes: Uint8Array, at: number, others: Uint8Array, otherAt: number): number => {
  for (let i = 0; i < PUT_ID_BYTES; i++) {
    const order = bytes[at + i]! - others[otherAt + i]!;
    if (order !== 0) return order;
  }
  return 0;
};

/** In a place that is used again: true until the next call. */
const sortedTimes = ({ count, bytes }: SeenPuts): Float64Array => {
  if (count > times.length) times = new Float64Array(2 * count);
  let next = 0;
  for (let at = 0; at < bytes.length; at = endOfEntry(bytes, at)) times[next++] = timeAt(bytes, at);
  return times.subarray(0, count).sort();
};
let times = new Float64Array(128);
