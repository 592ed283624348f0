/**
 * A look at records as they lie on disk, for scrubbing: whether each row is what was written, lies
 * where its key belongs, and whether the Merkle tree counts exactly what is there. A row that is
 * gone leaves its hash in the tree, so even a loss that no checksum can tell comes to light.
 *
 *   leaf as the tree has it  =  XOR of its rows  +  what a commit under way adds and removes
 */
import { partitionId } from '../../core/ids.ts';
import type { Key, PartitionId } from '../../core/ids.ts';
import { LEAVES, NO_HASH, leafOf } from '../../core/merkle.ts';
import type { Digest } from '../../ports/digest.ts';
import type { LogCheck, Storage } from '../../ports/storage.ts';
import type { Forest } from './forest.ts';
import type { Memtable } from './memtable.ts';
import type { RingView } from '../membership/ring-view.ts';
import {
  eachEntry,
  hashOfRow,
  isRecordKey,
  keyOfRecordKey,
  leafRange,
  partitionRange,
  positionOfRecordKey,
  recordKey,
} from './stored.ts';
import type { Bounds } from './stored.ts';

export type AuditParts = {
  readonly storage: Storage;
  readonly digest: Digest;
  readonly ring: RingView;
  readonly memtable: Memtable;
  readonly forest: Forest;
};

/** What was found in some leaves of a partition. */
export type Findings = {
  /** The leaf at which the next look begins; LEAVES: the partition is done. */
  readonly next: number;
  readonly rows: number;
  /** Keys whose row is not what was written. */
  readonly damaged: readonly Key[];
  /** Names of rows that do not lie where a key of that name belongs: nobody can find them. */
  readonly misplaced: readonly Uint8Array[];
  /** Leaves of which the tree counts something else than what they hold. */
  readonly miscounted: readonly { readonly leaf: number; readonly held: bigint }[];
};

/** Rows read at a time: values may be large. */
const PAGE = 64;

/** What a leaf should count; not known while a damaged row is on its way out. */
type Leaf = { held: bigint; isKnown: boolean };

export class Audit {
  readonly #parts: AuditParts;

  constructor(parts: AuditParts) {
    this.#parts = parts;
  }

  /** Looks at the leaves of a partition from `leaf` on until it has seen `rowsMax` rows. */
  look(partition: PartitionId, leaf: number, rowsMax: number): Findings {
    const { storage, digest, ring, memtable } = this.#parts;
    const { partitions } = ring.ring;
    const leaves = this.#changesIn(partition);
    const damaged: Key[] = [];
    const misplaced: Uint8Array[] = [];
    let rows = 0;
    let next = LEAVES;
    let last = leaf;
    for (const { key: name, value } of eachEntry(
      storage,
      'records',
      this.#from(partition, leaf),
      PAGE,
    )) {
      const at = leafOf(positionOfRecordKey(name), partitions);
      const inPlace = this.#isInPlace(partition, name);
      // A leaf is looked at whole.
      if (inPlace && rows >= rowsMax && at !== last) {
        next = at;
        break;
      }
      rows += 1;
      if (!inPlace) {
        misplaced.push(name);
        continue;
      }
      last = at;
      const key = keyOfRecordKey(name);
      if (memtable.record(key) !== undefined) continue;
      const hash = hashOfRow(digest, value);
      if (hash !== 'corrupt') countOf(leaves, at).held ^= hash;
      else {
        damaged.push(key);
        countOf(leaves, at).isKnown = false;
      }
    }
    const miscounted = this.#miscounted(partition, leaf, next, leaves);
    return { next, rows, damaged, misplaced, miscounted };
  }

  /** Looks at the next rows of the log, of records that are not in their places yet. */
  checkLog(rowsMax: number): LogCheck {
    const { storage, digest } = this.#parts;
    const isSound = (row: Uint8Array): boolean => hashOfRow(digest, row) !== 'corrupt';
    return storage.checkLog?.(rowsMax, isSound) ?? { rows: 0, damaged: 0, done: true };
  }

  /** Names of rows beyond the last partition: nobody can find them. */
  beyond(limit: number): readonly Uint8Array[] {
    const { storage, ring } = this.#parts;
    const { from } = partitionRange(partitionId(ring.ring.partitions));
    return from === undefined
      ? []
      : storage.range('records', { from, limit }).map(({ key }) => key);
  }

  /** Lets the tree count what was found in a leaf; written with the next commit. */
  recount(partition: PartitionId, leaf: number, heldNow: bigint): void {
    const { forest } = this.#parts;
    forest.replace(partition, leaf, forest.tree(partition).leafAt(leaf), heldNow);
  }

  /** Deletes a misplaced row; if that fails the next look finds it again. */
  remove(name: Uint8Array): void {
    this.#parts.storage.commit([{ type: 'remove', table: 'records', key: name }], () => undefined);
  }

  /** What the tree counts for changes that are not committed yet, by leaf. */
  #changesIn(partition: PartitionId): Map<number, Leaf> {
    const leaves = new Map<number, Leaf>();
    for (const { place, before, hash } of this.#parts.memtable.records().values()) {
      if (place.partition !== partition) continue;
      // Sealed changes are counted already; of an open one, only what it will replace.
      const counted = hash ?? before;
      if (counted === 'unknown') countOf(leaves, place.leaf).isKnown = false;
      else countOf(leaves, place.leaf).held ^= counted;
    }
    return leaves;
  }

  #miscounted(
    partition: PartitionId,
    from: number,
    to: number,
    leaves: ReadonlyMap<number, Leaf>,
  ): Findings['miscounted'] {
    const tree = this.#parts.forest.tree(partition);
    const found: { leaf: number; held: bigint }[] = [];
    for (let leaf = from; leaf < to; leaf++) {
      const { held: there, isKnown } = leaves.get(leaf) ?? EMPTY_LEAF;
      if (isKnown && there !== tree.leafAt(leaf)) found.push({ leaf, held: there });
    }
    return found;
  }

  /** From a leaf to the end of its partition; the first leaf begins where the partition does. */
  #from(partition: PartitionId, leaf: number): Bounds {
    const whole = partitionRange(partition);
    return leaf === 0
      ? whole
      : {
          ...whole,
          ...leafRange(partition, leaf, this.#parts.ring.ring.partitions),
          ...(whole.to && { to: whole.to }),
        };
  }

  /** A row's name proves itself: it holds the key and the key's MD5. */
  #isInPlace(partition: PartitionId, name: Uint8Array): boolean {
    if (!isRecordKey(name)) return false;
    const key = keyOfRecordKey(name);
    const place = this.#parts.ring.placeOf(key);
    const should = recordKey(place.partition, place.position, key);
    return place.partition === partition && should.every((byte, i) => byte === name[i]);
  }
}

const EMPTY_LEAF: Readonly<Leaf> = { held: NO_HASH, isKnown: true };

const countOf = (leaves: Map<number, Leaf>, leaf: number): Leaf => {
  const found = leaves.get(leaf) ?? { ...EMPTY_LEAF };
  leaves.set(leaf, found);
  return found;
};
