/** How many gets, or many puts, go out in batches, and what each part that comes back means. */
import { CoterieError } from '../core/errors.ts';
import type { HandledRequest, PartReply } from '../wire/client-messages.ts';
import type { ManyPlan } from './many.ts';
import type { FailedReply } from '../wire/peer-messages.ts';
import type { Answered } from './operation.ts';
import type { Applied } from './options.ts';
import type { Earlier, NewPut, newGet } from './requests.ts';
import { Values } from './values.ts';

type NewGet = ReturnType<typeof newGet>;

export type ManyWay = {
  /** One try of a request for many. */
  readonly run: (
    build: (timeoutMs: number) => HandledRequest,
    part: (part: PartReply) => void,
  ) => Promise<Answered>;
};

export type GetsWay = ManyWay & {
  /** A value that is behind what this client has seen is not taken. */
  readonly notice: (get: NewGet, values: Values) => 'fresh' | 'stale';
  readonly single: (get: NewGet, earlier: CoterieError | undefined) => Promise<Values>;
};

export const planOfGets = (gets: readonly NewGet[], way: GetsWay): ManyPlan<Values> => {
  const errors: Errors = new Map();
  return {
    sizes: gets.map(({ key }) => key.length),
    batch: (indexes, hear) => {
      const requests = indexes.map((index) => gets[index]!);
      const build = (timeoutMs: number): HandledRequest => ({
        type: 'get-many',
        requests: requests.map((get) => ({ timeoutMs, ...get })),
      });
      return batchOf(way, indexes, build, errors, (at, answer) => {
        if (answer.type !== 'value') return;
        const values = new Values(answer);
        if (way.notice(gets[at]!, values) === 'fresh') hear(at, values);
      });
    },
    single: (index) => way.single(gets[index]!, errors.get(index)),
  };
};

export type PutsWay = ManyWay & {
  readonly applied: (put: NewPut, reply: Answered) => Applied;
  readonly single: (put: NewPut, earlier: Earlier) => Promise<Applied>;
};

export const planOfPuts = (puts: readonly NewPut[], way: PutsWay): ManyPlan<Applied> => {
  const errors: Errors = new Map();
  return {
    sizes: puts.map(({ key, value }) => key.length + value.length),
    batch: (indexes, hear) => {
      const requests = indexes.map((index) => puts[index]!);
      const build = (timeoutMs: number): HandledRequest => ({
        type: 'put-many',
        requests: requests.map((put) => ({ timeoutMs, attempt: 1, ...put })),
      });
      return batchOf(way, indexes, build, errors, (at, answer) => {
        if (answer.type === 'applied') hear(at, way.applied(puts[at]!, answer));
      });
    },
    single: (index) => way.single(puts[index]!, { attempts: 1, error: errors.get(index) }),
  };
};

/** How the first try of each failed, by its index. */
type Errors = Map<number, CoterieError>;

/** One try of some: `hear` what was answered, note what failed. Rejects as the whole of it did. */
const batchOf = async (
  way: ManyWay,
  indexes: readonly number[],
  build: (timeoutMs: number) => HandledRequest,
  errors: Errors,
  hear: (at: number, answer: Exclude<PartReply['answer'], FailedReply>) => void,
): Promise<void> => {
  const left = new Set(indexes);
  try {
    await way.run(build, ({ index, answer }) => {
      const at = indexes[index]!;
      left.delete(at);
      if (answer.type !== 'failed') return hear(at, answer);
      errors.set(at, new CoterieError(answer.code, answer.message, answer.details));
    });
  } catch (error) {
    // Of what was not answered the outcome is that of the whole.
    if (error instanceof CoterieError) for (const at of left) errors.set(at, error);
    throw error;
  }
};
