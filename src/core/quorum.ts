/**
 * The tallies of one request, as values: who was asked, who answered, and in three words whether
 * enough did. Coordinators hold one and act on what it says (paper §§ 4.5, 4.6, 6.1).
 */
import type { NodeId } from './ids.ts';

export type Verdict = 'pending' | 'won' | 'lost';

/** One of the N replicas a write wants: its owner, and who was asked in its place, in order. */
export type WriteSlot = {
  readonly owner: NodeId;
  /** The owner, or the fallbacks that stand in for it; the last one is the one waited for. */
  readonly asked: readonly NodeId[];
};

export type WriteTally = {
  readonly slots: readonly WriteSlot[];
  /** Reachable nodes that fill themselves to become owners: they get the write and never count (C2). */
  readonly newcomers: readonly NodeId[];
  /** Healthy nodes of the preference list not asked yet. */
  readonly spares: readonly NodeId[];
  readonly acked: readonly NodeId[];
  readonly durable: readonly NodeId[];
  readonly refused: readonly NodeId[];
  readonly w: number;
  readonly dw: number;
  /** `real-owners`: a fallback's answer counts for nothing (strict). */
  readonly counting: 'anyone' | 'real-owners';
  /** Strict only, the owners after the next step: W of these must have it too (C2). */
  readonly next: readonly NodeId[];
  /** Strict only: of the register these owners are of; a replica under another one does not count (C2). */
  readonly register?: number | undefined;
};

/** A write to be sent: to `node`, with a hint when it stands in for `hintFor`. */
export type Placement = { readonly node: NodeId; readonly hintFor?: NodeId };

export type WriteWish = Pick<WriteTally, 'w' | 'dw' | 'counting'>;

/** Where a write of some partition goes first: the same for all, until ring or health change. */
export type WritePlan = Pick<WriteTally, 'slots' | 'spares' | 'newcomers'>;

/** Each owner in its slot, unhealthy ones replaced by the first spares while there are any. */
export const planWrite = (
  owners: readonly { readonly node: NodeId; readonly reachable: boolean }[],
  spares: readonly NodeId[],
  newcomers: readonly NodeId[] = [],
): WritePlan => {
  const rest = [...spares];
  const slots = owners.map(({ node, reachable }): WriteSlot => {
    const standIn = reachable ? node : rest.shift();
    return { owner: node, asked: standIn === undefined ? [] : [standIn] };
  });
  return { slots, spares: rest, newcomers };
};

export const startWrite = (
  { slots, spares, newcomers }: WritePlan,
  { w, dw, counting }: WriteWish,
  { next, register }: Pick<WriteTally, 'next' | 'register'> = ANY_REGISTER,
): WriteTally => ({
  slots,
  newcomers,
  spares,
  acked: NOBODY,
  durable: NOBODY,
  refused: NOBODY,
  w,
  dw,
  counting,
  next,
  register,
});

const NOBODY: readonly NodeId[] = [];
const ANY_REGISTER = { next: NOBODY };

/** Who holds the write, by slot, and the newcomers: what is to be sent at the start. */
export const placements = (tally: WriteTally): readonly Placement[] => {
  const placed: Placement[] = [];
  for (const slot of tally.slots) {
    const node = slot.asked.at(-1);
    if (node !== undefined) placed.push(placementOf(slot, node));
  }
  for (const node of tally.newcomers) placed.push({ node });
  return placed;
};

/** Field by field: every ack of every put makes one, and a spread is no literal to the engine. */
export const recordAck = (tally: WriteTally, node: NodeId, durable: boolean): WriteTally => ({
  slots: tally.slots,
  newcomers: tally.newcomers,
  spares: tally.spares,
  acked: withNode(tally.acked, node),
  durable: durable ? withNode(tally.durable, node) : tally.durable,
  refused: tally.refused,
  w: tally.w,
  dw: tally.dw,
  counting: tally.counting,
  next: tally.next,
  register: tally.register,
});

/** `node` is not waited for, nor asked if it was still to be. */
export const recordRefusal = (tally: WriteTally, node: NodeId): WriteTally => ({
  ...tally,
  spares: tally.spares.filter((spare) => spare !== node),
  refused: withNode(tally.refused, node),
});

