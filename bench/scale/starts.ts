/**
 * How long a node takes to start, and what it does meanwhile, beside how many keys it holds: after a
 * clean stop, and after kill -9 in the middle of writes. The other two nodes run.
 */
import { join } from 'node:path';
import { connect } from '../../src/client/index.ts';
import { keyOf } from '../cluster/jobs.ts';
import { LoadGenerator } from '../cluster/load.ts';
import type { Nodes } from '../cluster/nodes.ts';
import { cpuSoFar, diskReads, loadAverage, mappedMb, rounded } from '../support/processes.ts';
import { CONNECTIONS, jobOf, middle } from './cost.ts';
import type { Bench } from './cost.ts';
import { DATA_FILE, cluster } from './directories.ts';
import type { Filled } from './directories.ts';

export type Start = {
  readonly keys: number;
  readonly after: 'a clean stop' | 'kill -9';
  /** From the spawn of the process until it listens, its storage open and its trees read. */
  readonly listensMs: number;
  /** Until it has answered a get with R = 2. */
  readonly answersMs: number;
  /** Of its CPU by then, ms. */
  readonly cpuMs: number;
  /** Of the data file, what it had touched by then. */
  readonly touchedMb: number;
  readonly pagesRead: number;
  readonly loadAverage: number;
};

const WRITING_SECONDS = 4;
const ANSWER_TIMEOUT_MS = 250;
const ANSWERING_MS_MAX = 60_000;

export const starts = async (
  common: Omit<Bench, 'generator' | 'keys'>,
  directories: readonly Filled[],
  rounds: number,
): Promise<readonly Start[]> => {
  const found: Start[] = [];
  for (const { keys, dir } of directories) {
    const nodes = await cluster(dir);
    const bench = { ...common, keys, generator: new LoadGenerator() };
    const file = join(dir, 'n1', DATA_FILE);
    try {
      await bench.generator.open(nodes.addresses.slice(1), CONNECTIONS);
      for (let round = 0; round < rounds; round++) {
        await written(bench, round);
        await nodes.end(0);
        found.push({ keys, after: 'a clean stop', ...(await started(nodes, file)) });
        const writing = written(bench, rounds + round);
        setTimeout(() => nodes.kill(0), (WRITING_SECONDS * 1000) / 2);
        await writing;
        found.push({ keys, after: 'kill -9', ...(await started(nodes, file)) });
        for (const each of found.slice(-2)) common.tell(JSON.stringify(each));
      }
    } finally {
      await bench.generator.close();
      await nodes.stop();
    }
  }
  return found;
};

/** Keys all over; through the other two nodes, which pass on to the first what is its own. */
const written = async (bench: Bench, seed: number): Promise<void> => {
  const put = { name: 'put', workload: 'put', pace: 'closed' } as const;
  await bench.generator.run({ ...jobOf(bench, put, seed), seconds: WRITING_SECONDS });
};

const started = async (nodes: Nodes, file: string): Promise<Omit<Start, 'keys' | 'after'>> => {
  const beganMs = performance.now();
  const elapsedMs = (): number => rounded(performance.now() - beganMs, 0);
  nodes.restart(0);
  await nodes.listening(0);
  const listensMs = elapsedMs();
  await answering(nodes.addresses[0]!);
  const answersMs = elapsedMs();
  const pids = nodes.pids.slice(0, 1);
  const cpuMs = rounded(cpuSoFar(pids).seconds * 1000, 0);
  const [touchedMb, pagesRead] = [rounded(mappedMb(pids[0]!, file), 1), diskReads(pids)];
  const load = rounded(loadAverage(), 1);
  await nodes.healthy();
  return { listensMs, answersMs, cpuMs, touchedMb, pagesRead, loadAverage: load };
};

/** A client of its own for each try: one that waits before it tries again would be measured, too. */
const answering = async (address: string): Promise<void> => {
  const deadlineMs = performance.now() + ANSWERING_MS_MAX;
  for (;;) {
    const client = connect(address, { retriesMax: 0 });
    try {
      await client.get(keyOf(0), { r: 2, timeoutMs: ANSWER_TIMEOUT_MS });
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    } finally {
      await client.close('now');
    }
  }
};

export const startRows = (found: readonly Start[], directories: readonly Filled[]): object[] =>
  directories.flatMap(({ keys, fileMb }) =>
    (['a clean stop', 'kill -9'] as const).map((after) => {
      const at = found.filter((each) => each.keys === keys && each.after === after);
      return {
        ...{ keys, 'MB of the file': fileMb, after },
        'listens, ms': middle(at, ({ listensMs }) => listensMs, 0),
        'answers, ms': middle(at, ({ answersMs }) => answersMs, 0),
        'CPU, ms': middle(at, ({ cpuMs }) => cpuMs, 0),
        'MB touched': middle(at, ({ touchedMb }) => touchedMb, 1),
        'pages read from disk': middle(at, ({ pagesRead }) => pagesRead, 0),
        'load average': middle(at, (each) => each.loadAverage, 1),
      };
    }),
  );
