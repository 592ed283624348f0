/**
 * Frames between nodes: one CBOR array of messages, each a positional array whose first item is its
 * number. Positions are fixed by the table below; a field may be added at an end only.
 */
import { bytesOfKey, keyOfBytes } from '../core/ids.ts';
import type { Key } from '../core/ids.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import type { PeerMessage } from './peer-messages.ts';

/** A frame is closed once it holds this much; one message may be larger. */
const FRAME_BYTES_WANTED = 1024 * 1024;

/** Message types in the order of their numbers, each with its fields in order. */
const SHAPES: { readonly [T in PeerMessage['type']]: readonly Exclude<FieldOf<T>, 'type'>[] } = {
  hello: ['protocol', 'cluster', 'node', 'start', 'nonce', 'proof'],
  ping: [],
  pong: [],
  write: ['request', 'key', 'record', 'durable', 'hintFor', 'cause'],
  sync: ['request', 'key', 'cause'],
  read: ['request', 'key', 'want', 'cause'],
  written: ['request', 'durable'],
  answer: ['request', 'role', 'record'],
  refused: ['request', 'code'],
  forward: ['request', 'put', 'cause'],
  forwarded: ['request', 'reply'],
  'gossip.digest': ['digest'],
  'gossip.known': ['known', 'announcements', 'answer'],
  'gossip.events': ['events'],
  deliver: ['batch', 'entries'],
  delivered: ['batch'],
  'roots.ask': ['request', 'digest'],
  'branches.ask': ['request', 'partition'],
  'leaves.ask': ['request', 'partition', 'branch'],
  'records.ask': ['request', 'partition', 'leaves'],
  fetch: ['request', 'keys'],
  roots: ['request', 'roots'],
  hashes: ['request', 'hashes'],
  records: ['request', 'entries', 'complete'],
  fetched: ['request', 'looked', 'entries'],
  'inspect.ask': ['viewer', 'ask'],
  'inspect.tell': ['viewer', 'tell'],
  proof: ['proof'],
  'registers.digest': ['digest'],
  'registers.known': ['registers', 'answer'],
  offer: ['batch', 'partition', 'version', 'entries'],
  'offer.answered': ['batch', 'wanted'],
  'offer.refused': ['batch'],
  surrender: ['batch', 'partition', 'version', 'entries'],
  surrendered: ['batch'],
};
type FieldOf<T extends PeerMessage['type']> = keyof Extract<PeerMessage, { type: T }> & string;

const FIELDS: Readonly<Record<string, readonly string[]>> = SHAPES;
const TYPES = Object.keys(SHAPES) as PeerMessage['type'][];
const NUMBERS = new Map(TYPES.map((type, number) => [type, number]));

/** One frame or more, in order; each is far below the size limit of a link unless one message is not. */
export const encodePeerFrame = (messages: readonly PeerMessage[]): readonly Uint8Array[] => {
  const frames: Uint8Array[] = [];
  let batch: unknown[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = sizeOf(message);
    if (bytes > 0 && bytes + size > FRAME_BYTES_WANTED) {
      frames.push(encodeCbor(batch));
      batch = [];
      bytes = 0;
    }
    batch.push(positional(message));
    bytes += size;
  }
  frames.push(encodeCbor(batch));
  return frames;
};

/** Throws on anything that is no frame of this protocol; bytes in the result are copies. */
export const decodePeerFrame = (frame: Uint8Array): readonly PeerMessage[] => {
  const batch = decodeCbor(frame);
  if (!Array.isArray(batch)) throw new RangeError('a frame is an array of messages');
  return batch.flatMap((item): PeerMessage[] => {
    if (!Array.isArray(item)) throw new RangeError('a message is an array');
    const type = TYPES[item[0] as number];
    // A number from a newer node: its message is skipped, the others are understood.
    if (type === undefined) return [];
    const fields = FIELDS[type] ?? [];
    const message: Record<string, unknown> = { type };
    fields.forEach((field, index) => {
      const value: unknown = item[index + 1];
      if (value !== undefined && value !== null) message[field] = fromWire(field, value);
    });
    return [message as unknown as PeerMessage];
  });
};

const positional = (message: PeerMessage): unknown[] => {
  const fields = FIELDS[message.type] ?? [];
  const values = fields.map((field) =>
    toWire(field, (message as unknown as Record<string, unknown>)[field]),
  );
  // What is absent at the end takes no bytes.
  while (values.at(-1) === null) values.pop();
  return [NUMBERS.get(message.type), ...values];
};

/** Keys are byte strings in the process and bytes on the wire. */
const toWire = (field: string, value: unknown): unknown => {
  if (value === undefined) return null;
  if (field === 'key') return bytesOfKey(value as Key);
  if (field === 'keys') return (value as Key[]).map(bytesOfKey);
  if (field === 'put') return withKeyAs(value, (key) => bytesOfKey(key as Key));
  if (field === 'entries')
    return (value as unknown[]).map((entry) => withKeyAs(entry, (key) => bytesOfKey(key as Key)));
  return value;
};

const fromWire = (field: string, value: unknown): unknown => {
  if (field === 'key') return keyOfBytes(value as Uint8Array);
  if (field === 'keys') return (value as Uint8Array[]).map(keyOfBytes);
  if (field === 'put') return withKeyAs(value, (key) => keyOfBytes(key as Uint8Array));
  if (field === 'entries')
    return (value as unknown[]).map((entry) =>
      withKeyAs(entry, (key) => keyOfBytes(key as Uint8Array)),
    );
  return value;
};

const withKeyAs = (value: unknown, convert: (key: unknown) => unknown): unknown => {
  const object = value as { readonly key: unknown };
  return { ...object, key: convert(object.key) };
};

const sizeOf = (message: PeerMessage): number => {
  if (message.type === 'write') return message.record.length;
  if (message.type === 'answer') return message.record?.length ?? 0;
  if (message.type === 'fetched' || message.type === 'deliver' || message.type === 'surrender') {
    return message.entries.reduce((sum, { record }) => sum + record.length, 0);
  }
  if (message.type === 'forward') {
    return message.put.value === 'tombstone' ? 0 : message.put.value.length;
  }
  return 0;
};
