/**
 * The coordinator of one put or delete (paper §§ 4.5, 4.6, 6.1). It has its own replica mint the
 * dot, sends the record to the other healthy nodes of the preference list, answers after W acks of
 * which `dw` are durable, and then lingers so that no owner is left without the write or a hint.
 *
 *   minting ──minted──▶ writing ──quorum won / lost / timeout──▶ lingering ──▶ done
 *      │                 │  ▲                                     settled, or hints kept
 *      └─refused─▶ done  └──┘ patience: a fallback for who is silent, a sync for what is buffered;
 *                             at once where the link to a replica is lost
 *
 * A delete is a put of a tombstone. Nothing is sent before the dot is minted, so whatever fails
 * in `minting` is *refused*; whatever fails later is *unknown*.
 */
import { assign, setup } from 'xstate';
import type { NodeId } from '../src/core/ids.ts';
import {
  isSettled,
  ownersWithout,
  placements,
  recordAck,
  recordRefusal,
  replaceSilent,
  toSync,
  durableLacking,
  isCounted,
  writeVerdict,
} from '../src/core/quorum.ts';
import type { Placement, WriteTally } from '../src/core/quorum.ts';
import type { FailedReply, PutCommand, PutReply, RequestId } from '../src/wire/peer-messages.ts';

/** The put as this node's replica has written it. */
export type Minted = {
  readonly record: Uint8Array;
  /** The hash of what it was made of, if that was at hand: other replicas may hold the very same. */
  readonly over?: bigint | undefined;
  /** For the client: all that the put has seen, and itself. */
  readonly context: Uint8Array;
};

export type PutEvent =
  | ({ readonly type: 'replica.minted' } & Minted)
  | { readonly type: 'mint.refused'; readonly failure: FailedReply }
  | { readonly type: 'replica.acked'; readonly node: NodeId; readonly durable: boolean }
  | { readonly type: 'replica.refused'; readonly node: NodeId }
  /** The link to `node` is gone: what it has not said it will not say. */
  | { readonly type: 'replica.lost'; readonly node: NodeId };

/** How a strict put's coordinator sees the partition: its register, and the owners after the next step. */
export type StrictView = {
  readonly register: number;
  readonly owners: readonly NodeId[];
  readonly next: readonly NodeId[];
};

export type PutPorts = {
  /** Answers with `replica.minted`, and `replica.acked` once that is durable; or `mint.refused`. */
  mint(request: RequestId, put: PutCommand): void;
  /** Answers with `replica.acked` or `replica.refused`, or not at all. */
  write(
    request: RequestId,
    put: PutCommand,
    minted: Minted,
    to: Placement,
    durable: boolean,
    /** Only where the owners, now and later, are known to be those of the tally (strict). */
    under: StrictView | undefined,
  ): void;
  sync(request: RequestId, put: PutCommand, to: NodeId): void;
  /** Keeps a hint for `owner` here: a reference to the key, no ack to anybody. */
  keepHint(put: PutCommand, owner: NodeId): void;
  reply(request: RequestId, reply: PutReply): void;
};

export type PutInput = {
  readonly request: RequestId;
  readonly self: NodeId;
  readonly put: PutCommand;
  /** As `startWrite` made it of the preference list. */
  readonly tally: WriteTally;
  readonly ports: PutPorts;
  /** How long a replica may be silent before a fallback is asked, ms. */
  readonly patienceMs: number;
  /** How long after the reply to wait for late acks, ms. */
  readonly lingerMs: number;
};

/** What never changes stands one level down: an assignment copies what is beside it. */
type PutContext = {
  readonly input: PutInput;
  readonly tally: WriteTally;
  readonly minted: Minted | undefined;
  readonly replied: boolean;
};

