/**
 * Membership by gossip (paper § 4.8): every second it tells one random peer the digest of what it
 * knows, and whoever differs exchanges what is missing. What it learns is persisted before it is
 * acted on. It carries who belongs to the cluster and where they are, never who is alive.
 *
 *   gossiping ──interval: digest to a random peer──▶ gossiping
 *       ▲ └──heard something new──▶ persisting ──persisted: publish──┘
 */
import { assign, setup } from 'xstate';
import { digestOf, hear, withBook } from '../src/core/gossip.ts';
import type { Book, GossipMessage } from '../src/core/gossip.ts';
import type { NodeId } from '../src/core/ids.ts';
import type { MembershipEvent } from '../src/core/members.ts';

export type MembershipEventIn =
  | { readonly type: 'gossip.heard'; readonly from: NodeId; readonly message: GossipMessage }
  /** An operator's change, valid on top of what is known here. */
  | { readonly type: 'change.issued'; readonly event: MembershipEvent }
  | { readonly type: 'book.persisted'; readonly book: Book };

export type MembershipPorts = {
  /** A random linked peer; undefined if there is none. */
  randomPeer(): NodeId | undefined;
  send(to: NodeId, message: GossipMessage): void;
  /** Answers with `book.persisted`. */
  persist(book: Book): void;
  publish(book: Book): void;
};

export type MembershipInput = {
  readonly ports: MembershipPorts;
  /** What storage holds at this start. */
  readonly load: () => Book;
  readonly gossipIntervalMs: number;
};

type MembershipContext = MembershipInput & { readonly book: Book; readonly published: Book };

export const membershipMachine = setup({
  types: {
    context: {} as MembershipContext,
    input: {} as MembershipInput,
    events: {} as MembershipEventIn,
  },
  delays: {
    gossipInterval: ({ context }) => context.gossipIntervalMs,
  },
  guards: {
    learnsSomething: ({ context, event }) =>
      event.type === 'gossip.heard' && hear(context.book, event.message).book !== context.book,
    knowsMore: ({ context }) => context.book !== context.published,
  },
  actions: {
    sendDigest: ({ context }) => {
      const { ports, book } = context;
      const peer = ports.randomPeer();
      if (peer !== undefined) ports.send(peer, { type: 'gossip.digest', digest: digestOf(book) });
    },
    answer: ({ context, event }) => {
      if (event.type !== 'gossip.heard') return;
      for (const reply of hear(context.book, event.message).replies) {
        context.ports.send(event.from, reply);
      }
    },
    recordHeard: assign(({ context, event }) =>
      event.type === 'gossip.heard' ? { book: hear(context.book, event.message).book } : {},
    ),
    recordChange: assign(({ context, event }) =>
      event.type === 'change.issued' ? { book: withBook(context.book, [event.event], []) } : {},
    ),
    persist: ({ context }) => context.ports.persist(context.book),
    publish: ({ context, event }) => {
      if (event.type === 'book.persisted') context.ports.publish(event.book);
    },
    recordPublished: assign(({ event }) =>
      event.type === 'book.persisted' ? { published: event.book } : {},
    ),
  },
}).createMachine({
  id: 'membership',
  context: ({ input }) => {
    const book = input.load();
    return { ...input, book, published: book };
  },
  initial: 'gossiping',
  states: {
    gossiping: {
      initial: 'waiting',
      on: {
        'gossip.heard': [
          { guard: 'learnsSomething', target: 'persisting', actions: ['answer', 'recordHeard'] },
          { actions: 'answer' },
        ],
        'change.issued': { target: 'persisting', actions: 'recordChange' },
      },
      states: {
        waiting: {
          after: { gossipInterval: { target: 'waiting', reenter: true, actions: 'sendDigest' } },
        },
      },
    },
    persisting: {
      entry: 'persist',
      on: {
        'gossip.heard': { actions: ['answer', 'recordHeard'] },
        'change.issued': { actions: 'recordChange' },
        'book.persisted': { target: 'persisted', actions: ['publish', 'recordPublished'] },
      },
    },
    persisted: {
      always: [{ guard: 'knowsMore', target: 'persisting' }, { target: 'gossiping' }],
    },
  },
});
