/** The paper's three strategies (§ 6.2): whole rings, N distinct owners, and the figure's numbers. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import {
  byPartitions,
  byTokens,
  byTokensAndPartitions,
  efficiencyOf,
  loadsOf,
} from '../../src/core/strategies.ts';

const strategies = suite('strategies');

/** A small generator of chance, seeded. */
const chanceOf = (seed: number) => () =>
  ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 8) / 2 ** 24;

strategies('divide the whole ring, every range among N distinct nodes', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 3, max: 9 }), fc.nat(6), (seed, nodes, more) => {
      const chance = chanceOf(seed);
      for (const ranges of [
        byTokens(nodes, 3, more + 1, chance),
        byTokensAndPartitions(nodes, 3, more + 1, 64, chance),
        byPartitions(nodes, 3, nodes * (more + 1), chance),
      ]) {
        const whole = ranges.reduce((sum, { share }) => sum + share, 0);
        assert.ok(Math.abs(whole - 1) < 1e-9, `${whole}`);
        for (const { share, owners } of ranges) {
          assert.ok(share >= 0);
          assert.equal(new Set(owners).size, 3);
        }
        const total = loadsOf(ranges, nodes).reduce((sum, load) => sum + load, 0);
        assert.ok(Math.abs(total - 3) < 1e-9);
      }
    }),
  );
});

strategies('a partition belongs to the node whose token comes next after its end', () => {
  // One node has its token at 0.25, the other at 0.75; the first of four partitions ends at 0.25.
  const tokens = [0.25, 0.75];
  const ranges = byTokensAndPartitions(2, 1, 1, 4, () => tokens.shift()!);
  assert.deepEqual(
    ranges.map(({ owners }) => owners[0]),
    [0, 1, 1, 0],
  );
});

strategies('equal partitions come closest to equal loads (Fig. 8, 960 units)', () => {
  const mean = (plan: (chance: () => number) => ReturnType<typeof byTokens>): number => {
    const runs = Array.from({ length: 20 }, (_, seed) =>
      efficiencyOf(loadsOf(plan(chanceOf(seed + 1)), 30)),
    );
    return runs.reduce((sum, run) => sum + run, 0) / runs.length;
  };
  const found = [
    mean((chance) => byTokens(30, 3, 32, chance)),
    mean((chance) => byTokensAndPartitions(30, 3, 32, 1000, chance)),
    mean((chance) => byPartitions(30, 3, 960, chance)),
  ];
  [0.82, 0.82, 0.94].forEach((paper, i) =>
    assert.ok(Math.abs(found[i]! - paper) < 0.03, `strategy ${i + 1}: ${found[i]}`),
  );
});

strategies.run();
