/**
 * The ring (paper § 4.2, strategy 3 of § 6.2): the 128-bit space of MD5 positions, cut into Q equal
 * partitions.
 */
import { partitionId } from './ids.ts';
import type { PartitionId } from './ids.ts';

export const PARTITIONS_MAX = 65536;

/** Q must be a power of two up to 65,536, so that a partition is the top bits of a position. */
export const isPartitionCount = (partitions: number): boolean =>
  Number.isInteger(partitions) &&
  partitions >= 1 &&
  partitions <= PARTITIONS_MAX &&
  (partitions & (partitions - 1)) === 0;

/** The partition that a 16-byte position lies in: its top log2(Q) bits. */
export const partitionOf = (position: Uint8Array, partitions: number): PartitionId => {
  const top = (position[0]! << 16) | (position[1]! << 8) | position[2]!;
  return partitionId(Math.floor((top * partitions) / 0x1000000));
};
