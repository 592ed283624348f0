/**
 * The opaque token of a get: what its reader has seen of one key (A3), bound to that key and closed
 * by a keyed digest, so that a client can neither alter it nor use it elsewhere.
 *
 *   1 │ key tag (8) │ replica that answered fastest │ vector │ seen │ shown │ seal (8)
 */
import { ByteReader, ByteWriter, hasBytesAt } from './bytes.ts';
import { isNodeId } from './ids.ts';
import type { NodeId, PutId } from './ids.ts';
import { readVector, writeVector } from './record-bytes.ts';
import { lessOf } from './record.ts';
import type { CausalContext } from './record.ts';
import { readSeen, writeSeen } from './seen-puts.ts';

/** Of what is sealed, so that whatever a reader is given is taken back. */
export const CONTEXT_BYTES_MAX = 8192;

const FORMAT = 1;
const TAG_AT = 1;
const TAG_BYTES = 8;
const SEAL_BYTES = 8;

/** The two digests a context needs; both at least 8 bytes. */
export type ContextSeal = {
  /** A digest of the key. */
  keyTag(): Uint8Array;
  /** A digest of `bytes` up to `end` under the secret of the cluster's creation event. */
  sign(bytes: Uint8Array, end?: number): Uint8Array;
};

export type OpenedContext =
  | { readonly type: 'context'; readonly context: CausalContext; readonly fastest?: NodeId }
  | { readonly type: 'refused'; readonly code: 'BAD_CONTEXT' | 'CONTEXT_KEY_MISMATCH' };

export const sealContext = (
  context: CausalContext,
  fastest: NodeId | undefined,
  seal: ContextSeal,
): Uint8Array => {
  const writer = new ByteWriter();
  writer.byte(FORMAT);
  writer.raw(seal.keyTag(), 0, TAG_BYTES);
  writer.text(fastest ?? '');
  writeVector(writer, context.vector);
  writeSeen(writer, context.seen);
  writer.varint(context.shown.length);
  for (const put of context.shown) writer.hex(put);
  if (writer.length + SEAL_BYTES > CONTEXT_BYTES_MAX) {
    return sealContext(lessOf(context), fastest, seal);
  }
  writer.raw(seal.sign(writer.view()), 0, SEAL_BYTES);
  return writer.take();
};

/** Refuses only on proof: altered, oversized, not one of ours, or another key's. */
export const openContext = (bytes: Uint8Array, seal: ContextSeal): OpenedContext => {
  const bad = { type: 'refused', code: 'BAD_CONTEXT' } as const;
  const sealedAt = bytes.length - SEAL_BYTES;
  if (bytes.length > CONTEXT_BYTES_MAX || sealedAt < TAG_AT + TAG_BYTES) return bad;
  if (!hasBytesAt(bytes, sealedAt, seal.sign(bytes, sealedAt), SEAL_BYTES)) return bad;
  const read = readBody(bytes, sealedAt);
  if (read === undefined) return bad;
  if (!hasBytesAt(bytes, TAG_AT, seal.keyTag(), TAG_BYTES)) {
    return { type: 'refused', code: 'CONTEXT_KEY_MISMATCH' };
  }
  const { context, fastest } = read;
  return { type: 'context', context, ...(isNodeId(fastest) ? { fastest } : {}) };
};

/** What a context says, for those who cannot check it; undefined if it is none. */
export const peekContext = (bytes: Uint8Array): CausalContext | undefined =>
  bytes.length < SEAL_BYTES ? undefined : readBody(bytes, bytes.length - SEAL_BYTES)?.context;

const readBody = (
  bytes: Uint8Array,
  sealedAt: number,
): { readonly fastest: string; readonly context: CausalContext } | undefined => {
  try {
    const reader = new ByteReader(bytes);
    reader.limitTo(sealedAt);
    if (reader.byte() !== FORMAT) return undefined;
    reader.skip(TAG_BYTES);
    const fastest = reader.text();
    const vector = readVector(reader);
    const seen = readSeen(reader);
    const shown: PutId[] = [];
    for (let left = reader.varint(); left > 0; left--) shown.push(reader.hex(8) as PutId);
    reader.end();
    return { fastest, context: { vector, seen, shown } };
  } catch {
    return undefined;
  }
};
