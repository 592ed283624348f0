/**
 * The writer of the memory buffer (paper § 6.1): decides when what the replica has buffered is
 * committed. The buffered objects themselves are a value the replica reads first; this actor only
 * knows that there are some.
 *
 * (It begins in `resuming`: after a crash of this actor the buffer may hold something already, and
 * a commit may have become durable that nobody was told of.)
 *
 *   empty ──buffered──▶ gathering ──interval / buffer full──▶ committing ──▶ empty, or gathering
 *                           └──sync wanted──▶ grouping ──window──▶ │  ▲        if writes came in meanwhile
 *                            somebody waits for what came meanwhile ▼  │ as long as that took
 *                                                                 resting
 *                                           committing ──failed──▶ failed: the process ends
 *
 * While a commit is under way nobody has to tell it anything: it looks afterwards what came in. Then it
 * rests as long as it worked, within limits, if more is wanted at once: where processors are short,
 * commits take long, and each that is spared is worth more than the pause costs whoever waits.
 */
import { setup } from 'xstate';

export type WriteBufferEvent =
  /** The buffer was empty and now holds something. */
  | { readonly type: 'buffer.filled' }
  /** The buffer reached its most objects. */
  | { readonly type: 'buffer.full' }
  /** Somebody waits for what is buffered to be durable. */
  | { readonly type: 'sync.wanted' }
  | { readonly type: 'commit.done' }
  /** The node stops of itself: that must not hang on this actor. */
  | { readonly type: 'commit.failed' };

/** What the store tells it. */
export type BufferEvent = Exclude<WriteBufferEvent['type'], `commit.${string}`>;

/** What no commit carries yet: `hurry` if somebody waits for it, `full` if it is too much. */
export type Waiting = 'nothing' | 'writes' | 'hurry' | 'full';

export type WriteBufferPorts = {
  waiting(): Waiting;
  /** Begins one commit of all that is buffered; answers with `commit.done` or `commit.failed`. */
  commit(): void;
  /** Whoever waits for what is durable by now may be told. */
  committed(): void;
  /**
   * How long an unhurried write stays in memory this time, ms. Replicas take the same writes: at the
   * same intervals they would flush in step, and a quorum would wait for all of their disks at once.
   */
  flushAfterMs(): number;
  /** How long to rest after the last commit if somebody waits for the next one, ms. */
  restMs(): number;
};

export type WriteBufferInput = {
  readonly ports: WriteBufferPorts;
  /** How long the first durable write waits for others to share its commit, ms. */
  readonly groupCommitMs: number;
};

export const writeBufferMachine = setup({
  types: {
    context: {} as WriteBufferInput,
    input: {} as WriteBufferInput,
    events: {} as WriteBufferEvent,
  },
  delays: {
    flushInterval: ({ context }) => context.ports.flushAfterMs(),
    groupCommit: ({ context }) => context.groupCommitMs,
    rest: ({ context }) => context.ports.restMs(),
  },
  guards: {
    somethingWaits: ({ context }) => context.ports.waiting() !== 'nothing',
    someoneHurries: ({ context }) => context.ports.waiting() === 'hurry',
    tooMuchWaits: ({ context }) => context.ports.waiting() === 'full',
  },
  actions: {
    commit: ({ context }) => context.ports.commit(),
    tellCommitted: ({ context }) => context.ports.committed(),
  },
}).createMachine({
  id: 'write-buffer',
  context: ({ input }) => input,
  initial: 'resuming',
  on: {
    // In every state: it may be of a commit that was under way when this actor crashed and began anew.
    // What comes in while those who waited are told goes with the next commit, or says so itself.
    'commit.done': [
      { guard: 'tooMuchWaits', target: '.committing', actions: 'tellCommitted' },
      { guard: 'someoneHurries', target: '.resting', actions: 'tellCommitted' },
      { guard: 'somethingWaits', target: '.gathering', actions: 'tellCommitted' },
      { target: '.empty', actions: 'tellCommitted' },
    ],
    'commit.failed': { target: '.failed' },
  },
  states: {
    resuming: {
      entry: 'tellCommitted',
      always: [{ guard: 'somethingWaits', target: 'committing' }, { target: 'empty' }],
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
    committing: { entry: 'commit' },
    resting: {
      on: { 'buffer.full': 'committing' },
      after: { rest: 'committing' },
    },
    // Whatever the disk says now, nobody is told.
    failed: { on: { 'commit.done': {}, 'commit.failed': {} } },
  },
});
