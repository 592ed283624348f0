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
import type { Announcement, History, Known, MembershipEvent } from './members.ts';

export type Book = {
  readonly history: History;
  readonly announcements: readonly Announcement[];
};

export type GossipMessage =
  | { readonly type: 'gossip.digest'; readonly digest: string }
  | {
      readonly type: 'gossip.known';
      readonly known: Known;
      readonly announcements: readonly Announcement[];
      /** Whether the receiver should say what it knows in turn. */
      readonly answer: boolean;
    }
  | { readonly type: 'gossip.events'; readonly events: readonly MembershipEvent[] };

/** 16 hex digits that are equal where everything known is: all that a quiet round costs. */
export const digestOf = (book: Book): string => {
  const known = digests.get(book);
  if (known !== undefined) return known;
  const digest = fingerprint(digestText(book.history, book.announcements));
  digests.set(book, digest);
  return digest;
};

/** Books are replaced, never changed. */
const digests = new WeakMap<Book, string>();

/** Two walks over the text with different multipliers; of no use against somebody who wants to collide. */
const fingerprint = (text: string): string => {
  let [high, low] = [0x2545f491, 0x9e3779b9];
  for (let i = 0; i < text.length; i++) {
    high = Math.imul(high ^ text.charCodeAt(i), 0x01000193);
    low = Math.imul(low ^ text.charCodeAt(i), 0x85ebca77);
    low ^= low >>> 15;
  }
  const hex = (half: number): string => (half >>> 0).toString(16).padStart(8, '0');
  return hex(high ^ (high >>> 16)) + hex(low ^ (low >>> 13));
};

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
