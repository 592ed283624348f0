/** Ring, keys and replicas as the page draws them. */
import { FNV_START, fnv1a } from '../core/fnv.ts';
import { hexOf, showKey } from '../core/ids.ts';
import type { Key, NodeId, PartitionId } from '../core/ids.ts';
import type { Sibling } from '../core/record.ts';
import type { Node } from '../node/node.ts';
import type { Ring } from '../node/membership/ring-view.ts';
import type { KeyPicture, RingPicture } from './records.ts';

const versions = new WeakMap<object, string>();
const TEXT_MAX = 400;

/** Equal where all nodes have the same owners and the same plan (FNV-1a, 32 bits). */
export const ringVersionOf = (ring: Ring): string => {
  const known = versions.get(ring);
  if (known !== undefined) return known;
  let hash = FNV_START;
  for (const owners of [...ring.table, ...ring.target]) hash = fnv1a(`${owners.join()};`, hash);
  const version = (hash >>> 0).toString(16).padStart(8, '0');
  versions.set(ring, version);
  return version;
};

export const picturedRing = ({ ring, ...view }: RingSeen): RingPicture => {
  const members = ring.members.map(({ id, zone }) => ({ id, zone }));
  for (const id of view.nodes) {
    if (!members.some((member) => member.id === id)) members.push({ id, zone: '' });
  }
  const index = new Map(members.map(({ id }, i) => [id, i]));
  const indices = (ids: readonly NodeId[]) => ids.flatMap((id) => index.get(id) ?? []);
  return {
    version: ringVersionOf(ring),
    n: ring.n,
    members,
    owners: ring.table.map(indices),
    moving: view.moving.map((partition) => {
      const [owners, wanted] = [ring.table[partition]!, ring.target[partition]!];
      return {
        partition,
        version: ring.registers.get(partition)?.version ?? 0,
        arriving: indices(wanted.filter((id) => !owners.includes(id))),
        leaving: indices(owners.filter((id) => !wanted.includes(id))),
      };
    }),
  };
};

export type RingSeen = {
  readonly ring: Ring;
  /** Members, and whoever still owns something. */
  readonly nodes: readonly NodeId[];
  readonly moving: readonly PartitionId[];
};

/** What `node` knows of `key`, and what its replica holds. */
export const picturedKey = (node: Node, key: Key, values: 'shown' | 'hidden'): KeyPicture => {
  const { ringView } = node;
  const { partition, position } = ringView.placeOf(key);
  const picture = {
    key: showKey(key),
    position: hexOf(position),
    partition,
    preference: ringView.preferenceOf(key),
    hintsFor: node.hintTargetsOf(key),
  };
  let record;
  try {
    record = node.recordOf(key);
  } catch {
    return { ...picture, held: 'damaged', siblings: [], vector: [] };
  }
  if (record === undefined) return { ...picture, held: 'nothing', siblings: [], vector: [] };
  return {
    ...picture,
    held: 'record',
    siblings: record.siblings.map((sibling) => picturedSibling(sibling, values)),
    vector: record.vector.map(({ actor, n }) => ({ actor, n })),
  };
};

const picturedSibling = (
  { dot, value, writtenAt }: Sibling,
  values: 'shown' | 'hidden',
): KeyPicture['siblings'][number] => {
  const bytes = value instanceof Uint8Array ? value.length : 0;
  const text =
    value instanceof Uint8Array && values === 'shown'
      ? new TextDecoder().decode(value.subarray(0, TEXT_MAX))
      : undefined;
  return {
    dot: `${dot.actor}:${dot.n}`,
    kind: value instanceof Uint8Array ? 'value' : value,
    bytes,
    writtenAt,
    ...(text === undefined ? {} : { text }),
  };
};