/** Gives every slot in which nobody answered yet (or its node refused) to the next spare. */
export const replaceSilent = (
  tally: WriteTally,
  which: 'refused' | 'all-silent',
): { readonly tally: WriteTally; readonly placed: readonly Placement[] } => {
  const spares = [...tally.spares];
  const placed: Placement[] = [];
  const slots = tally.slots.map((slot) => {
    const last = slot.asked.at(-1);
    const waiting = last !== undefined && !tally.refused.includes(last);
    if (isStored(tally, slot) || (which === 'refused' && waiting)) return slot;
    const spare = spares.shift();
    if (spare === undefined) return slot;
    placed.push({ node: spare, hintFor: slot.owner });
    return { ...slot, asked: [...slot.asked, spare] };
  });
  return placed.length === 0 ? { tally, placed } : { tally: { ...tally, slots, spares }, placed };
};

export const writeVerdict = (tally: WriteTally): Verdict => {
  const acked = counted(tally, tally.acked);
  if (acked >= tally.w) {
    return durableLacking(tally) <= 0 && holdsAcross(tally) ? 'won' : 'pending';
  }
  let waiting = 0;
  for (const { asked } of tally.slots) {
    for (const node of asked) if (isCounted(tally, node) && !hasAnswered(tally, node)) waiting++;
  }
  const standIns = tally.counting === 'anyone' ? tally.spares.length : 0;
  return acked + waiting + standIns < tally.w ? 'lost' : 'pending';
};

/** Whether every owner (or its stand-in) and newcomer holds it: nothing is left to linger for. */
export const isSettled = (tally: WriteTally): boolean =>
  tally.slots.every((slot) => isStored(tally, slot)) &&
  tally.newcomers.every((node) => tally.acked.includes(node));

/** Owners and newcomers that have not acked and for whom nobody holds a hint yet. */
export const ownersWithout = (tally: WriteTally): readonly NodeId[] => [
  ...tally.slots.filter((slot) => !isStored(tally, slot)).map((slot) => slot.owner),
  ...tally.newcomers.filter((node) => !tally.acked.includes(node)),
];

/** Nodes that acked without fsync and could be asked to sync, as many as `dw` still lacks. */
export const toSync = (tally: WriteTally): readonly NodeId[] =>
  tally.acked.filter((node) => !tally.durable.includes(node) && isCounted(tally, node));

/** Durable acks that are still wanted, of nodes that count. */
export const durableLacking = (tally: WriteTally): number =>
  tally.dw - counted(tally, tally.durable);

/** Whether an ack of `node` counts: strict takes owners only, and a newcomer never does. */
export const isCounted = (tally: WriteTally, node: NodeId): boolean =>
  tally.counting === 'anyone' ? !tally.newcomers.includes(node) : isOwner(tally, node);

const counted = (tally: WriteTally, nodes: readonly NodeId[]): number => {
  let count = 0;
  for (const node of nodes) if (isCounted(tally, node)) count++;
  return count;
};

/** Whether W of the owners after the next step have it, too: who steps in may have looked already. */
const holdsAcross = ({ acked, next, w }: WriteTally): boolean =>
  acked.filter((node) => next.includes(node)).length >= Math.min(w, next.length);

/** No node is asked for two slots. */
const hasAnswered = ({ acked, refused }: WriteTally, node: NodeId): boolean =>
  acked.includes(node) || refused.includes(node);

const isStored = (tally: WriteTally, slot: WriteSlot): boolean =>
  tally.acked.includes(slot.owner) || slot.asked.some((node) => tally.acked.includes(node));

const isOwner = (tally: WriteTally, node: NodeId): boolean =>
  tally.slots.some((slot) => slot.owner === node);

const placementOf = (slot: WriteSlot, node: NodeId): Placement =>
  node === slot.owner ? { node } : { node, hintFor: slot.owner };

const withNode = (nodes: readonly NodeId[], node: NodeId): readonly NodeId[] =>
  nodes.includes(node) ? nodes : [...nodes, node];
