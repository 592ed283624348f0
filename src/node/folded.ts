/** What follows from the membership history alone: the ring, and the text that names the cluster. */
import type { Book } from '../core/gossip.ts';
import { digestText } from '../core/members.ts';
import { placeHistory } from '../core/placement.ts';
import type { Ring } from './ring-view.ts';

export const foldedRing = ({ history }: Book): Ring => {
  const placed = placeHistory(history);
  if (placed === undefined) return { table: [], members: [], partitions: 1, n: 0 };
  const { membership, table } = placed;
  const { members, partitions, n } = membership;
  return { table, members, partitions, n };
};

/** Everything the creation event says, in one text: what cluster id and context secret derive from. */
export const creationText = ({ history }: Book): string => {
  const created = history.find(({ type }) => type === 'create');
  return created === undefined ? '' : JSON.stringify(created) + digestText([created], []);
};
