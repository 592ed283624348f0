/**
 * The exchange under way and its walk (paper § 4.7): which partitions differ, what is asked of the
 * peer at each step, and what its answers say beside our own data.
 */
import type { Carried } from '../../core/admission.ts';
import { descend, differencesOf, repairing, stepDone, walkOver } from '../../core/exchange.ts';
import type { Root, Step, Walk } from '../../core/exchange.ts';
import type { Key, NodeId, PartitionId } from '../../core/ids.ts';
import { NO_HASH, decodeHashes } from '../../core/merkle.ts';
import type { Handoff, RequestId, TreeAnswer, TreeQuestion } from '../../wire/peer-messages.ts';
import type { Look } from './exchange-log.ts';
import { soundHashesIn } from './tree-answers.ts';
import type { TreeParts } from './tree-answers.ts';

/** The exchange under way. */
export type Exchange = {
  readonly peer: NodeId;
  /** The only partition an operator asked for; undefined: all that are common. */
  readonly only: PartitionId | undefined;
  /** By an operator, who waits for all of it. */
  readonly isAskedFor: boolean;
  readonly begunAtMs: number;
  /** Records moved with this peer before. */
  readonly moved: { readonly pulled: number; readonly pushed: number };
  /** The number of the question, or batch, that an answer must carry. */
  awaited: RequestId;
  /**
   * Whether what is seen counts as a snapshot (C4): the roots were asked for as such, and this is
   * how much had been lost here by then. What is lost later makes it worth nothing.
   */
  snapshotAt: number | 'none';
  theirRoots: Map<PartitionId, Root>;
  /** How both of us saw each partition when the roots were told; not of one that we see otherwise (C3). */
  seenAs: ReadonlyMap<PartitionId, bigint>;
  /** Partitions whose roots differed. */
  differing: number;
  /** Those of them that the peer is filling by itself: to push them, too, would be to do it twice. */
  leftToPeer: number;
  walk: Walk;
  /** By the repair under way, so far. */
  carried: Carried;
  looksBefore: ReadonlyMap<Key, Look>;
};

export type RepairStep = Extract<Step, { type: 'repair' }>;

/** A question or a batch that still lacks its number. */
export type Numberless =
  DistributiveOmit<TreeQuestion, 'request'> | Omit<Extract<Handoff, { type: 'deliver' }>, 'batch'>;
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export type WalkParts = TreeParts & {
  /** An operator holds moves back (`coterie transfers pause`). */
  readonly movesArePaused: () => boolean;
  /** Leaves whose hashes differ though their records do not: a tree may be wrong. */
  readonly suspect: (partition: PartitionId, leaves: readonly number[]) => void;
};

/** Lays out the walk over what differs; `same` is told of the partitions that do not. */
export const layOut = (
  { ring, self, store, completeness, movesArePaused }: WalkParts,
  exchange: Exchange,
  roots: readonly Root[],
  same: (partitions: readonly PartitionId[]) => void,
): void => {
  const { peer, only, isAskedFor } = exchange;
  const known = roots.filter(({ partition }) => {
    const holders = ring.holdersOf(partition);
    const wanted = only === undefined || only === partition;
    // Who fills itself, from whom: held back while moves are paused. An owner that lost it is no move.
    const moves = ring.newcomersOf(partition).some((n) => n === self || n === peer);
    const isLost = ring.isOwner(partition) && !completeness.isComplete(partition);
    if (moves && movesArePaused() && !isLost) return false;
    return wanted && holders.includes(self) && holders.includes(peer);
  });
  const rootOf = (partition: PartitionId): bigint => store.forest.tree(partition).root;
  exchange.theirRoots = new Map(known.map((root) => [root.partition, root]));
  const differing = known.filter(({ partition, root }) => root !== rootOf(partition));
  exchange.differing = differing.length;
  const ours = differing.filter(
    ({ partition, complete }) => complete || isAskedFor || !completeness.isComplete(partition),
  );
  exchange.leftToPeer = differing.length - ours.length;
  exchange.walk = walkOver(
    ours.map(({ partition, root }) => ({
      partition,
      oneSideEmpty: root === NO_HASH || rootOf(partition) === NO_HASH,
    })),
  );
  same(known.flatMap(({ partition, root }) => (root === rootOf(partition) ? [partition] : [])));
};

/** How we see each partition that the peer sees as we do. An older node does not say. */
export const seenAlike = (
  { ring }: Pick<WalkParts, 'ring'>,
  roots: readonly Root[],
  views: Uint8Array | undefined,
): ReadonlyMap<PartitionId, bigint> => {
  const theirs = views === undefined ? undefined : decodeHashes(views);
  const alike = new Map<PartitionId, bigint>();
  for (const [i, { partition }] of roots.entries()) {
    const ours = ring.seenAs(partition);
    if (theirs === undefined || theirs[i] === ours) alike.set(partition, ours);
  }
  return alike;
};

/** What a step asks of the peer. */
export const questionOf = (step: Exclude<Step, { type: 'settled' | 'repair' }>): Numberless => {
  const { partition } = step;
  if (step.type === 'branches') return { type: 'branches.ask', partition };
  if (step.type === 'leaves') return { type: 'leaves.ask', partition, branch: step.branch };
  return { type: 'records.ask', partition, leaves: step.leaves };
};

/** Their hashes of branches or leaves beside ours: down into those that differ. */
export const goDown = (
  { store, completeness }: TreeParts,
  exchange: Exchange,
  answer: Extract<TreeAnswer, { type: 'hashes' }>,
): void => {
  const step = exchange.walk.at(-1);
  if (step?.type !== 'branches' && step?.type !== 'leaves') return skip(exchange);
  const tree = store.forest.tree(step.partition);
  const ours = step.type === 'branches' ? tree.branches() : tree.leavesOf(step.branch);
  const how = completeness.isComplete(step.partition) ? 'by leaf' : 'wholesale';
  exchange.walk = descend(exchange.walk, ours, decodeHashes(answer.hashes), how);
};

/** Their records of the leaves asked for, or of the first of them, beside ours. */
export const compareRecords = (
  parts: WalkParts,
  exchange: Exchange,
  answer: Extract<TreeAnswer, { type: 'records' }>,
): void => {
  const step = exchange.walk.at(-1);
  if (step?.type !== 'records') return skip(exchange);
  if (!answer.complete) forgetComplete(exchange, step.partition);
  // At least one: whatever the other side says, the walk comes to its end.
  const looked = Math.max(1, answer.looked);
  const { hashes } = soundHashesIn(parts, step.partition, step.leaves.slice(0, looked));
  const theirs = new Map(answer.entries.map(({ key, hash }) => [key, decodeHashes(hash)[0]!]));
  const differences = differencesOf(hashes, theirs);
  // Or they differed a moment ago: a write has arrived meanwhile.
  if (differences.length === 0) parts.suspect(step.partition, step.leaves.slice(0, looked));
  exchange.walk = repairing(exchange.walk, differences, looked);
};

/** It answers something else than it was asked: the walk goes on without. */
const skip = (exchange: Exchange): void => {
  exchange.walk = stepDone(exchange.walk);
};

/** The peer is no complete source of this partition, whatever its roots said. */
export const forgetComplete = ({ theirRoots }: Exchange, partition: PartitionId): void => {
  const root = theirRoots.get(partition);
  if (root !== undefined) theirRoots.set(partition, { ...root, complete: false });
};
