/**
 * YCSB's mixes one after another on one cluster, each coordinated by the servers and by the client in
 * turn: what a closed loop reaches, and what requests wait for at half of that.
 */
import { rounded } from '../support/processes.ts';
import { YCSB, failuresIn, percentileMs } from './jobs.ts';
import type { Coordination, Job } from './jobs.ts';
import { LoadGenerator, measured } from './load.ts';
import { Nodes } from './nodes.ts';
import { openLoop } from './sizing.ts';

export type YcsbOptions = {
  readonly nodes: number;
  readonly connections: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly inFlight: number;
  /** Of each of the two measurements of a row. */
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly tell: (line: string) => void;
};

export type YcsbRow = {
  readonly workload: string;
  readonly coordination: Coordination;
  /** Of a closed loop. */
  readonly perSecond: number;
  /** CPU of all servers for one operation of it. */
  readonly serverMicroseconds: number;
  /** Of an open loop at half of that, from the moment an operation was due, ms. */
  readonly halfPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** p99 of how late the generator's own event loop was then. */
  readonly generatorLateMs: number;
  /** Of both. */
  readonly failed: number;
};

/** YCSB's order: D adds keys, so it is the last. */
const ORDER = ['a', 'b', 'c', 'f', 'd'] as const;
const COORDINATIONS: readonly Coordination[] = ['server', 'client'];
const HALF = 0.5;

export const ycsb = async (options: YcsbOptions): Promise<readonly YcsbRow[]> => {
  const { keys, valueBytes, inFlight, seconds, warmSeconds, connections, tell } = options;
  const nodes = await Nodes.start({ nodes: options.nodes });
  const generator = new LoadGenerator();
  const rows: YcsbRow[] = [];
  try {
    tell(`writing ${keys} keys of ${valueBytes} bytes`);
    await generator.open(nodes.addresses, connections);
    await generator.fill(keys, valueBytes);
    for (const workload of ORDER) {
      for (const coordination of COORDINATIONS) {
        // The generator keeps its contexts and its count of keys: only its connections are new.
        await generator.open(nodes.addresses, connections, coordination);
        const job: Job = {
          ...{ type: 'run', seconds, pace: { type: 'closed', inFlight } },
          ...YCSB[workload]!,
          ...{ keys, valueBytes, timeoutMs: 5000, seed: 1 + rows.length },
        };
        await generator.run({ ...job, seconds: warmSeconds });
        const most = await measured(generator, () => nodes.cpu, job);
        const pace = openLoop(most.perSecond * HALF);
        const half = await generator.run({ ...job, pace, seed: 100 + rows.length });
        const at = (percent: 50 | 99 | 99.9): number =>
          rounded(percentileMs(half.fromIntended, percent), 1);
        rows.push({
          ...{ workload: workload.toUpperCase(), coordination },
          perSecond: Math.round(most.perSecond),
          serverMicroseconds: Math.round(most.serverMicroseconds),
          halfPerSecond: Math.round(half.perSecond),
          ...{ p50Ms: at(50), p99Ms: at(99), p999Ms: at(99.9) },
          generatorLateMs: rounded(half.ownDelayMs.p99, 1),
          failed: failuresIn(most) + failuresIn(half),
        });
        tell(JSON.stringify(rows.at(-1)));
      }
    }
    return rows;
  } finally {
    await generator.close();
    await nodes.stop();
  }
};
