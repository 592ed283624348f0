/**
 * The Merkle trees of this node's partitions (paper § 4.7), in memory as they will be once the
 * commit under way is done, on disk branch by branch in the same transactions as the records.
 */
import { BRANCHES, MerkleTree, NO_HASH, branchOf } from '../core/merkle.ts';
import { partitionId } from '../core/ids.ts';
import type { PartitionId } from '../core/ids.ts';
import type { Storage, StorageOp } from '../ports/storage.ts';
import { eachEntry } from './stored.ts';

export class Forest {
  readonly #trees = new Map<PartitionId, MerkleTree>();
  readonly #changed = new Set<number>();

  /** Reads what earlier lives left. Throws RangeError if that is not ours. */
  constructor(storage: Storage) {
    for (const { key, value } of eachEntry(storage, 'merkle', {})) {
      const partition = partitionId((key[0]! << 8) | key[1]!);
      this.#grown(partition).decodeBranch(key[2]!, value);
    }
  }

  /** A partition without records has a tree without hashes. */
  tree(partition: PartitionId): MerkleTree {
    return this.#trees.get(partition) ?? EMPTY_TREE;
  }

  /** Partitions with records. */
  grown(): readonly PartitionId[] {
    return [...this.#trees].flatMap(([partition, tree]) =>
      tree.root === NO_HASH ? [] : [partition],
    );
  }

  /** A record of `leaf` changed: its hash was `before` and is `after`, NO_HASH for none. */
  replace(partition: PartitionId, leaf: number, before: bigint, after: bigint): void {
    if (before === after) return;
    this.#grown(partition).replace(leaf, before, after);
    this.#changed.add(partition * BRANCHES + branchOf(leaf));
  }

  /** What has to be written for the changes since the last call, in the commit of the records. */
  takeOps(): readonly StorageOp[] {
    const ops = [...this.#changed].map((at): StorageOp => {
      const partition = Math.floor(at / BRANCHES);
      const branch = at % BRANCHES;
      const value = this.tree(partitionId(partition)).encodeBranch(branch);
      const key = new Uint8Array([partition >> 8, partition & 0xff, branch]);
      return { type: 'put', table: 'merkle', key, value };
    });
    this.#changed.clear();
    return ops;
  }

  #grown(partition: PartitionId): MerkleTree {
    const tree = this.#trees.get(partition) ?? new MerkleTree();
    this.#trees.set(partition, tree);
    return tree;
  }
}

const EMPTY_TREE = new MerkleTree();

/** What the leaf of these record hashes shows. */
export const leafHash = (hashes: Iterable<bigint>): bigint => {
  let leaf = NO_HASH;
  for (const hash of hashes) leaf ^= hash;
  return leaf;
};
