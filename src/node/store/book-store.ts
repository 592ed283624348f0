/** The membership book on disk: the whole of it under one key, since it is small and rarely changes. */
import { creationEvent } from '../../core/members.ts';
import type { Announcement, Founder, History } from '../../core/members.ts';
import { withBook } from '../../core/gossip.ts';
import type { Book } from '../../core/gossip.ts';
import type { CommitResult, Storage } from '../../ports/storage.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { META } from './meta-rows.ts';

const BOOK = new TextEncoder().encode('book');

/** What a data directory remembers of its node. */
export type Identity = {
  readonly id: string;
  readonly incarnation: number;
  /** Absent in directories older than the mark: 1. */
  readonly format?: number;
  /** `running` after its end: that life was cut short. */
  readonly life?: 'running' | 'stopped';
};

/** How this program lays its tables out; a higher number on disk is from a newer one. */
export const DATA_FORMAT = 2;

/** How the life before this one ended, in words. */
export const lastEnd = (earlier: Identity | undefined): string =>
  earlier === undefined ? 'nothing' : earlier.life === 'stopped' ? 'a clean stop' : 'a crash';

export const loadBook = (storage: Storage): Book => {
  const bytes = storage.get('members', BOOK);
  if (bytes === undefined) return { history: [], announcements: [] };
  const book = decodeCbor(bytes) as { history: History; announcements: Announcement[] };
  return withBook({ history: [], announcements: [] }, book.history, book.announcements);
};

export const saveBook = (
  storage: Storage,
  book: Book,
  done: (result: CommitResult) => void,
): void => {
  const value = encodeCbor({ history: book.history, announcements: book.announcements });
  storage.commit([{ type: 'put', table: 'members', key: BOOK, value }], done);
};

export const loadIdentity = (storage: Storage): Identity | undefined => {
  const bytes = storage.get('meta', META.self);
  return bytes === undefined ? undefined : (decodeCbor(bytes) as Identity);
};

/** `failed` hears why, should it not reach the disk. */
export const saveIdentity = (
  storage: Storage,
  identity: Identity,
  failed: (reason: string) => void,
): void => {
  const value = encodeCbor(identity);
  storage.commit([{ type: 'put', table: 'meta', key: META.self, value }], (result) => {
    if (result.type === 'failed') failed(`commit failed: ${result.reason}`);
  });
};

/** How a cluster is founded: identical settings on each founder, identical creation event. */
export type Founding = {
  readonly clusterName: string;
  readonly n: number;
  readonly partitions: number;
  readonly founders: readonly Founder[];
};

/** The book of a founder at its first start. */
export const foundingBook = (founding: Founding): Book => ({
  history: [creationEvent(founding)],
  announcements: [],
});
