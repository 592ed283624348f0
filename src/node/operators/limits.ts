/**
 * The shapes of a setting: what kind of number or text it is, in which unit, between which bounds,
 * and what it is for. `config.ts` is the table; `settings.ts` reads values into it.
 */

export type LimitKind = 'count' | 'ms' | 'bytes';

/** A number of the table, in the unit its name ends with. */
export type Limit = {
  readonly kind: LimitKind;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Why it is there, and what turning it costs. */
  readonly about: string;
  /** `live`: may be changed while the node runs. */
  readonly change: 'live' | 'restart';
};

/** Groups of limits, as deep as one likes. */
export type Limits = { readonly [name: string]: Limit | Limits };

/** The numbers of such a table, with the same names. */
export type ValuesOf<T> = {
  readonly [K in keyof T]: T[K] extends Limit ? number : ValuesOf<T[K]>;
};

type Bounds = readonly [min: number, max: number];

const limitOf =
  (kind: LimitKind, change: Limit['change']) =>
  (value: number, [min, max]: Bounds, about: string): Limit => ({
    ...{ kind, value, min, max, about, change },
  });

export const count = limitOf('count', 'restart');
export const ms = limitOf('ms', 'restart');
export const bytes = limitOf('bytes', 'restart');
/** The same, changeable while the node runs. */
export const live = {
  count: limitOf('count', 'live'),
  ms: limitOf('ms', 'live'),
  bytes: limitOf('bytes', 'live'),
} as const;

export const isLimit = (entry: Limit | Limits): entry is Limit => typeof entry.kind === 'string';

/** Every limit with its dotted name, `replica.hintsMax`, in the order of the table. */
export const namedLimits = (
  table: Limits,
  prefix = '',
): readonly (readonly [name: string, limit: Limit])[] =>
  Object.entries(table).flatMap(([name, entry]) =>
    isLimit(entry) ? [[prefix + name, entry] as const] : namedLimits(entry, `${prefix}${name}.`),
  );

/** The numbers of `table`; `valueOf` may say another one than the default. */
export const valuesOf = <T extends Limits>(
  table: T,
  valueOf: (name: string, limit: Limit) => number = (_, { value }) => value,
  prefix = '',
): ValuesOf<T> =>
  Object.fromEntries(
    Object.entries(table).map(([name, entry]) => [
      name,
      isLimit(entry)
        ? valueOf(prefix + name, entry)
        : valuesOf(entry, valueOf, `${prefix}${name}.`),
    ]),
  ) as ValuesOf<T>;
