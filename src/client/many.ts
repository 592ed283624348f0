/**
 * Many gets or puts in few messages: a first try in batches, one frame each, whose parts are heard
 * as they come; what is left after that goes on by itself, with all an operation does.
 */
import { CoterieError } from '../core/errors.ts';
import { MANY_MAX } from '../wire/client-messages.ts';
import type { Applied } from './options.ts';
import type { Values } from './values.ts';

/** One result; `index` is that of its key. */
export type OneOf<Name extends string, T> =
  | ({ readonly index: number; readonly error?: never } & { readonly [N in Name]: T })
  | ({ readonly index: number; readonly error: CoterieError } & { readonly [N in Name]?: never });
export type GotOne = OneOf<'values', Values>;
export type PutOne = OneOf<'applied', Applied>;

export type ManyPlan<T> = {
  /** Bytes of each, about: a batch stays far below what a frame may have. */
  readonly sizes: readonly number[];
  /** One try of some; `hear` what succeeded. A rejection means nothing more than the end of it. */
  readonly batch: (
    indexes: readonly number[],
    hear: (index: number, result: T) => void,
  ) => Promise<void>;
  /** One alone, until its deadline. */
  readonly single: (index: number) => Promise<T>;
};

const BATCH_BYTES = 1024 * 1024;

type Result<T> = { readonly index: number } & ({ readonly value: T } | { readonly error: unknown });

/** The results in the order in which they come. */
export async function* runMany<T, One>(
  { sizes, batch, single }: ManyPlan<T>,
  make: (index: number, value: T) => One,
): AsyncGenerator<One | { readonly index: number; readonly error: CoterieError }, void, void> {
  const ready: Result<T>[] = [];
  let wake = (): void => undefined;
  const say = (result: Result<T>): void => {
    ready.push(result);
    wake();
  };
  const runBatch = async (indexes: readonly number[]): Promise<void> => {
    const left = new Set(indexes);
    const hear = (index: number, value: T): void => {
      if (left.delete(index)) say({ index, value });
    };
    await batch(indexes, hear).catch(() => undefined);
    for (const index of left) {
      single(index).then(
        (value) => say({ index, value }),
        (error: unknown) => say({ index, error }),
      );
    }
  };
  for (const indexes of batchesOf(sizes)) void runBatch(indexes);
  for (let said = 0; said < sizes.length; said++) {
    while (ready.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    const result = ready.shift()!;
    if ('value' in result) yield make(result.index, result.value);
    else if (result.error instanceof CoterieError)
      yield { index: result.index, error: result.error };
    else throw result.error;
  }
}

const batchesOf = (sizes: readonly number[]): readonly (readonly number[])[] => {
  const batches: number[][] = [];
  let bytes = Infinity;
  sizes.forEach((size, index) => {
    const last = batches.at(-1);
    if (last === undefined || last.length === MANY_MAX || bytes + size > BATCH_BYTES) {
      batches.push([index]);
      bytes = size;
    } else {
      last.push(index);
      bytes += size;
    }
  });
  return batches;
};
