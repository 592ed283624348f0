/**
 * The tally of one read, as a value: which replicas were asked, what they answered, and whether R
 * answers that count are there (paper § 4.5). Every answer asks it several questions, so it is
 * counted in plain loops, and what every answer makes anew is made field by field.
 */
import type { NodeId } from './ids.ts';
import type { RecordOfKey } from './record.ts';
import { EMPTY_RECORD } from './record.ts';
import type { ReplicaAnswer } from './reconcile.ts';
import type { Verdict } from './quorum.ts';

export type ReadTally = {
  /** Reachable nodes of the preference list not asked yet, owners first. */
  readonly candidates: readonly NodeId[];
  readonly asked: readonly NodeId[];
  readonly answers: readonly CountedAnswer[];
  readonly refused: readonly NodeId[];
  readonly r: number;
  readonly counting: 'anyone' | 'real-owners';
};

/** A replica's answer; `counts` is false for a fallback that holds nothing (paper § 4.6). */
export type CountedAnswer = ReplicaAnswer & {
  readonly role: 'owner' | 'fallback';
  readonly counts: boolean;
};

export const startRead = (
  candidates: readonly NodeId[],
  { r, counting }: Pick<ReadTally, 'r' | 'counting'>,
): ReadTally => ({ candidates, asked: NOBODY, answers: NO_ANSWERS, refused: NOBODY, r, counting });

/** Moves the next `count` candidates to the asked; they are the last of `asked` in the result. */
export const askNext = (tally: ReadTally, count: number): ReadTally => {
  const next = tally.candidates.slice(0, count);
  return {
    candidates: tally.candidates.slice(count),
    asked: tally.asked.length === 0 ? next : [...tally.asked, ...next],
    answers: tally.answers,
    refused: tally.refused,
    r: tally.r,
    counting: tally.counting,
  };
};

/** Records one answer; a second answer of a node replaces its first (values after a header). */
export const recordAnswer = (
  tally: ReadTally,
  node: NodeId,
  role: 'owner' | 'fallback',
  record: RecordOfKey | undefined,
): ReadTally => {
  const counts = role === 'owner' || (record !== undefined && tally.counting === 'anyone');
  const answer = { node, role, counts, record: record ?? EMPTY_RECORD };
  const others = hasAnswered(tally, node)
    ? tally.answers.filter((earlier) => earlier.node !== node)
    : tally.answers;
  return {
    candidates: tally.candidates,
    asked: tally.asked,
    answers: [...others, answer],
    refused: tally.refused,
    r: tally.r,
    counting: tally.counting,
  };
};

/** `node` is not waited for, nor asked if it was still to be. */
export const recordReadRefusal = (tally: ReadTally, node: NodeId): ReadTally => ({
  ...tally,
  candidates: tally.candidates.filter((candidate) => candidate !== node),
  refused: tally.refused.includes(node) ? tally.refused : [...tally.refused, node],
});

export const countedAnswers = ({ answers }: ReadTally): number => {
  let counted = 0;
  for (const { counts } of answers) if (counts) counted += 1;
  return counted;
};

/** How many more answers are wanted than could still come from those asked. */
export const answersLacking = (tally: ReadTally): number =>
  Math.max(0, tally.r - countedAnswers(tally) - outstanding(tally));

export const readVerdict = (tally: ReadTally): Verdict => {
  const counted = countedAnswers(tally);
  if (counted >= tally.r) return 'won';
  return counted + outstanding(tally) + tally.candidates.length < tally.r ? 'lost' : 'pending';
};

export const allAnswered = (tally: ReadTally): boolean => outstanding(tally) === 0;

/**
 * Whether values that a header lacks may be on their way: R answers are not there yet, and the one
 * replica that was asked for values at once has not answered. A header is often the quicker answer,
 * and its values are the same ones as a rule.
 */
export const valuesAwaited = (tally: ReadTally): boolean => {
  const [first] = tally.asked;
  return first !== undefined && countedAnswers(tally) < tally.r && isAwaited(tally, first);
};

const outstanding = (tally: ReadTally): number => {
  let waitedFor = 0;
  for (const node of tally.asked) if (isAwaited(tally, node)) waitedFor += 1;
  return waitedFor;
};

const isAwaited = (tally: ReadTally, node: NodeId): boolean =>
  !tally.refused.includes(node) && !hasAnswered(tally, node);

const hasAnswered = ({ answers }: ReadTally, node: NodeId): boolean => {
  for (const answer of answers) if (answer.node === node) return true;
  return false;
};

const NOBODY: readonly NodeId[] = [];
const NO_ANSWERS: readonly CountedAnswer[] = [];
