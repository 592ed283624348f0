/**
 * The one binary form of a record, on disk and between nodes.
 *
 *   format 1 │ header: vector, siblings without values, seen │ kinds and lengths │ value bytes
 *            └── canonical: equal histories, equal bytes ────┘
 *
 * A header answer (`withheld` values) is the same form with the last part left out, so that the
 * second replica of a read costs a header and never a value.
 */
import { ByteReader, ByteWriter } from './bytes.ts';
import type { ActorId, PutId } from './ids.ts';
import { withoutExpired } from './record.ts';
import type { RecordOfKey, Sibling, SiblingValue } from './record.ts';
import { readSeen, skipSeen, writeSeen } from './seen-puts.ts';
import type { Dot, VersionVector } from './vector.ts';

const FORMAT = 1;
const FORMAT_BYTES = 1;
export const ACTOR_BYTES = 14;
const PUT_ID_BYTES = 8;
const KINDS = { value: 0, tombstone: 1, withheld: 2, expired: 3 } as const;

/** The whole form, and where the canonical part in it ends. */
export type RecordForm = { readonly bytes: Uint8Array; readonly headerEnd: number };

/** The canonical part: what Merkle leaves hash; it covers no value bytes. */
export const headerOf = ({ bytes, headerEnd }: RecordForm): Uint8Array =>
  bytes.subarray(FORMAT_BYTES, headerEnd);

export const encodeRecord = (record: RecordOfKey, values: 'with-values' | 'header'): Uint8Array =>
  encodeForm(record, values).bytes;

export const encodeForm = (record: RecordOfKey, values: 'with-values' | 'header'): RecordForm => {
  const writer = new ByteWriter();
  writer.byte(FORMAT);
  writeHeader(writer, record);
  const headerEnd = writer.length;
  const withheld = values === 'header';
  for (const { value } of record.siblings) writeKind(writer, value, withheld);
  if (!withheld) {
    for (const { value } of record.siblings) if (value instanceof Uint8Array) writer.raw(value);
  }
  return { bytes: writer.take(), headerEnd };
};

/**
 * Throws RangeError on anything that `encodeRecord` did not make. Values are views on `bytes`:
 * whoever keeps the record keeps the bytes.
 */
export const decodeRecord = (bytes: Uint8Array): RecordOfKey => decodeForm(bytes).record;

/** A record and the form it came in. */
export const decodeForm = (
  bytes: Uint8Array,
): { readonly record: RecordOfKey; readonly form: RecordForm } => {
  const reader = new ByteReader(bytes);
  const format = reader.byte();
  if (format !== FORMAT) throw new RangeError(`record format ${FORMAT} expected, found ${format}`);
  const vector = readVector(reader);
  const siblings = readHeads(reader, vector);
  const seen = readSeen(reader);
  const headerEnd = reader.offset;
  const lengths = siblings.map((sibling) => readKind(reader, sibling));
  siblings.forEach((sibling, index) => {
    const length = lengths[index];
    if (length !== undefined) sibling.value = reader.raw(length);
  });
  reader.end();
  return { record: { vector, siblings, seen }, form: { bytes, headerEnd } };
};

/**
 * The form in `bytes` as it can be kept at `nowMs` without decoding the record; undefined if there is
 * anything to be done about it: values that have expired or are withheld, or bytes that are no
 * record. Throws RangeError where they end too soon or too late.
 */
export const formToKeep = (bytes: Uint8Array, nowMs: number): RecordForm | undefined => {
  const reader = new ByteReader(bytes);
  if (reader.byte() !== FORMAT) return undefined;
  const actors = skipVector(reader);
  const siblings = reader.varint();
  const goesOn = inOrder();
  for (let left = siblings; left > 0; left--) {
    const at = reader.varint();
    const isSound = at < actors && goesOn(at, reader.varint());
    if (!isSound || hasExpired(skipTail(reader), nowMs)) return undefined;
  }
  skipSeen(reader);
  const headerEnd = reader.offset;
  let valueBytes = 0;
  for (let left = siblings; left > 0; left--) {
    const kind = reader.byte();
    if (kind === KINDS.value) valueBytes += reader.varint();
    else if (kind !== KINDS.tombstone && kind !== KINDS.expired) return undefined;
  }
  reader.skip(valueBytes);
  reader.end();
  return { bytes, headerEnd };
};

/**
 * The record in `bytes` as a replica answers a reader at `nowMs`: without the values that have expired,
 * or without any. Mostly that is what is there, or the first part of it, and nothing is decoded.
 */
export const asAnswer = (
  bytes: Uint8Array,
  want: 'with-values' | 'header',
  nowMs: number,
): Uint8Array => {
  const reader = new ByteReader(bytes);
  reader.skip(FORMAT_BYTES);
  skipVector(reader);
  const siblings = reader.varint();
  for (let left = siblings; left > 0; left--) {
    reader.varint();
    reader.varint();
    if (hasExpired(skipTail(reader), nowMs)) {
      return encodeRecord(withoutExpired(decodeRecord(bytes), nowMs), want);
    }
  }
  if (want === 'with-values') return bytes;
  skipSeen(reader);
  const writer = new ByteWriter();
  writer.raw(bytes, 0, reader.offset);
  for (let left = siblings; left > 0; left--) {
    const kind = reader.byte();
    if (kind === KINDS.value) reader.varint();
    writer.byte(kind === KINDS.value ? KINDS.withheld : kind);
  }
  return writer.take();
};

