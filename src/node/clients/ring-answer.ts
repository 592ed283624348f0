/** The ring as clients are told it: who owns which partition, and where to find them. */
import type { RingReply } from '../../wire/client-messages.ts';
import type { ClusterMap } from '../membership/cluster-map.ts';
import type { PrefixDefaults } from '../requests/prefix-defaults.ts';

/**
 * Grows with everything a node learns of members, addresses and owners, and is the same on nodes
 * that know the same: the highest lamport time of the history, all incarnations and the versions
 * of all registers together.
 */
export const ringVersionOf = ({
  book: { history, announcements },
  ring: { ring },
}: Pick<ClusterMap, 'book' | 'ring'>): number =>
  history.reduce((latest, { lamport }) => Math.max(latest, lamport), 0) +
  announcements.reduce((sum, { incarnation }) => sum + incarnation, 0) +
  [...ring.registers.values()].reduce((sum, { version }) => sum + version, 0);

export const ringReply = (
  map: Pick<ClusterMap, 'book' | 'ring'>,
  {
    defaultR,
    prefixDefaults,
  }: { readonly defaultR: number; readonly prefixDefaults: PrefixDefaults },
): RingReply => {
  const { book, ring: view } = map;
  const { partitions, table } = view.ring;
  const nodes = view.nodes();
  const places = new Map(nodes.map((id, place) => [id, place]));
  return {
    type: 'ring-is',
    ringVersion: ringVersionOf(map),
    partitions,
    // While N shrinks some partitions still have more owners.
    n: table.reduce((most, owners) => Math.max(most, owners.length), view.ring.n),
    r: defaultR,
    prefixes: prefixDefaults.map(({ prefix }) => prefix),
    nodes: nodes.map((id) => ({
      id,
      address: book.announcements.find(({ node }) => node === id)?.address ?? '',
      health: view.healthOf(id),
    })),
    owners: table.map((owners) => owners.map((node) => places.get(node)!)),
  };
};
