/**
 * How records and hints lie in storage: keys that keep a partition, and each leaf of its Merkle
 * tree, contiguous; values that carry the local `me` and the record's hash ahead of the record.
 *
 *   records   partition (2) │ MD5 of the key (16) │ key   →  me │ hash (8) │ record │ CRC-32 (4)
 *   hints     target │ 0 │ key                            →  stamp │ since │ CRC-32 (4) of it all
 */
import { ByteReader, ByteWriter, uint32At } from '../../core/bytes.ts';
import { KEY_BYTES_MAX, bytesOfKey, isNodeId, keyOfBytes, partitionId } from '../../core/ids.ts';
import type { ActorId, Key, NodeId, PartitionId } from '../../core/ids.ts';
import { LEAVES, leafOf, leafStart } from '../../core/merkle.ts';
import { ACTOR_BYTES, decodeRecord, encodeForm, headerOf } from '../../core/record-bytes.ts';
import type { RecordForm } from '../../core/record-bytes.ts';
import type { RecordOfKey } from '../../core/record.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Storage, StorageEntry, StorageTable } from '../../ports/storage.ts';
import type { Hint, Place, StoredRecord } from './memtable.ts';

const POSITION_BYTES = 16;
/** Where the MD5 of the key stands in a record's key. */
export const POSITION_AT = 2;
/** And the key itself. */
export const KEY_AT = POSITION_AT + POSITION_BYTES;
const HASH_BYTES = 8;
export const CHECKSUM_BYTES = 4;
const PAGE = 1000;
const utf8 = new TextEncoder();

/** Storage bounds: from inclusive, to exclusive. */
export type Bounds = { readonly from?: Uint8Array; readonly to?: Uint8Array };

export const recordKey = (partition: PartitionId, position: Uint8Array, key: Key): Uint8Array => {
  const bytes = new Uint8Array(KEY_AT + key.length);
  bytes[0] = partition >> 8;
  bytes[1] = partition & 0xff;
  bytes.set(position, POSITION_AT);
  for (let i = 0; i < key.length; i++) bytes[KEY_AT + i] = key.charCodeAt(i);
  return bytes;
};

/** Where a record of this name lies, in a ring of `partitions`. */
export const placeOf = (name: Uint8Array, partitions: number): Place => {
  const partition = partitionId((name[0]! << 8) | name[1]!);
  return { partition, leaf: leafOf(name, partitions, POSITION_AT), name };
};

/** Whether these bytes have the length of such a key. */
export const isRecordKey = (bytes: Uint8Array): boolean =>
  bytes.length > KEY_AT && bytes.length <= KEY_AT + KEY_BYTES_MAX;

/** The key a record lies under. */
export const keyOfRecordKey = (bytes: Uint8Array): Key => keyOfBytes(bytes.subarray(KEY_AT));

/** The key of a place within its partition: a position and the key. */
export const keyOfPlace = (place: Uint8Array): Key => keyOfBytes(place.subarray(POSITION_BYTES));

/** The position a record lies at. */
export const positionOfRecordKey = (bytes: Uint8Array): Uint8Array =>
  bytes.subarray(POSITION_AT, KEY_AT);

/** Storage bounds of one partition. */
export const partitionRange = (partition: PartitionId): Bounds => {
  const from = new Uint8Array([partition >> 8, partition & 0xff]);
  const next = partition + 1;
  return next > 0xffff ? { from } : { from, to: new Uint8Array([next >> 8, next & 0xff]) };
};

/** Storage bounds of one leaf of a partition, or of `count` in a row, in a ring of `partitions`. */
export const leafRange = (
  partition: PartitionId,
  leaf: number,
  partitions: number,
  count = 1,
): Bounds => {
  const edge = (at: number): Uint8Array => {
    const start = leafStart(partition, at, partitions);
    return new Uint8Array([
      partition >> 8,
      partition & 0xff,
      start >>> 24,
      (start >>> 16) & 0xff,
      (start >>> 8) & 0xff,
      start & 0xff,
    ]);
  };
  const from = edge(leaf);
  const end = leaf + count;
  return end < LEAVES ? { from, to: edge(end) } : { ...partitionRange(partition), from };
};

/** The committed entries of a table within bounds, some at a time; no snapshot stays open. */
export function* eachEntry(
  storage: Storage,
  table: StorageTable,
  bounds: Bounds,
  pageMax = PAGE,
): Generator<StorageEntry> {
  const { to } = bounds;
  let next = bounds.from;
  for (;;) {
    const from = next === undefined ? {} : { from: next };
    const page = storage.range(table, { limit: pageMax, ...from, ...(to ? { to } : {}) });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < pageMax) return;
    next = new Uint8Array([...last.key, 0]);
  }
}

/** A record's hash in the Merkle tree: of its key and all its causal facts, not of value bytes. */
export const hashOf = (digest: Digest, key: Key, header: Uint8Array): bigint => {
  const writer = new ByteWriter();
  writer.byte(key.length >> 8);
  writer.byte(key.length & 0xff);
  writer.byteString(key);
  writer.raw(header);
  return new ByteReader(writer.shown((bytes) => digest.md5(bytes))).uint64();
};

/** `form`: that of the record with its values, if it is at hand. */
export const encodeStored = (
  digest: Digest,
  key: Key,
  stored: StoredRecord,
  // Of a record that nobody has looked into the form is at hand: it is not decoded for this.
  form: RecordForm = encodeForm(stored.record, 'with-values'),
): { readonly row: Uint8Array; readonly hash: bigint } => {
  const { me } = stored;
  const hash = hashOf(digest, key, headerOf(form));
  const writer = new ByteWriter();
  writer.varint(me === undefined ? 0 : me.n);
  if (me !== undefined) writer.hex(me.actor);
  writer.uint64(hash);
  writer.raw(form.bytes);
  writer.uint32(digest.crc32(writer.view()));
  return { row: writer.take(), hash };
};

