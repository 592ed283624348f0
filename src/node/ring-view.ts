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

/** Where a key lies: its partition and its 16-byte position on the ring. */
export type KeyPlace = { readonly partition: PartitionId; readonly position: Uint8Array };

export class RingView {
  readonly #self: NodeId;
  readonly #digest: Digest;
  #ring: Ring;
  #health: HealthTable = new Map();
  /** One request asks for the place of its key many times over. */
  #lastPlace: (KeyPlace & { readonly key: Key; readonly partitions: number }) | undefined;

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
  placeOf(key: Key): KeyPlace {
    const { partitions } = this.#ring;
    const last = this.#lastPlace;
    if (last?.key === key && last.partitions === partitions) return last;
    const position = this.#digest.md5(bytesOfKey(key));
    const place = { key, partitions, partition: partitionOf(position, partitions), position };
    this.#lastPlace = place;
    return place;
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
