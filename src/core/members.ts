/**
 * The membership history (paper § 4.8): joins and removals are explicit, persisted with time and
 * issuer, and reconciled by gossip. Every node folds the same history to the same members (RULES B1).
 */
import { isNodeId, nodeId } from './ids.ts';
import type { NodeId, StartId } from './ids.ts';

/** A founder as the bootstrap list names it. */
export type Founder = { readonly id: NodeId; readonly zone: string; readonly weight: number };

type EventHead = {
  /** 1 + the highest lamport its issuer had seen. */
  readonly lamport: number;
  readonly issuer: NodeId;
  /**
   * Which life of the issuer: one that lost its disk must not name another event as it named one
   * before. Absent in the creation event, which is the same for all founders.
   */
  readonly life?: StartId;
  /** Counts the events of one life of one issuer, from 1. */
  readonly sequence: number;
  /** Wall clock of the issuer, for people only: never an order. */
  readonly issuedAtMs: number;
};

export type MembershipEvent = EventHead &
  (
    | {
        readonly type: 'create';
        readonly clusterName: string;
        readonly n: number;
        readonly partitions: number;
        /** Which version of the placement fold this cluster runs. */
        readonly placement: 1;
        readonly founders: readonly Founder[];
      }
    | {
        readonly type: 'join';
        readonly node: NodeId;
        readonly zone: string;
        readonly weight: number;
      }
    | { readonly type: 'leave' | 'remove'; readonly node: NodeId }
    /** Issued by the node that leaves: it holds nothing and takes nothing, for ever. */
    | { readonly type: 'left'; readonly node: NodeId }
    /** A removed node had its time to come back: from here on nobody takes anything from it. */
    | { readonly type: 'gone'; readonly node: NodeId }
    | { readonly type: 'replace'; readonly node: NodeId; readonly by: NodeId }
    | { readonly type: 'set-weight'; readonly node: NodeId; readonly weight: number }
    | { readonly type: 'set-zone'; readonly node: NodeId; readonly zone: string }
    | { readonly type: 'set-n'; readonly n: number }
  );

type LeftEvent = Extract<MembershipEvent, { type: 'left' }>;
type WithoutHead<T> = T extends unknown ? Omit<T, keyof EventHead> : never;
/** What an operator asks for: an event that nobody has issued yet. */
export type MembershipChange = WithoutHead<
  Exclude<MembershipEvent, { type: 'create' | 'left' | 'gone' }>
>;
/** The end of a membership: what a node says of itself when it has left, or others of one long removed. */
export type Farewell = { readonly type: 'left' | 'gone'; readonly node: NodeId };

/** Sorted by (lamport, issuer, life, sequence); the creation event first. */
export type History = readonly MembershipEvent[];

/** A node in its seat: `replace` hands the seat on, and the ring does not change (B1). */
export type Member = {
  readonly id: NodeId;
  readonly seat: string;
  readonly zone: string;
  readonly weight: number;
};

export type Membership = {
  readonly members: readonly Member[];
  readonly n: number;
  readonly partitions: number;
  /** Ids that may never come back. */
  readonly retired: readonly NodeId[];
  /** Those of them that are no source any more. */
  readonly removed: readonly { readonly id: NodeId; readonly how: Removal }[];
};

/**
 * `may-return`: declared dead, and if it lives it may still hand over what it holds; `gone`: not any
 * more; `left`: by itself, with nothing to bring back.
 */
export type Removal = 'may-return' | 'gone' | 'left';

/**
 * Where a member says it is: its highest incarnation counts. Two of one incarnation there are only
 * after a backup was put back: either serves, the node itself will speak up.
 */
export type Announcement = {
  readonly node: NodeId;
  readonly incarnation: number;
  readonly address: string;
};

/** The one creation event of these settings: identical lists give identical events. */
export const creationEvent = (settings: {
  readonly clusterName: string;
  readonly n: number;
  readonly partitions: number;
  readonly founders: readonly Founder[];
}): MembershipEvent => {
  const founders = [...settings.founders].sort((a, b) => (a.id < b.id ? -1 : 1));
  const issuer = founders[0]?.id;
  if (issuer === undefined) throw new RangeError('a cluster is founded by at least one node');
  return {
    type: 'create',
    lamport: 1,
    issuer,
    sequence: 1,
    issuedAtMs: 0,
    clusterName: settings.clusterName,
    n: settings.n,
    partitions: settings.partitions,
    placement: 1,
    founders,
  };
};

