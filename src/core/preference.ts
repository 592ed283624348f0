/**
 * The preference list of a key (paper §§ 4.3, 4.6): the owners of its partition first, then every
 * other member as a fallback, found clockwise on the ring, so that the load of a dead node spreads
 * over many. Pure; liveness comes in as a function.
 */
import type { NodeId, PartitionId } from './ids.ts';
import type { Member } from './members.ts';
import type { OwnerTable } from './placement.ts';
import { planWrite } from './quorum.ts';
import type { WritePlan } from './quorum.ts';
import type { Health } from './suspicion.ts';

export type PreferenceEntry = {
  readonly node: NodeId;
  readonly role: 'owner' | 'fallback';
  readonly health: Health;
};

export const preferenceList = (
  table: OwnerTable,
  partition: PartitionId,
  members: readonly Member[],
  healthOf: (node: NodeId) => Health,
): readonly PreferenceEntry[] => {
  const owners = table[partition] ?? [];
  const fallbacks = fallbacksOf(table, partition, members);
  return [
    ...owners.map((node) => ({ node, role: 'owner' as const, health: healthOf(node) })),
    ...fallbacks.map((node) => ({ node, role: 'fallback' as const, health: healthOf(node) })),
  ];
};

/** Whom `self` asks when it reads, in that order: owners first, then the healthy, then itself. */
export const readersIn = (
  list: readonly PreferenceEntry[],
  self: NodeId,
): readonly PreferenceEntry[] => {
  const rank = ({ node, role, health }: PreferenceEntry): number =>
    (role === 'owner' ? 0 : 4) + (health === 'suspect' ? 2 : 0) + (node === self ? 0 : 1);
  return list.filter(({ health }) => health !== 'down').sort((a, b) => rank(a) - rank(b));
};

/** Where a put goes first that `self` coordinates; newcomers fill themselves to become owners (C2). */
export const writesIn = (
  list: readonly PreferenceEntry[],
  newcomers: readonly NodeId[],
  self: NodeId,
): WritePlan => {
  const arriving = newcomers.filter((node) => node !== self);
  const owners = list.filter(({ role }) => role === 'owner');
  const others = list.filter(
    ({ node, role, health }) =>
      role === 'fallback' && health !== 'down' && node !== self && !arriving.includes(node),
  );
  const spares = others.map(({ node }) => node);
  return planWrite(
    owners.map(({ node, health }) => ({ node, reachable: health !== 'down' })),
    // A coordinator that is no owner holds the record: it is the first to stand in for one.
    owners.some(({ node }) => node === self) ? spares : [self, ...spares],
    arriving,
  );
};

/** Members that own nothing here, in the order in which a clockwise walk first meets them. */
const fallbacksOf = (
  table: OwnerTable,
  partition: PartitionId,
  members: readonly Member[],
): readonly NodeId[] => {
  const owners = table[partition] ?? [];
  const wanted = new Set(members.map(({ id }) => id).filter((id) => !owners.includes(id)));
  const found: NodeId[] = [];
  for (let step = 1; step < table.length && found.length < wanted.size; step++) {
    for (const node of table[(partition + step) % table.length]!) {
      if (wanted.has(node) && !found.includes(node)) found.push(node);
    }
  }
  // Members that own nothing anywhere (more nodes than replicas) come last, in the order of ids.
  return [...found, ...[...wanted].filter((node) => !found.includes(node)).sort()];
};
