/**
 * A put that arrived at a node which is none of the key's owners (paper § 4.5): it is handed to one
 * of the preference list, and to the next when that one stays silent or is overloaded. The put id
 * makes a second hand-over safe: the same put never becomes two siblings.
 *
 *   awaiting ──forwarded──▶ done (its reply)
 *    │   ▲ │
 *    │   └─┘ patience, a lost link or a refusal that may pass: the next coordinator
 *    └──nobody left / timeout──▶ done (refused if every one refused, else unknown)
 */
import { assign, setup } from 'xstate';
import type { NodeId } from '../src/core/ids.ts';
import { ERROR_KINDS } from '../src/core/errors.ts';
import type { FailedReply, PutCommand, PutReply, RequestId } from '../src/wire/peer-messages.ts';

export type ForwardEvent =
  | { readonly type: 'put.answered'; readonly node: NodeId; readonly reply: PutReply }
  | { readonly type: 'replica.refused'; readonly node: NodeId }
  /** The link to `node` is gone: what it has not said it will not say. */
  | { readonly type: 'replica.lost'; readonly node: NodeId };

export type ForwardPorts = {
  /** Answers with `put.answered`, or not at all. */
  forward(request: RequestId, put: PutCommand, to: NodeId): void;
  reply(request: RequestId, reply: PutReply): void;
};

export type ForwardInput = {
  readonly request: RequestId;
  readonly put: PutCommand;
  /** Who may coordinate, best first; at least one. */
  readonly coordinators: readonly NodeId[];
  readonly ports: ForwardPorts;
  /** How long one coordinator may be silent before the next is tried, ms. */
  readonly patienceMs: number;
};

/** What never changes stands one level down: an assignment copies what is beside it. */
type ForwardContext = {
  readonly input: ForwardInput;
  /** How many of the coordinators were tried. */
  readonly tried: number;
  /** Those that said they wrote nothing. */
  readonly refused: readonly NodeId[];
  /** Those that had it and cannot answer any more, whatever they made of it. */
  readonly lost: readonly NodeId[];
  readonly lastFailure: FailedReply | undefined;
};

export const forwardMachine = setup({
  types: {
    context: {} as ForwardContext,
    input: {} as ForwardInput,
    events: {} as ForwardEvent,
  },
  delays: {
    timeout: ({ context }) => context.input.put.timeoutMs,
    patience: ({ context }) => context.input.patienceMs,
  },
  guards: {
    isFinal: ({ event }) => event.type === 'put.answered' && isFinal(event.reply),
    someoneLeft: ({ context }) => context.tried < context.input.coordinators.length,
    isAwaited: ({ context, event }) => silentOf(context).includes(event.node),
    nobodyLeft: ({ context }) =>
      context.tried >= context.input.coordinators.length && silentOf(context).length === 0,
  },
  actions: {
    forwardToNext: ({ context: { input, tried } }) => {
      const { ports, request, put, coordinators } = input;
      const to = coordinators[tried];
      if (to !== undefined) ports.forward(request, tried === 0 ? put : again(put, tried), to);
    },
    recordTried: assign(({ context }) => ({ tried: context.tried + 1 })),
    recordRefusal: assign(({ context, event }) => ({
      refused: context.refused.includes(event.node)
        ? context.refused
        : [...context.refused, event.node],
      lastFailure:
        event.type === 'put.answered' && event.reply.type === 'failed'
          ? event.reply
          : context.lastFailure,
    })),
    recordLoss: assign(({ context, event }) => ({ lost: [...context.lost, event.node] })),
    passOn: ({ context, event }) => {
      const { ports, request } = context.input;
      if (event.type === 'put.answered') ports.reply(request, asWhole(context, event));
    },
    replyFailed: ({ context }) => {
      const { ports, request } = context.input;
      ports.reply(request, failedReply(context));
    },
  },
}).createMachine({
  id: 'forward',
  context: ({ input }) => ({
    ...{ input, tried: 0, refused: NOBODY, lost: NOBODY },
    lastFailure: undefined,
  }),
  initial: 'awaiting',
  after: { timeout: { target: '.done', actions: 'replyFailed' } },
  states: {
    awaiting: {
      entry: ['forwardToNext', 'recordTried'],
      on: {
        'put.answered': [
          { guard: 'isFinal', target: 'done', actions: 'passOn' },
          { target: 'refused', actions: 'recordRefusal' },
        ],
        'replica.refused': { target: 'refused', actions: 'recordRefusal' },
        'replica.lost': { guard: 'isAwaited', target: 'refused', actions: 'recordLoss' },
      },
      after: { patience: { guard: 'someoneLeft', target: 'awaiting', reenter: true } },
    },
    refused: {
      always: [
        { guard: 'nobodyLeft', target: 'done', actions: 'replyFailed' },
        { guard: 'someoneLeft', target: 'awaiting' },
        { target: 'waitingForSilent' },
      ],
    },
    waitingForSilent: {
      on: {
        'put.answered': [
          { guard: 'isFinal', target: 'done', actions: 'passOn' },
          { target: 'refused', actions: 'recordRefusal' },
        ],
        'replica.refused': { target: 'refused', actions: 'recordRefusal' },
        'replica.lost': { guard: 'isAwaited', target: 'refused', actions: 'recordLoss' },
      },
    },
    done: { type: 'final' },
  },
});

const NOBODY: readonly NodeId[] = [];

/** The same put after others were tried in vain. */
const again = (put: PutCommand, tried: number): PutCommand => ({
  ...put,
  attempt: Math.min(put.attempt + tried, Number.MAX_SAFE_INTEGER),
});

/** Applied, unknown, or refused for good: only a refusal that another node may not share goes on. */
const isFinal = (reply: PutReply): boolean => {
  if (reply.type === 'applied') return true;
  const { retryable, outcome } = ERROR_KINDS[reply.code];
  return !retryable || (reply.details['outcome'] ?? outcome) === 'unknown';
};

/** One coordinator's refusal is none of the whole put while another, asked before, is silent. */
const asWhole = (
  { tried, refused }: ForwardContext,
  { node, reply }: Extract<ForwardEvent, { type: 'put.answered' }>,
): PutReply => {
  const silent = tried - refused.filter((other) => other !== node).length - 1;
  if (reply.type === 'applied' || silent <= 0) return reply;
  return { ...reply, details: { ...reply.details, outcome: 'unknown' } };
};

/** Those that have the put and may still answer. */
const silentOf = ({ input, tried, refused, lost }: ForwardContext): readonly NodeId[] =>
  input.coordinators
    .slice(0, tried)
    .filter((node) => !refused.includes(node) && !lost.includes(node));

const failedReply = (context: ForwardContext): PutReply => {
  const { lost, tried, lastFailure } = context;
  const isSilent = silentOf(context).length > 0;
  if (!isSilent && lost.length === 0) {
    const message = 'no coordinator of this key took the put';
    const details = { outcome: 'refused', tried };
    return lastFailure ?? { type: 'failed', code: 'OVERLOADED', message, details };
  }
  return {
    type: 'failed',
    code: isSilent ? 'TIMEOUT' : 'CONNECTION_LOST',
    message: 'a coordinator of this key took the put and did not answer: it may still be applied',
    details: { outcome: 'unknown', tried },
  };
};
