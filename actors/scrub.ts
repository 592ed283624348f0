/**
 * Scrubbing: from time to time, and slowly, every row of this node is looked at where it lies, since
 * a disk damages what nobody reads and a replica that is never read is no replica. What is found
 * wrong is given up here and refilled by anti-entropy. (The paper is silent on it.)
 *
 *   resting ──interval / scrub wanted──▶ checking ──a slice──▶ pausing ──pace──▶ checking
 *      ▲                                    │                     └──scrub wanted──▲
 *      └────────────round done──────────────┘
 */
import { setup } from 'xstate';

export type ScrubEvent =
  /** An operator does not want to wait for the next round. */
  | { readonly type: 'scrub.wanted' }
  | { readonly type: 'slice.checked' }
  | { readonly type: 'round.done' };

export type ScrubPorts = {
  /** Looks at the next few rows, a new round's first if none is under way; answers with an event. */
  checkSlice(): void;
  /** How long to rest before the next round, ms. */
  restMs(): number;
  /** How long to rest after a slice, ms: what admission grants (paper § 6.5), or more. */
  paceMs(): number;
};

export type ScrubInput = { readonly ports: ScrubPorts };

export const scrubMachine = setup({
  types: {
    context: {} as ScrubInput,
    input: {} as ScrubInput,
    events: {} as ScrubEvent,
  },
  delays: {
    interval: ({ context }) => context.ports.restMs(),
    pace: ({ context }) => context.ports.paceMs(),
  },
  actions: { checkSlice: ({ context }) => context.ports.checkSlice() },
}).createMachine({
  id: 'scrub',
  context: ({ input }) => input,
  initial: 'resting',
  states: {
    resting: {
      on: { 'scrub.wanted': 'checking' },
      after: { interval: 'checking' },
    },
    checking: {
      entry: 'checkSlice',
      on: { 'slice.checked': 'pausing', 'round.done': 'resting' },
    },
    pausing: {
      on: { 'scrub.wanted': 'checking' },
      after: { pace: 'checking' },
    },
  },
});
