/**
 * Answers and pushes to clients as bytes. A client meets newer servers here: an op it does not know
 * is passed over, an error code it does not know becomes INTERNAL with its marks kept.
 */
import { CoterieError, isErrorCode, marksOf, unreachable } from '../core/errors.ts';
import type { ErrorDetails } from '../core/errors.ts';
import { bytesOfKey, isNodeId, keyOfBytes } from '../core/ids.ts';
import { CborWriter } from './cbor-writer.ts';
import { encodeCbor } from './cbor.ts';
import { OPS } from './client-messages.ts';
import type {
  DecodedReply,
  KeyState,
  PartReply,
  ReplicaReplyToClient,
  RingNode,
  RingReply,
  ServerReply,
} from './client-messages.ts';
import {
  badArgument,
  bytesAt,
  bytesListAt,
  checkedKey,
  mapAt,
  nodeAt,
  nodesAt,
  optionsAt,
  textAt,
  uintAt,
  uintOf,
} from './fields.ts';
import type { Fields } from './fields.ts';
import { GATE_LIMITS, readCbor } from './gate.ts';
import type { FailedReply } from './peer-messages.ts';

/** Pushes bear id 0, replies the id of their request. */
export const encodeServerReply = (id: number, reply: ServerReply): Uint8Array => {
  const writer = new CborWriter();
  write(writer, id, reply);
  return writer.take();
};

/** What gets and puts are answered is written as it goes, the rest by way of its fields. */
const write = (writer: CborWriter, id: number, reply: ServerReply): void => {
  switch (reply.type) {
    case 'value':
      writer.array(6);
      writer.uint(OPS.value);
      writer.uint(id);
      writer.ascii(reply.state);
      writer.array(reply.values.length);
      for (const value of reply.values) writer.bytes(value);
      writer.bytes(reply.context);
      writer.map(reply.node === undefined ? 0 : 1);
      if (reply.node !== undefined) {
        writer.ascii('node');
        writer.ascii(reply.node);
      }
      return;
    case 'applied':
      writer.array(6);
      writer.uint(OPS.applied);
      writer.uint(id);
      for (const nodes of [reply.acks, reply.durable]) {
        writer.array(nodes.length);
        for (const node of nodes) writer.ascii(node);
      }
      writer.bytes(reply.context);
      writer.map(0);
      return;
    case 'part':
      writer.array(5);
      writer.uint(OPS.part);
      writer.uint(id);
      writer.uint(reply.index);
      write(writer, id, reply.answer);
      writer.map(0);
      return;
    default:
      writer.item(encodeCbor(fieldsOf(id, reply)));
  }
};

const fieldsOf = (
  id: number,
  reply: Exclude<ServerReply, { type: 'value' | 'applied' | 'part' }>,
): readonly unknown[] => {
  switch (reply.type) {
    case 'welcome': {
      const { version, node, cluster, limits, ringVersion, addresses } = reply;
      return [OPS.welcome, id, version, node, cluster, limits, ringVersion, { addresses }];
    }
    case 'status-is':
      return [OPS['status-is'], id, reply.status, {}];
    case 'admin-is':
      return [OPS['admin-is'], id, reply.result, {}];
    case 'failed': {
      const { code, message, details } = reply;
      return [OPS.failed, id, code, message, { ...details, ...marksOf(code, details) }, {}];
    }
    case 'done':
      return [OPS.done, id, {}];
    case 'keys':
      return [OPS.keys, id, reply.keys.map(bytesOfKey), reply.next ?? null, {}];
    case 'ring-is': {
      const { ringVersion, partitions, n, nodes } = reply;
      const members = nodes.map((node) => [node.id, node.address, node.health]);
      const owners = ownersAsBytes(reply.owners, n);
      const prefixes = reply.prefixes.map((prefix) => bytesOfKey(prefix));
      const options = { ...(reply.r === undefined ? {} : { r: reply.r }), prefixes };
      return [OPS['ring-is'], id, ringVersion, partitions, n, members, owners, options];
    }
    case 'replica-is': {
      const { role, record = null, context } = reply;
      return [OPS['replica-is'], id, role, record, context, {}];
    }
    case 'ring-changed':
      return [OPS['ring-changed'], id, reply.ringVersion, {}];
    case 'pong':
    case 'going-away':
      return [OPS[reply.type], id, {}];
    default:
      return unreachable(reply);
  }
};

