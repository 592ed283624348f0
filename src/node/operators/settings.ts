/**
 * Settings of a node as people write them: flag, environment, JSON file or default, in that order.
 * One name makes all four, `replica.hintsMax` for example:
 *
 *     --replica-hints-max 5000 · COTERIE_REPLICA_HINTS_MAX=5000 · {"replica": {"hintsMax": 5000}}
 *
 * Durations and sizes may carry a unit (`250ms`, `5s`, `64MiB`); a bare number is in the unit of the
 * name. Whatever cannot be is a RangeError that names where it stands.
 */
import { impossibleIn } from '../config-checks.ts';
import { LIMITS } from '../config.ts';
import type { Config } from '../config.ts';
import { namedLimits, valuesOf } from './limits.ts';
import type { Limit, LimitKind } from './limits.ts';
import { OPTIONS } from './options.ts';
import type { Option } from './options.ts';

export type Setting = (Limit | Option) & { readonly name: string };
export type SettingValue = number | string | boolean | readonly string[];

export type Origin = 'flag' | 'environment' | 'file' | 'default';

/** What a setting is, and who said so. */
export type Effective = {
  readonly setting: Setting;
  /** Undefined: said by nobody, and without a default. */
  readonly value: SettingValue | undefined;
  readonly origin: Origin;
  /** `--listen`, `COTERIE_LISTEN` or the path of the file. */
  readonly source: string;
};

export type Sources = {
  /** By setting name, as the command line had them. */
  readonly flags: ReadonlyMap<string, unknown>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file?: { readonly path: string; readonly content: unknown };
};

export const SETTINGS: readonly Setting[] = [
  ...Object.entries(OPTIONS).map(([name, option]) => ({ name, ...option })),
  ...namedLimits(LIMITS).map(([name, limit]) => ({ name, ...limit })),
];

/** Whether it stands in the table of limits, rather than among the options. */
export const isLimitSetting = ({ name }: Setting): boolean => !Object.hasOwn(OPTIONS, name);

/** `replica.hintsMax` as a flag: `--replica-hints-max`. */
export const flagOf = ({ name }: Setting): string => `--${words(name).join('-')}`;
/** … and in the environment: `COTERIE_REPLICA_HINTS_MAX`. */
export const variableOf = ({ name }: Setting): string =>
  `COTERIE_${words(name).join('_').toUpperCase()}`;

/** Read by the commands themselves, or set by Kubernetes for a service called coterie. */
const OTHER_VARIABLES =
  /^COTERIE_(URL|TOKEN|CONFIG|ADMIN_URL|CA)$|_SERVICE_(HOST|PORT)|_PORT(_\d+_\w+)?$/;

/** Every setting with its value and origin. Throws RangeError for what cannot be. */
export const effectiveSettings = (sources: Sources): readonly Effective[] => {
  const fromFile = sources.file === undefined ? undefined : settingsOfFile(sources.file);
  const known = new Set(SETTINGS.map(variableOf));
  for (const name of Object.keys(sources.environment)) {
    if (name.startsWith('COTERIE_') && !known.has(name) && !OTHER_VARIABLES.test(name)) {
      throw new RangeError(`${name} in the environment is no setting: see coterie config`);
    }
  }
  return SETTINGS.map((setting): Effective => {
    const { name } = setting;
    const [flag, variable] = [flagOf(setting), variableOf(setting)];
    const said = (origin: Origin, source: string, raw: unknown, where = source): Effective => {
      return { setting, value: parsed(setting, raw, where), origin, source };
    };
    if (sources.flags.has(name)) return said('flag', flag, sources.flags.get(name));
    const text = sources.environment[variable];
    if (text !== undefined) return said('environment', variable, text);
    if (fromFile?.has(name) === true) {
      const { path } = sources.file!;
      return said('file', path, fromFile.get(name), `${name} in ${path}`);
    }
    return { setting, value: setting.value, origin: 'default', source: '' };
  });
};

/** The limits among `settings`. Throws RangeError for a combination that cannot be. */
export const configFrom = (settings: readonly Effective[]): Config => {
  const values = new Map(settings.map(({ setting, value }) => [setting.name, value]));
  const config = valuesOf(LIMITS, (name) => values.get(name) as number);
  const impossible = impossibleIn(config);
  if (impossible !== undefined) throw new RangeError(impossible);
  return config;
};

/**
 * The default limits with those of `given` in their place, as a program hands them over: by name,
 * groups within groups. Throws RangeError.
 */
