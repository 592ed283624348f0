/** The same load on three nodes with 10,000, 100,000, … keys, chosen at random among all of them. */
import type { Echo } from '../cluster/echo.ts';
import { LoadGenerator } from '../cluster/load.ts';
import type { Nodes } from '../cluster/nodes.ts';
import { diskReads, rounded } from '../support/processes.ts';
import { CONNECTIONS, inTurns, middle, warmedUp } from './cost.ts';
import type { Bench, Case, Cluster, Sample } from './cost.ts';
import { cluster } from './directories.ts';
import type { Filled } from './directories.ts';

export type AtKeys = {
  readonly keys: number;
  readonly fileMb: number;
  /** Pages of the data files that were read from disk while it was measured, all nodes. */
  readonly pagesRead: number;
  readonly samples: readonly Sample[];
};

const GET: Case = { name: 'get', workload: 'get', pace: 'closed' };
/** A put that knows what it replaces, as an application's does: of so many keys few were read before. */
const BOTH: Case = { name: 'get and put', workload: 'getAndPut', dw: 0, pace: 'closed' };

type Opened = Cluster & {
  readonly nodes: Nodes;
  readonly of: Filled;
  readonly samples: Sample[];
};

export const byKeys = async (
  echo: Echo,
  common: Omit<Bench, 'generator' | 'keys'>,
  directories: readonly Filled[],
  rounds: number,
  warmOperations: number,
): Promise<readonly AtKeys[]> => {
  const clusters: Opened[] = [];
  try {
    for (const of of directories) {
      const nodes = await cluster(of.dir);
      const bench = { ...common, keys: of.keys, generator: new LoadGenerator() };
      clusters.push({ bench, pids: () => nodes.pids, nodes, of, samples: [] });
      await bench.generator.open(nodes.addresses, CONNECTIONS);
      await warmedUp(bench, GET, warmOperations);
      await warmedUp(bench, BOTH, warmOperations);
      common.tell(`${of.keys} keys are warm`);
    }
    const before = clusters.map(({ pids }) => diskReads(pids()));
    await inTurns(echo, clusters, [GET, BOTH], rounds, ({ samples, of }, sample) => {
      samples.push(sample);
      common.tell(JSON.stringify({ keys: of.keys, ...sample }));
    });
    return clusters.map(({ of, samples, pids }, i) => ({
      ...{ keys: of.keys, fileMb: of.fileMb, pagesRead: diskReads(pids()) - before[i]!, samples },
    }));
  } finally {
    for (const { bench, nodes } of clusters) {
      await bench.generator.close();
      await nodes.stop();
    }
  }
};

export const rowsByKeys = (found: readonly AtKeys[]): object[] => {
  const costs = found.map(({ samples, ...at }) => {
    const echoes = (wanted: Case): number =>
      middle(
        samples.filter(({ name }) => name === wanted.name),
        (each) => each.echoes,
      );
    return { ...at, get: echoes(GET), put: echoes(BOTH) - echoes(GET) };
  });
  const [least] = costs;
  return costs.map(({ keys, fileMb, get, put, pagesRead }) => ({
    ...{ keys, 'MB of a node': fileMb, 'get, echoes': rounded(get, 1) },
    'of the first': rounded(get / least!.get, 2),
    'put, echoes': rounded(put, 1),
    'of the first ': rounded(put / least!.put, 2),
    'pages read from disk': pagesRead,
  }));
};
