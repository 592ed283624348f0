/**
 * Frames between nodes: messages one after another, each with its length ahead, then the number of
 * its type and its fields in the order of the table below. Compact, without names, and checked
 * field by field: whatever is no frame of this protocol throws.
 *
 *   length (4) │ number │ fields …  │  length (4) │ …
 *
 * A new message goes to the end of the table, a new field to the end of its message and optional:
 * older nodes skip what they do not know.
 */
import { ByteReader, ByteWriter, plainView } from '../core/bytes.ts';
import { isErrorCode } from '../core/errors.ts';
import type { ErrorDetails } from '../core/errors.ts';
import { isPutId, isStartId } from '../core/ids.ts';
import type { Announcement, Founder, MembershipEvent } from '../core/members.ts';
import {
  bytes,
  finite,
  flag,
  key,
  list,
  mapOf,
  node,
  object,
  oneOf,
  optional,
  text,
  textOf,
  uint,
  uint64,
  variants,
} from './binary.ts';
import type { Form } from './binary.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import type { PeerMessage, PutCommand, PutReply } from './peer-messages.ts';

/** A frame is closed once it holds this much; one message may be larger. */
const FRAME_BYTES_WANTED = 1024 * 1024;

const errorCode = textOf('an error code', isErrorCode);
const putId = textOf('a put id', isPutId);

/** A value, or the tombstone that a delete writes. */
const value: Form<PutCommand['value']> = {
  write: (writer, item) => {
    writer.byte(item === 'tombstone' ? 0 : 1);
    if (item !== 'tombstone') bytes.write(writer, item);
  },
  read: (reader) => (reader.bit() === 0 ? 'tombstone' : bytes.read(reader)),
};

const detail: Form<ErrorDetails[string]> = {
  write: (writer, item) => {
    if (typeof item === 'string') (writer.byte(0), text.write(writer, item));
    else if (typeof item === 'number') (writer.byte(1), finite.write(writer, item));
    else if (typeof item === 'boolean') (writer.byte(2), flag.write(writer, item));
    else (writer.byte(3), list(text).write(writer, item));
  },
  read: (reader) => {
    const kind = reader.byte();
    if (kind === 0) return text.read(reader);
    if (kind === 1) return finite.read(reader);
    if (kind === 2) return flag.read(reader);
    if (kind === 3) return list(text).read(reader);
    throw new RangeError(`an unknown kind of detail: ${kind}`);
  },
};

const put = object<PutCommand>({
  key,
  value,
  contexts: list(bytes),
  putId,
  writtenAt: uint,
  attempt: uint,
  mode: oneOf('causal', 'last-write-wins'),
  w: optional(uint),
  dw: optional(uint),
  strict: flag,
  timeoutMs: finite,
  onlyIf: optional(oneOf('absent', 'seen')),
  expiresAt: optional(uint),
});

const putReply = variants<PutReply>({
  applied: { acks: list(node), durable: list(node), context: bytes },
  failed: { code: errorCode, message: text, details: mapOf(detail) },
});

const announcement = object<Announcement>({ node, incarnation: uint, address: text });

const start = textOf('a start id', isStartId);

const head = {
  lamport: uint,
  issuer: node,
  life: optional(start),
  sequence: uint,
  issuedAtMs: finite,
};
const event = variants<MembershipEvent>({
  create: {
    ...head,
    clusterName: text,
    n: uint,
    partitions: uint,
    placement: oneOf(1),
    founders: list(object<Founder>({ id: node, zone: text, weight: finite })),
  },
  join: { ...head, node, zone: text, weight: finite },
  leave: { ...head, node },
  remove: { ...head, node },
  left: { ...head, node },
  replace: { ...head, node, by: node },
  'set-weight': { ...head, node, weight: finite },
  'set-zone': { ...head, node, zone: text },
  'set-n': { ...head, n: uint },
  gone: { ...head, node },
});

type KeyedRecord = Extract<PeerMessage, { type: 'deliver' }>['entries'][number];
type KeyedHash = Extract<PeerMessage, { type: 'records' }>['entries'][number];

const record = object<KeyedRecord>({ key, record: bytes });
const hashed = object<KeyedHash>({ key, hash: bytes });
type ListedName = Extract<PeerMessage, { type: 'listed' }>['names'][number];
const listedName = object<ListedName>({ place: bytes, live: flag });

/** Whatever its reader checks: pages for people. */
const plain: Form<unknown> = {
  write: (writer, item) => bytes.write(writer, encodeCbor(item)),
  read: (reader) => {
    const item = bytes.read(reader);
    try {
      return decodeCbor(item);
    } catch (error) {
      throw new RangeError(`no CBOR: ${String(error)}`);
    }
  },
};