export const configWith = (given: DeepPartial<Config>): Config =>
  configFrom(
    effectiveSettings({
      flags: new Map(),
      environment: {},
      file: { path: 'config', content: given },
    }),
  );

export type DeepPartial<T> = {
  readonly [K in keyof T]?: T[K] extends object ? DeepPartial<T[K]> : T[K];
};

/** One value as text, number or JSON, checked against its setting; `where` is who said it. */
export const parsed = (setting: Setting, raw: unknown, where: string): SettingValue => {
  const wrong = (expected: string): RangeError =>
    new RangeError(`${where}: expected ${expected}, found ${JSON.stringify(raw)}`);
  switch (setting.kind) {
    case 'flag': {
      if (raw === true || raw === 'true' || raw === '1') return true;
      if (raw === false || raw === 'false' || raw === '0') return false;
      throw wrong('true or false');
    }
    case 'list': {
      const items = typeof raw === 'string' ? raw.split(',') : raw;
      const fine = Array.isArray(items) && items.every((item) => typeof item === 'string');
      if (!fine) throw wrong('texts, in one text by commas or as an array');
      return (items as string[]).map((item) => item.trim()).filter((item) => item !== '');
    }
    case 'choice':
      if (setting.choices.includes(raw as string)) return raw as string;
      throw wrong(`one of ${setting.choices.join(', ')}`);
    case 'text':
    case 'path':
      if (typeof raw === 'string' && raw !== '') return raw;
      throw wrong('a text');
    default: {
      const { kind, min, max } = setting;
      const value = numberOf(kind, raw);
      if (value !== undefined && value >= min && value <= max) return value;
      throw wrong(`${readable(kind, min)} to ${readable(kind, max)}${HINTS[kind]}`);
    }
  }
};

const UNITS: Readonly<Record<LimitKind, Readonly<Record<string, number>>>> = {
  count: {},
  ms: { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 },
  bytes: { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 },
};
const HINTS: Readonly<Record<LimitKind, string>> = {
  count: ', a whole number',
  ms: ' (a number of ms, or one with ms, s, m, h or d)',
  bytes: ' (a number of bytes, or one with B, kB, MB, GB, KiB, MiB or GiB)',
};

/** Undefined if it is no whole number in a unit of that kind. */
const numberOf = (kind: LimitKind, raw: unknown): number | undefined => {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(String(raw)) ?? [];
  if (digits === undefined || (typeof raw !== 'number' && typeof raw !== 'string'))
    return undefined;
  const scale = unit === '' ? 1 : UNITS[kind][unit!];
  const value = Number(digits) * (scale ?? NaN);
  return Number.isInteger(value) ? value : undefined;
};

/** `64 MiB`, `1 h`, `4096`: the largest unit that says it in whole numbers. */
export const readable = (kind: LimitKind, value: number): string => {
  if (kind === 'count') return String(value);
  const units = kind === 'ms' ? ['d', 'h', 's', 'ms'] : ['GiB', 'MiB', 'KiB', 'B'];
  const unit = units.find((each) => value !== 0 && value % UNITS[kind][each]! === 0);
  return unit === undefined ? `0 ${units.at(-1)}` : `${value / UNITS[kind][unit]!} ${unit}`;
};

/** Names with values of a settings file: nested by the dots of the names. */
const settingsOfFile = ({ path, content }: NonNullable<Sources['file']>): Map<string, unknown> => {
  const names = new Set(SETTINGS.map(({ name }) => name));
  const groups = new Set([...names].flatMap((name) => prefixesOf(name)));
  const found = new Map<string, unknown>();
  const walk = (object: unknown, prefix: string): void => {
    if (typeof object !== 'object' || object === null || Array.isArray(object)) {
      throw new RangeError(
        `${prefix === '' ? 'the whole' : prefix} in ${path}: expected an object`,
      );
    }
    for (const [key, value] of Object.entries(object)) {
      const name = prefix === '' ? key : `${prefix}.${key}`;
      if (names.has(name)) found.set(name, value);
      else if (groups.has(name)) walk(value, name);
      else throw new RangeError(`${name} in ${path} is no setting: see coterie config`);
    }
  };
  walk(content, '');
  return found;
};

const prefixesOf = (name: string): readonly string[] => {
  const parts = name.split('.');
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('.'));
};

const words = (name: string): readonly string[] =>
  name
    .replaceAll('.', '-')
    .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    .split('-');
