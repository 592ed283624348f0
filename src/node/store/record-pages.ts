/**
 * The records of a partition page by page, in the order in which they lie: what scans, backups and
 * the reap's walk go through; and some of them, to be given away. What is buffered counts as stored. A
 * place is a position and the key.
 */
import type { Key, PartitionId } from '../../core/ids.ts';
import { compareBytes } from '../../core/key-page.ts';
import { encodeForm } from '../../core/record-bytes.ts';
import type { RecordOfKey } from '../../core/record.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Storage } from '../../ports/storage.ts';
import type { Memtable } from './memtable.ts';
import {
  POSITION_AT,
  decodeStored,
  eachEntry,
  hashOfRecord,
  hashOfRow,
  keyOfRecordKey,
  partitionRange,
} from './stored.ts';

export type RecordPagesParts = {
  readonly storage: Storage;
  readonly digest: Digest;
  readonly memtable: Memtable;
};

export type RecordPage = {
  readonly entries: readonly {
    readonly place: Uint8Array;
    readonly record: RecordOfKey | 'corrupt';
  }[];
  /** How far was looked; absent at the end of the partition. */
  readonly next?: Uint8Array;
};

/** Up to `limit` records behind the place `after`. */
export const pageOf = (
  { storage, digest, memtable }: RecordPagesParts,
  partition: PartitionId,
  after: Uint8Array | undefined,
  limit: number,
): RecordPage => {
  const bounds = partitionRange(partition);
  const from = after === undefined ? bounds.from! : new Uint8Array([...bounds.from!, ...after, 0]);
  const rows = storage.range('records', { ...bounds, from, limit });
  const found = new Map<string, { name: Uint8Array; record: RecordOfKey | 'corrupt' }>();
  for (const { key: name, value } of rows) {
    const row = decodeStored(digest, value);
    found.set(name.join(), { name, record: row === 'corrupt' ? row : row.stored.record });
  }
  for (const { place, stored } of memtable.records().values()) {
    if (place.partition !== partition || compareBytes(place.name, from) < 0) continue;
    if (stored === 'removed') found.delete(place.name.join());
    else found.set(place.name.join(), { name: place.name, record: stored.record });
  }
  const lastRow = rows.length < limit ? undefined : rows.at(-1)!.key;
  const sorted = [...found.values()]
    .filter(({ name }) => lastRow === undefined || compareBytes(name, lastRow) <= 0)
    .sort((a, b) => compareBytes(a.name, b.name));
  const page = sorted.slice(0, limit);
  const last = sorted.length > limit ? page.at(-1)!.name : lastRow;
  const placeOf = (name: Uint8Array): Uint8Array => name.subarray(POSITION_AT);
  const entries = page.map(({ name, record }) => ({ place: placeOf(name), record }));
  return last === undefined ? { entries } : { entries, next: placeOf(last) };
};

export type KeyHash = { readonly key: Key; readonly hash: bigint };
/** How many records at most, and how many of their bytes, but for the last. */
export type Most = { readonly records: number; readonly bytes: number };

/** Rows read at a time: values may be large. */
const PAGE = 32;

/** Records of a partition that are `wanted`, in no order; no damaged ones. */
export const someOf = (
  { storage, digest, memtable }: RecordPagesParts,
  partition: PartitionId,
  most: Most,
  wanted: (key: Key) => boolean,
): readonly KeyHash[] => {
  const found: KeyHash[] = [];
  let bytes = 0;
  const isEnough = (): boolean => found.length === most.records || bytes >= most.bytes;
  const buffered = memtable.records();
  for (const [key, { place, stored, hash, form }] of buffered) {
    if (place.partition !== partition || stored === 'removed' || !wanted(key)) continue;
    found.push({ key, hash: hash ?? hashOfRecord(digest, key, stored.record) });
    bytes += (form ?? encodeForm(stored.record, 'with-values')).bytes.length;
    if (isEnough()) return found;
  }
  const rows = eachEntry(storage, 'records', partitionRange(partition), PAGE);
  for (const { key: name, value } of rows) {
    const key = keyOfRecordKey(name);
    const hash = hashOfRow(digest, value);
    if (buffered.has(key) || hash === 'corrupt' || !wanted(key)) continue;
    found.push({ key, hash });
    bytes += value.length;
    if (isEnough()) return found;
  }
  return found;
};