const cause = optional(text);

const message = variants<PeerMessage>({
  hello: {
    protocol: uint,
    cluster: text,
    node,
    start,
    nonce: optional(bytes),
    proof: optional(bytes),
  },
  ping: { sentAtMs: optional(finite) },
  pong: { sentAtMs: optional(finite), wallMs: optional(finite) },
  write: {
    request: uint,
    key,
    record: bytes,
    durable: flag,
    round: uint,
    hintFor: optional(node),
    cause,
    register: optional(uint),
    over: optional(uint64),
    next: optional(list(node)),
    owners: optional(list(node)),
  },
  sync: { request: uint, key, cause, putId: optional(putId) },
  read: { request: uint, key, want: oneOf('with-values', 'header'), cause },
  written: { request: uint, durable: flag },
  answer: {
    request: uint,
    role: oneOf('owner', 'fallback'),
    round: uint,
    record: optional(bytes),
  },
  refused: { request: uint, code: errorCode },
  forward: { request: uint, put, cause },
  forwarded: { request: uint, reply: putReply },
  'gossip.digest': { digest: text },
  'gossip.known': { known: mapOf(uint), announcements: list(announcement), answer: flag },
  'gossip.events': { events: list(event) },
  deliver: { batch: uint, round: uint, entries: list(record) },
  delivered: { batch: uint },
  'roots.ask': { request: uint, digest: optional(bytes) },
  'branches.ask': { request: uint, partition: uint },
  'leaves.ask': { request: uint, partition: uint, branch: uint },
  'records.ask': { request: uint, partition: uint, leaves: list(uint) },
  fetch: { request: uint, keys: list(key) },
  roots: { request: uint, roots: optional(bytes), views: optional(bytes) },
  hashes: { request: uint, hashes: bytes },
  records: { request: uint, looked: uint, entries: list(hashed), complete: flag },
  fetched: { request: uint, round: uint, looked: uint, entries: list(record) },
  progress: { start, commits: uint, after: optional(start) },
  remembered: { start, commits: uint },
  'inspect.ask': { viewer: text, ask: plain },
  'inspect.tell': { viewer: text, tell: plain },
  proof: { proof: bytes },
  'registers.digest': { digest: bytes },
  'registers.known': { registers: bytes, answer: flag },
  offer: { batch: uint, partition: uint, version: uint, entries: list(hashed) },
  'offer.answered': { batch: uint, wanted: list(uint) },
  'offer.refused': { batch: uint },
  surrender: { batch: uint, round: uint, partition: uint, version: uint, entries: list(record) },
  surrendered: { batch: uint },
  list: { request: uint, partition: uint, limit: uint, after: optional(bytes) },
  listed: { request: uint, names: list(listedName), next: optional(bytes) },
  'round.at': { round: uint, floor: uint, entered: uint, forgotten: uint },
  'round.open': { round: uint },
  'round.entered': { round: uint, history: bytes },
  fence: {
    round: uint,
    batch: uint,
    history: bytes,
    partition: uint,
    version: uint,
    entries: list(hashed),
  },
  'fence.up': { batch: uint, agreed: list(uint), reason: optional(text) },
  forget: { batch: uint, agreed: list(uint) },
});

/** One frame or more, in order; each is far below the size limit of a link unless one message is not. */
export const encodePeerFrame = (messages: readonly PeerMessage[]): readonly Uint8Array[] => {
  const frames: Uint8Array[] = [];
  let writer = new ByteWriter();
  for (const each of messages) {
    if (writer.length >= FRAME_BYTES_WANTED) {
      frames.push(writer.take());
      writer = new ByteWriter();
    }
    const start = writer.length;
    writer.uint32(0);
    message.write(writer, each);
    writer.uint32At(start, writer.length - start - LENGTH_BYTES);
  }
  frames.push(writer.take());
  return frames;
};

/** Throws RangeError on anything that is no frame of this protocol; bytes in the result are copies. */
export const decodePeerFrame = (frame: Uint8Array): readonly PeerMessage[] => {
  const reader = new ByteReader(plainView(frame));
  const messages: PeerMessage[] = [];
  while (!reader.atEnd) {
    const length = reader.uint32();
    reader.limitTo(reader.offset + length);
    const known = message.readKnown(reader);
    if (known !== undefined) messages.push(known);
    // What a newer node has put behind, or a whole message of a type that is not known here.
    reader.finish();
  }
  return messages;
};

const LENGTH_BYTES = 4;
