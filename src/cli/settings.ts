/** Settings on the command line: every one is a flag, a variable and a key of the JSON file. */
import { readFileSync } from 'node:fs';
import { Option } from 'commander';
import type { Command } from 'commander';
import { SETTINGS, effectiveSettings, flagOf, isLimitSetting } from '../node/operators/settings.ts';
import type { Effective, Setting, SettingValue } from '../node/operators/settings.ts';
import { usage } from './exit.ts';

/** Gives `command` a flag for each setting, and `--config`; help shows those of the node itself. */
export const withSettings = (command: Command): Command => {
  command.option('--config <file>', 'JSON file of settings (or COTERIE_CONFIG)');
  for (const setting of SETTINGS) command.addOption(optionOf(setting));
  return command.addHelpText(
    'after',
    '\nEvery limit and interval is a flag too, and a variable and a key of the file: coterie config.',
  );
};

const optionOf = (setting: Setting): Option => {
  const { kind, about } = setting;
  const option = new Option(`${flagOf(setting)}${kind === 'flag' ? '' : ` <${kind}>`}`, about);
  if (kind === 'list') option.argParser(collect);
  return isLimitSetting(setting) ? option.hideHelp() : option;
};

/** What holds for `command` as it was called. Throws the usage failure that names what cannot be. */
export const settingsOf = (command: Command): readonly Effective[] => {
  const path = (command.opts()['config'] ?? process.env['COTERIE_CONFIG']) as string | undefined;
  const flags = new Map<string, unknown>();
  for (const setting of SETTINGS) {
    const attribute = optionOf(setting).attributeName();
    if (command.getOptionValueSource(attribute) === 'cli') {
      flags.set(setting.name, command.getOptionValue(attribute));
    }
  }
  return asUsage(() =>
    effectiveSettings({
      flags,
      environment: process.env,
      ...(path === undefined ? {} : { file: { path, content: jsonOf(path) } }),
    }),
  );
};

/** Runs `task`; what it says cannot be is the fault of whoever typed the command. */
export const asUsage = <T>(task: () => T): T => {
  try {
    return task();
  } catch (error) {
    if (error instanceof RangeError) throw usage(error.message);
    throw error;
  }
};

/** The value of each setting by name. */
export const valuesBySetting = (
  settings: readonly Effective[],
): ReadonlyMap<string, SettingValue | undefined> =>
  new Map(settings.map(({ setting, value }) => [setting.name, value]));

const jsonOf = (path: string): unknown => {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (error) {
    throw new RangeError(`--config ${path}: ${(error as Error).message}`);
  }
};

const collect = (value: string, earlier: readonly string[] | undefined): readonly string[] => [
  ...(earlier ?? []),
  ...value.split(','),
];
