/**
 * Where keys live, as this node sees it now: who owns each partition and who should (RULES C), joined
 * with what the failure detector believes. Read by router and replica; replaced as a whole when
 * membership or a register changes.
 */
import type { StrictView } from '../../../actors/put.ts';
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { bytesOfKey, partitionId } from '../../core/ids.ts';
import type { Key, NodeId, PartitionId } from '../../core/ids.ts';
import { preferenceList, readersIn, writesIn } from '../../core/preference.ts';
import type { PreferenceEntry } from '../../core/preference.ts';
import type { WritePlan } from '../../core/quorum.ts';
import { partitionOf } from '../../core/ring.ts';
import { digestText, isRemoved } from '../../core/members.ts';
import type { History, Member, Membership } from '../../core/members.ts';
import { placeHistory } from '../../core/placement.ts';
import type { OwnerTable } from '../../core/placement.ts';
import { currentOwners, newcomersOf, nextOwners } from '../../core/registers.ts';
import type { Register, Registers, Standing } from '../../core/registers.ts';
import type { Health, HealthTable } from '../../core/suspicion.ts';
import type { Digest } from '../../ports/digest.ts';

export type Ring = {
  /** What members and target are made of. */
  readonly history: History;
  /** Current owners of each partition: whoever answers reads and counts for W. */
  readonly table: OwnerTable;
  /** Owners as the placement wants them; a partition moves while the two differ. */
  readonly target: OwnerTable;
  readonly registers: Registers;
  readonly members: readonly Member[];
  /** Declared dead, or gone with empty hands: no source, no owner to wait for. */
  readonly removed: Membership['removed'];
  readonly retired: readonly NodeId[];
  readonly partitions: number;
  /** The cluster's N; a partition has fewer owners only while there are fewer nodes. */
  readonly n: number;
};

/** The ring before a history is known: nobody owns anything. */
export const NO_RING: Ring = {
  history: [],
  table: [],
  target: [],
  registers: new Map(),
  members: [],
  removed: [],
  retired: [],
  partitions: 1,
  n: 0,
};

/** The ring that a history and the registers make; the same on every node that knows the same. */
export const ringOf = (history: History, registers: Registers): Ring => {
  const placed = placedOnce(history, history);
  const founded = history[0] === undefined ? undefined : placedOnce(history[0], [history[0]]);
  if (placed === undefined || founded === undefined) return NO_RING;
  const { membership, table: target } = placed;
  const { members, partitions, n, removed, retired } = membership;
  const table = currentOwners(founded.table, registers, target);
  return { history, table, target, registers, members, removed, retired, partitions, n };
};

/** What an unchanging history places, so that a changed register does not fold it all anew (B1). */
const placements = new WeakMap<object, ReturnType<typeof placeHistory>>();

const placedOnce = (name: object, history: History): ReturnType<typeof placeHistory> => {
  if (!placements.has(name)) placements.set(name, placeHistory(history));
  return placements.get(name);
};

/** Where a key lies: its partition and its 16-byte position on the ring. */
export type KeyPlace = { readonly partition: PartitionId; readonly position: Uint8Array };
type PlaceOfKey = KeyPlace & { readonly key: Key; readonly partitions: number };

/** What a request asks of a partition, until ring or health change. */
type Preference = {
  readonly list: readonly PreferenceEntry[];
  /** Those that a read from here asks, in their order; the owners among them. */
  readonly readers: readonly NodeId[];
  readonly readingOwners: readonly NodeId[];
  /** Of a put that is coordinated here. */
  readonly writes: WritePlan;
};

/** Places of keys that are remembered: more than there are requests between the first look and the last. */
const PLACES = 1024;

type Lists = {
  nodes?: readonly NodeId[];
  moving?: readonly PartitionId[];
  owned?: readonly PartitionId[];
  arriving?: readonly PartitionId[];
  readonly newcomers: Map<PartitionId, readonly NodeId[]>;
  readonly holders: Map<PartitionId, readonly NodeId[]>;
  readonly next: Map<PartitionId, readonly NodeId[]>;
  readonly seenAs: Map<PartitionId, bigint>;
  historyHash?: bigint;
};

const noLists = (): Lists => ({
  newcomers: new Map(),
  holders: new Map(),
  next: new Map(),
  seenAs: new Map(),
});

export class RingView {
  readonly #self: NodeId;
  readonly #digest: Digest;
  #ring: Ring;
  #health: HealthTable = new Map();
  /** One request asks for the place of its key many times over, and others do in between. */
  readonly #places = new Array<PlaceOfKey | undefined>(PLACES).fill(undefined);

