/** `coterie config`: every setting, and with `--effective` what would hold and who said so. */
import type { Command } from 'commander';
import { settingsDocument } from '../node/operators/settings-document.ts';
import { SETTINGS, configFrom, flagOf, readable, variableOf } from '../node/operators/settings.ts';
import type { Effective } from '../node/operators/settings.ts';
import { asUsage, settingsOf, withSettings } from './settings.ts';
import { print, withClient, withConnection } from './data.ts';
import type { Client } from '../client/index.ts';
import { ask, askEveryNode, refuseSilence, showing, shows } from './operator.ts';
import type { OperatorFlags } from './operator.ts';
import { tableText } from './table.ts';

type ConfigFlags = {
  readonly effective?: boolean;
  readonly json?: boolean;
  readonly markdown?: boolean;
};

export const addConfigCommand = (program: Command): void => {
  const config = withSettings(program.command('config'));
  config
    .description('list every setting; takes the flags, variables and file that start takes')
    .option('--effective', 'show the value of each setting and where it comes from')
    .option('--json', 'print JSON')
    .option('--markdown', 'print CONFIGURATION.md')
    .addHelpText('after', '\nExample:\n  COTERIE_PATIENCE_MS=50ms coterie config --effective\n')
    .action((flags: ConfigFlags, command: Command) => {
      const settings = settingsOf(command);
      asUsage(() => configFrom(settings));
      if (flags.markdown === true) process.stdout.write(settingsDocument());
      else if (flags.json === true) print(Object.fromEntries(settings.map(jsonOf)));
      else process.stdout.write(flags.effective === true ? effective(settings) : all(settings));
    });
  shows(config.command('running'), 'config running --url ws://127.0.0.1:7400')
    .description('the limits and log levels of a running node as they hold now')
    .action((_: unknown, command: Command) => {
      const flags = command.optsWithGlobals<OperatorFlags>();
      return showing(flags, (client) => ask<Running>(client, 'config.show'), runningText);
    });
  withConnection(config.command('set').argument('<name>').argument('<value>'))
    .description('change a live setting of a running node; it holds until the process ends')
    .option('--every-node', 'on all nodes, not only the one of --url')
    .addHelpText(
      'after',
      '\nExamples:\n  coterie config set lingerMs 500ms --every-node\n  coterie config set logLevel.handoff debug\n',
    )
    .action((name: string, value: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<OperatorFlags>();
      return withClient(flags, (client) => set(client, name, value, flags));
    });
};

type Running = {
  readonly node: string;
  readonly settings: readonly { name: string; value: number | string; change: string }[];
};

type Changed = { readonly node: string; readonly before: unknown; readonly after: unknown };

const runningText = ({ settings }: Running): string =>
  tableText(
    ['SETTING', 'VALUE', 'CHANGE'],
    settings.map(({ name, value, change }) => [name, runningValue(name, value), change]),
  );

const runningValue = (name: string, value: unknown): string => {
  const kind = SETTINGS.find((each) => each.name === name)?.kind;
  return kind === 'ms' || kind === 'bytes' ? readable(kind, value as number) : String(value);
};

const set = async (
  client: Client,
  name: string,
  value: string,
  flags: OperatorFlags,
): Promise<void> => {
  const change = (at: Client) => ask<Changed>(at, 'config.set', { name, value });
  if (flags.everyNode !== true) {
    const changed = await change(client);
    if (flags.json === true) print(changed);
    else process.stdout.write(changedText(name, changed));
    return;
  }
  // One first: what cannot be is refused before half of the nodes have it.
  await change(client);
  const answers = await askEveryNode(client, flags, change);
  if (flags.json === true) print(answers);
  for (const each of answers) {
    if ('answer' in each && flags.json !== true) {
      process.stdout.write(changedText(name, each.answer));
    }
  }
  refuseSilence(answers);
};

const changedText = (name: string, { node, after }: Changed): string =>
  `${node}: ${name} = ${runningValue(name, after)}\n`;

const effective = (settings: readonly Effective[]): string =>
  tableText(
    ['SETTING', 'VALUE', 'ORIGIN'],
    settings.map((each) => [
      each.setting.name,
      shown(each),
      each.origin === 'default' ? 'default' : `${each.origin} (${each.source})`,
    ]),
  );

const all = (settings: readonly Effective[]): string =>
  tableText(
    ['SETTING', 'DEFAULT', 'FLAG', 'VARIABLE'],
    settings.map(({ setting }) => [
      setting.name,
      shown({ setting, value: setting.value }),
      flagOf(setting),
      variableOf(setting),
    ]),
  );

const shown = ({ setting, value }: Pick<Effective, 'setting' | 'value'>): string => {
  if (value === undefined) return '-';
  const { kind } = setting;
  return kind === 'ms' || kind === 'bytes' ? readable(kind, value as number) : String(value) || '-';
};

const jsonOf = ({ setting, value, origin, source }: Effective) => [
  setting.name,
  { value: value ?? null, origin, ...(source === '' ? {} : { source }) },
];
