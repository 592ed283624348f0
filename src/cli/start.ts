/** `coterie start`: one node in the foreground. */
import type { Command } from 'commander';
import { DataDirectoryError, startNode } from '../index.ts';
import type { NodeOptions, RunningNode } from '../index.ts';
import { parseFounders } from '../core/members.ts';
import { CommandFailure, EXIT, usage } from './exit.ts';

type StartFlags = {
  readonly id?: string;
  readonly data: string;
  readonly listen: string;
  readonly advertise?: string;
  readonly bootstrap?: string;
  readonly seed: readonly string[];
  readonly zone?: string;
  readonly weight?: number;
  readonly n?: number;
  readonly partitions?: number;
  readonly cluster?: string;
  readonly logLevel: string;
  readonly insecure?: boolean;
};

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

export const addStartCommand = (program: Command): void => {
  program
    .command('start')
    .description('run one node until SIGINT or SIGTERM')
    .option('--id <id>', 'stable name of this node (default: the one in the data directory)')
    .requiredOption('--data <dir>', 'data directory')
    .option('--listen <host:port>', 'where clients and nodes connect', '127.0.0.1:7400')
    .option('--advertise <url>', 'ws:// address under which other nodes reach this one')
    .option('--bootstrap <ids>', 'found a cluster: id[@zone][*weight],… the same on each founder')
    .option('--seed <url>', 'ws:// address of another node; may be repeated', collect, [])
    .option('--zone <zone>', "this node's failure domain; must agree with --bootstrap")
    .option('--weight <weight>', "this node's share of data; must agree with --bootstrap", integer)
    .option('--n <n>', 'replicas of each key, when founding (default 3)', integer)
    .option('--partitions <q>', 'partitions of the ring, when founding (default 256)', integer)
    .option('--cluster <name>', 'name of the cluster, when founding')
    .option('--log-level <level>', LOG_LEVELS.join(', '), 'info')
    .option('--insecure', 'allow a listen address that is not loopback')
    .addHelpText('after', '\nExample:\n  coterie start --id a --data ./a --bootstrap a\n')
    .action(async (flags: StartFlags) => {
      await untilSignal(await start(flags));
    });
};

const start = async (flags: StartFlags): Promise<RunningNode> => {
  const options = optionsFrom(flags);
  try {
    const node = await startNode(options);
    process.send?.({ id: node.id, url: node.url, pid: process.pid });
    return node;
  } catch (error) {
    if (error instanceof RangeError) throw usage(error.message);
    if (
      error instanceof DataDirectoryError ||
      (error as NodeJS.ErrnoException).code !== undefined
    ) {
      throw new CommandFailure((error as Error).message, EXIT.refused);
    }
    if (error instanceof Error) throw new CommandFailure(error.message, EXIT.refused);
    throw error;
  }
};

const optionsFrom = (flags: StartFlags): NodeOptions => {
  const { zone, weight, bootstrap, logLevel } = flags;
  if (!LOG_LEVELS.some((level) => level === logLevel)) {
    throw usage(`--log-level is one of ${LOG_LEVELS.join(', ')}, found ${logLevel}`);
  }
  for (const url of [...flags.seed, ...(flags.advertise === undefined ? [] : [flags.advertise])]) {
    if (!/^wss?:\/\/[^/]+$/.test(url)) throw usage(`expected ws://host:port, found ${url}`);
  }
  if (bootstrap !== undefined) checkOwnEntry(bootstrap, flags);
  return {
    dataDir: flags.data,
    listen: flags.listen,
    seeds: flags.seed,
    logLevel: logLevel as (typeof LOG_LEVELS)[number],
    ...defined({
      id: flags.id,
      advertise: flags.advertise,
      // A lone founder may say its zone and weight by flags.
      bootstrap: bootstrap ?? soleFounder(flags.id, zone, weight, flags.seed),
      clusterName: flags.cluster,
      n: flags.n,
      partitions: flags.partitions,
      insecure: flags.insecure,
    }),
  };
};

/** Zones and weights place data, so each founder must read the same: they stand in the list. */
const checkOwnEntry = (bootstrap: string, { id, zone, weight }: StartFlags): void => {
  let own;
  try {
    own = parseFounders(bootstrap).find((founder) => founder.id === id);
  } catch (error) {
    throw usage(`--bootstrap: ${(error as Error).message}`);
  }
  if (own === undefined) throw usage(`--bootstrap must list this node: give --id`);
  if ((zone ?? own.zone) !== own.zone || (weight ?? own.weight) !== own.weight) {
    const wanted = `${own.id}@${zone ?? own.zone}*${weight ?? own.weight}`;
    throw usage(`--zone and --weight disagree with --bootstrap: list this node as ${wanted}`);
  }
};

const soleFounder = (
  id: string | undefined,
  zone: string | undefined,
  weight: number | undefined,
  seeds: readonly string[],
): string | undefined =>
  id === undefined || seeds.length > 0 || (zone === undefined && weight === undefined)
    ? undefined
    : `${id}@${zone ?? 'default'}*${weight ?? 1}`;

/** The first signal drains, the second quits; a vanished parent (coterie cluster) drains too. */
const untilSignal = (node: RunningNode): Promise<void> =>
  new Promise((resolve) => {
    let signals = 0;
    const leave = (): void => {
      signals += 1;
      if (signals > 1) process.exit(1);
      void node.stop().then(() => {
        if (process.connected) process.disconnect();
        resolve();
      });
    };
    process.on('SIGINT', leave);
    process.on('SIGTERM', leave);
    process.on('disconnect', () => {
      if (signals === 0) leave();
    });
  });

const collect = (value: string, earlier: readonly string[]): readonly string[] => [
  ...earlier,
  ...value.split(','),
];

export const integer = (text: string): number => {
  if (!/^-?\d+$/.test(text)) throw usage(`expected an integer, found ${JSON.stringify(text)}`);
  return Number(text);
};

/** Without the fields that are undefined. */
const defined = <T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
