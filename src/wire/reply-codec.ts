/**
 * Answers and pushes to clients as bytes. A client meets newer servers here: an op it does not know
 * is passed over, an error code it does not know becomes INTERNAL with its marks kept.
 */
import { CoterieError, isErrorCode, unreachable } from '../core/errors.ts';
import type { ErrorDetails } from '../core/errors.ts';
import { isNodeId } from '../core/ids.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { OPS } from './client-messages.ts';
import type { DecodedReply, KeyState, ServerReply } from './client-messages.ts';
import {
  badArgument,
  bytesAt,
  bytesListAt,
  mapAt,
  nodeAt,
  nodesAt,
  optionsAt,
  textAt,
  uintAt,
  uintOf,
} from './fields.ts';
import type { Fields } from './fields.ts';
import { checkCbor } from './gate.ts';
import type { FailedReply } from './peer-messages.ts';

/** Pushes bear id 0, replies the id of their request. */
export const encodeServerReply = (id: number, reply: ServerReply): Uint8Array => {
  switch (reply.type) {
    case 'welcome': {
      const { version, node, cluster, limits, ringVersion, addresses } = reply;
      return encodeCbor([
        OPS.welcome,
        id,
        version,
        node,
        cluster,
        limits,
        ringVersion,
        { addresses },
      ]);
    }
    case 'value': {
      const options = reply.node === undefined ? {} : { node: reply.node };
      return encodeCbor([OPS.value, id, reply.state, reply.values, reply.context, options]);
    }
    case 'applied':
      return encodeCbor([OPS.applied, id, reply.acks, reply.durable, reply.context, {}]);
    case 'status-is':
      return encodeCbor([OPS['status-is'], id, reply.status, {}]);
    case 'admin-is':
      return encodeCbor([OPS['admin-is'], id, reply.result, {}]);
    case 'failed': {
      const { code, message } = reply;
      const { retryable, outcome } = new CoterieError(code, message, reply.details);
      return encodeCbor([
        OPS.failed,
        id,
        code,
        message,
        { ...reply.details, retryable, outcome },
        {},
      ]);
    }
    case 'ring-changed':
      return encodeCbor([OPS['ring-changed'], id, reply.ringVersion, {}]);
    case 'pong':
    case 'going-away':
      return encodeCbor([OPS[reply.type], id, {}]);
    default:
      return unreachable(reply);
  }
};

export const decodeServerReply = (frame: Uint8Array): DecodedReply => {
  const gate = checkCbor(frame);
  if (gate.type === 'malformed') {
    return { type: 'bad', reason: `${gate.reason} at offset ${gate.offset}` };
  }
  const fields = decodeCbor(frame);
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
