/**
 * The same keys on 3, 5, 7 and 9 processes, and as many requests for each: with as many for all of
 * them fewer would share a turn and a frame the more nodes there are. A cluster's nodes also speak when
 * nobody asks them; at a rate far below what they can do that would count as the price of an
 * operation, so it is measured by itself, and what an operation costs is told with it and without.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Echo } from '../cluster/echo.ts';
import { Nodes } from '../cluster/nodes.ts';
import { LoadGenerator } from '../cluster/load.ts';
import { rounded } from '../support/processes.ts';
import { CONNECTIONS, IN_FLIGHT, inTurns, middle, restCosts, warmedUp } from './cost.ts';
import type { Bench, Case, Cluster, Sample } from './cost.ts';

export type NodesOptions = {
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly rate: number;
  /** Of each kind, for every three nodes: each process has to compile for itself. */
  readonly warmOperations: number;
  readonly restSeconds: number;
  /** One cluster after the other: fewer processes share the machine, and it may change meanwhile. */
  readonly alone: boolean;
};

/** So many clusters, all asked at once, of which one is looked at. */
type Layout = { readonly nodes: number; readonly clusters: number };

export type AtSize = Layout & {
  /** CPU of each node, ms a second. */
  readonly restMs: number;
  readonly samples: readonly Sample[];
};

/** What has to settle after load: flushes, lingering coordinators, the collector. */
const SETTLE_MS = 10_000;

const casesOf = (rate: number): readonly Case[] => [
  { name: 'get, closed', workload: 'get', pace: 'closed' },
  { name: 'put dw=0, closed', workload: 'put', dw: 0, pace: 'closed' },
  { name: 'put dw=1, closed', workload: 'put', dw: 1, pace: 'closed' },
  { name: `get, ${rate}/s`, workload: 'get', pace: rate },
  { name: `put dw=0, ${rate}/s`, workload: 'put', dw: 0, pace: rate },
];

/** Whoever knows the owners asks one of them: no more messages, however many other nodes there are. */
const BY_AN_OWNER: readonly Case[] = [
  { name: 'get by an owner, closed', workload: 'get', pace: 'closed' },
  { name: 'put dw=0 by an owner, closed', workload: 'put', dw: 0, pace: 'closed' },
];
/** With a connection to every node each: as many sockets for a node as by way of any. */
const CLIENTS_OF_OWNERS = CONNECTIONS / 3;

type Sized = Cluster & {
  readonly nodes: Nodes;
  readonly layout: Layout;
  readonly neighbours: readonly Sized[];
  readonly samples: Sample[];
};

/** With its neighbours. */
const allOf = (cluster: Sized): readonly Sized[] => [cluster, ...cluster.neighbours];

export const byNodes = async (
  echo: Echo,
  common: Omit<Bench, 'generator'>,
  options: NodesOptions,
): Promise<readonly AtSize[]> => {
  const { sizes } = options;
  const sets = options.alone ? sizes.map((size) => [size]) : [sizes];
  const found: AtSize[] = [];
  for (const set of sets) found.push(...(await sideBySide(echo, common, options, set)));
  return found;
};

const sideBySide = async (
  echo: Echo,
  common: Omit<Bench, 'generator'>,
  options: NodesOptions,
  sizes: readonly number[],
): Promise<readonly AtSize[]> => {
  const clusters: Sized[] = [];
  try {
    for (const nodes of sizes) {
      clusters.push(await opened(common, nodes));
      await warm(clusters.at(-1)!, options);
      common.tell(`${nodes} nodes are warm`);
    }
    // How much of what more nodes cost is that more processes share the machine? The smallest cluster
    // tells, among others like it that are as busy: together as many processes as the largest has.
    const least = Math.min(...options.sizes);
    const among = Math.round(Math.max(...options.sizes) / least);
    const smallest = clusters.find(({ layout }) => layout.nodes === least);
    if (smallest !== undefined && among > 1) {
      const neighbours: Sized[] = [];
      const layout = { nodes: least, clusters: among };
      clusters.push({ ...smallest, layout, neighbours, samples: [] });
      while (neighbours.length < among - 1) {
        neighbours.push(await opened(common, least));
        await warm(neighbours.at(-1)!, options);
      }
      common.tell(`${nameOf(layout)} are warm`);
    }
    const keep = ({ samples, layout }: Sized, sample: Sample): void => {
      samples.push(sample);
      common.tell(JSON.stringify({ ...layout, ...sample }));
    };
    await inTurns(echo, clusters, casesOf(options.rate), options.rounds, keep);
    for (const each of clusters.flatMap(allOf)) await askOwners(each, options);
    await inTurns(echo, clusters, BY_AN_OWNER, options.rounds, keep);
    await pause(SETTLE_MS);
    const rest = await restCosts(clusters, options.restSeconds);
    return clusters.map(({ layout, samples }, i) => ({ ...layout, restMs: rest[i]!, samples }));
  } finally {
    for (const { bench, nodes } of clusters.flatMap(allOf)) {
      // The smallest is there twice; ending it again does nothing.
      await bench.generator.close();
      await nodes.stop();
    }
  }
};

