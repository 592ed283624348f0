/** Fig. 6: the share of nodes out of balance, against the load. */
import { byPartitions, byTokens } from '../../src/core/strategies.ts';
import { nodeId } from '../../src/core/ids.ts';
import { creationEvent } from '../../src/core/members.ts';
import { placeHistory } from '../../src/core/placement.ts';
import type { Section } from '../support/page.ts';
import { rounded } from '../support/processes.ts';
import { seeded } from '../support/random.ts';

const NODES = 30;
const N = 3;
const TOKENS = 100;
const PARTITIONS = 256;
/** Keys that many ask for when load is at its peak; at an eighth of the load an eighth of them. */
const POPULAR_AT_PEAK = 8000;
const LOADS = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1] as const;
const OUT_OF_BALANCE = 0.15;

export type Fig6Row = {
  readonly load: number;
  readonly popularKeys: number;
  /** Shares of nodes whose load is 15 % or more from the mean. */
  readonly tokens: number;
  readonly partitions: number;
  readonly ours: number;
};

type Owners = (position: number) => readonly number[];

export const figure6 = (rounds = 48): readonly Fig6Row[] =>
  LOADS.map((load) => {
    const popularKeys = Math.round(POPULAR_AT_PEAK * load);
    const share = (owners: (seed: number) => Owners): number => {
      let out = 0;
      for (let round = 0; round < rounds; round++) {
        out += outOfBalance(owners(round % 8), popularKeys, seeded(round * 31 + popularKeys));
      }
      return out / (rounds * NODES);
    };
    return {
      ...{ load, popularKeys },
      tokens: share(tokenRing),
      partitions: share(partitionRing),
      ours: share(() => OURS),
    };
  });

/** Popular keys fall anywhere on the ring; each brings its owners the same load. */
const outOfBalance = (owners: Owners, keys: number, chance: () => number): number => {
  const loads = new Array<number>(NODES).fill(0);
  for (let key = 0; key < keys; key++) for (const node of owners(chance())) loads[node]! += 1;
  const mean = (keys * N) / NODES;
  return loads.filter((load) => Math.abs(load - mean) >= OUT_OF_BALANCE * mean).length;
};

const cached = (make: (seed: number) => Owners): ((seed: number) => Owners) => {
  const known = new Map<number, Owners>();
  return (seed) => {
    const found = known.get(seed) ?? make(seed);
    known.set(seed, found);
    return found;
  };
};

const tokenRing = cached((seed) => {
  const ranges = byTokens(NODES, N, TOKENS, seeded(seed + 1));
  const ends: number[] = [];
  // The first range wraps around: its owners also have what lies beyond the last token.
  let at = 0;
  const first = ranges[0]!;
  const chance = seeded(seed + 1);
  const tokens = Array.from({ length: NODES * TOKENS }, () => chance()).sort((a, b) => a - b);
  for (const token of tokens) ends.push((at = token));
  return (position) => {
    if (position > at) return first.owners;
    let low = 0;
    let high = ends.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle]! < position) low = middle + 1;
      else high = middle;
    }
    return ranges[low]!.owners;
  };
});

const partitionRing = cached((seed) => {
  const ranges = byPartitions(NODES, N, PARTITIONS, seeded(seed + 1));
  return (position) => ranges[Math.floor(position * PARTITIONS)]!.owners;
});

const OURS: Owners = (() => {
  const founders = Array.from({ length: NODES }, (_, i) => ({
    ...{ id: nodeId(`n${i}`), zone: 'default', weight: 1 },
  }));
  const event = creationEvent({ clusterName: 'bench', n: N, partitions: PARTITIONS, founders });
  const table = placeHistory([event])!.table.map((owners) =>
    owners.map((id) => Number(id.slice(1))),
  );
  return (position) => table[Math.floor(position * PARTITIONS)]!;
})();

export const figure6Section = (rows: readonly Fig6Row[]): Section => {
  const line = (name: string, of: (row: Fig6Row) => number) => ({
    name,
    points: rows.map((row) => [row.load, of(row)] as const),
  });
  return {
    title: 'Fig. 6: nodes out of balance, against load',
    text:
      'The paper: at low load (an eighth of the peak) as many as 20 % of the nodes are 15 % or more from the mean load, ' +
      'near the peak about 10 %, because more popular keys are asked for when load is high, and they spread evenly.\n\n' +
      `Ours: ${NODES} nodes, N = ${N}; the number of equally popular keys grows with the load, to ` +
      `${POPULAR_AT_PEAK} at the peak. The paper does not say how many keys were popular, nor how popular, so only the ` +
      'direction and the order of the strategies can be compared: chance alone, with popular keys in proportion to load, ' +
      'makes the slope steeper than the figure.',
    plots: [
      {
        title: 'Share of nodes 15 % or more from the mean',
        x: 'load (1 is the peak)',
        y: 'share of nodes',
        fromY: 0,
        lines: [
          line(`strategy 1, ${TOKENS} tokens`, ({ tokens }) => tokens),
          line(`strategy 3, Q = ${PARTITIONS}`, ({ partitions }) => partitions),
          line(`ours, Q = ${PARTITIONS}`, ({ ours }) => ours),
          {
            name: 'paper',
            style: 'dashed',
            points: [
              [0.125, 0.2],
              [1, 0.1],
            ],
          },
        ],
      },
    ],
    tables: [
      {
        title: 'Share of nodes out of balance',
        rows: rows.map((row) => ({
          load: row.load,
          'popular keys': row.popularKeys,
          'strategy 1': rounded(row.tokens, 3),
          'strategy 3': rounded(row.partitions, 3),
          ours: rounded(row.ours, 3),
        })),
      },
    ],
  };
};
