/**
 * The side of an anti-entropy exchange that only answers (paper § 4.7): roots, hashes and records
 * of the partitions that the asker and this node both hold. It keeps nothing between questions.
 */
import type { Key, NodeId, PartitionId } from '../../core/ids.ts';
import { partitionId } from '../../core/ids.ts';
import type { Carried } from '../../core/admission.ts';
import { KEYS_PER_ANSWER } from '../../core/exchange.ts';
import type { Root } from '../../core/exchange.ts';
import { BRANCHES, LEAVES, encodeHashes } from '../../core/merkle.ts';
import { encodeRecord } from '../../core/record-bytes.ts';
import { ByteReader, ByteWriter, sameBytes } from '../../core/bytes.ts';
import type { Digest } from '../../ports/digest.ts';
import type { TreeAnswer, TreeQuestion } from '../../wire/peer-messages.ts';
import type { Completeness } from '../store/completeness.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { Replica } from '../store/replica.ts';
import type { LeafRows } from '../store/leaf-rows.ts';
import type { RingView } from '../membership/ring-view.ts';
import type { Admission } from '../admission-desk.ts';
import type { Rounds } from './rounds.ts';

export type TreeParts = {
  readonly self: NodeId;
  readonly ring: RingView;
  readonly store: RecordStore;
  readonly replica: Replica;
  readonly completeness: Completeness;
  readonly rounds: Rounds;
  readonly digest: Digest;
  readonly admission: Admission;
  /** Value bytes of one answer. */
  readonly answerBytesMax: number;
};

/** Whether partition, branch and leaves of a question are such as there are. */
export const makesSense = ({ ring }: Pick<TreeParts, 'ring'>, question: TreeQuestion): boolean => {
  if ('partition' in question && !isPartition(ring, question.partition)) return false;
  if (question.type === 'leaves.ask') return isIndex(question.branch, BRANCHES);
  return question.type !== 'records.ask' || areLeaves(question.leaves);
};

/** Answers `question` of `from`, perhaps later. It must make sense. */
export const answerTreeQuestion = (
  parts: TreeParts,
  from: NodeId,
  question: TreeQuestion,
  reply: (answer: TreeAnswer) => void,
): void => {
  const { store } = parts;
  const { request } = question;
  switch (question.type) {
    case 'roots.ask': {
      const { digest } = question;
      if (digest !== undefined) {
        const roots = commonRoots(parts, from);
        const same = sameBytes(digest, digestOfRoots(parts.digest, roots));
        reply({ type: 'roots', request, ...(same ? {} : { roots: encodeRoots(roots) }) });
        return;
      }
      // Without a digest the asker refills: it wants a snapshot, so nothing may be left in memory.
      store.whenAllDurable(() => {
        const roots = commonRoots(parts, from);
        const views = encodeHashes(roots.map(({ partition }) => parts.ring.seenAs(partition)));
        reply({ type: 'roots', request, roots: encodeRoots(roots), views });
      });
      return;
    }
    case 'branches.ask': {
      const hashes = store.forest.tree(partitionId(question.partition)).branches();
      reply({ type: 'hashes', request, hashes: encodeHashes(hashes) });
      return;
    }
    case 'leaves.ask': {
      const { partition, branch } = question;
      const hashes = store.forest.tree(partitionId(partition)).leavesOf(branch);
      reply({ type: 'hashes', request, hashes: encodeHashes(hashes) });
      return;
    }
    case 'records.ask': {
      const { partition, leaves } = question;
      const { hashes, looked } = soundHashesIn(
        parts,
        partitionId(partition),
        leaves,
        KEYS_PER_ANSWER,
      );
      const entries = [...hashes].map(([key, hash]) => ({ key, hash: encodeHashes([hash]) }));
      const complete = parts.completeness.isComplete(partitionId(partition));
      reply({ type: 'records', request, looked, entries, complete });
      return;
    }
    case 'fetch': {
      const { keys } = question;
      const rested = parts.admission.paced('anti-entropy', carriedBy, reply);
      rested({ type: 'fetched', request, round: parts.rounds.current, ...fetched(parts, keys) });
      return;
    }
  }
};

