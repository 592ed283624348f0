/** `coterie config`: every setting, and with `--effective` what would hold and who said so. */
import type { Command } from 'commander';
import { settingsDocument } from '../node/settings-document.ts';
import { configFrom, flagOf, readable, variableOf } from '../node/settings.ts';
import type { Effective } from '../node/settings.ts';
import { asUsage, settingsOf, withSettings } from './settings.ts';
import { print } from './data.ts';
import { tableText } from './table.ts';

type ConfigFlags = {
  readonly effective?: boolean;
  readonly json?: boolean;
  readonly markdown?: boolean;
};

export const addConfigCommand = (program: Command): void => {
  withSettings(program.command('config'))
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
};

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
