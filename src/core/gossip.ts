/**
 * Gossip of the membership history as a pure exchange (paper § 4.8): digests first, then only what
 * the other side lacks. Idempotent, so loss, duplication and reordering cost a round and no more.
 *
 *   a ──digest──▶ b   equal: nothing more
 *   a ◀──known + announcements── b   ──events a lacks…──▶ and the same the other way
 */
import {
  digestText,
  eventsMissing,
  knownOf,
  mergeAnnouncements,
  mergeHistories,
} from './members.ts';
import type { Announcement, History, MembershipEvent } from './members.ts';

export type Book = {
  readonly history: History;
  readonly announcements: readonly Announcement[];
};

export type GossipMessage =
  | { readonly type: 'gossip.digest'; readonly digest: string }
  | {
      readonly type: 'gossip.known';
      /** Per issuer the highest sequence number held. */
      readonly known: Readonly<Record<string, number>>;
      readonly announcements: readonly Announcement[];
      /** Whether the receiver should say what it knows in turn. */
      readonly answer: boolean;
    }
  | { readonly type: 'gossip.events'; readonly events: readonly MembershipEvent[] };

export const digestOf = ({ history, announcements }: Book): string =>
  digestText(history, announcements);

/** What to say after hearing `message`, and what is known now; the same book if it taught nothing. */
export const hear = (
  book: Book,
  message: GossipMessage,
): { readonly book: Book; readonly replies: readonly GossipMessage[] } => {
  switch (message.type) {
    case 'gossip.digest':
      return { book, replies: message.digest === digestOf(book) ? [] : [knowledge(book, true)] };
    case 'gossip.known': {
      const missing = eventsMissing(book.history, message.known);
      const learned = withBook(book, [], message.announcements);
      const replies: GossipMessage[] = [];
      if (missing.length > 0) replies.push({ type: 'gossip.events', events: missing });
      if (message.answer) replies.push(knowledge(learned, false));
      return { book: learned, replies };
    }
    case 'gossip.events':
      return { book: withBook(book, message.events, []), replies: [] };
  }
};

export const withBook = (
  book: Book,
  events: readonly MembershipEvent[],
  announcements: readonly Announcement[],
): Book => {
  const history = mergeHistories(book.history, events);
  const merged = mergeAnnouncements(book.announcements, announcements);
  const same =
    history === book.history && digestText([], merged) === digestText([], book.announcements);
  return same ? book : { history, announcements: merged };
};

const knowledge = ({ history, announcements }: Book, answer: boolean): GossipMessage => ({
  type: 'gossip.known',
  known: knownOf(history),
  announcements,
  answer,
});
