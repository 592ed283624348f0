/**
 * The Merkle trees of this node's partitions (paper § 4.7), in memory as they will be once the
 * commit under way is done, on disk in the same transactions as the records. A branch is twenty times
 * what changed in it, and lies at a random place: so a commit appends the leaves it changed side by
 * side, and now and then writes some of the branches that such notes are about: the oldest, and those
 * beside it.
 *
 *   partition (2) │ branch            →  its 32 leaves
 *   0xffffff │ sequence (8)           →  partition (2) │ leaf (2) │ hash (8), of each changed leaf
 *
 * A note goes once every branch it is about was written after it; to read is to read the branches
 * and then the notes in order.
 */
import { ByteWriter } from '../../core/bytes.ts';
import { BRANCHES, LEAVES, MerkleTree, NO_HASH, branchOf } from '../../core/merkle.ts';
import { partitionId } from '../../core/ids.ts';
import type { PartitionId } from '../../core/ids.ts';
import type { Storage, StorageOp } from '../../ports/storage.ts';
import { eachEntry } from './stored.ts';

/** No branch has this prefix. */
const NOTE_PREFIX = new Uint8Array([0xff, 0xff, 0xff]);
/** So that a note is no longer than what LMDB keeps within a page. */
const LEAVES_PER_NOTE = 150;
const LEAF_BYTES = 12;
/** For so many changed leaves one branch is written … */
const LEAVES_PER_WRITTEN_BRANCH = 8;
/** … but together with those beside it, which lie on the same page of the file. */
const SIDE_BY_SIDE = 16;

export class Forest {
  readonly #trees = new Map<PartitionId, MerkleTree>();
  /** Leaves changed since the last commit, by partition × LEAVES. */
  readonly #changed = new Set<number>();
  /** Branches that notes are about, oldest first, each with the first such note. */
  readonly #noted = new Map<number, number>();
  #firstNote = 1;
  #lastNote = 0;
  /** Branches that should be written by now; below 0 if more of them were. */
  #owed = 0;

  /** Reads what earlier lives left. Throws RangeError if that is not ours. */
  constructor(storage: Storage) {
    for (const { key, value } of eachEntry(storage, 'merkle', { to: NOTE_PREFIX })) {
      const partition = partitionId((key[0]! << 8) | key[1]!);
      this.#grown(partition).decodeBranch(key[2]!, value);
    }
    for (const { key, value } of eachEntry(storage, 'merkle', { from: NOTE_PREFIX })) {
      this.#readNote(key, value);
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
    this.#changed.add(partition * LEAVES + leaf);
  }

  /** What has to be written for the changes since the last call, in the commit of the records. */
  takeOps(): readonly StorageOp[] {
    if (this.#changed.size === 0) return [];
    const changed = [...this.#changed];
    this.#changed.clear();
    const ops: StorageOp[] = [];
    for (let at = 0; at < changed.length; at += LEAVES_PER_NOTE) {
      ops.push(this.#note(changed.slice(at, at + LEAVES_PER_NOTE)));
    }
    this.#owed += changed.length / LEAVES_PER_WRITTEN_BRANCH;
    while (this.#owed >= 1 && this.#noted.size > 0) this.#writeOldest(ops);
    if (this.#noted.size === 0) this.#owed = 0;
    const [needed = this.#lastNote + 1] = this.#noted.values();
    for (; this.#firstNote < needed; this.#firstNote++) {
      ops.push({ type: 'remove', table: 'merkle', key: noteKey(this.#firstNote) });
    }
    return ops;
  }

  /** The branch of the oldest note, and those beside it that others are about. */
  #writeOldest(ops: StorageOp[]): void {
    const [oldest = 0] = this.#noted.keys();
    const first = oldest - (oldest % SIDE_BY_SIDE);
    for (let branch = first; branch < first + SIDE_BY_SIDE; branch++) {
      if (!this.#noted.delete(branch)) continue;
      ops.push(this.#branchOp(branch));
      this.#owed -= 1;
    }
  }

  #note(changed: readonly number[]): StorageOp {
    this.#lastNote += 1;
    const value = new ByteWriter();
    for (const at of changed) {
      const partition = partitionId(Math.floor(at / LEAVES));
      const leaf = at % LEAVES;
      value.uint16(partition);
      value.uint16(leaf);
      value.uint64(this.tree(partition).leafAt(leaf));
      this.#remember(partition, leaf, this.#lastNote);
    }
    const key = noteKey(this.#lastNote);
    return { type: 'put', table: 'merkle', key, value: value.take() };
  }

  #readNote(key: Uint8Array, value: Uint8Array): void {
    if (key.length !== NOTE_PREFIX.length + 8 || value.length % LEAF_BYTES !== 0) {
      throw new RangeError(`a note of changed leaves of ${value.length} bytes`);
    }
    const sequence = Number(new DataView(key.buffer, key.byteOffset + 3).getBigUint64(0));
    if (this.#lastNote === 0) this.#firstNote = sequence;
    this.#lastNote = sequence;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    for (let at = 0; at < value.length; at += LEAF_BYTES) {
      const partition = partitionId(view.getUint16(at));
      const leaf = view.getUint16(at + 2);
      if (leaf >= LEAVES) throw new RangeError(`a note of leaf ${leaf}`);
      const tree = this.#grown(partition);
      tree.replace(leaf, tree.leafAt(leaf), view.getBigUint64(at + 4));
      this.#remember(partition, leaf, sequence);
    }
  }

  #remember(partition: PartitionId, leaf: number, note: number): void {
    const branch = partition * BRANCHES + branchOf(leaf);
    if (!this.#noted.has(branch)) this.#noted.set(branch, note);
  }

  #branchOp(at: number): StorageOp {
    const partition = Math.floor(at / BRANCHES);
    const branch = at % BRANCHES;
    const value = this.tree(partitionId(partition)).encodeBranch(branch);
    const key = new ByteWriter();
    key.uint16(partition);
    key.byte(branch);
    return { type: 'put', table: 'merkle', key: key.take(), value };
  }

  #grown(partition: PartitionId): MerkleTree {
    const tree = this.#trees.get(partition) ?? new MerkleTree();
    this.#trees.set(partition, tree);
    return tree;
  }
}

const noteKey = (sequence: number): Uint8Array => {
  const key = new ByteWriter();
  key.raw(NOTE_PREFIX);
  key.uint53(sequence);
  return key.take();
};

const EMPTY_TREE = new MerkleTree();

/** What the leaf of these record hashes shows. */
export const leafHash = (hashes: Iterable<bigint>): bigint => {
  let leaf = NO_HASH;
  for (const hash of hashes) leaf ^= hash;
  return leaf;
};
