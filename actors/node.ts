/**
 * The supervisor of a node: its life, and beside it one region for each long-lived actor, which is
 * restarted after a crash from its input and storage, with a growing pause, until too many crashes
 * end the node. Nothing it does is hidden: each crash is reported.
 *
 *   life            joining ──ring known──▶ serving ──drain──▶ draining ──drained / timeout──▶ stopped
 *   each actor      running ──crash──▶ backingOff ──backoff──▶ running,  or too many ──▶ life: failed
 *                   running for a minute: its crashes are forgotten
 */
import { assign, setup } from 'xstate';
import type { AdmissionInput } from './admission.ts';
import { admissionMachine } from './admission.ts';
import type { AntiEntropyInput } from './anti-entropy.ts';
import { antiEntropyMachine } from './anti-entropy.ts';
import type { FailureDetectorInput } from './failure-detector.ts';
import { failureDetectorMachine } from './failure-detector.ts';
import type { HandoffInput } from './handoff.ts';
import { handoffMachine } from './handoff.ts';
import type { MembershipInput } from './membership.ts';
import { membershipMachine } from './membership.ts';
import type { ScrubInput } from './scrub.ts';
import { scrubMachine } from './scrub.ts';
import type { ReapInput } from './reap.ts';
import { reapMachine } from './reap.ts';
import type { TransferInput } from './transfer.ts';
import { transferMachine } from './transfer.ts';
import type { WriteBufferInput } from './write-buffer.ts';
import { writeBufferMachine } from './write-buffer.ts';

export type NodeEvent =
  /** The history lists this node: it may serve. */
  | { readonly type: 'ring.known' }
  | { readonly type: 'node.drain' }
  | { readonly type: 'node.drained' };

export type LongLivedActor =
  | 'membership'
  | 'failureDetector'
  | 'writeBuffer'
  | 'handoff'
  | 'antiEntropy'
  | 'transfer'
  | 'scrub'
  | 'reap'
  | 'admission';

export type NodePorts = {
  /** Requests are taken from now on. */
  serve(): void;
  /** New requests are refused; `node.drained` once those in flight are done. */
  drain(): void;
  stopped(): void;
  /** An actor crashed too often: the node ends. */
  failed(actor: LongLivedActor): void;
  crashed(actor: LongLivedActor, error: unknown): void;
};

export type NodeInput = {
  readonly ports: NodePorts;
  readonly membership: MembershipInput;
  readonly failureDetector: FailureDetectorInput;
  readonly writeBuffer: WriteBufferInput;
  readonly handoff: HandoffInput;
  readonly antiEntropy: AntiEntropyInput;
  readonly admission: AdmissionInput;
  readonly transfer: TransferInput;
  readonly scrub: ScrubInput;
  readonly reap: ReapInput;
  readonly restartBackoffMs: number;
  readonly restartsMax: number;
  readonly drainTimeoutMs: number;
};

type NodeContext = NodeInput & { readonly crashes: Readonly<Record<LongLivedActor, number>> };

const BACKOFF_MS_MAX = 5000;
/** An actor that ran so long since its last crash is as good as new. */
const CRASH_MEMORY_MS = 60_000;

const parts = setup({
  types: {
    context: {} as NodeContext,
    input: {} as NodeInput,
    events: {} as NodeEvent,
  },
  actors: {
    membership: membershipMachine,
    failureDetector: failureDetectorMachine,
    writeBuffer: writeBufferMachine,
    handoff: handoffMachine,
    antiEntropy: antiEntropyMachine,
    admission: admissionMachine,
    transfer: transferMachine,
    scrub: scrubMachine,
    reap: reapMachine,
  },
  delays: {
    membershipBackoff: ({ context }) => backoffMs(context, 'membership'),
    failureDetectorBackoff: ({ context }) => backoffMs(context, 'failureDetector'),
    writeBufferBackoff: ({ context }) => backoffMs(context, 'writeBuffer'),
    handoffBackoff: ({ context }) => backoffMs(context, 'handoff'),
    antiEntropyBackoff: ({ context }) => backoffMs(context, 'antiEntropy'),
    admissionBackoff: ({ context }) => backoffMs(context, 'admission'),
    reapBackoff: ({ context }) => backoffMs(context, 'reap'),
    transferBackoff: ({ context }) => backoffMs(context, 'transfer'),
    scrubBackoff: ({ context }) => backoffMs(context, 'scrub'),
    drainTimeout: ({ context }) => context.drainTimeoutMs,
    crashMemory: CRASH_MEMORY_MS,
  },
  guards: {
    tooManyCrashes: ({ context }, actor: LongLivedActor) =>
      context.crashes[actor] >= context.restartsMax,
  },
  actions: {
    serve: ({ context }) => context.ports.serve(),
    drain: ({ context }) => context.ports.drain(),
    tellStopped: ({ context }) => context.ports.stopped(),
    tellFailed: ({ context }, actor: LongLivedActor) => context.ports.failed(actor),
    recordCrash: assign(({ context }, actor: LongLivedActor) => ({
      crashes: { ...context.crashes, [actor]: context.crashes[actor] + 1 },
    })),
    forgetCrashes: assign(({ context }, actor: LongLivedActor) => ({
      crashes: { ...context.crashes, [actor]: 0 },
    })),
    tellCrash: ({ context, event }, actor: LongLivedActor) =>
      context.ports.crashed(actor, (event as { readonly error?: unknown }).error),
  },
});

