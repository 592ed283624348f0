/**
 * Anti-entropy (paper § 4.7): from time to time, and at once when there is a reason, one exchange
 * with one co-owner, so that replicas become equal whatever was lost on the way.
 *
 *   resting ──interval / exchange wanted──▶ choosing ──a co-owner──▶ exchanging ──▶ resting
 *      ▲                                      │                      (one exchange machine)
 *      └────────────nobody to ask─────────────┘
 */
import { setup } from 'xstate';
import { exchangeMachine } from './exchange.ts';
import type { ExchangeInput } from './exchange.ts';

export type AntiEntropyEvent =
  /** A reason not to wait: a peer is back, an operator asks, a partition has to be refilled. */
  | { readonly type: 'exchange.wanted' }
  | { readonly type: 'peer.chosen' }
  | { readonly type: 'peer.none' };

export type AntiEntropyPorts = {
  /** Picks the co-owner for the next exchange; answers with `peer.chosen` or `peer.none`. */
  choosePeer(): void;
  /** How long to rest now, ms: short while something is known to be unfinished. */
  restMs(): number;
};

export type AntiEntropyInput = {
  readonly ports: AntiEntropyPorts;
  readonly exchange: ExchangeInput;
};

export const antiEntropyMachine = setup({
  types: {
    context: {} as AntiEntropyInput,
    input: {} as AntiEntropyInput,
    events: {} as AntiEntropyEvent,
  },
  actors: { exchange: exchangeMachine },
  delays: { rest: ({ context }) => context.ports.restMs() },
  actions: { choosePeer: ({ context }) => context.ports.choosePeer() },
}).createMachine({
  id: 'anti-entropy',
  context: ({ input }) => input,
  initial: 'resting',
  states: {
    resting: {
      on: { 'exchange.wanted': 'choosing' },
      after: { rest: 'choosing' },
    },
    choosing: {
      entry: 'choosePeer',
      on: { 'peer.chosen': 'exchanging', 'peer.none': 'resting' },
    },
    exchanging: {
      invoke: {
        src: 'exchange',
        systemId: 'exchange',
        input: ({ context }) => context.exchange,
        onDone: 'resting',
      },
    },
  },
});
