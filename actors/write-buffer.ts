/**
 * The writer of the memory buffer (paper § 6.1): decides when what the replica has buffered is
 * committed, and stops the node if a commit fails. The buffered objects themselves are a value the
 * replica reads first; this actor only knows that there are some.
 *
 * (It begins in `resuming`: after a crash of this actor the buffer may hold something already.)
 *
 *   empty ──buffered──▶ gathering ──interval / buffer full──▶ committing ──▶ empty
 *                           └──sync wanted──▶ grouping ──window──▶ │  ▲        or gathering / grouping,
 *                                                                  └──┘        as came in meanwhile
 *                                           committing ──failed──▶ failed
 */
import { assign, setup } from 'xstate';

export type WriteBufferEvent =
  /** The buffer was empty and now holds something. */
  | { readonly type: 'buffer.filled' }
  /** The buffer reached its most objects. */
  | { readonly type: 'buffer.full' }
  /** Somebody waits for what is buffered to be durable. */
  | { readonly type: 'sync.wanted' }
  | { readonly type: 'commit.done' }
  | { readonly type: 'commit.failed'; readonly reason: string };

export type WriteBufferPorts = {
  /** How many changes are in memory only. */
  buffered(): number;
  /** Begins one commit of all that is buffered; answers with `commit.done` or `commit.failed`. */
  commit(): void;
  /** The last commit is durable: whoever waited for it may be told. */
  committed(): void;
  /** No more acks, and the process ends (DESIGN: fail-stop). */
  failStop(reason: string): void;
};

export type WriteBufferInput = {
  readonly ports: WriteBufferPorts;
  /** How long an unhurried write may stay in memory, ms. */
  readonly flushIntervalMs: number;
  /** How long the first durable write waits for others to share its commit, ms. */
  readonly groupCommitMs: number;
};

type WriteBufferContext = WriteBufferInput & {
  /** What came in while a commit was under way. */
  readonly meanwhile: 'nothing' | 'writes' | 'hurry';
};

export const writeBufferMachine = setup({
  types: {
    context: {} as WriteBufferContext,
    input: {} as WriteBufferInput,
    events: {} as WriteBufferEvent,
  },
  delays: {
    flushInterval: ({ context }) => context.flushIntervalMs,
    groupCommit: ({ context }) => context.groupCommitMs,
  },
  guards: {
    somethingBuffered: ({ context }) => context.ports.buffered() > 0,
    someoneHurries: ({ context }) => context.meanwhile === 'hurry',
    someWrites: ({ context }) => context.meanwhile === 'writes',
  },
  actions: {
    commit: ({ context }) => context.ports.commit(),
    tellCommitted: ({ context }) => context.ports.committed(),
    failStop: ({ context, event }) => {
      if (event.type === 'commit.failed') context.ports.failStop(event.reason);
    },
    recordHurry: assign({ meanwhile: 'hurry' as const }),
    recordWrites: assign(({ context }) => ({
      meanwhile: context.meanwhile === 'hurry' ? ('hurry' as const) : ('writes' as const),
    })),
    forgetMeanwhile: assign({ meanwhile: 'nothing' as const }),
  },
}).createMachine({
  id: 'write-buffer',
  context: ({ input }) => ({ ...input, meanwhile: 'nothing' }),
  initial: 'resuming',
  on: {
    // Of a commit that was under way when this actor crashed and began anew.
    'commit.done': { actions: 'tellCommitted' },
    'commit.failed': { target: '.failed', actions: 'failStop' },
  },
  states: {
    resuming: {
      always: [{ guard: 'somethingBuffered', target: 'committing' }, { target: 'empty' }],
    },
    empty: {
      on: { 'buffer.filled': 'gathering', 'sync.wanted': 'grouping', 'buffer.full': 'committing' },
    },
    gathering: {
      on: { 'sync.wanted': 'grouping', 'buffer.full': 'committing' },
      after: { flushInterval: 'committing' },
    },
    grouping: {
      on: { 'buffer.full': 'committing' },
      after: { groupCommit: 'committing' },
    },
    committing: {
      entry: ['forgetMeanwhile', 'commit'],
      on: {
        'buffer.filled': { actions: 'recordWrites' },
        'buffer.full': { actions: 'recordHurry' },
        'sync.wanted': { actions: 'recordHurry' },
        'commit.done': { target: 'committed', actions: 'tellCommitted' },
        'commit.failed': { target: 'failed', actions: 'failStop' },
      },
    },
    committed: {
      always: [
        { guard: 'someoneHurries', target: 'committing' },
        { guard: 'someWrites', target: 'gathering' },
        { target: 'empty' },
      ],
    },
    // Whatever the disk says now, nobody is told.
    failed: { on: { 'commit.done': {}, 'commit.failed': {} } },
  },
});