/** B1: by lamport, issuer, its life, sequence; never by wall time. */
export const compareEvents = (a: MembershipEvent, b: MembershipEvent): number => {
  const [one, other] = [issuingLife(a), issuingLife(b)];
  return a.lamport - b.lamport || (one < other ? -1 : one > other ? 1 : a.sequence - b.sequence);
};

/** The union of two histories, in order. */
export const mergeHistories = (a: History, b: History): History => {
  const known = new Set(a.map(nameOf));
  const added = b.filter((event) => !known.has(nameOf(event)));
  return added.length === 0 ? a : [...a, ...added].sort(compareEvents);
};

/** Per life of an issuer the highest sequence held without a gap. */
export type Known = Readonly<Record<string, number>>;

/** Events of `history` that someone lacks who knows `known`. */
export const eventsMissing = (history: History, known: Known): readonly MembershipEvent[] =>
  history.filter((event) => event.sequence > (known[issuingLife(event)] ?? 0));

export const knownOf = (history: History): Known => {
  const known: Record<string, number> = {};
  for (const event of [...history].sort((a, b) => a.sequence - b.sequence)) {
    const life = issuingLife(event);
    if (event.sequence === (known[life] ?? 0) + 1) known[life] = event.sequence;
  }
  return known;
};

/** `n1 5f3a…`: no name that an object has of itself, whatever nodes are called. */
export const issuingLife = ({ issuer, life }: Pick<EventHead, 'issuer' | 'life'>): string =>
  `${issuer} ${life ?? ''}`;

/** Per node its announcement of the highest incarnation, sorted by node. */
export const mergeAnnouncements = (
  a: readonly Announcement[],
  b: readonly Announcement[],
): readonly Announcement[] => {
  const newest = new Map(a.map((announcement) => [announcement.node, announcement]));
  for (const announcement of b) {
    if (!isCredible(announcement)) continue;
    const held = newest.get(announcement.node);
    if (held === undefined || isNewer(announcement, held)) {
      newest.set(announcement.node, announcement);
    }
  }
  return [...newest.values()].sort((x, y) => (x.node < y.node ? -1 : 1));
};

/** Nobody starts so often, and a node must be able to outbid whatever is said in its name. */
const INCARNATION_MAX = 2 ** 48;

export const isCredible = ({ incarnation }: Announcement): boolean =>
  incarnation <= INCARNATION_MAX;

const isNewer = (a: Announcement, b: Announcement): boolean =>
  a.incarnation > b.incarnation || (a.incarnation === b.incarnation && a.address > b.address);

/** What two nodes compare to see whether they know the same: equal texts, equal knowledge. */
export const digestText = (history: History, announcements: readonly Announcement[]): string =>
  JSON.stringify([
    history.map(nameOf),
    announcements.map(({ node, incarnation, address }) => [node, incarnation, address]),
  ]);

/** Undefined before the creation event is known. */
export const foldHistory = (history: History): Membership | undefined => {
  let membership: Membership | undefined;
  for (const event of history) membership = applyEvent(membership, event);
  return membership;
};

