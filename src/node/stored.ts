/**
 * How records and hints lie in storage: keys that keep a partition contiguous, values that carry
 * the local `me` ahead of the record.
 *
 *   records   partition (2) │ MD5 of the key (16) │ key   →  me │ record
 *   hints     target │ 0 │ key                            →  stamp │ since
 */
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { bytesOfKey, keyOfBytes, nodeId } from '../core/ids.ts';
import type { ActorId, Key, NodeId, PartitionId } from '../core/ids.ts';
import { decodeRecord, encodeRecord } from '../core/record-bytes.ts';
import type { Hint, StoredRecord } from './memtable.ts';

const POSITION_BYTES = 16;
const PREFIX_BYTES = 2 + POSITION_BYTES;

export const recordKey = (partition: PartitionId, position: Uint8Array, key: Key): Uint8Array => {
  const bytes = new Uint8Array(PREFIX_BYTES + key.length);
  bytes[0] = partition >> 8;
  bytes[1] = partition & 0xff;
  bytes.set(position, 2);
  for (let i = 0; i < key.length; i++) bytes[PREFIX_BYTES + i] = key.charCodeAt(i);
  return bytes;
};

/** The key a record lies under. */
export const keyOfRecordKey = (bytes: Uint8Array): Key => keyOfBytes(bytes.subarray(PREFIX_BYTES));

/** Storage bounds of one partition: from inclusive, to exclusive. */
export const partitionRange = (partition: PartitionId): { from: Uint8Array; to?: Uint8Array } => {
  const from = new Uint8Array([partition >> 8, partition & 0xff]);
  const next = partition + 1;
  return next > 0xffff ? { from } : { from, to: new Uint8Array([next >> 8, next & 0xff]) };
};

export const encodeStored = ({ record, me }: StoredRecord): Uint8Array => {
  const writer = new ByteWriter(512);
  writer.varint(me === undefined ? 0 : me.n);
  if (me !== undefined) writer.hex(me.actor);
  writer.raw(encodeRecord(record, 'with-values'));
  return writer.take();
};

/** Throws RangeError if these bytes are not what `encodeStored` made. */
export const decodeStored = (bytes: Uint8Array): StoredRecord => {
  const reader = new ByteReader(bytes);
  const n = reader.varint();
  const me = n === 0 ? undefined : { actor: reader.hex(14) as ActorId, n };
  const record = decodeRecord(bytes.subarray(reader.offset));
  return me === undefined ? { record } : { record, me };
};

export const hintKey = (target: NodeId, key: Key): Uint8Array => {
  const writer = new ByteWriter(96);
  writer.raw(new TextEncoder().encode(target));
  writer.byte(0);
  writer.raw(bytesOfKey(key));
  return writer.take();
};

/** Storage bounds of the hints for one target. */
export const hintRange = (target: NodeId): { from: Uint8Array; to: Uint8Array } => {
  const name = new TextEncoder().encode(target);
  return { from: new Uint8Array([...name, 0]), to: new Uint8Array([...name, 1]) };
};

export const encodeHint = ({ stamp, sinceMs }: Hint): Uint8Array => {
  const writer = new ByteWriter(16);
  writer.varint(stamp);
  writer.varint(sinceMs);
  return writer.take();
};

/** Throws RangeError if this entry is not a hint. */
export const decodeHint = (key: Uint8Array, value: Uint8Array): Hint => {
  const end = key.indexOf(0);
  const reader = new ByteReader(value);
  return {
    target: nodeId(new TextDecoder().decode(key.subarray(0, end))),
    key: keyOfBytes(key.subarray(end + 1)),
    stamp: reader.varint(),
    sinceMs: reader.varint(),
  };
};
