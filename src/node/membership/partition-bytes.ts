/**
 * How many bytes of records a partition has, about: what a plan says that moves. The data file tells
 * less: it keeps the pages of what is gone, and trees and the write log beside the records.
 */
import type { PartitionId } from '../../core/ids.ts';
import { encodeRecord } from '../../core/record-bytes.ts';
import type { RecordStore } from '../store/record-store.ts';

const PARTITIONS = 8;
const RECORDS = 64;
/** Of a position as much as a number holds exactly. */
const DIGITS = 6;

/**
 * From a sample of some of `held`, out of `partitions` in all; undefined: nothing lies there. Rows lie in
 * the order of their positions, which are spread evenly: how far the first ones reach tells how many
 * there are.
 */
export const bytesPerPartition = (
  store: Pick<RecordStore, 'recordsFrom'>,
  held: readonly PartitionId[],
  partitions: number,
): number | undefined => {
  const stride = Math.max(1, Math.floor(held.length / PARTITIONS));
  const sample = held.filter((_, index) => index % stride === 0).slice(0, PARTITIONS);
  let [bytes, share] = [0, 0];
  for (const partition of sample) {
    const { entries, next } = store.recordsFrom(partition, undefined, RECORDS);
    for (const { record } of entries) {
      if (record !== 'corrupt') bytes += encodeRecord(record, 'with-values').length;
    }
    share += next === undefined ? 1 : reachOf(next, partitions);
  }
  return bytes === 0 ? undefined : Math.round(bytes / share);
};

/** How far into its partition a place lies, 0 to 1. */
const reachOf = (place: Uint8Array, partitions: number): number => {
  const digits = place.subarray(0, DIGITS).reduce((number, byte) => number * 256 + byte, 0);
  return ((digits / 256 ** DIGITS) * partitions) % 1;
};
