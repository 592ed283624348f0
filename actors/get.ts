/**
 * The coordinator of one get (paper §§ 4.5, 6.4). It asks R replicas, one for values and the others
 * for headers, answers once R of them that count are there and every surviving value is at hand,
 * and then lingers for late answers to repair the owners that were behind.
 *
 *   reading ──R answers, values complete──▶ lingering ──all answered / linger──▶ done (repairs)
 *    │  ▲ │                                     │ ▲
 *    │  └─┘ patience, refusal, lost link:       └─┘ a late header: its values are fetched
 *    │      the next replica
 *    └──too few left / timeout──▶ done
 *
 * The same machine runs in a client that coordinates its own reads.
 */
import { assign, setup } from 'xstate';
import type { NodeId } from '../src/core/ids.ts';
import {
  allAnswered,
  answersLacking,
  askNext,
  countedAnswers,
  readVerdict,
  recordAnswer,
  recordReadRefusal,
  valuesAwaited,
} from '../src/core/read-tally.ts';
import type { ReadTally } from '../src/core/read-tally.ts';
import { reconcile } from '../src/core/reconcile.ts';
import type { Reconciled } from '../src/core/reconcile.ts';
import { UNLIMITED } from '../src/core/record.ts';
import type { RecordLimits, RecordOfKey } from '../src/core/record.ts';
import type { Key } from '../src/core/ids.ts';
import type { FailedReply, RequestId } from '../src/wire/peer-messages.ts';

export type GetEvent =
  | {
      readonly type: 'replica.answered';
      readonly node: NodeId;
      readonly role: 'owner' | 'fallback';
      readonly record: RecordOfKey | undefined;
    }
  | { readonly type: 'replica.refused'; readonly node: NodeId }
  /** The link to `node` is gone: what it has not said it will not say. */
  | { readonly type: 'replica.lost'; readonly node: NodeId };

export type GetReply =
  { readonly type: 'value'; readonly record: RecordOfKey; readonly fastest: NodeId } | FailedReply;

export type GetPorts = {
  /** Answers with `replica.answered` or `replica.refused`, or not at all. */
  read(request: RequestId, key: Key, from: NodeId, want: 'with-values' | 'header'): void;
  repair(key: Key, record: RecordOfKey, to: NodeId, request: RequestId): void;
  reply(request: RequestId, reply: GetReply): void;
};

export type GetInput = {
  readonly request: RequestId;
  readonly key: Key;
  /** As `startRead` made it of the preference list. */
  readonly tally: ReadTally;
  readonly ports: GetPorts;
  /** How much a record keeps at its replicas: it is merged here as it is there. */
  readonly limits: RecordLimits;
  readonly timeoutMs: number;
  /** How long to wait before one more replica is asked, ms. */
  readonly patienceMs: number;
  /** How long after the reply to wait for late answers, ms. */
  readonly lingerMs: number;
};

/** What never changes stands one level down: an assignment copies what is beside it. */
type GetContext = {
  readonly input: GetInput;
  readonly tally: ReadTally;
  readonly reconciled: Reconciled;
  /** Nodes asked again, for values of which they had sent the header. */
  readonly fetching: readonly NodeId[];
  /** Something was slow already: what is missing is fetched, whoever else may be about to send it. */
  readonly isLate: boolean;
};

