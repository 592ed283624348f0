/**
 * The giving side of a move (RULES C6): what this node holds of a partition and is not meant to hold
 * any more, copies that stood in for an owner among it, it offers to all current owners, batch by
 * batch, and deletes exactly the records that each of them has confirmed durably, as owner, under the
 * same register. Each round it also compares registers with a random peer. (The taking side is
 * anti-entropy: a newcomer refills itself.)
 *
 *   resting ──round──▶ choosing ──a batch──▶ offering ──confirmed by all──▶ deleting ──▶ pausing
 *      ▲                  │  ▲                   │                                          │
 *      │                  │  └───────────────────┼──────────────────pace────────────────────┘
 *      └──nothing to give─┴──silence / refused───┘
 */
import { assign, setup } from 'xstate';

export type TransferEvent =
  | { readonly type: 'batch.offered'; readonly batch: number }
  | { readonly type: 'batch.none' }
  /** Every owner holds every record of it durably. */
  | { readonly type: 'batch.confirmed'; readonly batch: number }
  /** An owner sees the register otherwise. */
  | { readonly type: 'batch.refused'; readonly batch: number }
  /** A register changed, a node was told to leave: do not wait for the next round. */
  | { readonly type: 'transfer.wanted' };

export type TransferPorts = {
  /** Tells a random peer the digest of the registers. */
  gossipRegisters(): void;
  /** Offers the next batch to all owners; answers with `batch.offered` or `batch.none`. */
  offerBatch(): void;
  /** Deletes what was confirmed and has not changed since. */
  deleteBatch(batch: number): void;
  giveUpBatch(batch: number): void;
  paceMs(): number;
};

export type TransferInput = {
  readonly ports: TransferPorts;
  readonly roundMs: number;
  readonly confirmTimeoutMs: number;
};

type TransferContext = TransferInput & { readonly batch: number };

export const transferMachine = setup({
  types: {
    context: {} as TransferContext,
    input: {} as TransferInput,
    events: {} as TransferEvent,
  },
  delays: {
    round: ({ context }) => context.roundMs,
    confirmTimeout: ({ context }) => context.confirmTimeoutMs,
    pace: ({ context }) => context.ports.paceMs(),
  },
  guards: {
    isThisBatch: ({ context, event }) => 'batch' in event && event.batch === context.batch,
  },
  actions: {
    gossipRegisters: ({ context }) => context.ports.gossipRegisters(),
    offerBatch: ({ context }) => context.ports.offerBatch(),
    recordBatch: assign(({ event }) =>
      event.type === 'batch.offered' ? { batch: event.batch } : {},
    ),
    deleteBatch: ({ context }) => context.ports.deleteBatch(context.batch),
    giveUpBatch: ({ context }) => context.ports.giveUpBatch(context.batch),
  },
}).createMachine({
  id: 'transfer',
  context: ({ input }) => ({ ...input, batch: -1 }),
  initial: 'resting',
  states: {
    resting: {
      on: { 'transfer.wanted': 'choosing' },
      after: { round: { target: 'choosing', actions: 'gossipRegisters' } },
    },
    choosing: {
      entry: 'offerBatch',
      on: {
        'batch.offered': { target: 'offering', actions: 'recordBatch' },
        'batch.none': 'resting',
      },
    },
    offering: {
      on: {
        'batch.confirmed': { guard: 'isThisBatch', target: 'pausing', actions: 'deleteBatch' },
        'batch.refused': { guard: 'isThisBatch', target: 'resting', actions: 'giveUpBatch' },
      },
      after: { confirmTimeout: { target: 'resting', actions: 'giveUpBatch' } },
    },
    pausing: { after: { pace: 'choosing' } },
  },
});
