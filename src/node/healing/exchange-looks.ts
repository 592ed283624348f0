/**
 * First and second looks at differences between replicas (paper § 4.7 is silent on writes in flight):
 * a difference counts only when two looks, some time apart, found the same two hashes. A partition
 * that a side has to refill anyway takes everything at once.
 */
import type { Difference } from '../../core/exchange.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Completeness } from '../store/completeness.ts';
import type { Config } from '../config.ts';
import type { Tally } from './exchange-log.ts';
import type { Exchange, RepairStep } from './exchange-walk.ts';

export type LookParts = {
  readonly clock: Clock;
  readonly config: Pick<Config, 'lookAgainMs' | 'looksMax'>;
  readonly completeness: Completeness;
};

/** Which differences to repair now; the others are remembered in `tally` for the second look. */
export const stableDifferences = (
  { clock, config, completeness }: LookParts,
  exchange: Exchange,
  { partition, differences }: RepairStep,
  { looks }: Tally,
): readonly Difference[] => {
  const { complete = false } = exchange.theirRoots.get(partition) ?? {};
  if (!completeness.isComplete(partition) || !complete) return differences;
  const nowMs = clock.monotonicMs();
  return differences.filter(({ key, ours, theirs }) => {
    const before = exchange.looksBefore.get(key);
    const unchanged = before !== undefined && before.ours === ours && before.theirs === theirs;
    if (unchanged && nowMs - before.atMs >= config.lookAgainMs) return true;
    if (looks.size < config.looksMax) {
      looks.set(key, unchanged ? before : { partition, ours, theirs, atMs: nowMs });
    }
    return false;
  });
};

/** After an exchange about one partition: first looks at others still wait for their second. */
export const keepOtherLooks = ({ only, looksBefore }: Exchange, { looks }: Tally): void => {
  if (only === undefined) return;
  for (const [key, look] of looksBefore) {
    if (look.partition !== only) looks.set(key, look);
  }
};

/** After an exchange that broke off: what it did not come to still waits for its second look. */
export const keepAllLooks = ({ looksBefore }: Exchange, tally: Tally): void => {
  tally.looks = new Map([...looksBefore, ...tally.looks]);
};
