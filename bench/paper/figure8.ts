/** Fig. 8: how evenly the three strategies spread load, for how much metadata; and ours. */
import { nodeId } from '../../src/core/ids.ts';
import { creationEvent } from '../../src/core/members.ts';
import { placeHistory } from '../../src/core/placement.ts';
import {
  byPartitions,
  byTokens,
  byTokensAndPartitions,
  efficiencyOf,
  loadsOf,
} from '../../src/core/strategies.ts';
import type { Range } from '../../src/core/strategies.ts';
import type { Section } from '../support/page.ts';
import { rounded } from '../support/processes.ts';
import { seeded } from '../support/random.ts';

const NODES = 30;
const N = 3;
/** Partitions of strategy 2, whatever its tokens. */
const Q2 = 1000;
const RUNS = 20;

/** Read off the figure: units of metadata per node's view, efficiency of strategies 1, 2, 3. */
const PAPER = [
  [60, 0.52, 0.53, 0.86],
  [240, 0.69, 0.7, 0.9],
  [960, 0.82, 0.82, 0.94],
  [3840, 0.91, 0.88, 0.97],
  [30_720, 0.96, 0.84, 0.99],
] as const;

export type Fig8Row = {
  readonly units: number;
  readonly paper: readonly number[];
  readonly measured: readonly number[];
  readonly ours: number;
};

export const figure8 = (runs = RUNS, rows = PAPER.length): readonly Fig8Row[] =>
  PAPER.slice(0, rows).map(([units, ...paper]) => {
    const each = units / NODES;
    const mean = (plan: (chance: () => number) => readonly Range[]): number => {
      let sum = 0;
      for (let seed = 1; seed <= runs; seed++) {
        sum += efficiencyOf(loadsOf(plan(seeded(seed * 7919 + units)), NODES));
      }
      return sum / runs;
    };
    return {
      ...{ units, paper },
      measured: [
        mean((chance) => byTokens(NODES, N, each, chance)),
        mean((chance) => byTokensAndPartitions(NODES, N, each, Q2, chance)),
        mean((chance) => byPartitions(NODES, N, units, chance)),
      ],
      ours: ours(units),
    };
  });

/** Owners as the running cluster places them: the same on every node, so one run is all. */
const ours = (partitions: number): number => {
  const founders = Array.from({ length: NODES }, (_, i) => ({
    ...{ id: nodeId(`n${i}`), zone: 'default', weight: 1 },
  }));
  const placed = placeHistory([
    creationEvent({ clusterName: 'bench', n: N, partitions, founders }),
  ]);
  const ranges = placed!.table.map((owners) => ({
    share: 1 / partitions,
    owners: owners.map((id) => Number(id.slice(1))),
  }));
  return efficiencyOf(loadsOf(ranges, NODES));
};

export const figure8Section = (rows: readonly Fig8Row[]): Section => ({
  title: 'Fig. 8: load-balancing efficiency against metadata',
  text:
    `${NODES} nodes, N = ${N}, every owner serves its whole range; efficiency is the mean load of a node over ` +
    `the greatest. A unit is one token or partition in the map every node keeps. Means of ${RUNS} random rings; ` +
    'ours is the placement that the cluster runs, with as many partitions as there are units.\n\n' +
    'The paper draws strategy 2 falling at its end (0.88 at 3,840 units, 0.84 at 30,720) and does not say why: with ' +
    `Q = ${Q2} fixed, more tokens than partitions cannot help, for a partition has one place only.`,
  plots: [
    {
      title: 'Efficiency (1 is perfect); dashed: the paper',
      x: 'units of metadata',
      y: 'efficiency',
      scaleX: 'log',
      lines: [
        ...[0, 1, 2].map((i) => ({
          name: `strategy ${i + 1}`,
          points: rows.map(({ units, measured }) => [units, measured[i]!] as const),
        })),
        { name: 'ours', points: rows.map((row) => [row.units, row.ours] as const) },
        ...[0, 1, 2].map((i) => ({
          ...{ name: `paper, strategy ${i + 1}`, style: 'dashed' as const },
          points: rows.map(({ units, paper }) => [units, paper[i]!] as const),
        })),
      ],
    },
  ],
  tables: [
    {
      title: 'Paper / measured',
      rows: rows.map(({ units, paper, measured, ours: best }) => ({
        units,
        ...Object.fromEntries(
          paper.map((value, i) => [`strategy ${i + 1}`, `${value} / ${rounded(measured[i]!, 2)}`]),
        ),
        ours: rounded(best, 3),
      })),
    },
  ],
});
