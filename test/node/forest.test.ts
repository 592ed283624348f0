/** Merkle trees on disk: noted leaves and branches together are always the trees as they were. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { partitionId } from '../../src/core/ids.ts';
import { LEAVES, NO_HASH } from '../../src/core/merkle.ts';
import { Forest } from '../../src/node/store/forest.ts';
import { withWriteLog } from '../../src/node/store/write-log.ts';
import type { Storage } from '../../src/ports/storage.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';

const forests = suite('Merkle trees on disk');

const PARTITIONS = 3;

const opened = (): { storage: Storage; commit(forest: Forest): void } => {
  const world = new WorldClock();
  const disk = new SimDisk().open(new LifeClock(world), randomStream(1, 'disk'));
  const storage = withWriteLog(disk, nodeDigest);
  const commit = (forest: Forest): void => {
    storage.commit(forest.takeOps(), ({ type }) => assert.equal(type, 'durable'));
    world.advance(100);
  };
  return { storage, commit };
};

const leavesIn = (forest: Forest): readonly string[] =>
  Array.from({ length: PARTITIONS }, (_, partition) => {
    const tree = forest.tree(partitionId(partition));
    const leaves = Array.from({ length: LEAVES }, (_, leaf) => tree.leafAt(leaf));
    return `${tree.root} ${leaves.join()}`;
  });

const change = fc.record({
  partition: fc.nat(PARTITIONS - 1),
  leaf: fc.nat(LEAVES - 1),
  hash: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});
const commits = fc.array(fc.array(change, { maxLength: 400 }), { maxLength: 12 });

forests('read back after any commits are what they were, and go on from there', () => {
  fc.assert(
    fc.property(commits, fc.nat(11), (story, reopenAt) => {
      const { storage, commit } = opened();
      let forest = new Forest(storage);
      story.forEach((changes, i) => {
        for (const { partition: at, leaf, hash } of changes) {
          const partition = partitionId(at);
          forest.replace(partition, leaf, forest.tree(partition).leafAt(leaf), hash);
        }
        commit(forest);
        const read = new Forest(storage);
        assert.deepEqual(leavesIn(read), leavesIn(forest));
        if (i === reopenAt) forest = read;
      });
    }),
    { numRuns: 60 },
  );
});

forests('notes do not pile up: each branch is written in its turn', () => {
  const { storage, commit } = opened();
  const forest = new Forest(storage);
  const random = randomStream(7, 'leaves');
  let most = 0;
  for (let i = 0; i < 600; i++) {
    for (let change = 0; change < 40; change++) {
      const partition = partitionId(random.integer(PARTITIONS));
      const hash = BigInt(i * 40 + change + 1);
      const leaf = random.integer(LEAVES);
      forest.replace(partition, leaf, forest.tree(partition).leafAt(leaf) ?? NO_HASH, hash);
    }
    commit(forest);
    most = Math.max(most, storage.range('merkle', { limit: 10_000 }).length);
  }
  // 96 branches, five of them written with each note.
  assert.ok(most <= 96 + 25, `${most} rows`);
});

forests.run();
