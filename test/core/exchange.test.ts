/** The walk of an exchange as a value: what it asks, how it goes down, and that it ends. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { descend, differencesOf, repairing, stepDone, walkOver } from '../../src/core/exchange.ts';
import type { Difference, Walk } from '../../src/core/exchange.ts';
import { keyOfText, partitionId } from '../../src/core/ids.ts';
import type { Key } from '../../src/core/ids.ts';
import { BRANCHES, LEAVES, LEAVES_PER_BRANCH } from '../../src/core/merkle.ts';

const exchange = suite('the walk of an exchange');

const P = partitionId(3);
const hashes = (count: number, ...different: readonly number[]): bigint[] =>
  Array.from({ length: count }, (_, i) => (different.includes(i) ? 1n : 7n));
const differing = (count: number): readonly Difference[] =>
  Array.from({ length: count }, (_, i) => ({
    key: keyOfText(`${i}`),
    ours: 1n,
    theirs: undefined,
  }));
const last = (walk: Walk) => walk.at(-1);

exchange('it goes down only where hashes differ, and settles the partition in the end', () => {
  let walk = walkOver([{ partition: P, oneSideEmpty: false }]);
  assert.deepEqual(last(walk), { type: 'branches', partition: P });
  walk = descend(walk, hashes(BRANCHES), hashes(BRANCHES, 4));
  assert.deepEqual(last(walk), { type: 'leaves', partition: P, branch: 4 });
  walk = descend(walk, hashes(LEAVES_PER_BRANCH), hashes(LEAVES_PER_BRANCH, 0, 31));
  const leaves = [4 * LEAVES_PER_BRANCH, 4 * LEAVES_PER_BRANCH + 31];
  assert.deepEqual(last(walk), { type: 'records', partition: P, leaves });
  walk = repairing(walk, differing(2), 2);
  assert.deepEqual(last(walk), { type: 'repair', partition: P, differences: differing(2) });
  walk = stepDone(walk);
  assert.deepEqual(walk, [{ type: 'settled', partition: P }]);
});

exchange(
  'where most branches differ, one that fills itself asks for all their leaves at once',
  () => {
    const walk = walkOver([{ partition: P, oneSideEmpty: false }]);
    const most = Array.from({ length: BRANCHES - 1 }, (_, branch) => branch + 1);
    const asked = descend(walk, hashes(BRANCHES), hashes(BRANCHES, ...most), 'wholesale');
    const leaves = Array.from(
      { length: LEAVES - LEAVES_PER_BRANCH },
      (_, i) => i + LEAVES_PER_BRANCH,
    );
    assert.deepEqual(asked.slice(1), [{ type: 'records', partition: P, leaves }]);
    const few = descend(walk, hashes(BRANCHES), hashes(BRANCHES, 4), 'wholesale');
    assert.deepEqual(last(few), { type: 'leaves', partition: P, branch: 4 });
  },
);

exchange('leaves that did not fit an answer are asked for again, after the repairs', () => {
  let walk = walkOver([{ partition: P, oneSideEmpty: true }]);
  const first = last(walk);
  assert.ok(first?.type === 'records' && first.leaves.length === LEAVES);
  walk = repairing(walk, differing(300), 1000);
  const kinds = walk.map((step) => (step.type === 'repair' ? step.differences.length : step.type));
  assert.deepEqual(kinds, ['settled', 'records', 128, 128, 44]);
  walk = stepDone(stepDone(stepDone(walk)));
  const rest = last(walk);
  assert.ok(rest?.type === 'records');
  assert.deepEqual([rest.leaves[0], rest.leaves.length], [1000, 24]);
  assert.deepEqual(repairing(walk, [], 24), [{ type: 'settled', partition: P }]);
});

exchange('differences are found from both sides', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(keyOfText) as [Key, Key, Key, Key];
  const found = differencesOf(
    new Map([
      [a, 1n],
      [b, 2n],
      [c, 3n],
    ]),
    new Map([
      [a, 1n],
      [b, 5n],
      [d, 4n],
    ]),
  );
  assert.deepEqual(found, [
    { key: b, ours: 2n, theirs: 5n },
    { key: c, ours: 3n, theirs: undefined },
    { key: d, ours: undefined, theirs: 4n },
  ]);
});

exchange.run();
