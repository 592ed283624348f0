import assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { partitionId } from '../../src/core/ids.ts';
import {
  BRANCHES,
  LEAVES,
  MerkleTree,
  branchOf,
  decodeHashes,
  differences,
  encodeHashes,
  leafOf,
  leafStart,
} from '../../src/core/merkle.ts';
import { partitionOf } from '../../src/core/ring.ts';

const merkle = suite('merkle');

const hash = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const change = fc.tuple(fc.nat(LEAVES - 1), fc.nat(5), hash);

/** A tree made of the last hash of each (leaf, record). */
const built = (held: ReadonlyMap<string, bigint>): MerkleTree => {
  const tree = new MerkleTree();
  for (const [name, hash] of held) tree.replace(Number(name.split('/')[0]), 0n, hash);
  return tree;
};

merkle('a tree kept up change by change equals one built from the records', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const tree = new MerkleTree();
      const held = new Map<string, bigint>();
      for (const [leaf, record, after] of changes) {
        const name = `${leaf}/${record}`;
        tree.replace(leaf, held.get(name) ?? 0n, after);
        held.set(name, after);
      }
      const rebuilt = built(held);
      assert.equal(tree.root, rebuilt.root);
      assert.deepEqual(tree.branches(), rebuilt.branches());
      for (let b = 0; b < BRANCHES; b++) assert.deepEqual(tree.leavesOf(b), rebuilt.leavesOf(b));
    }),
  );
});

merkle('one changed record shows in its leaf, its branch and the root, and nowhere else', () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 50 }),
      fc.nat(LEAVES - 1),
      hash.filter((h) => h > 0n),
      (changes, leaf, delta) => {
        const ours = new MerkleTree();
        const theirs = new MerkleTree();
        for (const [at, , h] of changes) {
          ours.replace(at, 0n, h);
          theirs.replace(at, 0n, h);
        }
        theirs.replace(leaf, 0n, delta);
        assert.notEqual(ours.root, theirs.root);
        const branch = branchOf(leaf);
        assert.deepEqual(differences(ours.branches(), theirs.branches()), [branch]);
        assert.deepEqual(differences(ours.leavesOf(branch), theirs.leavesOf(branch)), [leaf % 32]);
      },
    ),
  );
});

merkle('branches and hashes survive their form on disk and on the wire', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 100 }), (changes) => {
      const tree = new MerkleTree();
      for (const [leaf, , after] of changes) tree.replace(leaf, 0n, after);
      const again = new MerkleTree();
      for (let b = 0; b < BRANCHES; b++) again.decodeBranch(b, tree.encodeBranch(b));
      assert.equal(again.root, tree.root);
      const hashes = tree.branches();
      assert.deepEqual(decodeHashes(encodeHashes(hashes)), hashes);
    }),
  );
  assert.throws(() => decodeHashes(new Uint8Array(9)), RangeError);
  assert.throws(() => new MerkleTree().decodeBranch(0, new Uint8Array(8)), RangeError);
});

merkle('a leaf is a contiguous slice of its partition, whatever Q', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(16), (position, bits) => {
      const partitions = 2 ** bits;
      const partition = partitionOf(position, partitions);
      const leaf = leafOf(position, partitions);
      const at = new DataView(position.buffer, position.byteOffset).getUint32(0);
      assert.ok(leaf < LEAVES);
      assert.ok(at >= leafStart(partition, leaf, partitions));
      assert.ok(at < leafStart(partition, leaf + 1, partitions));
    }),
  );
  assert.equal(leafStart(partitionId(0), 0, 256), 0);
  assert.equal(leafStart(partitionId(255), LEAVES, 256), 2 ** 32);
});

merkle.run();