/** An application may keep a value for long: it is no part of a larger block. */
const own = (bytes: Uint8Array, from: number, to: number): Uint8Array => bytes.slice(from, to);

export const decodeServerReply = (frame: Uint8Array): DecodedReply => {
  const read = readCbor(frame, GATE_LIMITS, own);
  if (read.type === 'malformed') {
    return { type: 'bad', reason: `${read.reason} at offset ${read.offset}` };
  }
  const fields = read.item;
  const id = Array.isArray(fields) ? uintOf(fields[1]) : undefined;
  if (id === undefined) return { type: 'bad', reason: 'expected an array [op, id, ...]' };
  try {
    const reply = replyOf(fields as readonly unknown[]);
    return reply === undefined ? { type: 'unknown-op', id } : { type: 'reply', id, reply };
  } catch (error) {
    if (error instanceof CoterieError) return { type: 'bad', reason: error.message };
    throw error;
  }
};

/** A reply that says `error`, for whoever serves clients. */
export const failedReply = ({ code, message, details }: CoterieError): FailedReply => ({
  type: 'failed',
  code,
  message,
  details,
});

/** For each partition n places of 16 bits, big-endian; NOBODY where it has fewer owners. */
const ownersAsBytes = (owners: readonly (readonly number[])[], n: number): Uint8Array => {
  const bytes = new Uint8Array(owners.length * n * 2).fill(0xff);
  const view = new DataView(bytes.buffer);
  owners.forEach((places, partition) =>
    places.slice(0, n).forEach((place, rank) => view.setUint16(2 * (partition * n + rank), place)),
  );
  return bytes;
};
const NOBODY = 0xffff;

const ownersOf = (bytes: Uint8Array, partitions: number, n: number): readonly number[][] => {
  if (bytes.length !== 2 * partitions * n) {
    throw badArgument('the owners', `${partitions} times ${n} places of 16 bits`, bytes);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: partitions }, (_, partition) =>
    Array.from({ length: n }, (__, rank) => view.getUint16(2 * (partition * n + rank))).filter(
      (place) => place !== NOBODY,
    ),
  );
};

const ringOf = (fields: Fields): RingReply => {
  const partitions = uintAt(fields, 3, 'the partitions');
  const n = uintAt(fields, 4, 'n');
  const members = fields[5];
  if (!Array.isArray(members)) throw badArgument('the nodes', 'an array', members);
  const nodes = members.map((member): RingNode => {
    if (!Array.isArray(member)) throw badArgument('a node', 'an array', member);
    const address = textAt(member, 1, 'the address');
    return { id: nodeAt(member, 0), address, health: textAt(member, 2, 'the health') };
  });
  const owners = ownersOf(bytesAt(fields, 6, 'the owners'), partitions, n);
  if (owners.some((places) => places.some((place) => place >= nodes.length))) {
    throw badArgument('the owners', 'places of nodes', owners.length);
  }
  const ringVersion = uintAt(fields, 2, 'the ring version');
  const options = optionsAt(fields, 7);
  const r = uintOf(options['r']);
  const prefixes = bytesListAt([options['prefixes'] ?? []], 0, 'the prefixes').map(keyOfBytes);
  const ring = { ringVersion, partitions, n, nodes, owners, prefixes };
  return { type: 'ring-is', ...ring, ...(r === undefined ? {} : { r }) };
};

const partOf = (fields: Fields): PartReply => {
  const inner = fields[3];
  const answer = Array.isArray(inner) ? replyOf(inner) : undefined;
  if (answer?.type === 'value' || answer?.type === 'applied' || answer?.type === 'failed') {
    return { type: 'part', index: uintAt(fields, 2, 'the index'), answer };
  }
  throw badArgument('the answer of a part', 'VALUE, APPLIED or FAILED', inner);
};

