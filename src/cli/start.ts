/** `coterie start`: one node in the foreground. */
import type { Command } from 'commander';
import { DataDirectoryError, startNode } from '../index.ts';
import type { NodeOptions, ProcessHost, RunningNode } from '../index.ts';
import type { ProcessState } from '../inspector/records.ts';
import { parseFounders } from '../core/members.ts';
import type { LOG_LEVELS } from '../node/operators/options.ts';
import { configFrom } from '../node/operators/settings.ts';
import type { Effective } from '../node/operators/settings.ts';
import { CommandFailure, EXIT, usage } from './exit.ts';
import { tuneCollector } from './node-flags.ts';
import { parsePrefixDefaults } from '../node/requests/prefix-defaults.ts';
import { asUsage, settingsOf, valuesBySetting, withSettings } from './settings.ts';

export const addStartCommand = (program: Command): void => {
  withSettings(program.command('start'))
    .description('run one node until SIGINT or SIGTERM')
    .addHelpText('after', '\nExample:\n  coterie start --id a --data ./a --bootstrap a\n')
    .action(async (_: unknown, command: Command) => {
      tuneCollector();
      await untilSignal(await start(optionsFrom(settingsOf(command))));
    });
};

const start = async (options: NodeOptions): Promise<RunningNode> => {
  try {
    const node = await startNode(options);
    process.send?.({
      id: node.id,
      url: node.url,
      pid: process.pid,
      inspector: node.inspectorUrl,
    });
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

/** The settings whose value is a text. */
type Texts = { readonly [name: string]: string | undefined };

const optionsFrom = (settings: readonly Effective[]): NodeOptions => {
  const values = valuesBySetting(settings);
  const texts = Object.fromEntries(values) as Texts;
  const lists = Object.fromEntries(values) as { readonly [name: string]: readonly string[] };
  const numbers = Object.fromEntries(values) as { readonly [name: string]: number | undefined };
  const { id, data, listen, admin, advertise, bootstrap, zone } = texts;
  if (data === undefined) throw usage('--data: a data directory is needed');
  const seeds = lists['seed']!;
  for (const url of seeds) checkUrl('seed', url);
  if (advertise !== undefined) checkUrl('advertise', advertise);
  const own = { id, zone, weight: numbers['weight'] };
  if (bootstrap !== undefined) checkOwnEntry(bootstrap, own);
  return {
    dataDir: data,
    seeds,
    logLevel: texts['logLevel'] as (typeof LOG_LEVELS)[number],
    config: asUsage(() => configFrom(settings)),
    origins: lists['origins']!,
    stopping: values.get('drain') === true ? 'hand-over' : 'at-once',
    defaults: checkedDefaults(lists['defaults']!),
    insecure: values.get('insecure') === true,
    showValues: values.get('showValues') === true,
    logKeys: texts['logKeys'] === 'hashed' ? 'hashed' : 'escaped',
    ...(values.get('allowFaults') === true ? { faults: parentAsHost() } : {}),
    security: defined({
      tlsCert: texts['tls.cert'],
      tlsKey: texts['tls.key'],
      tlsCa: texts['tls.ca'],
      secretFile: texts['secretFile'],
      tokensFile: texts['tokensFile'],
    }),
    ...defined({
      id,
      listen,
      admin,
      advertise,
      // A lone founder may say its zone and weight by flags.
      bootstrap: bootstrap ?? soleFounder(own, seeds),
      clusterName: texts['cluster'],
      n: numbers['n'],
      partitions: numbers['partitions'],
      hosts: lists['hosts']!.length === 0 ? undefined : lists['hosts'],
    }),
  };
};

const checkedDefaults = (texts: readonly string[]): readonly string[] => {
  try {
    parsePrefixDefaults(texts);
    return texts;
  } catch (error) {
    throw usage(`--${(error as Error).message}`);
  }
};

/** Whoever forked this process kills and starts nodes for the inspector's page. */
const parentAsHost = (): 'allowed' | ProcessHost => {
  if (process.send === undefined) return 'allowed';
  let states: readonly ProcessState[] = [];
  process.on('message', (message: { readonly processes?: readonly ProcessState[] }) => {
    states = message.processes ?? states;
  });
  return {
    apply: (fault) => {
      process.send?.({ fault });
      return undefined;
    },
    states: () => states,
  };
};

const checkUrl = (name: string, url: string): void => {
  if (!/^wss?:\/\/[^/]+$/.test(url)) throw usage(`${name}: expected ws://host:port, found ${url}`);
};

type OwnEntry = {
  readonly id: string | undefined;
  readonly zone: string | undefined;
  readonly weight: number | undefined;
};

/** Zones and weights place data, so each founder must read the same: they stand in the list. */
const checkOwnEntry = (bootstrap: string, { id, zone, weight }: OwnEntry): void => {
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
  { id, zone, weight }: OwnEntry,
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
    process.on('SIGHUP', () => reload(node));
    process.on('SIGINT', leave);
    process.on('SIGTERM', leave);
    process.on('disconnect', () => {
      if (signals === 0) leave();
    });
  });

/** A file that cannot be used now must not end a node that runs. */
const reload = (node: RunningNode): void => {
  try {
    node.reload();
  } catch (error) {
    process.stderr.write(`coterie: nothing was reloaded: ${(error as Error).message}\n`);
  }
};

/** Without the fields that are undefined. */
const defined = <T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
