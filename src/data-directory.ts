/** Whose data directory it is: a node starts only on its own data, of its own cluster. */
import { DataDirectoryError } from './adapters/data-lock.ts';
import { systemRandom } from './adapters/system-random.ts';
import { hexOf, nodeId } from './core/ids.ts';
import type { NodeId } from './core/ids.ts';
import { parseFounders } from './core/members.ts';
import type { Founder, History } from './core/members.ts';
import { DATA_FORMAT, loadBook, loadIdentity } from './node/store/book-store.ts';
import type { Storage } from './ports/storage.ts';

/** Who a node says it is. */
export type Claim = {
  readonly dataDir: string;
  readonly id: NodeId | undefined;
  /** As --bootstrap lists them. */
  readonly founders: readonly Founder[] | undefined;
  readonly seeds: readonly string[];
  readonly clusterName: string | undefined;
};

/** Throws RangeError for an id or a list of founders that cannot be. */
export const claimOf = (options: {
  readonly dataDir: string;
  readonly id?: string;
  readonly bootstrap?: string;
  readonly seeds?: readonly string[];
  readonly clusterName?: string;
}): Claim => ({
  dataDir: options.dataDir,
  id: options.id === undefined ? undefined : nodeId(options.id),
  founders: options.bootstrap === undefined ? undefined : parseFounders(options.bootstrap),
  seeds: options.seeds ?? [],
  clusterName: options.clusterName,
});

/**
 * Who the node is that starts on the opened `storage`, and the founders if it is to found its cluster
 * now. Throws RangeError if the founders leave the node out, DataDirectoryError for the data of another
 * node, of another cluster, or of a later format.
 */
export const claimDataDirectory = (
  storage: Storage,
  { dataDir, id: wanted, founders, seeds, clusterName }: Claim,
): { readonly id: NodeId; readonly founders: readonly Founder[] | undefined } => {
  const earlier = loadIdentity(storage);
  const id = wanted ?? nodeId(earlier?.id ?? randomId());
  if (founders !== undefined && !founders.some((founder) => founder.id === id)) {
    throw new RangeError(`--bootstrap must list this node, ${id}`);
  }
  const { history } = loadBook(storage);
  refuseOtherCluster(dataDir, history, founders, clusterName);
  const format = earlier?.format ?? DATA_FORMAT;
  if (format > DATA_FORMAT) {
    throw foreign(dataDir, `its format is ${format}, this version reads up to ${DATA_FORMAT}`);
  }
  const owner = earlier?.id ?? id;
  if (owner !== id) throw foreign(dataDir, `it belongs to node ${owner}, not to ${id}`);
  if (history.length > 0) return { id, founders: undefined };
  return { id, founders: founders ?? (seeds.length === 0 ? [alone(id)] : undefined) };
};

/** A directory that holds another cluster's history is not ours to serve, whatever the flags say. */
const refuseOtherCluster = (
  dataDir: string,
  history: History,
  asked: readonly Founder[] | undefined,
  clusterName: string | undefined,
): void => {
  const created = history.find((event) => event.type === 'create');
  if (created?.type !== 'create') return;
  const idsOf = (founders: readonly Founder[]) => [...founders.map(({ id }) => id)].sort().join();
  const founders = idsOf(created.founders);
  if (asked !== undefined && idsOf(asked) !== founders) {
    throw foreign(dataDir, `it holds the cluster of ${founders}, not of ${idsOf(asked)}`);
  }
  if (clusterName !== undefined && clusterName !== created.clusterName) {
    throw foreign(dataDir, `it holds cluster ${created.clusterName}, not ${clusterName}`);
  }
};

const foreign = (path: string, reason: string): DataDirectoryError =>
  new DataDirectoryError({ type: 'unusable', path, reason });

const alone = (id: Founder['id']): Founder => ({ id, zone: 'default', weight: 1 });

const randomId = (): string => `node-${hexOf(systemRandom.bytes(4))}`;