  /** Asked for since ring or health last changed. */
  readonly #preferences = new Map<PartitionId, Preference>();
  /** Lists made of the ring alone, asked for since it last changed: timers ask again and again. */
  #lists = noLists();

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
    this.#preferences.clear();
    this.#lists = noLists();
  }

  replaceHealth(health: HealthTable): void {
    const same = [...health].every(([node, each]) => this.#health.get(node) === each);
    if (same && health.size === this.#health.size) return;
    this.#health = health;
    this.#preferences.clear();
  }

  /** A node never doubts that it is there itself; a peer nobody has looked at yet is down. */
  healthOf(node: NodeId): Health {
    return node === this.#self ? 'healthy' : (this.#health.get(node) ?? 'down');
  }

  /** The partition of `key` and its position on the ring (paper § 4.1: MD5, 16 bytes). */
  placeOf(key: Key): KeyPlace {
    const { partitions } = this.#ring;
    const slot = slotOf(key);
    const known = this.#places[slot];
    if (known?.key === key && known.partitions === partitions) return known;
    const position = this.#digest.md5(bytesOfKey(key));
    const place = { key, partitions, partition: partitionOf(position, partitions), position };
    this.#places[slot] = place;
    return place;
  }

  /** Every node that may be spoken to: members, and whoever still owns something. */
  nodes(): readonly NodeId[] {
    const { members, table } = this.#ring;
    return (this.#lists.nodes ??= [...new Set([...members.map(({ id }) => id), ...table.flat()])]);
  }

  /** Those told to leave who neither are through nor were declared dead: they may hold something. */
  leavers(): readonly NodeId[] {
    return this.#ring.retired.filter((node) => !this.isRemoved(node));
  }

  isRemoved(node: NodeId): boolean {
    return isRemoved(this.#ring, node);
  }

  /** Whether it has said itself that it holds nothing and takes nothing any more. */
  hasLeft(node: NodeId): boolean {
    return this.#ring.removed.some(({ id, how }) => id === node && how === 'left');
  }

  /** Target owners of a partition that are still filling themselves (C2), in the order of their turns. */
  newcomersOf(partition: PartitionId): readonly NodeId[] {
    const { table, target } = this.#ring;
    const known = this.#lists.newcomers.get(partition);
    if (known !== undefined) return known;
    const list = newcomersOf(table[partition] ?? [], target[partition] ?? []);
    this.#lists.newcomers.set(partition, list);
    return list;
  }

  /** Whether this node is the newcomer that steps in before all others (C5). */
  isNext(partition: PartitionId): boolean {
    return this.newcomersOf(partition)[0] === this.#self;
  }

  /** C2: the owners after the next step of a partition; those there are, if it does not move. */
  nextOwnersOf(partition: PartitionId): readonly NodeId[] {
    const known = this.#lists.next.get(partition);
    if (known !== undefined) return known;
    const target = this.#ring.target[partition] ?? [];
    const list = nextOwners(this.registerOf(partition), target, this.standing);
    this.#lists.next.set(partition, list);
    return list;
  }

  /** Owners and newcomers: everybody a write of this partition goes to (C2). */
  holdersOf(partition: PartitionId): readonly NodeId[] {
    const known = this.#lists.holders.get(partition);
    if (known !== undefined) return known;
    const list = [...(this.#ring.table[partition] ?? []), ...this.newcomersOf(partition)];
    this.#lists.holders.set(partition, list);
    return list;
  }

  /** Whether this node is meant to hold the data of a partition, or only keeps it for others. */
  isHolder(partition: PartitionId): boolean {
    return this.holdersOf(partition).includes(this.#self);
  }

  /** Whether this node owns a partition. */
  isOwner(partition: PartitionId): boolean {
    return (this.#ring.table[partition] ?? []).includes(this.#self);
  }

  /** Partitions whose owners are not those of the target yet. */
  moving(): readonly PartitionId[] {
    return (this.#lists.moving ??= this.#partitionsWhere((_, each) => this.isMoving(each)));
  }

  isMoving(partition: PartitionId): boolean {
    const owners = this.#ring.table[partition] ?? [];
    const wanted = this.#ring.target[partition] ?? [];
    return owners.length !== wanted.length || owners.some((owner) => !wanted.includes(owner));
  }

  /** Partitions this node owns. */
  owned(): readonly PartitionId[] {
    return (this.#lists.owned ??= this.#partitionsWhere((owners) => owners.includes(this.#self)));
  }

  /** Partitions this node is a newcomer of. */
  arriving(): readonly PartitionId[] {
    return (this.#lists.arriving ??= this.#partitionsWhere((_, partition) =>
      this.newcomersOf(partition).includes(this.#self),
    ));
  }

  /**
   * C2: whether a strict put's coordinator, which sees this register of `key` and these owners after
   * the next step, sees what we do. Not the register alone: who does not know yet who is to come would
   * have its write acknowledged where those have looked already. Nor its version alone: two newcomers
   * may step in at once, one of them under another history. Without a register the put is not strict;
   * without `next` or `owners` its coordinator is an older node, which does not say.
   */
  isSeenAs(key: Key, { register, next, owners }: Partial<StrictView>): boolean {
    if (register === undefined) return true;
    const { partition } = this.placeOf(key);
    if (register !== this.versionOf(partition)) return false;
    return (
      isSame(next, this.nextOwnersOf(partition)) && isSame(owners, this.#ring.table[partition])
    );
  }

  /**
   * A few bytes that are equal where two nodes see the same register of a partition and know the same
   * history, so also the same target: whoever looks a peer through for what it holds has to know whose
   * holding it should be (C3, C7). A target may go and come back, and be written to in between.
   */
  seenAs(partition: PartitionId): bigint {
    const { seenAs } = this.#lists;
    let known = seenAs.get(partition);
    if (known === undefined) seenAs.set(partition, (known = this.#seenAs(partition)));
    return known;
  }

  #seenAs(partition: PartitionId): bigint {
    const { history, table, target } = this.#ring;
    const writer = new ByteWriter();
    writer.uint64((this.#lists.historyHash ??= this.#hashOf(history)));
    writer.varint(this.versionOf(partition));
    for (const nodes of [table[partition] ?? [], target[partition] ?? []]) {
      writer.varint(nodes.length);
      for (const node of [...nodes].sort()) writer.text(node);
    }
    return new ByteReader(this.#digest.md5(writer.take())).uint64();
  }

  #hashOf(history: History): bigint {
    const writer = new ByteWriter();
    writer.text(digestText(history, []));
    return new ByteReader(this.#digest.md5(writer.take())).uint64();
  }

  versionOf(partition: PartitionId): number {
    return this.#ring.registers.get(partition)?.version ?? 0;
  }

  registerOf(partition: PartitionId): Register {
    const { registers, table } = this.#ring;
    return registers.get(partition) ?? { version: 0, owners: table[partition] ?? [] };
  }

  /** What a step of a register has to know of the nodes. */
  readonly standing: Standing = {
    isRemoved: (node) => this.isRemoved(node),
    zoneOf: (node) => this.#ring.members.find(({ id }) => id === node)?.zone,
  };

  ownersOf(key: Key): readonly NodeId[] {
    return this.#ring.table[this.placeOf(key).partition] ?? [];
  }

  /** Owners in rank order, then the fallbacks, each with its health (paper § 4.3). */
  preferenceOf(key: Key): readonly PreferenceEntry[] {
    return this.#preferenceAt(this.placeOf(key).partition).list;
  }

  /** Whom a read of `key` from here may ask, in that order; none of them is down. */
  readersOf(key: Key, counting: 'anyone' | 'real-owners'): readonly NodeId[] {
    const { readers, readingOwners } = this.#preferenceAt(this.placeOf(key).partition);
    return counting === 'anyone' ? readers : readingOwners;
  }

  /** Where a put of `key` that is coordinated here goes first. */
  writePlanOf(key: Key): WritePlan {
    return this.#preferenceAt(this.placeOf(key).partition).writes;
  }

  #preferenceAt(partition: PartitionId): Preference {
    const known = this.#preferences.get(partition);
    if (known !== undefined) return known;
    const { table, members } = this.#ring;
    const list = preferenceList(table, partition, members, (node) => this.healthOf(node));
    const asked = readersIn(list, this.#self);
    const readers = asked.map(({ node }) => node);
    const readingOwners = asked.filter(({ role }) => role === 'owner').map(({ node }) => node);
    const newcomers = this.newcomersOf(partition);
    const writes = writesIn(list, newcomers, this.#self);
    const preference = { list, readers, readingOwners, writes };
    this.#preferences.set(partition, preference);
    return preference;
  }

  partitionsOf(node: NodeId): number {
    return this.#ring.table.filter((owners) => owners.includes(node)).length;
  }

  #partitionsWhere(
    holds: (owners: readonly NodeId[], partition: PartitionId) => boolean,
  ): readonly PartitionId[] {
    return this.#ring.table.flatMap((owners, index) => {
      const partition = partitionId(index);
      return holds(owners, partition) ? [partition] : [];
    });
  }
}

/** The same nodes in whatever order; undefined says nothing. */
const isSame = (said: readonly NodeId[] | undefined, ours: readonly NodeId[] = []): boolean =>
  said === undefined || (said.length === ours.length && ours.every((node) => said.includes(node)));

/** Where a place is remembered: keys differ at their ends. */
const slotOf = (key: Key): number => {
  const { length } = key;
  let slot = length;
  for (let at = Math.max(0, length - 4); at < length; at++) slot = slot * 31 + key.charCodeAt(at);
  return slot & (PLACES - 1);
};
