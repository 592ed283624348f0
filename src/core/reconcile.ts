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
  /** Live siblings of which only the header is here, each with the nodes that hold its bytes. */
  readonly missing: readonly { readonly sibling: Sibling; readonly holders: readonly NodeId[] }[];
};

export const reconcile = (answers: readonly ReplicaAnswer[], limits: RecordLimits): Reconciled => {
  let record = EMPTY_RECORD;
  for (const answer of answers) record = merge(record, answer.record, limits);
  const stale: NodeId[] = [];
  for (const answer of answers) if (!sameRecord(answer.record, record)) stale.push(answer.node);
  const missing: Reconciled['missing'][number][] = [];
  for (const sibling of record.siblings) {
    if (sibling.value !== 'withheld') continue;
    missing.push({ sibling, holders: holdersOf(sibling, answers) });
  }
  return { record, stale, missing };
};

const holdersOf = (sibling: Sibling, answers: readonly ReplicaAnswer[]): readonly NodeId[] =>
  answers
    .filter((answer) =>
      answer.record.siblings.some(
        (held) => held.dot.actor === sibling.dot.actor && held.dot.n === sibling.dot.n,
      ),
    )
    .map(({ node }) => node);