/** A row as it was written; `corrupt` if its checksum says that it is not. */
export const decodeStored = (digest: Digest, row: Uint8Array): StoredRow | 'corrupt' =>
  isWhole(digest, row) ? storedIn(row) : 'corrupt';

/** What a row says that is known to be whole. */
export const storedIn = (row: Uint8Array): StoredRow => {
  const reader = new ByteReader(row);
  const n = reader.varint();
  const me = n === 0 ? undefined : { actor: reader.hex(ACTOR_BYTES) as ActorId, n };
  const hash = reader.uint64();
  const bytes = row.subarray(reader.offset, row.length - CHECKSUM_BYTES);
  return { stored: new FormedRecord(bytes, me), hash };
};

/**
 * A record that is decoded when somebody looks into it: most are replaced, or passed on, as they
 * are. Looking throws RangeError if the bytes are no record.
 */
export class FormedRecord implements StoredRecord {
  readonly me: StoredRecord['me'];
  readonly #bytes: Uint8Array;
  #record: RecordOfKey | undefined;

  constructor(bytes: Uint8Array, me: StoredRecord['me']) {
    this.#bytes = bytes;
    this.me = me;
  }

  get record(): RecordOfKey {
    return (this.#record ??= decodeRecord(this.#bytes));
  }
}

export type StoredRow = { readonly stored: StoredRecord; readonly hash: bigint };

/** Only the form of the record in a row, checked. */
export const recordBytesOf = (digest: Digest, row: Uint8Array): Uint8Array | 'corrupt' =>
  isWhole(digest, row) ? recordBytesIn(row) : 'corrupt';

/** A view on the form of the record in a row that is known to be whole. */
export const recordBytesIn = (row: Uint8Array): Uint8Array =>
  row.subarray(hashAt(row) + HASH_BYTES, row.length - CHECKSUM_BYTES);

/** Only the hash of a row, checked. */
export const hashOfRow = (digest: Digest, row: Uint8Array): bigint | 'corrupt' => {
  if (!isWhole(digest, row)) return 'corrupt';
  const reader = new ByteReader(row);
  reader.skip(hashAt(row));
  return reader.uint64();
};

/** The hash that `record` would lie under. */
export const hashOfRecord = (digest: Digest, key: Key, record: RecordOfKey): bigint =>
  hashOf(digest, key, headerOf(encodeForm(record, 'header')));

const isWhole = (digest: Digest, row: Uint8Array): boolean => {
  const end = row.length - CHECKSUM_BYTES;
  return end >= HASH_BYTES && digest.crc32(row.subarray(0, end)) === uint32At(row, end);
};

/** Where the hash stands in a row: behind `me`. */
const hashAt = (row: Uint8Array): number => {
  const reader = new ByteReader(row);
  if (reader.varint() > 0) reader.skip(ACTOR_BYTES);
  return reader.offset;
};

export const hintKey = (target: NodeId, key: Key): Uint8Array => {
  const writer = new ByteWriter();
  writer.raw(utf8.encode(target));
  writer.byte(0);
  writer.raw(bytesOfKey(key));
  return writer.take();
};

/** Storage bounds of the hints for one target. */
export const hintRange = (target: NodeId): Required<Bounds> => {
  const name = utf8.encode(target);
  return { from: new Uint8Array([...name, 0]), to: new Uint8Array([...name, 1]) };
};

export const encodeHint = (digest: Digest, { target, key, stamp, sinceMs }: Hint): Uint8Array => {
  const writer = new ByteWriter();
  writer.varint(stamp);
  writer.varint(sinceMs);
  writer.uint32(hintChecksum(digest, hintKey(target, key), writer.view()));
  return writer.take();
};

/** A hint as it was written; `corrupt` if its checksum says that it is not, or it is none at all. */
export const decodeHint = (
  digest: Digest,
  name: Uint8Array,
  value: Uint8Array,
): Hint | 'corrupt' => {
  try {
    const named = nameOfHint(name);
    if (named === undefined) return 'corrupt';
    const reader = new ByteReader(value);
    const [stamp, sinceMs] = [reader.varint(), reader.varint()];
    const body = value.subarray(0, reader.offset);
    // Older directories have none.
    const isSound = reader.atEnd || reader.uint32() === hintChecksum(digest, name, body);
    return isSound && reader.atEnd ? { ...named, stamp, sinceMs } : 'corrupt';
  } catch {
    return 'corrupt';
  }
};

/** Whom and what a hint's name says; undefined if it says nothing. */
export const nameOfHint = (
  name: Uint8Array,
): { readonly target: NodeId; readonly key: Key } | undefined => {
  const end = name.indexOf(0);
  const target = new TextDecoder().decode(name.subarray(0, Math.max(0, end)));
  const key = name.subarray(end + 1);
  if (!isNodeId(target) || key.length === 0 || key.length > KEY_BYTES_MAX) return undefined;
  return { target, key: keyOfBytes(key) };
};

const hintChecksum = (digest: Digest, name: Uint8Array, body: Uint8Array): number => {
  const bytes = new Uint8Array(name.length + body.length);
  bytes.set(name);
  bytes.set(body, name.length);
  return digest.crc32(bytes);
};