export const putMachine = setup({
  types: {
    context: {} as PutContext,
    input: {} as PutInput,
    events: {} as PutEvent,
  },
  delays: {
    timeout: ({ context }) => context.input.put.timeoutMs,
    patience: ({ context }) => context.input.patienceMs,
    linger: ({ context }) => context.input.lingerMs,
  },
  guards: {
    quorumWon: ({ context }) => writeVerdict(context.tally) === 'won',
    quorumLost: ({ context }) => writeVerdict(context.tally) === 'lost',
    settled: ({ context }) => isSettled(context.tally),
    unanswered: ({ context }) => !context.replied,
  },
  actions: {
    mint: ({ context: { input } }) => input.ports.mint(input.request, input.put),
    recordMint: assign(({ context, event }) => {
      if (event.type !== 'replica.minted') return {};
      return { minted: event, tally: recordAck(context.tally, context.input.self, false) };
    }),
    sendWrites: ({ context }) => {
      // Max(1, dw) of the N replica writes are marked durable; the minting one is the first.
      let durable = Math.max(1, context.tally.dw) - 1;
      for (const to of placements(context.tally)) {
        if (to.node === context.input.self) continue;
        sendTo(context, to, isCounted(context.tally, to.node) && durable-- > 0);
      }
    },
    recordAck: assign(({ context, event }) =>
      event.type === 'replica.acked'
        ? { tally: recordAck(context.tally, event.node, event.durable) }
        : {},
    ),
    recordRefusal: assign(({ context, event }) =>
      event.type === 'replica.refused' || event.type === 'replica.lost'
        ? { tally: recordRefusal(context.tally, event.node) }
        : {},
    ),
    sendToSpares: ({ context }, which: 'refused' | 'all-silent') => {
      const lacking = durableLacking(context.tally);
      replaceSilent(context.tally, which).placed.forEach((to, index) =>
        sendTo(context, to, index < lacking),
      );
    },
    recordSpares: assign(({ context }, which: 'refused' | 'all-silent') => ({
      tally: replaceSilent(context.tally, which).tally,
    })),
    syncMore: ({ context }) => {
      const { input, tally } = context;
      const { ports, request, put } = input;
      const lacking = durableLacking(tally);
      // The one already asked may be stuck on a slow disk, so one more than is lacking is asked.
      if (lacking > 0) {
        for (const node of toSync(tally).slice(0, lacking + 1)) ports.sync(request, put, node);
      }
    },
    replyApplied: ({ context }) => {
      const { input, tally, minted } = context;
      const { acked, durable } = tally;
      const reply = { type: 'applied', acks: acked, durable, context: minted!.context } as const;
      input.ports.reply(input.request, reply);
    },
    replyUnknown: ({ context }) => {
      const { ports, request } = context.input;
      ports.reply(request, unknownReply(context));
    },
    replyRefused: ({ context, event }) => {
      const { ports, request } = context.input;
      if (event.type === 'mint.refused') ports.reply(request, event.failure);
    },
    recordReply: assign({ replied: true }),
    hintMissing: ({ context }) => {
      const { ports, put, self } = context.input;
      for (const owner of ownersWithout(context.tally)) {
        if (owner !== self) ports.keepHint(put, owner);
      }
    },
  },
}).createMachine({
  id: 'put',
  context: ({ input }) => ({
    input,
    tally: input.tally,
    minted: undefined,
    replied: false,
  }),
  initial: 'minting',
  after: {
    timeout: {
      guard: 'unanswered',
      target: '.lingering',
      actions: ['replyUnknown', 'recordReply'],
    },
  },
  states: {
    minting: {
      entry: 'mint',
      on: {
        'replica.minted': { target: 'writing', actions: ['recordMint', 'sendWrites'] },
        'mint.refused': { target: 'done', actions: ['replyRefused'] },
      },
    },
    writing: {
      always: [
        { guard: 'quorumWon', target: 'lingering', actions: ['replyApplied', 'recordReply'] },
        { guard: 'quorumLost', target: 'lingering', actions: ['replyUnknown', 'recordReply'] },
      ],
      on: {
        'replica.acked': { actions: 'recordAck' },
        'replica.refused': {
          actions: [
            'recordRefusal',
            { type: 'sendToSpares', params: 'refused' },
            { type: 'recordSpares', params: 'refused' },
          ],
        },
        'replica.lost': {
          actions: [
            'recordRefusal',
            { type: 'sendToSpares', params: 'refused' },
            { type: 'recordSpares', params: 'refused' },
            'syncMore',
          ],
        },
      },
      after: {
        patience: {
          target: 'writing',
          reenter: true,
          actions: [
            { type: 'sendToSpares', params: 'all-silent' },
            { type: 'recordSpares', params: 'all-silent' },
            'syncMore',
          ],
        },
      },
    },
    lingering: {
      always: { guard: 'settled', target: 'done' },
      on: {
        'replica.acked': { actions: 'recordAck' },
      },
      after: {
        linger: { target: 'done', actions: 'hintMissing' },
      },
    },
    done: { type: 'final' },
  },
});

const sendTo = (context: PutContext, to: Placement, durable: boolean): void => {
  const { input, minted, tally } = context;
  const { ports, request, put } = input;
  if (minted === undefined) return;
  const { register, next, slots } = tally;
  const under =
    register === undefined
      ? undefined
      : { register, owners: slots.map(({ owner }) => owner), next };
  ports.write(request, put, minted, to, durable, under);
};

const unknownReply = ({ tally }: PutContext): PutReply => ({
  type: 'failed',
  code: 'QUORUM_NOT_MET',
  message:
    `wanted ${tally.w} acks of which ${tally.dw} durable, got ${tally.acked.length} of which ` +
    `${tally.durable.length} durable: the write may still be applied`,
  details: {
    outcome: 'unknown',
    wanted: tally.w,
    got: tally.acked.length,
    acks: tally.acked,
    durable: tally.durable,
  },
});
