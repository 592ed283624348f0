/**
 * The coordinator of one page of a scan: it has R owners of a partition list their keys from one
 * place on, joins the lists as far as all of them have looked, and answers. A page is a request of
 * its own, so a scan that nobody goes on with costs nothing.
 *
 *   listing ──R lists──▶ done
 *    │ ▲ │
 *    │ └─┘ patience, refusal, lost link: the next owner
 *    └──too few left / timeout──▶ done
 */
import { assign, setup } from 'xstate';
import type { NodeId, PartitionId } from '../src/core/ids.ts';
import { joinPages } from '../src/core/key-page.ts';
import type { KeyPage } from '../src/core/key-page.ts';
import type { FailedReply, RequestId } from '../src/wire/peer-messages.ts';

export type ScanEvent =
  | { readonly type: 'replica.listed'; readonly node: NodeId; readonly page: KeyPage }
  | { readonly type: 'replica.refused'; readonly node: NodeId }
  /** The link to `node` is gone: what it has not said it will not say. */
  | { readonly type: 'replica.lost'; readonly node: NodeId };

export type ScanReply = { readonly type: 'page'; readonly page: KeyPage } | FailedReply;

export type ScanPorts = {
  /** Answers with `replica.listed` or `replica.refused`, or not at all. */
  list(scan: ScanInput, from: NodeId): void;
  reply(request: RequestId, reply: ScanReply): void;
};

export type ScanInput = {
  readonly request: RequestId;
  readonly partition: PartitionId;
  /** Where the page before ended. */
  readonly after: Uint8Array | undefined;
  readonly limit: number;
  /** Reachable owners, best first. */
  readonly candidates: readonly NodeId[];
  /** Owners that must list. */
  readonly r: number;
  readonly ports: ScanPorts;
  readonly timeoutMs: number;
  /** How long to wait before one more owner is asked, ms. */
  readonly patienceMs: number;
};

type ScanContext = ScanInput & {
  /** How many of the candidates were asked. */
  readonly asked: number;
  readonly pages: ReadonlyMap<NodeId, KeyPage>;
  readonly refused: readonly NodeId[];
};

export const scanMachine = setup({
  types: {
    context: {} as ScanContext,
    input: {} as ScanInput,
    events: {} as ScanEvent,
  },
  delays: {
    timeout: ({ context }) => context.timeoutMs,
    patience: ({ context }) => context.patienceMs,
  },
  guards: {
    enoughListed: ({ context }) => context.pages.size >= context.r,
    isMissed: ({ context, event }) => isMissed(context, event.node),
    tooFewLeft: ({ context }) => context.candidates.length - context.refused.length < context.r,
  },
  actions: {
    askLacking: ({ context }) => ask(context, lacking(context)),
    recordAsked: assign(({ context }) => ({ asked: context.asked + lacking(context) })),
    askOneMore: ({ context }) => ask(context, 1),
    recordOneMore: assign(({ context }) => ({ asked: context.asked + 1 })),
    recordPage: assign(({ context, event }) =>
      event.type === 'replica.listed'
        ? { pages: new Map(context.pages).set(event.node, event.page) }
        : {},
    ),
    recordRefusal: assign(({ context, event }) => ({ refused: [...context.refused, event.node] })),
    replyPage: ({ context }) => {
      const page = joinPages([...context.pages.values()]);
      context.ports.reply(context.request, { type: 'page', page });
    },
    replyFailed: ({ context }) => context.ports.reply(context.request, failedReply(context)),
  },
}).createMachine({
  id: 'scan',
  context: ({ input }) => ({ ...input, asked: 0, pages: new Map(), refused: [] }),
  initial: 'listing',
  after: { timeout: { target: '.done', actions: 'replyFailed' } },
  states: {
    listing: {
      entry: ['askLacking', 'recordAsked'],
      always: [
        { guard: 'enoughListed', target: 'done', actions: 'replyPage' },
        { guard: 'tooFewLeft', target: 'done', actions: 'replyFailed' },
      ],
      on: {
        'replica.listed': { actions: 'recordPage' },
        'replica.refused': { actions: ['recordRefusal', 'askLacking', 'recordAsked'] },
        'replica.lost': {
          guard: 'isMissed',
          actions: ['recordRefusal', 'askLacking', 'recordAsked'],
        },
      },
      after: {
        patience: { target: 'listing', reenter: true, actions: ['askOneMore', 'recordOneMore'] },
      },
    },
    done: { type: 'final' },
  },
});

const ask = (scan: ScanContext, count: number): void => {
  for (const node of scan.candidates.slice(scan.asked, scan.asked + count)) {
    scan.ports.list(scan, node);
  }
};

/** Whether a list of `node` might have been one of the R, and is not here. */
const isMissed = ({ candidates, pages, refused }: ScanContext, node: NodeId): boolean =>
  candidates.includes(node) && !pages.has(node) && !refused.includes(node);

/** How many more must be asked so that R can still answer. */
const lacking = ({ asked, refused, r, candidates }: ScanContext): number =>
  Math.max(0, Math.min(candidates.length - asked, r - (asked - refused.length)));

const failedReply = ({ pages, r }: ScanContext): FailedReply => ({
  type: 'failed',
  code: 'QUORUM_NOT_MET',
  message: `wanted the lists of ${r} owners, got ${pages.size}`,
  details: { outcome: 'refused', wanted: r, got: pages.size },
});
