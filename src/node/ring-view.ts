/**
 * Where keys live, as this node sees it now: the ring folded from the membership history, joined
 * with what the failure detector believes. Read by router and replica; replaced as a whole when
 * membership changes.
 */
import { bytesOfKey } from '../core/ids.ts';
import type { Key, NodeId, PartitionId } from '../core/ids.ts';
import { preferenceList } from '../core/preference.ts';
import type { PreferenceEntry } from '../core/preference.ts';
import { partitionOf } from '../core/ring.ts';
import type { Member } from '../core/members.ts';
import type { OwnerTable } from '../core/placement.ts';
import type { Health, HealthTable } from '../core/suspicion.ts';
import type { Digest } from '../ports/digest.ts';

export type Ring = {
  readonly table: OwnerTable;
  readonly members: readonly Member[];
  readonly partitions: number;
  /** The cluster's N; a partition has fewer owners only while there are fewer nodes. */
  readonly n: number;
};

export class RingView {
  readonly #self: NodeId;
  readonly #digest: Digest;
  #ring: Ring;
  #health: HealthTable = new Map();

  constructor(self: NodeId, digest: Digest, ring: Ring) {
    this.#self = self;
    this.#digest = digest;
    this.#ring = ring;
  }

  get ring(): Ring {
    return this.#ring;
  }

  replaceRing(ring: Ring): void {
    this.#ring = ring;
  }

  replaceHealth(health: HealthTable): void {
    this.#health = health;
  }

  /** A node never doubts that it is there itself; a peer nobody has looked at yet is down. */
  healthOf(node: NodeId): Health {
    return node === this.#self ? 'healthy' : (this.#health.get(node) ?? 'down');
  }

  /** The partition of `key` and its position on the ring (paper § 4.1: MD5, 16 bytes). */
  placeOf(key: Key): { readonly partition: PartitionId; readonly position: Uint8Array } {
    const position = this.#digest.md5(bytesOfKey(key));
    return { partition: partitionOf(position, this.#ring.partitions), position };
  }

  ownersOf(key: Key): readonly NodeId[] {
    return this.#ring.table[this.placeOf(key).partition] ?? [];
  }

  /** Owners in rank order, then the fallbacks, each with its health (paper § 4.3). */
  preferenceOf(key: Key): readonly PreferenceEntry[] {
    const { table, members } = this.#ring;
    const { partition } = this.placeOf(key);
    return preferenceList(table, partition, members, (node) => this.healthOf(node));
  }

  partitionsOf(node: NodeId): number {
    return this.#ring.table.filter((owners) => owners.includes(node)).length;
  }
}
