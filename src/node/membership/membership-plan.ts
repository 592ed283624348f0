/**
 * What a change of membership would do, before anybody does it (`coterie plan`): which partitions
 * move where, about how many bytes that is, and what speaks against it.
 */
import type { History, MembershipChange, MembershipEvent, Membership } from '../../core/members.ts';
import type { NodeId } from '../../core/ids.ts';
import { placeHistory } from '../../core/placement.ts';
import type { OwnerTable } from '../../core/placement.ts';

/** What one node would own, and what it would have to take in and give away. */
export type NodeShare = {
  readonly node: NodeId;
  readonly zone: string;
  readonly weight: number;
  /** Partitions owned before and after. */
  readonly before: number;
  readonly after: number;
  readonly takes: number;
  readonly gives: number;
};

export type MembershipPlan = {
  readonly change: MembershipChange;
  /** Names this plan: the same change upon the same history moves the same partitions. */
  readonly digest: string;
  readonly partitions: number;
  /** Partitions that get at least one new owner, and new owners over all partitions. */
  readonly moving: number;
  readonly replicas: number;
  /** Estimated from what the asked node holds; undefined if it holds nothing. */
  readonly bytes: number | undefined;
  readonly nodes: readonly NodeShare[];
  readonly warnings: readonly string[];
};

export type PlanFacts = {
  readonly history: History;
  readonly event: MembershipEvent;
  readonly change: MembershipChange;
  readonly digest: string;
  /** Bytes of one partition, as the asked node knows them. */
  readonly bytesPerPartition: number | undefined;
  /** Nodes that have been heard of, members or not, and whether they can be reached. */
  readonly isUp: (node: NodeId) => boolean;
  /** Partitions that are moving already. */
  readonly movingNow: number;
};

/** Throws RangeError before the creation event is known. */
export const planChange = (facts: PlanFacts): MembershipPlan => {
  const { history, event, change, digest, bytesPerPartition } = facts;
  const before = placeHistory(history);
  const after = placeHistory([...history, event]);
  if (before === undefined || after === undefined) throw new RangeError('no cluster to change');
  const arrivals = after.table.map((owners, p) =>
    owners.filter((node) => !before.table[p]!.includes(node)),
  );
  const replicas = arrivals.reduce((sum, nodes) => sum + nodes.length, 0);
  return {
    change,
    digest,
    partitions: after.table.length,
    moving: arrivals.filter((nodes) => nodes.length > 0).length,
    replicas,
    bytes: bytesPerPartition === undefined ? undefined : Math.round(replicas * bytesPerPartition),
    nodes: sharesOf(before, after),
    warnings: warningsOf(facts, before.membership, after),
  };
};

type Placed = { readonly membership: Membership; readonly table: OwnerTable };

const sharesOf = (before: Placed, after: Placed): readonly NodeShare[] => {
  const known = new Map(
    [...before.membership.members, ...after.membership.members].map((each) => [each.id, each]),
  );
  const owned = (table: OwnerTable, node: NodeId): number =>
    table.filter((owners) => owners.includes(node)).length;
  return [...known.values()]
    .map(({ id, zone, weight }): NodeShare => {
      const count = (from: OwnerTable, to: OwnerTable): number =>
        to.filter((owners, p) => owners.includes(id) && !from[p]!.includes(id)).length;
      return {
        node: id,
        zone,
        weight,
        before: owned(before.table, id),
        after: owned(after.table, id),
        takes: count(before.table, after.table),
        gives: count(after.table, before.table),
      };
    })
    .sort((a, b) => (a.node < b.node ? -1 : 1));
};

const warningsOf = (
  { change, isUp, movingNow }: PlanFacts,
  before: Membership,
  { membership, table }: Placed,
): readonly string[] => {
  const { members, n } = membership;
  const zones = new Set(members.map(({ zone }) => zone)).size;
  const doubled = table.filter((owners) => {
    const found = owners.map((node) => members.find(({ id }) => id === node)!.zone);
    return new Set(found).size < Math.min(zones, found.length);
  }).length;
  const warnings: (string | undefined)[] = [
    members.length < n ? `${members.length} nodes for N = ${n}: fewer copies than asked for` : '',
    zones > 1 && zones < n ? `${zones} zones for N = ${n}: some zones hold two copies` : '',
    doubled > 0 && zones >= n ? `${doubled} partitions have two copies in one zone` : '',
    movingNow > 0 ? `${movingNow} partitions are still moving from an earlier change` : '',
  ];
  if (change.type === 'join' || change.type === 'replace') {
    const comer = change.type === 'join' ? change.node : change.by;
    if (!isUp(comer)) {
      warnings.push(`${comer} has not been seen: start it with a --seed of this cluster first`);
    }
  }
  if (change.type === 'leave' && !isUp(change.node)) {
    warnings.push(`${change.node} cannot be reached: if it is dead for good, remove it instead`);
  }
  if ((change.type === 'remove' || change.type === 'replace') && isUp(change.node)) {
    warnings.push(
      `${change.node} is up: let it leave, and what only it holds is handed over first`,
    );
  }
  if (change.type === 'set-n' && change.n < before.n) {
    warnings.push(`fewer copies: writes acknowledged by W of ${before.n} may lie on none of ${n}`);
  }
  return warnings.filter((warning) => warning !== undefined && warning !== '') as string[];
};
