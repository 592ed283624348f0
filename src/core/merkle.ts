/**
 * The Merkle tree of one partition (paper § 4.7): 32 branches of 32 leaves over the partition's
 * slice of the ring. A leaf is the XOR of the hashes of the records that lie in it, so that one
 * change costs three XORs and never a look at the neighbours; a record's hash covers its key, so
 * two changes cannot cancel out but by a collision of 64 bits.
 *
 *            root                 8 bytes: equal roots, equal partitions
 *      ┌──────┼──────┐
 *   branch  branch  branch        32 × 8 bytes
 *   ┌─┼─┐
 *  leaf leaf …                    32 × 8 bytes, each over 1/1,024 of the partition's keys
 */
import { ByteWriter, uint32At } from './bytes.ts';
import type { PartitionId } from './ids.ts';

export const BRANCHES = 32;
export const LEAVES_PER_BRANCH = 32;
export const LEAVES = BRANCHES * LEAVES_PER_BRANCH;
export const BRANCH_BYTES = LEAVES_PER_BRANCH * 8;

/** The hash of a leaf without records, and of a record that is not there. */
export const NO_HASH = 0n;

export class MerkleTree {
  readonly #leaves = new BigUint64Array(LEAVES);
  readonly #branches = new BigUint64Array(BRANCHES);
  #root = NO_HASH;

  get root(): bigint {
    return this.#root;
  }

  /** Replaces a record's hash in `leaf`; NO_HASH stands for no record, before or after. */
  replace(leaf: number, before: bigint, after: bigint): void {
    const change = before ^ after;
    const branch = branchOf(leaf);
    this.#leaves[leaf] = this.#leaves[leaf]! ^ change;
    this.#branches[branch] = this.#branches[branch]! ^ change;
    this.#root ^= change;
  }

  branches(): readonly bigint[] {
    return [...this.#branches];
  }

  leafAt(leaf: number): bigint {
    return this.#leaves[leaf]!;
  }

  leavesOf(branch: number): readonly bigint[] {
    const from = branch * LEAVES_PER_BRANCH;
    return [...this.#leaves.subarray(from, from + LEAVES_PER_BRANCH)];
  }

  /** The leaves of one branch as they lie on disk: 32 big-endian integers of 8 bytes. */
  encodeBranch(branch: number): Uint8Array {
    const from = branch * LEAVES_PER_BRANCH;
    return encodeHashes(this.#leaves.subarray(from, from + LEAVES_PER_BRANCH));
  }

  /** Throws RangeError on bytes that `encodeBranch` did not make. */
  decodeBranch(branch: number, bytes: Uint8Array): void {
    if (bytes.length !== BRANCH_BYTES || branch >= BRANCHES) {
      throw new RangeError(`a branch is ${BRANCH_BYTES} bytes, found ${bytes.length}`);
    }
    decodeHashes(bytes).forEach((hash, i) => {
      const leaf = branch * LEAVES_PER_BRANCH + i;
      this.replace(leaf, this.#leaves[leaf]!, hash);
    });
  }
}

export const branchOf = (leaf: number): number => Math.floor(leaf / LEAVES_PER_BRANCH);

/** The leaf of the 16-byte position that stands in `bytes`: the ten bits after those that choose one of `partitions`. */
export const leafOf = (bytes: Uint8Array, partitions: number, at = 0): number =>
  Math.floor((uint32At(bytes, at) * partitions) / 2 ** 22) % LEAVES;

/** The first position of a leaf, as its leading four bytes; the last leaf ends at 2³². */
export const leafStart = (partition: PartitionId, leaf: number, partitions: number): number =>
  (partition * LEAVES + leaf) * (2 ** 22 / partitions);

export const encodeHashes = (hashes: ArrayLike<bigint>): Uint8Array => {
  const writer = new ByteWriter();
  for (let i = 0; i < hashes.length; i++) writer.uint64(hashes[i]!);
  return writer.take();
};

/** Throws RangeError if these are not whole hashes. */
export const decodeHashes = (bytes: Uint8Array): readonly bigint[] => {
  if (bytes.length % 8 !== 0) throw new RangeError(`${bytes.length} bytes are not whole hashes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(i * 8));
};

/** Indexes at which two equally long lists of hashes differ. */
export const differences = (ours: readonly bigint[], theirs: readonly bigint[]): number[] =>
  ours.flatMap((hash, i) => (hash === theirs[i] ? [] : [i]));
