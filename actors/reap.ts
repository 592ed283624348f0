/**
 * Reap and prune (RULES A9): two regions. One walks slowly over this node's own partitions and notes
 * what could be forgotten. The other, for partitions this node is the first owner of, leads rounds:
 * every member enters the round, old messages are given time to arrive, then batch by batch all
 * members put up a fence and testify, and what all of them testified to is forgotten by the owners.
 *
 *   walk    resting ──rest──▶ walking ──pace──▶ walking … ──through, or enough──▶ resting
 *
 *   rounds  resting ──interval, something to do──▶ opening ──all entered──▶ settling ──delay──▶ fencing
 *              ▲                                      │                                         │  ▲
 *              │◀──────silence / another membership───┘      nothing left / silence / objection │  │pace
 *              │◀───────────────────────────────────────────────────────────────────────────────┤  │
 *              └                                                            all testified: forget─▶ pausing
 */
import { assign, setup } from 'xstate';

export type ReapEvent =
  /** Every member is in the round. */
  | { readonly type: 'round.entered.by.all' }
  | { readonly type: 'round.refused' }
  | { readonly type: 'batch.fenced'; readonly batch: number }
  | { readonly type: 'batch.none' }
  /** Every member has testified to what it can. */
  | { readonly type: 'batch.testified'; readonly batch: number }
  | { readonly type: 'reap.wanted' };

export type ReapPorts = {
  /** One step of the walk; false: it is through, or has found enough for now. */
  walkOn(): boolean;
  walkRestMs(): number;
  /** Whether this node leads anything that is old enough. */
  hasWork(): boolean;
  openRound(): void;
  /** Asks all members about the next batch; answers with `batch.fenced` or `batch.none`. */
  fenceBatch(): void;
  forgetBatch(batch: number): void;
  /** Somebody was silent or objected: the round ends here. */
  giveUp(): void;
  paceMs(): number;
};

export type ReapInput = {
  readonly ports: ReapPorts;
  readonly intervalMs: number;
  readonly fenceDelayMs: number;
  readonly answerTimeoutMs: number;
};

type ReapContext = ReapInput & { readonly batch: number; readonly isThrough: boolean };

export const reapMachine = setup({
  types: {
    context: {} as ReapContext,
    input: {} as ReapInput,
    events: {} as ReapEvent,
  },
  delays: {
    walkRest: ({ context }) => context.ports.walkRestMs(),
    interval: ({ context }) => context.intervalMs,
    fenceDelay: ({ context }) => context.fenceDelayMs,
    answerTimeout: ({ context }) => context.answerTimeoutMs,
    pace: ({ context }) => context.ports.paceMs(),
  },
  guards: {
    isThrough: ({ context }) => context.isThrough,
    hasWork: ({ context }) => context.ports.hasWork(),
    isThisBatch: ({ context, event }) => 'batch' in event && event.batch === context.batch,
  },
  actions: {
    walkOn: assign(({ context }) => ({ isThrough: !context.ports.walkOn() })),
    openRound: ({ context }) => context.ports.openRound(),
    fenceBatch: ({ context }) => context.ports.fenceBatch(),
    recordBatch: assign(({ event }) =>
      event.type === 'batch.fenced' ? { batch: event.batch } : {},
    ),
    forgetBatch: ({ context }) => context.ports.forgetBatch(context.batch),
    giveUp: ({ context }) => context.ports.giveUp(),
  },
}).createMachine({
  id: 'reap',
  type: 'parallel',
  context: ({ input }) => ({ ...input, batch: -1, isThrough: false }),
  states: {
    walk: {
      initial: 'resting',
      states: {
        resting: { on: { 'reap.wanted': 'walking' }, after: { walkRest: 'walking' } },
        walking: {
          entry: 'walkOn',
          always: { guard: 'isThrough', target: 'resting' },
          after: { pace: { target: 'walking', reenter: true } },
        },
      },
    },
    rounds: {
      initial: 'resting',
      states: {
        resting: {
          on: { 'reap.wanted': { guard: 'hasWork', target: 'opening' } },
          after: {
            interval: [
              { guard: 'hasWork', target: 'opening' },
              { target: 'resting', reenter: true },
            ],
          },
        },
        opening: {
          entry: 'openRound',
          on: {
            'round.entered.by.all': 'settling',
            'round.refused': { target: 'resting', actions: 'giveUp' },
          },
          after: { answerTimeout: { target: 'resting', actions: 'giveUp' } },
        },
        settling: { after: { fenceDelay: 'fencing' } },
        fencing: {
          entry: 'fenceBatch',
          on: {
            'batch.fenced': { actions: 'recordBatch' },
            'batch.none': 'resting',
            'batch.testified': {
              guard: 'isThisBatch',
              target: 'pausing',
              actions: 'forgetBatch',
            },
          },
          after: { answerTimeout: { target: 'resting', actions: 'giveUp' } },
        },
        pausing: { after: { pace: 'fencing' } },
      },
    },
  },
});
