/**
 * What operators ask about the members of the cluster, and change (`coterie plan`, `coterie node`,
 * `coterie transfers`). A change is issued on the node that is asked, persisted there and spread by
 * gossip (paper § 4.8.1).
 */
import { CoterieError } from '../../core/errors.ts';
import { hexOf, isNodeId, nodeId } from '../../core/ids.ts';
import type { NodeId } from '../../core/ids.ts';
import type { MembershipChange, MembershipEvent } from '../../core/members.ts';
import type { Digest } from '../../ports/digest.ts';
import { badArgument } from '../../wire/fields.ts';
import { uintArgument } from '../operators/admin-commands.ts';
import type { AdminArguments, AdminCommands } from '../operators/admin-commands.ts';
import type { ClusterMap } from './cluster-map.ts';
import type { Completeness } from '../store/completeness.ts';
import { planChange } from './membership-plan.ts';
import type { MembershipPlan } from './membership-plan.ts';
import { bytesPerPartition } from './partition-bytes.ts';
import type { Peers } from '../peers/peers.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { RingView } from './ring-view.ts';
import type { TransferDesk } from './transfer-desk.ts';

export type MembershipParts = {
  readonly self: NodeId;
  readonly digest: Digest;
  readonly map: ClusterMap;
  readonly ring: RingView;
  readonly peers: Peers;
  readonly store: RecordStore;
  readonly completeness: Completeness;
  readonly transfers: TransferDesk;
  readonly issue: (event: MembershipEvent) => void;
};

/** The answer to `transfers.status`: the moves of the whole cluster, and this node's part in them. */
export type TransferStatus = {
  readonly node: NodeId;
  readonly moving: readonly {
    readonly partition: number;
    readonly version: number;
    /** Owners now, those of them who will go, and those who are still filling themselves. */
    readonly owners: readonly NodeId[];
    readonly leaving: readonly NodeId[];
    readonly arriving: readonly NodeId[];
  }[];
  /** Partitions this node fills itself for, and such it keeps something of for others. */
  readonly filling: number;
  readonly departing: number;
  /** Records given away since the start. */
  readonly given: number;
  /** Of them such that an owner lacked, counted for each owner, and their bytes. */
  readonly sent: { readonly records: number; readonly bytes: number };
  readonly paused: boolean;
};

/** What became of a change. */
export type ChangeResult = {
  /** The membership is that way already: this very change was made before. */
  readonly already: boolean;
  readonly plan?: MembershipPlan;
};

export const membershipCommands = (parts: MembershipParts): AdminCommands => ({
  'membership.plan': (args, answer) => answer({ ...planOf(parts, changeOf(args)) }),
  /** `digest` of the plan that was looked at, or `yes`. */
  'membership.change': (args, answer) => {
    const change = changeOf(args);
    const result: ChangeResult = isSo(parts, change)
      ? { already: true }
      : { already: false, plan: issue(parts, change, args) };
    answer({ ...result });
  },
  'transfers.status': (_, answer) => answer({ ...transferStatusOf(parts) }),
  'transfers.pause': (_, answer) => {
    parts.transfers.pause(true);
    answer({ ...transferStatusOf(parts) });
  },
  'transfers.resume': (_, answer) => {
    parts.transfers.pause(false);
    answer({ ...transferStatusOf(parts) });
  },
});

export const transferStatusOf = ({
  self,
  ring,
  completeness,
  transfers,
}: MembershipParts): TransferStatus => ({
  node: self,
  moving: ring.moving().map((partition) => {
    const owners = ring.ring.table[partition]!;
    const target = ring.ring.target[partition]!;
    return {
      partition,
      version: ring.versionOf(partition),
      owners,
      leaving: owners.filter((node) => !target.includes(node)),
      arriving: ring.newcomersOf(partition),
    };
  }),
  filling: completeness.arriving().length,
  departing: transfers.departing().length,
  given: transfers.given,
  sent: transfers.sent,
  paused: transfers.paused,
});

const planOf = (parts: MembershipParts, change: MembershipChange): MembershipPlan => {
  const { map, ring, digest, store, self, peers } = parts;
  const event = map.eventOf(change);
  if (typeof event === 'string') throw new CoterieError('BAD_ARGUMENT', event);
  const name = JSON.stringify([hexOf(map.historyDigest()), change]);
  return planChange({
    history: map.book.history,
    event,
    change,
    digest: hexOf(digest.md5(new TextEncoder().encode(name))).slice(0, 12),
    bytesPerPartition: bytesPerPartition(store, ring.owned(), ring.ring.partitions),
    isUp: (node) => node === self || peers.linked.includes(node),
    movingNow: ring.moving().length,
  });
};

const issue = (
  parts: MembershipParts,
  change: MembershipChange,
  { digest, yes }: AdminArguments,
): MembershipPlan => {
  const plan = planOf(parts, change);
  if (yes !== true && digest !== plan.digest) {
    const message =
      digest === undefined
        ? 'a change of membership asks for the digest of its plan, or yes'
        : `the cluster has changed since that plan was made: its digest is ${plan.digest} now`;
    throw new CoterieError('CONDITION_NOT_MET', message, { digest: plan.digest });
  }
  const event = parts.map.eventOf(change);
  if (typeof event === 'string') throw new CoterieError('BAD_ARGUMENT', event);
  parts.issue(event);
  return plan;
};

/** Whether the membership is as `change` would make it: then it was made before. */
const isSo = ({ ring }: MembershipParts, change: MembershipChange): boolean => {
  const { members, retired, n } = ring.ring;
  if (change.type === 'set-n') return n === change.n;
  const member = members.find(({ id }) => id === change.node);
  switch (change.type) {
    case 'join':
      return member?.zone === change.zone && member.weight === change.weight;
    case 'leave':
      return member === undefined && retired.includes(change.node);
    case 'remove':
      return ring.isRemoved(change.node);
    case 'replace':
      return ring.isRemoved(change.node) && members.some(({ id }) => id === change.by);
    case 'set-weight':
      return member?.weight === change.weight;
    case 'set-zone':
      return member?.zone === change.zone;
  }
};

/** Throws BAD_ARGUMENT. */
const changeOf = (args: AdminArguments): MembershipChange => {
  const { type } = args;
  const node = (name: string): NodeId => {
    const id = args[name];
    if (isNodeId(id)) return nodeId(id);
    throw badArgument(`the argument ${name}`, 'a node id', id);
  };
  const weight = (): number => {
    const found = uintArgument(args, 'weight', 101) ?? 1;
    if (found > 0) return found;
    throw badArgument('the argument weight', 'an integer from 1 to 100', found);
  };
  const zone = (): string => {
    const found = args['zone'] ?? 'default';
    if (typeof found === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(found)) return found;
    throw badArgument('the argument zone', '1-64 of A-Z a-z 0-9 . _ -', found);
  };
  switch (type) {
    case 'join':
      return { type, node: node('node'), zone: zone(), weight: weight() };
    case 'leave':
    case 'remove':
      return { type, node: node('node') };
    case 'replace':
      return { type, node: node('node'), by: node('by') };
    case 'set-weight':
      return { type, node: node('node'), weight: weight() };
    case 'set-zone':
      return { type, node: node('node'), zone: zone() };
    case 'set-n': {
      const n = uintArgument(args, 'n', 17) ?? 0;
      if (n > 0) return { type, n };
      throw badArgument('the argument n', 'an integer from 1 to 16', args['n']);
    }
    default:
      throw badArgument('the argument type', 'a change of membership', type);
  }
};