/** One event on top of what was before; an event invalid at its place is void. */
export const applyEvent = (
  before: Membership | undefined,
  event: MembershipEvent,
): Membership | undefined => {
  if (event.type === 'create') {
    if (before !== undefined) return before;
    const { n, partitions, founders } = event;
    const members = founders.map((founder): Member => ({ ...founder, seat: founder.id }));
    return { members, n, partitions, retired: [], removed: [] };
  }
  if (before === undefined) return undefined;
  if (event.type === 'set-n') return { ...before, n: event.n };
  if (event.type === 'left') return withoutLeaver(before, event);
  if (event.type === 'gone') return withoutReturn(before, event.node);
  const held = before.members.find(({ id }) => id === event.node);
  if (event.type === 'join') {
    if (held !== undefined || before.retired.includes(event.node)) return before;
    const { node: id, zone, weight } = event;
    return { ...before, members: sorted([...before.members, { id, seat: id, zone, weight }]) };
  }
  if (held === undefined) {
    if (event.type === 'replace') return withoutLoser(before, event.by);
    // One that was leaving died before it had handed over what it holds.
    const leaves = before.retired.includes(event.node) && !isRemoved(before, event.node);
    if (event.type !== 'remove' || !leaves) return before;
    const { removed } = without(before, event.node);
    return { ...before, removed };
  }
  const others = before.members.filter((member) => member !== held);
  // Somebody has to own the keys.
  const isLast = others.length === 0 && (event.type === 'leave' || event.type === 'remove');
  if (isLast) return before;
  switch (event.type) {
    case 'leave':
      return { ...before, members: others, retired: [...before.retired, held.id] };
    case 'remove':
      return { ...before, members: others, ...without(before, held.id) };
    case 'replace': {
      // By itself, too: it would be a member whose data nobody waits for.
      const isMember = before.members.some(({ id }) => id === event.by);
      if (isMember || before.retired.includes(event.by)) return before;
      const members = sorted([...others, { ...held, id: event.by }]);
      return { ...before, members, ...without(before, held.id) };
    }
    case 'set-weight':
      return { ...before, members: sorted([...others, { ...held, weight: event.weight }]) };
    case 'set-zone':
      return { ...before, members: sorted([...others, { ...held, zone: event.zone }]) };
  }
};

/**
 * Reads a bootstrap list, `id[@zone][*weight]` separated by commas. Throws RangeError that names
 * the entry and what was expected.
 */
export const parseFounders = (text: string): readonly Founder[] => {
  const founders = text.split(',').map((entry): Founder => {
    const parts = /^([^@*]+)(?:@([A-Za-z0-9._-]+))?(?:\*([0-9]+))?$/.exec(entry.trim());
    const weight = Number(parts?.[3] ?? 1);
    if (parts === null || !isNodeId(parts[1]) || weight < 1 || weight > 100) {
      throw new RangeError(`expected id[@zone][*weight 1-100], found ${JSON.stringify(entry)}`);
    }
    return { id: nodeId(parts[1]), zone: parts[2] ?? 'default', weight };
  });
  const ids = new Set(founders.map(({ id }) => id));
  if (ids.size !== founders.length) throw new RangeError(`an id stands twice in ${text}`);
  return founders;
};

export const isRemoved = ({ removed }: Pick<Membership, 'removed'>, node: NodeId): boolean =>
  removed.some(({ id }) => id === node);

/** A dead node is retired, and nobody waits for its data. */
const without = ({ retired, removed }: Membership, id: NodeId) => ({
  retired: [...retired, id],
  removed: [...removed, { id, how: 'may-return' as const }],
});

/** Void of anybody who could not return anyway: two members may say it at once. */
const withoutReturn = (before: Membership, node: NodeId): Membership => {
  const { removed } = before;
  if (!removed.some(({ id, how }) => id === node && how === 'may-return')) return before;
  return {
    ...before,
    removed: removed.map((each) => (each.id === node ? { id: node, how: 'gone' } : each)),
  };
};

/**
 * A seat was handed on, or given up, on both sides of a split. Who comes too late may hold records
 * by then: it gives them away like one that was told to leave, and is asked until it has.
 */
const withoutLoser = (before: Membership, id: NodeId): Membership => {
  const isKnown = before.members.some((each) => each.id === id) || before.retired.includes(id);
  return isKnown ? before : { ...before, retired: [...before.retired, id] };
};

/** Only the node itself knows that it holds nothing; of one declared dead, too, it is good to know. */
const withoutLeaver = (before: Membership, { node: id, issuer }: LeftEvent): Membership => {
  const { retired, removed } = before;
  const isKnown = removed.some((each) => each.id === id && each.how === 'left');
  if (issuer !== id || !retired.includes(id) || isKnown) return before;
  const others = removed.filter((each) => each.id !== id);
  return { ...before, removed: [...others, { id, how: 'left' }] };
};

const sorted = (members: readonly Member[]): readonly Member[] =>
  [...members].sort((a, b) => (a.seat < b.seat ? -1 : 1));

const nameOf = (event: MembershipEvent): string =>
  `${event.lamport} ${issuingLife(event)} ${event.sequence}`;