export const getMachine = setup({
  types: {
    context: {} as GetContext,
    input: {} as GetInput,
    events: {} as GetEvent,
  },
  delays: {
    timeout: ({ context }) => context.input.timeoutMs,
    patience: ({ context }) => context.input.patienceMs,
    linger: ({ context }) => context.input.lingerMs,
  },
  guards: {
    quorumComplete: ({ context }) => readVerdict(context.tally) === 'won' && isComplete(context),
    quorumLost: ({ context }) => readVerdict(context.tally) === 'lost',
    allAnswered: ({ context }) => allAnswered(context.tally) && isComplete(context),
  },
  actions: {
    askLacking: ({ context }) => ask(context, answersLacking(context.tally)),
    recordAsked: assign(({ context: { tally } }) => {
      const lacking = answersLacking(tally);
      return lacking === 0 ? {} : { tally: askNext(tally, lacking) };
    }),
    askOneMore: ({ context }) => ask(context, 1),
    recordOneMore: assign(({ context }) => ({ tally: askNext(context.tally, 1), isLate: true })),
    recordAnswer: assign(({ context, event }) => {
      if (event.type !== 'replica.answered') return {};
      const tally = recordAnswer(context.tally, event.node, event.role, event.record);
      return { tally, reconciled: reconcile(tally.answers, context.input.limits) };
    }),
    recordRefusal: assign(({ context, event }) => ({
      tally: recordReadRefusal(context.tally, event.node),
    })),
    fetchMissing: ({ context }) => {
      const { ports, request, key } = context.input;
      for (const holder of holdersToAsk(context)) ports.read(request, key, holder, 'with-values');
    },
    recordFetching: assign(({ context }) => {
      const holders = holdersToAsk(context);
      return holders.length === 0 ? {} : { fetching: [...context.fetching, ...holders] };
    }),
    replyValue: ({ context }) => {
      const { input, reconciled, tally } = context;
      const fastest = tally.answers.find((answer) => answer.role === 'owner') ?? tally.answers[0];
      const reply = { type: 'value', record: reconciled.record, fastest: fastest!.node } as const;
      input.ports.reply(input.request, reply);
    },
    replyFailed: ({ context }) => {
      const { ports, request } = context.input;
      ports.reply(request, failedReply(context));
    },
    repairStale: ({ context }) => {
      if (!isComplete(context)) return;
      const { reconciled, tally } = context;
      const { ports, key, request } = context.input;
      for (const node of reconciled.stale) {
        const answer = tally.answers.find((each) => each.node === node);
        if (answer?.role === 'owner') {
          ports.repair(key, reconciled.record, node, request);
        }
      }
    },
  },
}).createMachine({
  id: 'get',
  context: ({ input }) => ({
    input,
    tally: input.tally,
    reconciled: NOTHING,
    fetching: NOBODY,
    isLate: false,
  }),
  initial: 'reading',
  states: {
    reading: {
      initial: 'waiting',
      entry: ['askLacking', 'recordAsked'],
      always: [
        { guard: 'quorumComplete', target: 'lingering', actions: 'replyValue' },
        { guard: 'quorumLost', target: 'done', actions: 'replyFailed' },
      ],
      on: {
        'replica.answered': {
          actions: ['recordAnswer', 'fetchMissing', 'recordFetching', 'askLacking', 'recordAsked'],
        },
        'replica.refused': {
          actions: ['recordRefusal', 'fetchMissing', 'recordFetching', 'askLacking', 'recordAsked'],
        },
        'replica.lost': {
          actions: ['recordRefusal', 'fetchMissing', 'recordFetching', 'askLacking', 'recordAsked'],
        },
      },
      after: { timeout: { target: 'done', actions: 'replyFailed' } },
      states: {
        waiting: {
          after: {
            patience: {
              target: 'waiting',
              reenter: true,
              actions: ['askOneMore', 'recordOneMore', 'fetchMissing', 'recordFetching'],
            },
          },
        },
      },
    },
    lingering: {
      always: { guard: 'allAnswered', target: 'done', actions: 'repairStale' },
      on: {
        'replica.answered': { actions: ['recordAnswer', 'fetchMissing', 'recordFetching'] },
        'replica.refused': { actions: ['recordRefusal', 'fetchMissing', 'recordFetching'] },
        'replica.lost': { actions: ['recordRefusal', 'fetchMissing', 'recordFetching'] },
      },
      after: { linger: { target: 'done', actions: 'repairStale' } },
    },
    done: { type: 'final' },
  },
});

/** The first replica asked sends values, those after it headers; whoever is asked late, values. */
const ask = ({ tally, input }: GetContext, count: number): void => {
  const { ports, request, key } = input;
  const { candidates, asked } = tally;
  const late = asked.length > 0;
  for (let at = 0; at < count && at < candidates.length; at++) {
    ports.read(request, key, candidates[at]!, at === 0 || late ? 'with-values' : 'header');
  }
};

const NOTHING = reconcile([], UNLIMITED);
const NOBODY: readonly NodeId[] = [];

const isComplete = ({ reconciled }: GetContext): boolean => reconciled.missing.length === 0;

/** For each value that is missing a replica that has it, unless one is asked already. */
const holdersToAsk = (context: GetContext): readonly NodeId[] => {
  const { tally, reconciled, fetching, isLate } = context;
  if (reconciled.missing.length === 0 || (!isLate && valuesAwaited(tally))) return NOBODY;
  const asked = new Set<NodeId>();
  for (const { holders } of reconciled.missing) {
    const able = holders.filter((node) => !tally.refused.includes(node));
    if (able[0] !== undefined && !able.some((node) => fetching.includes(node))) asked.add(able[0]);
  }
  return [...asked];
};

const failedReply = ({ tally, reconciled }: GetContext): FailedReply => {
  const got = countedAnswers(tally);
  const missing = reconciled.missing.length;
  return {
    type: 'failed',
    code: 'QUORUM_NOT_MET',
    message:
      `wanted ${tally.r} answers, got ${got}` + (missing > 0 ? `, ${missing} values missing` : ''),
    details: {
      outcome: 'refused',
      wanted: tally.r,
      got,
      answered: tally.answers.map((answer) => answer.node),
    },
  };
};