/** Whether `header` is what a replica that holds the very same record answers to who wants no values. */
export const isHeaderOf = (
  header: Uint8Array,
  { bytes, headerEnd }: RecordForm,
  { siblings }: RecordOfKey,
): boolean => {
  if (header.length !== headerEnd + siblings.length) return false;
  for (let at = 0; at < headerEnd; at++) if (header[at] !== bytes[at]) return false;
  let at = headerEnd;
  for (const { value } of siblings) {
    if (header[at++] !== (typeof value === 'string' ? KINDS[value] : KINDS.withheld)) return false;
  }
  return true;
};

/** Passes over a vector; how many actors it has. */
const skipVector = (reader: ByteReader): number => {
  const actors = reader.varint();
  for (let left = actors; left > 0; left--) {
    reader.skip(ACTOR_BYTES);
    reader.varint();
    reader.varint();
  }
  return actors;
};

/** Passes over the head of a sibling behind its actor and n; when it expires, as it is written. */
const skipTail = (reader: ByteReader): number => {
  reader.varint();
  reader.skip(PUT_ID_BYTES);
  reader.varint();
  return reader.varint();
};

/** By an expiry as it is written: 0 is never. */
const hasExpired = (expiry: number, nowMs: number): boolean => expiry !== 0 && expiry - 1 <= nowMs;

export const writeVector = (writer: ByteWriter, vector: VersionVector): void => {
  writer.varint(vector.length);
  for (const { actor, n, time } of vector) {
    writer.hex(actor);
    writer.varint(n);
    writer.varint(time);
  }
};

export const readVector = (reader: ByteReader): VersionVector => {
  const vector: Dot[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const actor = reader.hex(ACTOR_BYTES) as ActorId;
    vector.push({ actor, n: reader.varint(), time: reader.varint() });
  }
  return vector;
};

const writeHeader = (writer: ByteWriter, record: RecordOfKey): void => {
  writeVector(writer, record.vector);
  writer.varint(record.siblings.length);
  for (const sibling of record.siblings) writeHead(writer, sibling, record.vector);
  writeSeen(writer, record.seen);
};

/** The actor of a live dot is always in the vector (A6), so its place there names it. */
const writeHead = (writer: ByteWriter, sibling: Sibling, vector: VersionVector): void => {
  const { dot } = sibling;
  writer.varint(vector.findIndex((entry) => entry.actor === dot.actor));
  writer.varint(dot.n);
  writer.varint(dot.time);
  writer.hex(sibling.putId);
  writer.varint(sibling.writtenAt);
  writer.varint(sibling.expiresAt === undefined ? 0 : sibling.expiresAt + 1);
};

/** A sibling while it is read: its head stands before all values. */
type Draft = { -readonly [Field in keyof Sibling]: Sibling[Field] };

const readHeads = (reader: ByteReader, vector: VersionVector): Draft[] => {
  const heads: Draft[] = [];
  const goesOn = inOrder();
  for (let left = reader.varint(); left > 0; left--) {
    const at = reader.varint();
    const n = reader.varint();
    const entry = vector[at];
    if (entry === undefined) throw new RangeError('a sibling of an actor that the vector lacks');
    if (!goesOn(at, n)) throw new RangeError('siblings out of order');
    const dot: Dot = { actor: entry.actor, n, time: reader.varint() };
    const putId = reader.hex(PUT_ID_BYTES) as PutId;
    const writtenAt = reader.varint();
    const expiry = reader.varint();
    const head: Draft = { dot, putId, writtenAt, value: 'withheld' };
    if (expiry !== 0) head.expiresAt = expiry - 1;
    heads.push(head);
  }
  return heads;
};

/** Merging relies on it: siblings by their dots, that is by the place of the actor, then n. */
const inOrder = (): ((actor: number, n: number) => boolean) => {
  let [lastActor, lastN] = [-1, 0];
  return (actor, n) => {
    const goesOn = actor > lastActor || (actor === lastActor && n > lastN);
    lastActor = actor;
    lastN = n;
    return goesOn;
  };
};

const writeKind = (writer: ByteWriter, value: SiblingValue, withheld: boolean): void => {
  if (typeof value === 'string') writer.byte(KINDS[value]);
  else if (withheld) writer.byte(KINDS.withheld);
  else {
    writer.byte(KINDS.value);
    writer.varint(value.length);
  }
};

/** Sets a value that has no bytes; answers with how many bytes the value has otherwise. */
const readKind = (reader: ByteReader, sibling: Draft): number | undefined => {
  const kind = reader.byte();
  if (kind === KINDS.value) return reader.varint();
  if (kind === KINDS.tombstone) sibling.value = 'tombstone';
  else if (kind === KINDS.expired) sibling.value = 'expired';
  else if (kind !== KINDS.withheld) throw new RangeError(`sibling kind ${kind}`);
  return undefined;
};