/** Hashes of the records in some leaves; a damaged row that shows is given up, never passed over. */
export const soundHashesIn = (
  { store, replica }: Pick<TreeParts, 'store' | 'replica'>,
  partition: PartitionId,
  leaves: readonly number[],
  keysMax = Infinity,
): LeafRows => {
  const rows = store.hashesIn(partition, leaves, keysMax);
  for (const key of rows.damaged) replica.readDamaged(key);
  return rows;
};

/** Roots of the partitions that this node and `peer` both hold, by this node's ring. */
export const commonRoots = (
  { self, ring, store, completeness }: Omit<TreeParts, 'digest'>,
  peer: NodeId,
): readonly Root[] =>
  ring.ring.table.flatMap((_, index): Root[] => {
    const partition = partitionId(index);
    const holders = ring.holdersOf(partition);
    if (!holders.includes(self) || !holders.includes(peer)) return [];
    const { root } = store.forest.tree(partition);
    return [{ partition, root, complete: completeness.isComplete(partition) }];
  });

/** A few bytes for all common partitions together. */
export const digestOfRoots = (digest: Digest, roots: readonly Root[]): Uint8Array => {
  const writer = new ByteWriter();
  for (const { partition, root } of roots) {
    writer.varint(partition);
    writer.uint64(root);
  }
  return digest.md5(writer.take());
};

export const encodeRoots = (roots: readonly Root[]): Uint8Array => {
  const writer = new ByteWriter();
  for (const { partition, root, complete } of roots) {
    writer.varint(partition);
    writer.byte(complete ? 1 : 0);
    writer.uint64(root);
  }
  return writer.take();
};

/** Throws RangeError on what `encodeRoots` did not make. */
export const decodeRoots = (bytes: Uint8Array): readonly Root[] => {
  const reader = new ByteReader(bytes);
  const roots: Root[] = [];
  while (!reader.atEnd) {
    const partition = partitionId(reader.varint());
    roots.push({ partition, complete: reader.byte() === 1, root: reader.uint64() });
  }
  return roots;
};

/** What an answer gives away. */
const carriedBy = (answer: TreeAnswer): Carried =>
  carriedOf(answer.type === 'fetched' ? answer.entries : []);

/** What it is to send these records, or to take them in. */
export const carriedOf = (entries: readonly { readonly record: Uint8Array }[]): Carried => ({
  looked: 0,
  records: entries.length,
  bytes: entries.reduce((sum, { record }) => sum + record.length, 0),
});

/** Records of the first of `keys`, as many as fit an answer. */
const fetched = (
  { replica, answerBytesMax }: TreeParts,
  keys: readonly Key[],
): Pick<Extract<TreeAnswer, { type: 'fetched' }>, 'entries' | 'looked'> => {
  const entries: { key: Key; record: Uint8Array }[] = [];
  let looked = 0;
  let bytes = 0;
  for (const key of keys) {
    if (bytes >= answerBytesMax) break;
    looked += 1;
    const held = replica.read(key);
    if (held === undefined) continue;
    const record = encodeRecord(held, 'with-values');
    bytes += record.length;
    entries.push({ key, record });
  }
  return { entries, looked };
};

/** Ascending, so that none is looked at twice. */
const areLeaves = (leaves: readonly number[]): boolean =>
  leaves.every((leaf, i) => isIndex(leaf, LEAVES) && leaf > (leaves[i - 1] ?? -1));

const isPartition = (ring: RingView, partition: number): partition is PartitionId =>
  isIndex(partition, ring.ring.table.length);

const isIndex = (value: number, below: number): boolean =>
  Number.isInteger(value) && value >= 0 && value < below;
