/**
 * The three ways to divide the ring of the paper's § 6.2, as pure planners: who owns which share of
 * the keys. The cluster runs none of them literally (placement.ts refines the third); they are here
 * to be compared and to teach.
 *
 *   1   T random tokens a node; a range ends at each token and belongs to the nodes after it
 *   2   T random tokens a node, Q equal partitions; a partition belongs to the nodes after its end
 *   3   Q equal partitions, Q/S of them a node, dealt out at random; owners follow around the ring
 */

/** A part of the ring: its share of all keys (0 to 1), and the N nodes that own it, by number. */
export type Range = { readonly share: number; readonly owners: readonly number[] };

/** Numbers in [0, 1). */
type Chance = () => number;

type Token = { readonly at: number; readonly node: number };

const randomTokens = (nodes: number, each: number, chance: Chance): Token[] =>
  Array.from({ length: nodes * each }, (_, i) => ({ at: chance(), node: i % nodes })).sort(
    (a, b) => a.at - b.at,
  );

/** The first `n` distinct nodes of a circle of nodes, from a place on. */
const successors = (circle: readonly number[], from: number, n: number): readonly number[] => {
  const owners: number[] = [];
  for (let step = 0; step < circle.length && owners.length < n; step++) {
    const node = circle[(from + step) % circle.length]!;
    if (!owners.includes(node)) owners.push(node);
  }
  return owners;
};

/** Strategy 1: partitioning and placement by the same tokens. */
export const byTokens = (nodes: number, n: number, each: number, chance: Chance): Range[] => {
  const tokens = randomTokens(nodes, each, chance);
  const circle = tokens.map(({ node }) => node);
  return tokens.map(({ at }, i) => ({
    share: i === 0 ? at + 1 - tokens.at(-1)!.at : at - tokens[i - 1]!.at,
    owners: successors(circle, i, n),
  }));
};

/** Strategy 2: equal partitions, placed by tokens. */
export const byTokensAndPartitions = (
  nodes: number,
  n: number,
  each: number,
  partitions: number,
  chance: Chance,
): Range[] => {
  const tokens = randomTokens(nodes, each, chance);
  const circle = tokens.map(({ node }) => node);
  let next = 0;
  return Array.from({ length: partitions }, (_, partition) => {
    const end = (partition + 1) / partitions;
    while (next < tokens.length && tokens[next]!.at < end) next += 1;
    return { share: 1 / partitions, owners: successors(circle, next % tokens.length, n) };
  });
};

/** Strategy 3: equal partitions, each node the first owner of Q/S of them. */
export const byPartitions = (
  nodes: number,
  n: number,
  partitions: number,
  chance: Chance,
): Range[] => {
  const circle = Array.from({ length: partitions }, (_, i) => i % nodes);
  for (let i = partitions - 1; i > 0; i--) {
    const j = Math.floor(chance() * (i + 1));
    [circle[i], circle[j]] = [circle[j]!, circle[i]!];
  }
  return circle.map((_, partition) => ({
    share: 1 / partitions,
    owners: successors(circle, partition, n),
  }));
};

/** What each node carries if every owner of a range serves all of its keys; the sum is N. */
export const loadsOf = (ranges: readonly Range[], nodes: number): number[] => {
  const loads = new Array<number>(nodes).fill(0);
  for (const { share, owners } of ranges) {
    for (const owner of owners) loads[owner] = loads[owner]! + share;
  }
  return loads;
};

/** § 6.2: mean load over the greatest; 1 is perfect. */
export const efficiencyOf = (loads: readonly number[]): number =>
  loads.reduce((sum, load) => sum + load, 0) / loads.length / Math.max(...loads);