const replicaOf = (fields: Fields): ReplicaReplyToClient => {
  const role = fields[2];
  if (role !== 'owner' && role !== 'fallback') {
    throw badArgument('the role', 'owner or fallback', role);
  }
  const context = bytesAt(fields, 4, 'the context');
  const answer = { type: 'replica-is', role, context } as const;
  return fields[3] === null ? answer : { record: bytesAt(fields, 3, 'the record'), ...answer };
};

/** Undefined for an op this version does not know; throws CoterieError on a wrong shape. */
const replyOf = (fields: Fields): ServerReply | undefined => {
  switch (uintOf(fields[0])) {
    case OPS.welcome:
      return {
        type: 'welcome',
        version: uintAt(fields, 2, 'the version'),
        node: nodeAt(fields, 3),
        cluster: textAt(fields, 4, 'the cluster'),
        limits: limitsOf(mapAt(fields, 5, 'the limits')),
        ringVersion: uintAt(fields, 6, 'the ring version'),
        addresses: textsOf(optionsAt(fields, 7)['addresses']),
      };
    case OPS.value: {
      const node = optionsAt(fields, 5)['node'];
      return {
        type: 'value',
        state: stateAt(fields, 2),
        values: bytesListAt(fields, 3, 'the values'),
        context: bytesAt(fields, 4, 'the context'),
        ...(isNodeId(node) ? { node } : {}),
      };
    }
    case OPS.applied: {
      const context = bytesAt(fields, 4, 'the context');
      return { type: 'applied', acks: nodesAt(fields, 2), durable: nodesAt(fields, 3), context };
    }
    case OPS['status-is']:
      return { type: 'status-is', status: mapAt(fields, 2, 'the status') };
    case OPS['admin-is']:
      return { type: 'admin-is', result: mapAt(fields, 2, 'the result') };
    case OPS.failed:
      return failureOf(fields);
    case OPS.pong:
      return { type: 'pong' };
    case OPS.part:
      return partOf(fields);
    case OPS.done:
      return { type: 'done' };
    case OPS.keys: {
      const keys = bytesListAt(fields, 2, 'the keys').map(checkedKey);
      const answer = { type: 'keys', keys } as const;
      return fields[3] === null ? answer : { next: bytesAt(fields, 3, 'the cursor'), ...answer };
    }
    case OPS['ring-is']:
      return ringOf(fields);
    case OPS['replica-is']:
      return replicaOf(fields);
    case OPS['going-away']:
      return { type: 'going-away' };
    case OPS['ring-changed']:
      return { type: 'ring-changed', ringVersion: uintAt(fields, 2, 'the ring version') };
    default:
      return undefined;
  }
};

/** A code this version does not know becomes INTERNAL, with the code and its marks in the details. */
const failureOf = (fields: Fields): FailedReply => {
  const code = textAt(fields, 2, 'the code');
  const message = textAt(fields, 3, 'the message');
  const details: Record<string, ErrorDetails[string]> = {};
  for (const [name, item] of Object.entries(mapAt(fields, 4, 'the details'))) {
    if (isDetail(item)) details[name] = item;
  }
  if (isErrorCode(code)) return { type: 'failed', code, message, details };
  return { type: 'failed', code: 'INTERNAL', message, details: { ...details, code } };
};

const isDetail = (item: unknown): item is ErrorDetails[string] =>
  ['string', 'number', 'boolean'].includes(typeof item) ||
  (Array.isArray(item) && item.every((text) => typeof text === 'string'));

const limitsOf = (map: Readonly<Record<string, unknown>>): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(map).flatMap(([name, item]) => {
      const limit = uintOf(item);
      return limit === undefined ? [] : [[name, limit]];
    }),
  );

const textsOf = (item: unknown): readonly string[] =>
  Array.isArray(item) ? item.filter((text) => typeof text === 'string') : [];

const stateAt = (fields: Fields, index: number): KeyState => {
  const state = fields[index];
  if (state === 'found' || state === 'deleted' || state === 'never-seen') return state;
  throw badArgument('the state', 'found, deleted or never-seen', state);
};
