/** `npm run bench:cluster`: real clusters of processes under load. `-- --help` lists what it can do. */
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { pageHtml } from '../support/page.ts';
import { settingNow, writeJson } from '../support/table.ts';
import type { Coordination } from './jobs.ts';
import { YCSB } from './jobs.ts';
import { quick } from './quick.ts';
import { kneeOf, runSections, runWorkload, stepRow } from './run.ts';
import type { Fault, RunOptions } from './run.ts';
import { ycsb } from './ycsb.ts';

type Flags = {
  readonly quick?: boolean;
  readonly ycsb?: boolean;
  readonly workload?: string;
  readonly rate?: number;
  readonly ladder?: boolean;
  readonly arrivals: 'fixed' | 'poisson';
  readonly inFlight: number;
  readonly nodes: number;
  readonly connections: number;
  readonly coordination: Coordination;
  readonly keys: number;
  readonly valueBytes: number;
  readonly seconds?: number;
  readonly warm?: number;
  readonly faults: readonly Fault[];
  readonly r?: number;
  readonly w?: number;
  readonly dw?: number;
  readonly json?: string;
  readonly html?: string;
  readonly only?: string;
  readonly profile?: string;
};

const LADDER = [0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1];

const positive = (text: string): number => {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('expected a number above 0');
};
const count = (text: string): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError('expected a whole number');
};
const faultsOf = (text: string): readonly Fault[] =>
  text.split(',').map((each) => {
    const [, what, at] = /^(kill|heal|join)@(\d+)$/.exec(each) ?? [];
    if (what === undefined) throw new InvalidArgumentError('expected kill@5,heal@10 or join@5');
    return { what: what as Fault['what'], atSeconds: Number(at) };
  });

const program = new Command('bench:cluster')
  .description('Without --workload or --ycsb: --quick, the headline ratios in under two minutes.')
  .option('--quick', 'CPU of all servers per operation, in echoes')
  .option('--ycsb', 'YCSB A, B, C, F and D, coordinated by servers and client, in one table')
  .addOption(
    new Option('--workload <name>', 'a YCSB workload, or get, put').choices(Object.keys(YCSB)),
  )
  .option('--rate <per second>', 'open loop at this rate', positive)
  .option('--ladder', 'open loop at rising shares of what a closed loop reaches')
  .addOption(new Option('--arrivals <how>').choices(['fixed', 'poisson']).default('poisson'))
  .option('--in-flight <count>', 'closed loop: this many at a time', positive, 64)
  .option('--nodes <count>', 'server processes', positive, 3)
  .option('--connections <count>', 'clients of the generator', positive, 8)
  .addOption(
    new Option('--coordination <who>').choices(['server', 'owner', 'client']).default('server'),
  )
  .option('--keys <count>', 'written before anything is measured', positive, 100_000)
  .option('--value-bytes <count>', 'size of a value', positive, 100)
  .option('--seconds <count>', 'how long each measurement lasts', positive)
  .option(
    '--warm <count>',
    'how long each is warmed up, s (quick: the first 8, the others half of it; else 5)',
    positive,
  )
  .option('--faults <list>', 'kill@5,heal@10 the first node, join@5 one more', faultsOf, [])
  .option('--r <count>', 'replicas a read waits for', count)
  .option('--w <count>', 'replicas a write waits for', count)
  .option('--dw <count>', 'of them on disk', count)
  .option('--json <file>', 'also write the results there')
  .option('--html <file>', 'a page with plots')
  .option('--only <name>', 'quick: only cases whose name has this in it')
  .option('--profile <dir>', 'quick: leave one CPU profile of each node there')
  .parse();
const flags = program.opts<Flags>();

const runQuick = async (): Promise<void> => {
  const result = await quick({
    only: flags.only,
    profileDir: flags.profile,
    keys: flags.keys,
    warmSeconds: flags.warm ?? 8,
    seconds: flags.seconds ?? 2,
  });
  process.stdout.write(`one ws echo: ${result.echoMicroseconds} µs of server CPU\n`);
  console.table(result.cases);
  if (flags.json !== undefined) writeJson(flags.json, result);
};

const runYcsb = async (): Promise<void> => {
  const { nodes, connections, keys, valueBytes, inFlight, warm: warmSeconds = 5 } = flags;
  const options = {
    ...{ nodes, connections, keys, valueBytes, inFlight, warmSeconds },
    seconds: flags.seconds ?? 6,
  };
  const beganMs = performance.now();
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  const rows = await ycsb({ ...options, tell });
  console.table(rows);
  process.stdout.write(`done in ${Math.round((performance.now() - beganMs) / 1000)} s\n`);
  if (flags.json !== undefined) writeJson(flags.json, { options, rows });
};

const runOne = async (workload: string): Promise<void> => {
  const { rate, ladder, arrivals, inFlight, r, w, dw } = flags;
  const open = rate !== undefined || ladder === true;
  const options: RunOptions = {
    workload,
    ...{ nodes: flags.nodes, connections: flags.connections, coordination: flags.coordination },
    ...{ keys: flags.keys, valueBytes: flags.valueBytes, faults: flags.faults },
    ...{ seconds: flags.seconds ?? 10, warmSeconds: flags.warm ?? 5 },
    pace: open
      ? { type: 'open', perSecond: rate ?? 1, arrivals, inFlightMax: 10_000 }
      : { type: 'closed', inFlight },
    ladder: ladder === true ? LADDER : [],
    quorum: {
      ...(r === undefined ? {} : { r }),
      ...(w === undefined ? {} : { w }),
      ...(dw === undefined ? {} : { dw }),
    },
  };
  const result = await runWorkload(options);
  console.table(result.steps.map(stepRow));
  if (ladder === true) process.stdout.write(`knee: ${kneeOf(result.steps) ?? 'not reached'}/s\n`);
  process.stdout.write(`anonymous memory of the servers: ${result.anonymousMb.join(', ')} MB\n`);
  if (flags.json !== undefined) writeJson(flags.json, { options, ...result });
  if (flags.html === undefined) return;
  const { commit, date, machine, node } = settingNow();
  const setting = `commit ${commit}, ${date}, ${machine}, Node ${node}`;
  const title = `coterie under workload ${workload.toUpperCase()}`;
  writeFileSync(flags.html, pageHtml(title, setting, runSections(options, result)));
  process.stdout.write(`The page: ${flags.html}\n`);
};

if (flags.ycsb === true) await runYcsb();
else if (flags.workload === undefined || flags.quick === true) await runQuick();
else await runOne(flags.workload);
