/**
 * What may be forgotten once every owner agrees (RULES A9): a record that is nothing but deleted, or
 * expired, and the memory of overwritten puts in a record that lives. Pure; who agrees with whom is
 * the reap actor's business.
 *
 *   {a:4} [tombstone]                        reap     nothing
 *   {a:4, b:7, c:1} [a:4 cart], seen 30      prune    {a:4} [a:4 cart]
 */
import { expired } from './record.ts';
import type { RecordOfKey } from './record.ts';
import { NO_PUTS } from './seen-puts.ts';

/** Why a record is of interest to a reap round. */
export type Excess = 'dead' | 'heavy';

/** Nothing in it can be read at `nowMs` (wall clock), nor ever again. */
export const isDead = ({ siblings }: RecordOfKey, nowMs: number): boolean =>
  siblings.every((sibling) => sibling.value === 'tombstone' || expired(sibling, nowMs));

/** Vector entries and seen put ids that no live dot needs. */
export const excessOf = (record: RecordOfKey): number =>
  record.seen.count + record.vector.filter((entry) => !isNeeded(record, entry.actor)).length;

export const excessKind = (
  record: RecordOfKey,
  nowMs: number,
  pruneAtLeast: number,
): Excess | undefined => {
  if (isDead(record, nowMs)) return 'dead';
  return excessOf(record) >= pruneAtLeast ? 'heavy' : undefined;
};

/** The same record without what `excessOf` counts: equal records prune to equal records. */
export const pruned = (record: RecordOfKey): RecordOfKey => ({
  vector: record.vector.filter((entry) => isNeeded(record, entry.actor)),
  siblings: record.siblings,
  seen: NO_PUTS,
});

const isNeeded = ({ siblings }: RecordOfKey, actor: string): boolean =>
  siblings.some(({ dot }) => dot.actor === actor);
