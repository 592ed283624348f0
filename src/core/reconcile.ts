/**
 * What a read makes of the answers it got (paper § 4.4–4.5): one record that knows everything any
 * of them knew, who lags behind it, and which values are still to be fetched. Pure; the get
 * coordinator acts on it.
 */
import type { NodeId } from './ids.ts';
import { EMPTY_RECORD, merge, sameRecord } from './record.ts';
import type { RecordLimits, RecordOfKey, Sibling } from './record.ts';

export type ReplicaAnswer = { readonly node: NodeId; readonly record: RecordOfKey };

export type Reconciled = {
  readonly record: RecordOfKey;
  /** Nodes whose answer was not yet this record: to be repaired. */
  readonly stale: readonly NodeId[];
  /** Live siblings of which only the header is here, each with a node that holds its bytes. */
  readonly missing: readonly { readonly sibling: Sibling; readonly holder: NodeId }[];
};

export const reconcile = (answers: readonly ReplicaAnswer[], limits: RecordLimits): Reconciled => {
  let record = EMPTY_RECORD;
  for (const answer of answers) record = merge(record, answer.record, limits);
  const stale: NodeId[] = [];
  for (const answer of answers) if (!sameRecord(answer.record, record)) stale.push(answer.node);
  const missing: Reconciled['missing'][number][] = [];
  for (const sibling of record.siblings) {
    if (sibling.value !== 'withheld') continue;
    missing.push({ sibling, holder: holderOf(sibling, answers) });
  }
  return { record, stale, missing };
};

const holderOf = (sibling: Sibling, answers: readonly ReplicaAnswer[]): NodeId => {
  const holder = answers.find((answer) =>
    answer.record.siblings.some(
      (held) => held.dot.actor === sibling.dot.actor && held.dot.n === sibling.dot.n,
    ),
  );
  if (holder === undefined) throw new Error('a merged sibling came from one of the answers');
  return holder.node;
};
