/**
 * What one node process and two reach on this machine. One process runs its requests on one core;
 * several with the host as their zone use more, and no two copies of a key lie on one host. N = 1, so
 * that every request is one process's work and the second process adds room and no copies. The load
 * generator needs a core, too: what it and the servers take is told beside the rate.
 */
import { connect } from '../../src/client/index.ts';
import { ownersOf } from '../../src/cli/ring.ts';
import { LoadGenerator } from '../cluster/load.ts';
import { failuresIn } from '../cluster/jobs.ts';
import { Nodes } from '../cluster/nodes.ts';
import { cpuSoFar, loadAverage, median, rounded } from '../support/processes.ts';
import { CONNECTIONS, jobOf, warmedUp } from './cost.ts';
import type { Bench, Case } from './cost.ts';

export type AtProcesses = {
  readonly processes: number;
  readonly round: number;
  readonly name: string;
  readonly perSecond: number;
  /** Cores in the mean. */
  readonly serverCores: number;
  readonly generatorCores: number;
  readonly failed: number;
  readonly loadAverage: number;
};

const PROCESSES = [1, 2];
const CASES: readonly Case[] = [
  { name: 'get', workload: 'get', pace: 'closed' },
  { name: 'put dw=0', workload: 'put', dw: 0, pace: 'closed' },
  { name: 'put dw=1', workload: 'put', dw: 1, pace: 'closed' },
];

export const byProcesses = async (
  common: Omit<Bench, 'generator'>,
  rounds: number,
  warmOperations: number,
): Promise<readonly AtProcesses[]> => {
  const found: AtProcesses[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const processes of round % 2 === 0 ? PROCESSES : [...PROCESSES].reverse()) {
      found.push(...(await atProcesses(common, processes, round, warmOperations)));
    }
  }
  return found;
};

const atProcesses = async (
  common: Omit<Bench, 'generator'>,
  processes: number,
  round: number,
  warmOperations: number,
): Promise<readonly AtProcesses[]> => {
  const zones = Array.from({ length: processes }, () => 'this-host');
  const nodes = await Nodes.start({ nodes: processes, zones, settings: { COTERIE_N: '1' } });
  const generator = new LoadGenerator();
  const bench = { ...common, generator };
  const found: AtProcesses[] = [];
  try {
    // The client knows the owner of a key: no request crosses from one process to the other.
    await generator.open(nodes.addresses, CONNECTIONS, 'client');
    await generator.fill(bench.keys, bench.valueBytes);
    for (const each of CASES) await warmedUp(bench, each, warmOperations * processes);
    for (const each of CASES) {
      const pids = [nodes.pids, [generator.pid]];
      const spent = () => pids.map((some) => cpuSoFar(some).seconds);
      let before = spent();
      const run = await generator.run(jobOf(bench, each, 2 + round), () => (before = spent()));
      const cores = spent().map((seconds, i) => (seconds - before[i]!) / run.seconds);
      found.push({
        ...{ processes, round, name: each.name, perSecond: Math.round(run.perSecond) },
        ...{ serverCores: rounded(cores[0]!, 2), generatorCores: rounded(cores[1]!, 2) },
        ...{ failed: failuresIn(run), loadAverage: rounded(loadAverage(), 1) },
      });
      common.tell(JSON.stringify(found.at(-1)));
    }
  } finally {
    await generator.close();
    await nodes.stop();
  }
  return found;
};

export const rowsByProcesses = (found: readonly AtProcesses[]): object[] =>
  CASES.map(({ name }) => {
    const at = (processes: number): readonly AtProcesses[] =>
      found.filter((each) => each.name === name && each.processes === processes);
    const [one, two] = PROCESSES.map((processes) => ({
      perSecond: median(at(processes).map(({ perSecond }) => perSecond)),
      server: rounded(median(at(processes).map(({ serverCores }) => serverCores)), 2),
      generator: rounded(median(at(processes).map(({ generatorCores }) => generatorCores)), 2),
    }));
    return {
      operation: name,
      'one process, a second': one!.perSecond,
      'cores of it, of the generator': `${one!.server}, ${one!.generator}`,
      'two processes': two!.perSecond,
      'cores of them, of the generator': `${two!.server}, ${two!.generator}`,
      'of one': rounded(two!.perSecond / one!.perSecond, 2),
      'for each core of the servers': rounded(
        two!.perSecond / two!.server / (one!.perSecond / one!.server),
        2,
      ),
    };
  });

/** Three hosts of two processes each: partitions with two copies on one host, which should be none. */
export const sharedHosts = async (): Promise<{
  readonly partitions: number;
  readonly shared: number;
}> => {
  const zones = ['h1', 'h1', 'h2', 'h2', 'h3', 'h3'];
  const nodes = await Nodes.start({ nodes: zones.length, zones });
  const client = connect(nodes.addresses[0]!);
  try {
    const { owners } = await ownersOf(client);
    const hostOf = (id: string): string | undefined => zones[Number(id.slice(1)) - 1];
    const shared = owners.filter(
      (each) => new Set(each.owners.map(hostOf)).size < each.owners.length,
    );
    return { partitions: owners.length, shared: shared.length };
  } finally {
    await client.close();
    await nodes.stop();
  }
};
