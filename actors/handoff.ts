/**
 * Hinted handoff (paper § 4.6): hints are scanned periodically and whenever a peer recovers,
 * delivered to the owner they name in batches, and forgotten only after that owner has made them
 * durable.
 *
 *   idle ──scan interval / peer recovered──▶ choosing ──a reachable target──▶ delivering
 *     ▲                                        │  ▲ ▲                            │ │
 *     └──────────nobody to deliver to──────────┘  │ └─pace── pausing ◀─delivered─┘ │
 *                                                 └──silence: pass it over─────────┘
 */
import { assign, setup } from 'xstate';

export type HandoffEvent =
  | { readonly type: 'peer.recovered' }
  /** The answer of `sendBatch`: a batch went out, or no hint has a reachable target. */
  | { readonly type: 'batch.sent'; readonly batch: number }
  | { readonly type: 'batch.none' }
  | { readonly type: 'batch.delivered'; readonly batch: number };

export type HandoffPorts = {
  /** Sends the next batch for a healthy target; answers with `batch.sent` or `batch.none`. */
  sendBatch(): void;
  /** The target has made this batch durable: its hints may go. */
  forgetBatch(batch: number): void;
  /** The target did not answer: it is passed over until the next scan. */
  giveUpBatch(batch: number): void;
  /** How long to rest after a batch, ms: what admission grants (paper § 6.5). */
  paceMs(): number;
};

export type HandoffInput = {
  readonly ports: HandoffPorts;
  readonly scanIntervalMs: number;
  readonly deliveryTimeoutMs: number;
};

type HandoffContext = HandoffInput & { readonly batch: number | undefined };

export const handoffMachine = setup({
  types: {
    context: {} as HandoffContext,
    input: {} as HandoffInput,
    events: {} as HandoffEvent,
  },
  delays: {
    scanInterval: ({ context }) => context.scanIntervalMs,
    deliveryTimeout: ({ context }) => context.deliveryTimeoutMs,
    pace: ({ context }) => context.ports.paceMs(),
  },
  guards: {
    isThisBatch: ({ context, event }) =>
      event.type === 'batch.delivered' && event.batch === context.batch,
  },
  actions: {
    sendBatch: ({ context }) => context.ports.sendBatch(),
    recordBatch: assign(({ event }) => (event.type === 'batch.sent' ? { batch: event.batch } : {})),
    forgetBatch: ({ context }) => {
      if (context.batch !== undefined) context.ports.forgetBatch(context.batch);
    },
    giveUpBatch: ({ context }) => {
      if (context.batch !== undefined) context.ports.giveUpBatch(context.batch);
    },
  },
}).createMachine({
  id: 'handoff',
  context: ({ input }) => ({ ...input, batch: undefined }),
  initial: 'idle',
  states: {
    idle: {
      on: { 'peer.recovered': 'choosing' },
      after: { scanInterval: 'choosing' },
    },
    choosing: {
      entry: 'sendBatch',
      on: {
        'batch.sent': { target: 'delivering', actions: 'recordBatch' },
        'batch.none': 'idle',
      },
    },
    delivering: {
      on: {
        'batch.delivered': { guard: 'isThisBatch', target: 'pausing', actions: 'forgetBatch' },
      },
      after: { deliveryTimeout: { target: 'choosing', actions: 'giveUpBatch' } },
    },
    pausing: { after: { pace: 'choosing' } },
  },
});
