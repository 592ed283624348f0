/**
 * Who owns a partition right now (RULES C1, C5). The placement says who *should* (the target); a
 * small versioned register per partition says who *does*. They differ while a partition moves, and
 * only the newcomer itself, once it holds the data, takes the step: one replacement at a time, and of
 * several newcomers the first in the target's rank order, so that everybody knows who comes next.
 *
 *   owners a b c, target a b d:   d pulls ─▶ d bumps: version + 1, owners a b d ─▶ c pushes, deletes
 */
import type { NodeId, PartitionId } from './ids.ts';
import type { OwnerTable } from './placement.ts';

export type Register = {
  /** 0: the owners of the founding, which nobody has to be told. */
  readonly version: number;
  readonly owners: readonly NodeId[];
};

/** Registers beyond version 0, by partition. */
export type Registers = ReadonlyMap<PartitionId, Register>;

/** What a step needs to know of the nodes: who was removed for good, and who stands where. */
export type Standing = {
  readonly isRemoved: (node: NodeId) => boolean;
  readonly zoneOf: (node: NodeId) => string | undefined;
};

/** C1: by version, then by content, so that two bumps at once end the same everywhere. */
export const isNewer = (a: Register, b: Register): boolean =>
  a.version !== b.version ? a.version > b.version : nameOf(a) > nameOf(b);

/** The newer register of each partition; the same map if `theirs` taught nothing. */
export const mergeRegisters = (ours: Registers, theirs: Registers): Registers => {
  const news = [...theirs].filter(([partition, register]) => {
    const held = ours.get(partition);
    return register.version > 0 && (held === undefined || isNewer(register, held));
  });
  return news.length === 0 ? ours : new Map([...ours, ...news]);
};

/** Current owners of every partition, those of the target first and in its rank order (B5). */
export const currentOwners = (
  founding: OwnerTable,
  registers: Registers,
  target: OwnerTable,
): OwnerTable =>
  target.map((wanted, index) => {
    const owners = registers.get(index as PartitionId)?.owners ?? founding[index] ?? [];
    const staying = wanted.filter((node) => owners.includes(node));
    return [...staying, ...owners.filter((node) => !wanted.includes(node))];
  });

/** Target owners that are no owners yet, in the order in which they step in. */
export const newcomersOf = (
  owners: readonly NodeId[],
  target: readonly NodeId[],
): readonly NodeId[] => target.filter((node) => !owners.includes(node));

/** Owners that should go: removed ones first, then by id. */
export const leaversOf = (
  owners: readonly NodeId[],
  target: readonly NodeId[],
  { isRemoved }: Pick<Standing, 'isRemoved'>,
): readonly NodeId[] =>
  owners
    .filter((node) => !target.includes(node))
    .sort((a, b) => Number(isRemoved(b)) - Number(isRemoved(a)) || (a < b ? -1 : 1));

/**
 * C5: the register after `newcomer` has filled itself: itself in, one leaver out (a removed one
 * first, then one of its own zone, then by id) unless there are fewer owners than there should be.
 */
export const bump = (
  register: Register,
  newcomer: NodeId,
  target: readonly NodeId[],
  standing: Standing,
): Register => {
  const { owners, version } = register;
  const leavers = leaversOf(owners, target, standing);
  const inZone = leavers.find(
    (node) => standing.zoneOf(node) === standing.zoneOf(newcomer) || standing.isRemoved(node),
  );
  const leaver = owners.length < target.length ? undefined : (inZone ?? leavers[0]);
  const staying = owners.filter((node) => node !== leaver && node !== newcomer);
  return { version: version + 1, owners: [...staying, newcomer].sort() };
};

/** C2, C5: the owners after the next step; the owners there are, if none is left. */
export const nextOwners = (
  register: Register,
  target: readonly NodeId[],
  standing: Standing,
): readonly NodeId[] => {
  const [newcomer] = newcomersOf(register.owners, target);
  if (newcomer === undefined) return dropLeavers(register, target).owners;
  return bump(register, newcomer, target, standing).owners;
};

/** The register once nobody is still to come: a complete owner in the target drops the leavers. */
export const dropLeavers = (
  { version, owners }: Register,
  target: readonly NodeId[],
): Register => ({ version: version + 1, owners: owners.filter((node) => target.includes(node)) });

const nameOf = ({ owners }: Register): string => owners.join();
