/**
 * The walk of one anti-entropy exchange, as a value (paper § 4.7): a stack of questions. An answer
 * that shows differences puts deeper questions on the stack, so the cost follows the differences.
 *
 *   branches of a partition ─▶ leaves of a branch ─▶ records of leaves ─▶ repair of keys
 */
import type { Key, PartitionId } from './ids.ts';
import { LEAVES, LEAVES_PER_BRANCH, branchOf, differences } from './merkle.ts';

/** A key whose records differ: hashes as both sides had them, undefined where there was none. */
export type Difference = {
  readonly key: Key;
  readonly ours: bigint | undefined;
  readonly theirs: bigint | undefined;
};

export type Step =
  | { readonly type: 'branches'; readonly partition: PartitionId }
  | { readonly type: 'leaves'; readonly partition: PartitionId; readonly branch: number }
  | {
      readonly type: 'records';
      readonly partition: PartitionId;
      readonly leaves: readonly number[];
    }
  | {
      readonly type: 'repair';
      readonly partition: PartitionId;
      readonly differences: readonly Difference[];
    }
  /** Every difference of the partition that was there when the exchange began has been repaired. */
  | { readonly type: 'settled'; readonly partition: PartitionId };

/** What is still to be done, the next step last. */
export type Walk = readonly Step[];

/** Records in one answer; after them it ends with the leaf, and the other leaves are asked for anew. */
export const KEYS_PER_ANSWER = 256;
/** Keys in one repair. */
const KEYS_PER_REPAIR = 128;

/** One side's view of a partition, as roots are compared. */
export type Root = {
  readonly partition: PartitionId;
  readonly root: bigint;
  /** Whether that side may answer reads of it (C7). */
  readonly complete: boolean;
};

/** A walk over partitions; where one side holds nothing, every leaf is asked for. */
export const walkOver = (
  partitions: readonly { readonly partition: PartitionId; readonly oneSideEmpty: boolean }[],
): Walk =>
  partitions.flatMap(({ partition, oneSideEmpty }): Step[] => [
    { type: 'settled', partition },
    oneSideEmpty
      ? { type: 'records', partition, leaves: EVERY_LEAF }
      : { type: 'branches', partition },
  ]);

/**
 * The walk after the answer to its last step, a question for hashes. `wholesale`: most of it is known to
 * differ, so that all leaves of the differing branches are asked for at once, and batches are full.
 */
export const descend = (
  walk: Walk,
  ours: readonly bigint[],
  theirs: readonly bigint[],
  how: 'by leaf' | 'wholesale' = 'by leaf',
): Walk => {
  const step = walk.at(-1);
  const rest = walk.slice(0, -1);
  const differing = differences(ours, theirs);
  if (step?.type === 'branches') {
    const { partition } = step;
    if (how === 'wholesale' && differing.length > theirs.length / 2) {
      const leaves = EVERY_LEAF.filter((leaf) => differing.includes(branchOf(leaf)));
      return [...rest, { type: 'records', partition, leaves }];
    }
    return [...rest, ...differing.map((branch): Step => ({ type: 'leaves', partition, branch }))];
  }
  if (step?.type !== 'leaves' || differing.length === 0) return rest;
  const { partition, branch } = step;
  const leaves = differing.map((leaf) => branch * LEAVES_PER_BRANCH + leaf);
  return [...rest, { type: 'records', partition, leaves }];
};

/**
 * The walk after its last step, a question for records, has shown these differences to repair in the
 * first `looked` of its leaves.
 */
export const repairing = (walk: Walk, found: readonly Difference[], looked: number): Walk => {
  const step = walk.at(-1);
  const rest = walk.slice(0, -1);
  if (step?.type !== 'records') return rest;
  const { partition } = step;
  const leaves = step.leaves.slice(looked);
  const repairs = slices(found, KEYS_PER_REPAIR);
  return [
    ...rest,
    ...(leaves.length === 0 ? [] : [{ ...step, leaves }]),
    ...repairs.map((part): Step => ({ type: 'repair', partition, differences: part })),
  ];
};

/** The walk without its last step: it is done. */
export const stepDone = (walk: Walk): Walk => walk.slice(0, -1);

/** Keys that the two sides hold differently, from the hashes of the same leaves. */
export const differencesOf = (
  ours: ReadonlyMap<Key, bigint>,
  theirs: ReadonlyMap<Key, bigint>,
): readonly Difference[] => {
  const found: Difference[] = [];
  for (const [key, hash] of ours) {
    if (theirs.get(key) !== hash) found.push({ key, ours: hash, theirs: theirs.get(key) });
  }
  for (const [key, hash] of theirs) {
    if (!ours.has(key)) found.push({ key, ours: undefined, theirs: hash });
  }
  return found;
};

const EVERY_LEAF = Array.from({ length: LEAVES }, (_, leaf) => leaf);

const slices = <T>(list: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) =>
    list.slice(i * size, (i + 1) * size),
  );