const opened = async (common: Omit<Bench, 'generator'>, size: number): Promise<Sized> => {
  const nodes = await Nodes.start({ nodes: size });
  const inFlight = (IN_FLIGHT * size) / 3;
  const bench = { ...common, inFlight, generator: new LoadGenerator() };
  await bench.generator.open(nodes.addresses, (CONNECTIONS * size) / 3);
  await bench.generator.fill(common.keys, common.valueBytes);
  const layout = { nodes: size, clusters: 1 };
  return { bench, pids: () => nodes.pids, nodes, layout, neighbours: [], samples: [] };
};

const warm = async (
  { bench, layout }: Sized,
  { rate, warmOperations }: NodesOptions,
): Promise<void> => {
  const operations = (warmOperations * layout.nodes) / 3;
  for (const each of casesOf(rate).slice(0, 2)) await warmedUp(bench, each, operations);
};

/** By the same generator, which knows the newest context of every key. */
const askOwners = async (
  { bench, nodes, layout }: Sized,
  { warmOperations }: NodesOptions,
): Promise<void> => {
  await bench.generator.open(nodes.addresses, CLIENTS_OF_OWNERS, 'owner');
  const operations = (warmOperations * layout.nodes) / 3 / 4;
  for (const each of BY_AN_OWNER) await warmedUp(bench, each, operations);
};

const nameOf = ({ nodes, clusters }: Layout): string =>
  clusters === 1 ? `${nodes} nodes` : `${clusters} × ${nodes} nodes`;

export const rowsByNodes = (found: readonly AtSize[]): object[] => {
  const alone = found.filter(({ clusters }) => clusters === 1);
  const crowded = found.find(({ clusters }) => clusters > 1);
  const [first, last] = [alone[0], alone.at(-1)];
  if (first === undefined || last === undefined) return [];
  const names = [...new Set(first.samples.map(({ name }) => name))];
  return names.map((name) => {
    const of = ({ samples }: AtSize) => samples.filter((sample) => sample.name === name);
    const whole = (at: AtSize): number => middle(of(at), ({ echoes }) => echoes, 1);
    const own = (at: AtSize): number =>
      middle(of(at), (each) => each.echoes - restEchoes(each, at), 1);
    return {
      operation: name,
      ...Object.fromEntries(found.map((at) => [nameOf(at), own(at)])),
      growth: rounded(own(last) / own(first), 2),
      'with rest': rounded(whole(last) / whole(first), 2),
      'of as many processes': crowded === undefined ? '' : rounded(own(last) / own(crowded), 2),
    };
  });
};

/** What the nodes would have spent anyway while the operation lasted, for each operation. */
const restEchoes = ({ perSecond, echoMicroseconds }: Sample, { nodes, restMs }: AtSize): number =>
  (restMs * 1000 * nodes) / perSecond / echoMicroseconds;

export const restRows = (found: readonly AtSize[]): object[] =>
  found.map(({ nodes, clusters, restMs }) => ({
    nodes: nameOf({ nodes, clusters }),
    'ms of CPU a node and second at rest': restMs,
    'all of a cluster': rounded(restMs * nodes, 1),
  }));
