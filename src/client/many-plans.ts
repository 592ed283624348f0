/** How many gets, or many puts, go out in batches, and what each part that comes back means. */
import { CoterieError } from '../core/errors.ts';
import type { HandledRequest, PartReply } from '../wire/client-messages.ts';
import type { ManyPlan } from './many.ts';
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
  readonly single: (get: NewGet) => Promise<Values>;
};

export const planOfGets = (gets: readonly NewGet[], way: GetsWay): ManyPlan<Values> => ({
  sizes: gets.map(({ key }) => key.length),
  batch: async (indexes, hear) => {
    const requests = indexes.map((index) => gets[index]!);
    const build = (timeoutMs: number): HandledRequest => ({
      type: 'get-many',
      requests: requests.map((get) => ({ ...get, timeoutMs })),
    });
    await way.run(build, ({ index, answer }) => {
      if (answer.type !== 'value') return;
      const [at, values] = [indexes[index]!, new Values(answer)];
      if (way.notice(gets[at]!, values) === 'fresh') hear(at, values);
    });
  },
  single: (index) => way.single(gets[index]!),
});

export type PutsWay = ManyWay & {
  readonly applied: (put: NewPut, reply: Answered) => Applied;
  readonly single: (put: NewPut, earlier: Earlier) => Promise<Applied>;
};

export const planOfPuts = (puts: readonly NewPut[], way: PutsWay): ManyPlan<Applied> => {
  const unknown = new Map<number, CoterieError>();
  return {
    sizes: puts.map(({ key, value }) => key.length + value.length),
    batch: async (indexes, hear) => {
      const requests = indexes.map((index) => puts[index]!);
      const build = (timeoutMs: number): HandledRequest => ({
        type: 'put-many',
        requests: requests.map((put) => ({ ...put, timeoutMs, attempt: 1 })),
      });
      const left = new Set(indexes);
      const part = ({ index, answer }: PartReply): void => {
        const at = indexes[index]!;
        left.delete(at);
        if (answer.type === 'applied') return hear(at, way.applied(puts[at]!, answer));
        if (answer.type !== 'failed') return;
        const error = new CoterieError(answer.code, answer.message, answer.details);
        if (error.outcome === 'unknown') unknown.set(at, error);
      };
      try {
        await way.run(build, part);
      } catch (error) {
        // Of what was not answered the outcome is that of the whole.
        if (error instanceof CoterieError && error.outcome === 'unknown') {
          for (const at of left) unknown.set(at, error);
        }
        throw error;
      }
    },
    single: (index) => way.single(puts[index]!, { attempts: 1, unknown: unknown.get(index) }),
  };
};
