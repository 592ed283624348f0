/**
 * One anti-entropy exchange with one co-owner (paper § 4.7): compare roots, descend into what
 * differs, repair it, durable on both sides before it counts. This side drives; the other only
 * answers. Silence at any point ends the exchange; what was repaired until then stays repaired.
 *
 *   comparing ──roots heard──▶ walking ──question asked──▶ awaitingAnswer ──▶ walking
 *       │                       │  ▲ └──repair begun──▶ repairing ──▶ pausing ──pace──┐
 *       │                       │  └───────────────────────────────────────────────────┘
 *       │                       └──nothing left──▶ finished
 *       └──────────silence, here or anywhere──▶ abandoned
 */
import { setup } from 'xstate';

export type ExchangeEvent =
  /** The other side's roots are here; the walk is laid out. */
  | { readonly type: 'roots.heard' }
  /** What the next step of the walk turned out to be. */
  | { readonly type: 'step.asked' }
  | { readonly type: 'step.repairs' }
  | { readonly type: 'steps.done' }
  | { readonly type: 'answer.heard' }
  /** A batch is durable on both sides. */
  | { readonly type: 'repair.done' };

export type ExchangePorts = {
  /** Asks the chosen peer for its roots; answers with `roots.heard`. */
  askRoots(): void;
  /** Does the next step; answers with `step.asked`, `step.repairs` or `steps.done`. */
  takeStep(): void;
  /** The peer fell silent: what it may still say counts for nothing. */
  abandon(): void;
  finish(): void;
  /** How long to rest after a batch, ms: what admission grants (paper § 6.5). */
  paceMs(): number;
};

export type ExchangeInput = {
  readonly ports: ExchangePorts;
  /** Silence of the peer after which the exchange is given up, ms. */
  readonly answerTimeoutMs: number;
  /** The same while records are fetched and made durable on both sides, ms. */
  readonly repairTimeoutMs: number;
};

export const exchangeMachine = setup({
  types: {
    context: {} as ExchangeInput,
    input: {} as ExchangeInput,
    events: {} as ExchangeEvent,
  },
  delays: {
    answerTimeout: ({ context }) => context.answerTimeoutMs,
    repairTimeout: ({ context }) => context.repairTimeoutMs,
    pace: ({ context }) => context.ports.paceMs(),
  },
  actions: {
    askRoots: ({ context }) => context.ports.askRoots(),
    takeStep: ({ context }) => context.ports.takeStep(),
    finish: ({ context }) => context.ports.finish(),
    abandon: ({ context }) => context.ports.abandon(),
  },
}).createMachine({
  id: 'exchange',
  context: ({ input }) => input,
  initial: 'comparing',
  states: {
    comparing: {
      entry: 'askRoots',
      on: { 'roots.heard': 'walking' },
      after: { answerTimeout: 'abandoned' },
    },
    walking: {
      entry: 'takeStep',
      on: {
        'step.asked': 'awaitingAnswer',
        'step.repairs': 'repairing',
        'steps.done': 'finished',
      },
    },
    awaitingAnswer: {
      on: { 'answer.heard': 'walking' },
      after: { answerTimeout: 'abandoned' },
    },
    repairing: {
      on: { 'repair.done': 'pausing' },
      after: { repairTimeout: 'abandoned' },
    },
    pausing: { after: { pace: 'walking' } },
    finished: { type: 'final', entry: 'finish' },
    abandoned: { type: 'final', entry: 'abandon' },
  },
});
