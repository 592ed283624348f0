/**
 * How records leave a node for a backup and come back from one (`coterie backup`, `restore`), page by
 * page: the node writes no file and keeps no state of it, but of a record that comes in pieces. Taking a
 * page in twice is the same as once, since records merge.
 */
import { CoterieError } from '../../core/errors.ts';
import { bytesOfKey, partitionId } from '../../core/ids.ts';
import type { Key, NodeId } from '../../core/ids.ts';
import { decodeRecord, encodeRecord } from '../../core/record-bytes.ts';
import type { Clock } from '../../ports/clock.ts';
import { badArgument, checkedKey } from '../../wire/fields.ts';
import { uintArgument } from './admin-commands.ts';
import type { AdminArguments, AdminCommands } from './admin-commands.ts';
import type { Completeness } from '../store/completeness.ts';
import type { Config } from '../config.ts';
import { RecordUploads } from './record-uploads.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { Replica } from '../store/replica.ts';
import type { RingView } from '../membership/ring-view.ts';
import type { Rounds } from '../healing/rounds.ts';
import { keyOfPlace } from '../store/stored.ts';

export type BackupParts = {
  readonly self: NodeId;
  readonly config: Config;
  readonly clock: Clock;
  readonly cluster: () => string;
  readonly ring: RingView;
  readonly store: RecordStore;
  readonly replica: Replica;
  readonly completeness: Completeness;
  readonly rounds: Rounds;
};

/** What a page holds at most; a larger record travels alone. */
const PAGE_ROWS = 500;
const PAGE_BYTES = 1024 * 1024;

export const backupCommands = (parts: BackupParts): AdminCommands => {
  const { self, ring, store, completeness, config } = parts;
  // Room for what surrounds it in a frame between nodes.
  const uploads = new RecordUploads(parts.clock, config.links.peerFrameBytesMax - 64 * 1024);
  return {
    /** What this node holds, and of what it may lack nothing. */
    'backup.plan': (_, answer) => {
      const { n, partitions, table } = ring.ring;
      if (table.length === 0) throw new CoterieError('NOT_READY', `${self} knows no ring yet`);
      const owned = table.flatMap((owners, index) => (owners.includes(self) ? [index] : []));
      answer({
        ...{ node: self, cluster: parts.cluster(), n, w: config.defaultW, partitions, owned },
        held: [...store.partitionsHeld()].sort((a, b) => a - b),
        complete: owned.filter((index) => completeness.isComplete(partitionId(index))),
      });
    },
    /** Records of a partition behind `after`, ascending by place; `next`: where to go on, if anywhere. */
    'backup.read': (args, answer) => {
      const partition = uintArgument(args, 'partition', ring.ring.partitions);
      if (partition === undefined) throw badArgument('the argument partition', 'a partition', null);
      const after = args['after'] == null ? undefined : placeArgument(args['after']);
      answer({ node: self, ...pageOf(parts, partition, after) });
    },
    /** A piece of a record that no frame of a client can hold. */
    'restore.part': (args, answer) => {
      const uploaded = uploads.take(args);
      if (uploaded.type === 'partly') return answer({ node: self, have: uploaded.have });
      const refused = mergeAll(parts, [checkedRow(uploaded)]);
      if (refused !== undefined) return answer(refused);
      store.whenAllDurable(() => answer({ node: self, have: uploaded.record.length }));
    },
    'restore.write': (args, answer) => {
      const rows = rowsOf(args);
      const refused = mergeAll(parts, rows);
      if (refused !== undefined) return answer(refused);
      store.whenAllDurable(() => answer({ node: self, taken: rows.length }));
    },
  };
};

const pageOf = (
  { store, replica }: BackupParts,
  partition: number,
  after: Uint8Array | undefined,
) => {
  const rows: [Uint8Array, Uint8Array][] = [];
  let bytes = 0;
  let from = after;
  // A few at first: values may be large.
  for (let many = 8; rows.length < PAGE_ROWS; many *= 2) {
    const { entries, next } = store.recordsFrom(partitionId(partition), from, many);
    for (const { place, record: held } of entries) {
      const key = keyOfPlace(place);
      // The replica gives a damaged row up, to be fetched anew: it is never handed out.
      const record = held === 'corrupt' ? replica.readDamaged(key) : held;
      from = place;
      if (record === undefined) continue;
      const encoded = encodeRecord(record, 'with-values');
      bytes += encoded.length;
      rows.push([bytesOfKey(key), encoded]);
      if (bytes >= PAGE_BYTES) return { rows, next: place };
    }
    if (next === undefined) return { rows };
    from = next;
  }
  return { rows, next: from };
};

type Row = { readonly key: Key; readonly record: Uint8Array };

/** Merges the rows here and has the other owners told; what forbids it, with nothing promised. */
const mergeAll = (parts: BackupParts, rows: readonly Row[]): CoterieError | undefined => {
  const { self, ring, store, replica, rounds } = parts;
  if (store.spaceIsLow) {
    return new CoterieError('INSUFFICIENT_STORAGE', `the disk of ${self} is below its floor`);
  }
  for (const { key, record } of rows) {
    const others = ring.ownersOf(key).filter((owner) => owner !== self);
    if (
      !store.hints.hasRoomFor(others, key) ||
      !replica.takeAll({ entries: [{ key, record }], round: rounds.current })
    ) {
      const message = `the hint store of ${self} is full: wait until the other owners have caught up`;
      return new CoterieError('OVERLOADED', message, { retryAfterMs: RETRY_MS });
    }
    for (const owner of others) replica.keepHint(key, owner);
  }
  return undefined;
};

const RETRY_MS = 1000;

const placeArgument = (item: unknown): Uint8Array => {
  if (item instanceof Uint8Array) return item;
  throw badArgument('the argument after', 'a byte string', item);
};

/** Checked whole before anything is merged. */
const rowsOf = ({ rows }: AdminArguments): readonly Row[] => {
  if (!Array.isArray(rows)) throw badArgument('the argument rows', 'an array', rows);
  return rows.map((row: unknown): Row => {
    const [name, record] = Array.isArray(row) ? (row as unknown[]) : [];
    if (!(name instanceof Uint8Array) || !(record instanceof Uint8Array)) {
      throw badArgument('a row', 'a key and a record', row);
    }
    return checkedRow({ key: checkedKey(name), record });
  });
};

const checkedRow = ({ key, record }: Row): Row => {
  try {
    decodeRecord(record);
  } catch (error) {
    throw new CoterieError('BAD_ARGUMENT', `a record: ${(error as Error).message}`);
  }
  return { key, record };
};
