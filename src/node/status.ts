/** What one node knows of the cluster and of itself: the answer to `status`. */
import type { Announcement } from '../core/members.ts';
import type { NodeId } from '../core/ids.ts';
import type { AdmissionReport } from './admission-desk.ts';
import type { Completeness } from './store/completeness.ts';
import type { ExchangeDesk } from './healing/exchange-desk.ts';
import type { ExchangeReport } from './healing/exchange-log.ts';
import type { ReadRepairReport, ReadRepairs } from './requests/read-repairs.ts';
import type { ReapReport } from './healing/reap-desk.ts';
import type { RecordStore } from './store/record-store.ts';
import type { RingView } from './membership/ring-view.ts';
import type { ScrubDesk, ScrubReport } from './healing/scrub-desk.ts';
import type { TransferDesk } from './membership/transfer-desk.ts';
import type { RowCacheCounts } from './store/row-cache.ts';
import type { Witness } from './store/witness.ts';

export type NodeState = 'joining' | 'serving' | 'removed' | 'left' | 'draining' | 'stopped';

export type NodeStatus = {
  readonly id: NodeId;
  /** Its own word for the answering node; `unknown` where only a link would tell. */
  readonly state: string;
  /** As the answering node sees it. */
  readonly health: string;
  readonly zone: string;
  readonly weight: number;
  readonly address: string;
  /** Partitions it owns a replica of. */
  readonly partitions: number;
  /** Hints kept *for* this node by the answering one; for the answering node, all it keeps. */
  readonly hints: number;
};

export type Status = {
  readonly node: NodeId;
  readonly cluster: string;
  readonly n: number;
  readonly partitions: number;
  readonly nodes: readonly NodeStatus[];
  /** Work of the answering node. */
  readonly coordinators: number;
  readonly clients: number;
  readonly buffered: number;
  readonly peerMailDropped: number;
  /** Partitions it owns but may not answer reads of: they are being refilled (C7). */
  readonly incomplete: number;
  /** Reads that found a damaged row since the start. */
  readonly damaged: number;
  /** Partitions on the move as the answering node takes part in it. */
  readonly transfers: {
    /** It fills itself to become their owner. */
    readonly arriving: number;
    /** It keeps records of them without owning them, and gives them away. */
    readonly departing: number;
    /** In the whole cluster, partitions whose owners are not yet those of the plan. */
    readonly moving: number;
    readonly recordsGiven: number;
    readonly paused: boolean;
  };
  /** Anti-entropy with each co-owner since the start. */
  readonly repair: readonly ExchangeReport[];
  /** How often its gets and puts found a stored row in memory. */
  readonly rowCache: RowCacheCounts;
  /** Rounds over all rows of the answering node. */
  readonly scrub: ScrubReport;
  /** What its reads found behind. */
  readonly readRepairs: ReadRepairReport;
  /** Deletes forgotten by agreement, and what keeps others. */
  readonly reaping: ReapReport;
  /** What clients waited for of late, and the slices background work has for it. */
  readonly admission: AdmissionReport;
  /** What an operator should know, in sentences. */
  readonly notes: readonly string[];
};

export type StatusParts = {
  readonly self: NodeId;
  readonly state: NodeState;
  readonly cluster: string;
  readonly ring: RingView;
  readonly store: RecordStore;
  readonly completeness: Completeness;
  readonly witness: Witness;
  readonly exchanges: ExchangeDesk;
  readonly scrub: ScrubDesk;
  readonly readRepairs: ReadRepairs;
  readonly admission: AdmissionReport;
  readonly transfers: TransferDesk;
  readonly reaping: ReapReport;
  readonly coordinators: number;
  readonly sessions: number;
  readonly dropped: number;
  readonly announcements: readonly Announcement[];
};

export const statusOf = (parts: StatusParts): Status => {
  const { self, state, ring, store, announcements } = parts;
  const { members, n, partitions } = ring.ring;
  const hintsFor = new Map(store.hints.gauges().map(({ target, count }) => [target, count]));
  const nodes = members.map(({ id, zone, weight }): NodeStatus => {
    const health = ring.healthOf(id);
    return {
      id,
      state: id === self ? state : health === 'down' ? 'unknown' : 'serving',
      health,
      zone,
      weight,
      address: announcements.find(({ node }) => node === id)?.address ?? '',
      partitions: ring.partitionsOf(id),
      hints: id === self ? store.hints.total : (hintsFor.get(id) ?? 0),
    };
  });
  const owners = Math.min(n, members.length);
  const incomplete = parts.completeness.missing().length;
  return {
    node: self,
    cluster: parts.cluster,
    n,
    partitions,
    nodes,
    coordinators: parts.coordinators,
    clients: parts.sessions,
    buffered: store.buffered,
    peerMailDropped: parts.dropped,
    incomplete,
    damaged: store.corruptFound,
    transfers: {
      arriving: parts.completeness.arriving().length,
      departing: parts.transfers.departing().length,
      moving: ring.moving().length,
      recordsGiven: parts.transfers.given,
      paused: parts.transfers.paused,
    },
    repair: parts.exchanges.reports(),
    rowCache: store.rowCache,
    scrub: parts.scrub.report(),
    readRepairs: parts.readRepairs.report(),
    reaping: parts.reaping,
    admission: parts.admission,
    notes: [
      ...(incomplete > 0 && parts.witness.isBehind
        ? [`the disk of ${self} was wiped or put back: peers remember more than is on it`]
        : []),
      ...(incomplete > 0 && parts.completeness.isCopy
        ? [`the data directory of ${self} is a copy: it may lack what was written since`]
        : []),
      ...(incomplete === 0
        ? []
        : [`${self} refills ${incomplete} partitions: the other owners answer reads of them`]),
      ...(owners < n
        ? [`N is ${n}, there are ${members.length} nodes: each key has ${owners} replicas`]
        : []),
      ...(members.some(({ id }) => id === self) ? [] : [farewellOf(parts)]),
    ],
  };
};

/** What a node that is no member should say of itself. */
const farewellOf = ({ self, state, ring, store, transfers }: StatusParts): string => {
  const { retired } = ring.ring;
  if (ring.hasLeft(self)) {
    return `${self} has left and holds nothing any more: stop it, and delete its directory`;
  }
  if (!retired.includes(self))
    return `${self} is ${state}: it waits for a membership history that lists it`;
  const left = ring.partitionsOf(self) + transfers.departing().length;
  if (left + store.hints.total > 0) {
    return `${self} is a member no more: it still hands over ${left} partitions and ${store.hints.total} hints`;
  }
  return `${self} is a member no more and has handed over everything: it is about to say so`;
};
