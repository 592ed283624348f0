/**
 * The same keys and the same load on 3, 5, 7 and 9 processes. A cluster's nodes also speak when
 * nobody asks them; at a rate far below what they can do that would count as the price of an
 * operation, so it is measured by itself, and what an operation costs is told with it and without.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Nodes } from '../cluster/nodes.ts';
import { LoadGenerator } from '../cluster/load.ts';
import { loadAverage, rounded } from '../support/processes.ts';
import { CONNECTIONS, middle, restCost, sampleOf, warmedUp } from './cost.ts';
import type { Bench, Case, Sample } from './cost.ts';

export type NodesOptions = {
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly rate: number;
  /** Of each kind, for every three nodes: each process has to compile for itself. */
  readonly warmOperations: number;
  readonly restSeconds: number;
};

export type AtSize = {
  readonly nodes: number;
  readonly round: number;
  readonly loadAverage: number;
  /** CPU of each node, ms a second. */
  readonly restMs: number;
  readonly samples: readonly Sample[];
};

/** What has to settle after load: flushes, lingering coordinators, the collector. */
const SETTLE_MS = 5000;

const casesOf = (rate: number): readonly Case[] => {
  const server = { coordination: 'server' } as const;
  const open = `${rate}/s`;
  return [
    { name: 'get, closed', workload: 'get', pace: 'closed', ...server },
    { name: 'put dw=0, closed', workload: 'put', dw: 0, pace: 'closed', ...server },
    { name: 'put dw=1, closed', workload: 'put', dw: 1, pace: 'closed', ...server },
    { name: `get, ${open}`, workload: 'get', pace: rate, ...server },
    { name: `put dw=0, ${open}`, workload: 'put', dw: 0, pace: rate, ...server },
    { name: 'get by the client, closed', workload: 'get', pace: 'closed', coordination: 'client' },
  ];
};

export const byNodes = async (
  bench: Omit<Bench, 'generator'>,
  options: NodesOptions,
): Promise<readonly AtSize[]> => {
  const found: AtSize[] = [];
  for (let round = 0; round < options.rounds; round++) {
    // There and back, so that a machine that grows slower does not grow with the cluster.
    const sizes = round % 2 === 0 ? options.sizes : [...options.sizes].reverse();
    for (const size of sizes) {
      found.push(await atSize(bench, options, size, round));
      bench.tell(JSON.stringify(found.at(-1)));
    }
  }
  return found;
};

const atSize = async (
  common: Omit<Bench, 'generator'>,
  { rate, warmOperations, restSeconds }: NodesOptions,
  size: number,
  round: number,
): Promise<AtSize> => {
  const nodes = await Nodes.start({ nodes: size });
  const bench = { ...common, generator: new LoadGenerator() };
  try {
    await bench.generator.open(nodes.addresses, CONNECTIONS);
    await bench.generator.fill(bench.keys, bench.valueBytes);
    const cases = casesOf(rate);
    const operations = (warmOperations * size) / 3;
    for (const each of cases.slice(0, 2)) await warmedUp(bench, each, operations);
    const samples: Sample[] = [];
    for (const each of cases) {
      if (each.coordination === 'client') {
        await bench.generator.open(nodes.addresses, CONNECTIONS, 'client');
        await warmedUp(bench, each, operations / 2);
      }
      const seed = 2 + samples.length;
      samples.push(await sampleOf(bench, nodes.pids, each, seed));
    }
    await pause(SETTLE_MS);
    const restMs = await restCost(nodes.pids, restSeconds);
    return { nodes: size, round, loadAverage: rounded(loadAverage(), 1), restMs, samples };
  } finally {
    await bench.generator.close();
    await nodes.stop();
  }
};

export const rowsByNodes = (found: readonly AtSize[], sizes: readonly number[]): object[] => {
  const names = found[0]?.samples.map(({ name }) => name) ?? [];
  const at = (size: number): readonly AtSize[] => found.filter(({ nodes }) => nodes === size);
  const rest = (size: number): number => middle(at(size), ({ restMs }) => restMs);
  const least = sizes[0]!;
  return names.map((name) => {
    const samples = (size: number): readonly Sample[] =>
      at(size).flatMap((each) => each.samples.filter((sample) => sample.name === name));
    const whole = (size: number): number => middle(samples(size), ({ echoes }) => echoes, 1);
    const own = (size: number): number =>
      middle(samples(size), (each) => each.echoes - restEchoes(each, size, rest(size)), 1);
    const last = sizes.at(-1)!;
    return {
      operation: name,
      ...Object.fromEntries(sizes.map((size) => [`${size} nodes`, own(size)])),
      growth: rounded(own(last) / own(least), 2),
      ...Object.fromEntries(sizes.map((size) => [`${size} with rest`, whole(size)])),
      'growth with rest': rounded(whole(last) / whole(least), 2),
    };
  });
};

/** What the nodes would have spent anyway while the operation lasted, for each operation. */
const restEchoes = (
  { perSecond, echoMicroseconds }: Sample,
  nodes: number,
  restMs: number,
): number => (restMs * 1000 * nodes) / perSecond / echoMicroseconds;

export const restRows = (found: readonly AtSize[], sizes: readonly number[]): object[] =>
  sizes.map((size) => {
    const at = found.filter(({ nodes }) => nodes === size);
    const restMs = middle(at, (each) => each.restMs);
    return {
      nodes: size,
      'ms of CPU a node and second at rest': restMs,
      'all nodes': rounded(restMs * size, 1),
      'load average': middle(at, (each) => each.loadAverage, 1),
    };
  });
