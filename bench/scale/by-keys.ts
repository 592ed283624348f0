/** The same load on three nodes with 10,000, 100,000, … keys, chosen at random among all of them. */
import { LoadGenerator } from '../cluster/load.ts';
import { diskReads, loadAverage, rounded } from '../support/processes.ts';
import { CONNECTIONS, middle, sampleOf, warmedUp } from './cost.ts';
import type { Bench, Case, Sample } from './cost.ts';
import { cluster } from './directories.ts';
import type { Filled } from './directories.ts';

export type AtKeys = {
  readonly keys: number;
  readonly round: number;
  readonly loadAverage: number;
  /** Pages of the data files that were read from disk while it was measured, all nodes. */
  readonly pagesRead: number;
  readonly get: Sample;
  readonly getAndPut: Sample;
};

const GET: Case = { name: 'get', workload: 'get', pace: 'closed', coordination: 'server' };
/** A put that knows what it replaces, as an application's does: of so many keys few were read before. */
const BOTH: Case = { ...GET, name: 'get and put', workload: 'getAndPut', dw: 0 };

export const byKeys = async (
  common: Omit<Bench, 'generator' | 'keys'>,
  directories: readonly Filled[],
  rounds: number,
  warmOperations: number,
): Promise<readonly AtKeys[]> => {
  const found: AtKeys[] = [];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? directories : [...directories].reverse();
    for (const { keys, dir } of order) {
      const nodes = await cluster(dir);
      const bench = { ...common, keys, generator: new LoadGenerator() };
      try {
        await bench.generator.open(nodes.addresses, CONNECTIONS);
        await warmedUp(bench, GET, warmOperations);
        await warmedUp(bench, BOTH, warmOperations);
        const before = diskReads(nodes.pids);
        const get = await sampleOf(bench, nodes.pids, GET, 2 + round);
        const getAndPut = await sampleOf(bench, nodes.pids, BOTH, 102 + round);
        const pagesRead = diskReads(nodes.pids) - before;
        const load = rounded(loadAverage(), 1);
        found.push({ keys, round, loadAverage: load, pagesRead, get, getAndPut });
      } finally {
        await bench.generator.close();
        await nodes.stop();
      }
      common.tell(JSON.stringify(found.at(-1)));
    }
  }
  return found;
};

export const rowsByKeys = (found: readonly AtKeys[], directories: readonly Filled[]): object[] => {
  const costs = directories.map(({ keys, fileMb }) => {
    const at = found.filter((each) => each.keys === keys);
    const get = middle(at, (each) => each.get.echoes, 1);
    const put = middle(at, (each) => each.getAndPut.echoes - each.get.echoes, 1);
    const pages = middle(at, ({ pagesRead }) => pagesRead, 0);
    return { keys, fileMb, get, put, pages, load: middle(at, (each) => each.loadAverage, 1) };
  });
  const [least] = costs;
  return costs.map(({ keys, fileMb, get, put, pages, load }) => ({
    ...{ keys, 'MB of a node': fileMb, 'get, echoes': get },
    'of the first': rounded(get / least!.get, 2),
    'put, echoes': put,
    'of the first ': rounded(put / least!.put, 2),
    'pages read from disk': pages,
    'load average': load,
  }));
};