const crash = (actor: LongLivedActor) =>
  ({
    target: 'backingOff',
    actions: [
      { type: 'recordCrash', params: actor },
      { type: 'tellCrash', params: actor },
    ],
  }) as const;

const running = {
  membership: parts.createStateConfig({
    invoke: {
      src: 'membership',
      systemId: 'membership',
      input: ({ context }) => context.membership,
      onError: crash('membership'),
    },
  }),
  failureDetector: parts.createStateConfig({
    invoke: {
      src: 'failureDetector',
      systemId: 'failureDetector',
      input: ({ context }) => context.failureDetector,
      onError: crash('failureDetector'),
    },
  }),
  writeBuffer: parts.createStateConfig({
    invoke: {
      src: 'writeBuffer',
      systemId: 'writeBuffer',
      input: ({ context }) => context.writeBuffer,
      onError: crash('writeBuffer'),
    },
  }),
  handoff: parts.createStateConfig({
    invoke: {
      src: 'handoff',
      systemId: 'handoff',
      input: ({ context }) => context.handoff,
      onError: crash('handoff'),
    },
  }),
  antiEntropy: parts.createStateConfig({
    invoke: {
      src: 'antiEntropy',
      systemId: 'antiEntropy',
      input: ({ context }) => context.antiEntropy,
      onError: crash('antiEntropy'),
    },
  }),
  admission: parts.createStateConfig({
    invoke: {
      src: 'admission',
      systemId: 'admission',
      input: ({ context }) => context.admission,
      onError: crash('admission'),
    },
  }),
  reap: parts.createStateConfig({
    invoke: {
      src: 'reap',
      systemId: 'reap',
      input: ({ context }) => context.reap,
      onError: crash('reap'),
    },
  }),
  transfer: parts.createStateConfig({
    invoke: {
      src: 'transfer',
      systemId: 'transfer',
      input: ({ context }) => context.transfer,
      onError: crash('transfer'),
    },
  }),
  scrub: parts.createStateConfig({
    invoke: {
      src: 'scrub',
      systemId: 'scrub',
      input: ({ context }) => context.scrub,
      onError: crash('scrub'),
    },
  }),
};

/** The region of one long-lived actor: running, or backing off after a crash. */
const supervised = (actor: LongLivedActor) =>
  parts.createStateConfig({
    initial: 'running',
    states: {
      running: {
        ...running[actor],
        after: { crashMemory: { actions: { type: 'forgetCrashes', params: actor } } },
      },
      backingOff: {
        always: {
          guard: { type: 'tooManyCrashes', params: actor },
          target: 'failed',
          actions: { type: 'tellFailed', params: actor },
        },
        after: { [`${actor}Backoff`]: 'running' },
      },
      failed: {},
    },
  });

export const nodeMachine = parts.createMachine({
  id: 'node',
  type: 'parallel',
  context: ({ input }) => ({
    ...input,
    crashes: {
      membership: 0,
      failureDetector: 0,
      writeBuffer: 0,
      handoff: 0,
      antiEntropy: 0,
      admission: 0,
      transfer: 0,
      scrub: 0,
      reap: 0,
    },
  }),
  states: {
    life: {
      initial: 'joining',
      states: {
        joining: { on: { 'ring.known': 'serving', 'node.drain': 'draining' } },
        serving: { entry: 'serve', on: { 'node.drain': 'draining' } },
        draining: {
          entry: 'drain',
          on: { 'node.drained': 'stopped' },
          after: { drainTimeout: 'stopped' },
        },
        stopped: { entry: 'tellStopped' },
      },
    },
    membership: supervised('membership'),
    failureDetector: supervised('failureDetector'),
    writeBuffer: supervised('writeBuffer'),
    handoff: supervised('handoff'),
    antiEntropy: supervised('antiEntropy'),
    admission: supervised('admission'),
    transfer: supervised('transfer'),
    scrub: supervised('scrub'),
    reap: supervised('reap'),
  },
});

const backoffMs = (context: NodeContext, actor: LongLivedActor): number =>
  Math.min(BACKOFF_MS_MAX, context.restartBackoffMs * 2 ** context.crashes[actor]);
