/**
 * The client protocol, version 1: what a client asks and what a node answers, as types and as bytes.
 * PROTOCOL.md explains it, protocol.cddl is normative, a test holds the three together.
 *
 *   one binary message = one CBOR array  [op, id, …fixed fields, options]
 *   [2, 7, h'63617274', {"r": 2}]  ──▶  { type: 'get', key: 'cart', r: 2, … } as request 7
 *
 * Newer clients are understood: elements after the known ones and unknown options are ignored.
 */
import { CONTEXT_BYTES_MAX } from '../core/context.ts';
import { CoterieError, isErrorCode, unreachable } from '../core/errors.ts';
import type { ErrorDetails } from '../core/errors.ts';
import { KEY_BYTES_MAX, bytesOfHex, bytesOfKey, hexOf, isNodeId } from '../core/ids.ts';
import { keyOfBytes, putId } from '../core/ids.ts';
import type { Key, NodeId, PutId } from '../core/ids.ts';
import { decodeCbor, encodeCbor, kindOf, mapOf, uintOf } from './cbor.ts';
import { checkCbor } from './gate.ts';
import type { FailedReply, PutCommand } from './peer-messages.ts';

export const PROTOCOL_VERSION = 1;
/** The WebSocket subprotocol of this protocol. */
export const SUBPROTOCOL = 'coterie.1.cbor';
export const REQUEST_ID_MAX = 2 ** 32 - 1;
/** Id of messages that answer nothing. */
export const PUSH_ID = 0;
export const TIMEOUT_MS_MAX = 600_000;
/** A client that coordinated its own read passes one context per replica (A3). */
export const CONTEXTS_MAX = 16;

/** Requests below 16, answers and pushes from 16: all one byte. */
export const OPS = {
  hello: 1,
  get: 2,
  put: 3,
  status: 4,
  ping: 5,
  cancel: 6,
  welcome: 16,
  value: 17,
  applied: 18,
  'status-is': 19,
  pong: 20,
  failed: 21,
  'going-away': 22,
  'ring-changed': 23,
} as const;

/** First on a connection; the versions are inclusive. */
export type HelloRequest = {
  readonly type: 'hello';
  readonly versionMin: number;
  readonly versionMax: number;
  /** Name and version of the client program, for logs. */
  readonly client: string;
  readonly token?: string;
};
export type GetRequest = {
  readonly type: 'get';
  readonly key: Key;
  readonly r?: number;
  readonly strict: boolean;
  readonly timeoutMs: number;
};
/** A delete is a put of a tombstone. */
export type PutRequest = PutCommand & { readonly type: 'put' };
export type StatusRequest = { readonly type: 'status' };
/** What the connection passes on; the rest it answers itself. */
export type HandledRequest = GetRequest | PutRequest | StatusRequest;
/** A cancel bears the id of the request it ends; it has no answer of its own. */
export type ClientRequest =
  HelloRequest | HandledRequest | { readonly type: 'ping' } | { readonly type: 'cancel' };

export type WelcomeReply = {
  readonly type: 'welcome';
  readonly version: number;
  readonly node: NodeId;
  readonly cluster: string;
  /** `keyBytesMax`, `valueBytesMax`, `contextBytesMax`, `inFlightMax`, …: unit in the name. */
  readonly limits: Readonly<Record<string, number>>;
  readonly ringVersion: number;
  /** Where clients find this and other nodes, `ws://host:port`; may be empty. */
  readonly addresses: readonly string[];
};
export type ValueReply = {
  readonly type: 'value';
  readonly state: KeyState;
  /** The siblings; empty unless found. */
  readonly values: readonly Uint8Array[];
  readonly context: Uint8Array;
  /** The node that coordinated the read. */
  readonly node?: NodeId;
};
export type KeyState = 'found' | 'deleted' | 'never-seen';
export type AppliedReply = {
  readonly type: 'applied';
  readonly acks: readonly NodeId[];
  /** Those of the acks that were durable by then. */
  readonly durable: readonly NodeId[];
  readonly context: Uint8Array;
};
export type StatusReply = {
  readonly type: 'status-is';
  readonly status: Readonly<Record<string, unknown>>;
};
export type HandledReply = ValueReply | AppliedReply | StatusReply | FailedReply;
export type Push =
  { readonly type: 'going-away' } | { readonly type: 'ring-changed'; readonly ringVersion: number };
export type ServerReply = WelcomeReply | HandledReply | { readonly type: 'pong' } | Push;

/** What serves clients, over a connection or in this very process. */
export type ClientHandler = {
  welcome(): Omit<WelcomeReply, 'type' | 'version'>;
  /** Answers once, perhaps within this call. A cancelled request may stay unanswered. */
  handle(request: HandledRequest, reply: (reply: HandledReply) => void): { cancel(): void };
};

export type RequestLimits = {
  readonly valueBytesMax: number;
  /** Deadline of a request that names none, ms. */
  readonly requestTimeoutMs: number;
};

export type DecodedRequest =
  | { readonly type: 'request'; readonly id: number; readonly request: ClientRequest }
  /** `id` is 0 when the message holds none that can be used. */
  | { readonly type: 'bad'; readonly id: number; readonly error: CoterieError };

export type DecodedReply =
  | { readonly type: 'reply'; readonly id: number; readonly reply: ServerReply }
  /** From a newer server: to be passed over. */
  | { readonly type: 'unknown-op'; readonly id: number }
  | { readonly type: 'bad'; readonly reason: string };

/** `id` is 1 … 2^32 - 1 and no other request of this connection in flight bears it. */
export const encodeClientRequest = (id: number, request: ClientRequest): Uint8Array => {
  const options: Record<string, unknown> = {};
  switch (request.type) {
    case 'hello': {
      const { versionMin, versionMax, client, token } = request;
      if (token !== undefined) options['token'] = token;
      return encodeCbor([OPS.hello, id, versionMin, versionMax, client, options]);
    }
    case 'get':
      setQuorumOptions(options, request);
      return encodeCbor([OPS.get, id, bytesOfKey(request.key), options]);
    case 'put': {
      setQuorumOptions(options, request);
      if (request.mode === 'last-write-wins') options['lww'] = true;
      const value = request.value === 'tombstone' ? null : request.value;
      const { key, contexts, writtenAt, attempt } = request;
      const put = bytesOfHex(request.putId);
      // As a bigint: a number this large would be written as a float.
      const at = BigInt(writtenAt);
      const fixed = [bytesOfKey(key), value, contexts, put, at, attempt];
      return encodeCbor([OPS.put, id, ...fixed, options]);
    }
    case 'status':
    case 'ping':
    case 'cancel':
      return encodeCbor([OPS[request.type], id, options]);
    default:
      return unreachable(request);
  }
};

/** Checks everything that can be told from the message alone; bytes in the result are copies. */
export const decodeClientRequest = (frame: Uint8Array, limits: RequestLimits): DecodedRequest => {
  const gate = checkCbor(frame);
  if (gate.type === 'malformed') return bad(PUSH_ID, badFrame(gate.offset, gate.reason));
  const fields = decodeCbor(frame);
  if (!Array.isArray(fields) || fields.length < 2) {
    return bad(PUSH_ID, badFrame(0, 'expected an array [op, id, ...]'));
  }
  const id = uintOf(fields[1]) ?? PUSH_ID;
  if (id === PUSH_ID || id > REQUEST_ID_MAX) {
    const found = `expected a request id from 1 to 2^32 - 1, found ${kindOf(fields[1])}`;
    return bad(PUSH_ID, new CoterieError('BAD_REQUEST_ID', found));
  }
  try {
    return { type: 'request', id, request: requestOf(fields, limits) };
  } catch (error) {
    if (error instanceof CoterieError) return bad(id, error);
    throw error;
  }
};

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

/** The key of 1–1,024 bytes; throws KEY_EMPTY or KEY_TOO_LONG. */
export const checkedKey = (bytes: Uint8Array): Key => {
  if (bytes.length === 0) {
    throw new CoterieError('KEY_EMPTY', `a key is 1-${KEY_BYTES_MAX} bytes, found none`);
  }
  if (bytes.length > KEY_BYTES_MAX) {
    const message = `a key is 1-${KEY_BYTES_MAX} bytes, found ${bytes.length}`;
    throw new CoterieError('KEY_TOO_LONG', message);
  }
  return keyOfBytes(bytes);
};

/** A whole number of ms in 1 … 600,000; throws BAD_TIMEOUT. */
export const checkedTimeoutMs = (item: unknown): number => {
  const ms = uintOf(item);
  if (ms !== undefined && ms >= 1 && ms <= TIMEOUT_MS_MAX) return ms;
  const message = `a timeout is a whole number of ms from 1 to ${TIMEOUT_MS_MAX}`;
  throw new CoterieError('BAD_TIMEOUT', `${message}, found ${kindOf(item)}`);
};

const setQuorumOptions = (
  options: Record<string, unknown>,
  request: Partial<Pick<PutCommand, 'w' | 'dw'> & Omit<GetRequest, 'type'>>,
): void => {
  const { r, w, dw, timeoutMs, strict } = request;
  for (const [name, value] of Object.entries({ r, w, dw, timeout: timeoutMs })) {
    if (value !== undefined) options[name] = value;
  }
  if (strict === true) options['strict'] = true;
};

const bad = (id: number, error: CoterieError): DecodedRequest => ({ type: 'bad', id, error });

const badFrame = (offset: number, reason: string): CoterieError =>
  new CoterieError('BAD_FRAME', `not a message of this protocol: ${reason} at offset ${offset}`, {
    offset,
    reason,
  });

type Fields = readonly unknown[];

/** Throws CoterieError with the code that a client must get. */
const requestOf = (fields: Fields, limits: RequestLimits): ClientRequest => {
  switch (uintOf(fields[0])) {
    case OPS.hello:
      return helloOf(fields);
    case OPS.get: {
      const options = optionsAt(fields, 3);
      return { type: 'get', key: keyAt(fields, 2), ...quorumOf(options, limits, ['r']) };
    }
    case OPS.put:
      return putOf(fields, limits);
    case OPS.status:
      return { type: 'status' };
    case OPS.ping:
      return { type: 'ping' };
    case OPS.cancel:
      return { type: 'cancel' };
    default:
      throw new CoterieError('UNKNOWN_OP', `no request has the op ${kindOf(fields[0])}`);
  }
};

const helloOf = (fields: Fields): HelloRequest => {
  const token = optionsAt(fields, 5)['token'];
  return {
    type: 'hello',
    versionMin: uintAt(fields, 2, 'the lowest version'),
    versionMax: uintAt(fields, 3, 'the highest version'),
    client: textAt(fields, 4, 'the client name'),
    ...(token === undefined ? {} : { token: textAt([token], 0, 'the option token') }),
  };
};

const putOf = (fields: Fields, limits: RequestLimits): PutRequest => {
  const options = optionsAt(fields, 8);
  const attempt = uintAt(fields, 7, 'the attempt');
  if (attempt === 0) throw badArgument('the attempt', 'an unsigned integer from 1', attempt);
  return {
    type: 'put',
    key: keyAt(fields, 2),
    value: valueAt(fields, 3, limits.valueBytesMax),
    contexts: contextsAt(fields, 4),
    putId: putIdAt(fields, 5),
    writtenAt: uintAt(fields, 6, 'the time of writing'),
    attempt,
    mode: flagOf(options, 'lww') ? 'last-write-wins' : 'causal',
    ...quorumOf(options, limits, ['w', 'dw']),
  };
};

/** The options that requests share; a quorum may not be below what its name allows. */
const quorumOf = <Name extends 'r' | 'w' | 'dw'>(
  options: Readonly<Record<string, unknown>>,
  limits: RequestLimits,
  names: readonly Name[],
): { readonly [N in Name]?: number } & { readonly strict: boolean; readonly timeoutMs: number } => {
  const quorum: { [N in Name]?: number } = {};
  for (const name of names) {
    const item = options[name];
    if (item === undefined) continue;
    const least = name === 'dw' ? 0 : 1;
    const value = uintOf(item);
    if (value === undefined || value < least) {
      const message = `${name} must be an integer from ${least}, found ${kindOf(item)}`;
      throw new CoterieError('BAD_QUORUM', message);
    }
    quorum[name] = value;
  }
  const timeout = options['timeout'];
  const timeoutMs = timeout === undefined ? limits.requestTimeoutMs : checkedTimeoutMs(timeout);
  return { ...quorum, strict: flagOf(options, 'strict'), timeoutMs };
};

const keyAt = (fields: Fields, index: number): Key => checkedKey(bytesAt(fields, index, 'the key'));

const valueAt = (fields: Fields, index: number, bytesMax: number): Uint8Array | 'tombstone' => {
  if (fields[index] === null) return 'tombstone';
  const value = bytesAt(fields, index, 'the value');
  if (value.length <= bytesMax) return value;
  const message = `a value is at most ${bytesMax} bytes, found ${value.length}`;
  throw new CoterieError('VALUE_TOO_LARGE', message, { valueBytesMax: bytesMax });
};

const contextsAt = (fields: Fields, index: number): readonly Uint8Array[] => {
  const contexts = bytesListAt(fields, index, 'the contexts');
  if (contexts.length > CONTEXTS_MAX) {
    throw badArgument('the contexts', `at most ${CONTEXTS_MAX}`, contexts.length);
  }
  const large = contexts.find(({ length }) => length > CONTEXT_BYTES_MAX);
  if (large === undefined) return contexts;
  const message = `a context is at most ${CONTEXT_BYTES_MAX} bytes, found ${large.length}`;
  throw new CoterieError('BAD_CONTEXT', message);
};

const putIdAt = (fields: Fields, index: number): PutId => {
  const bytes = bytesAt(fields, index, 'the put id');
  if (bytes.length !== 8) throw badArgument('the put id', '8 bytes', bytes);
  return putId(hexOf(bytes));
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

const nodeAt = (fields: Fields, index: number): NodeId => {
  const node = fields[index];
  if (!isNodeId(node)) throw badArgument('the node', 'a node id', node);
  return node;
};

const nodesAt = (fields: Fields, index: number): readonly NodeId[] => {
  const nodes = fields[index];
  if (Array.isArray(nodes) && nodes.every(isNodeId)) return nodes;
  throw badArgument('the nodes', 'an array of node ids', nodes);
};

const bytesAt = (fields: Fields, index: number, what: string): Uint8Array => {
  const bytes = fields[index];
  if (!(bytes instanceof Uint8Array)) throw badArgument(what, 'a byte string', bytes);
  return bytes;
};

const bytesListAt = (fields: Fields, index: number, what: string): readonly Uint8Array[] => {
  const list = fields[index];
  if (Array.isArray(list) && list.every((item) => item instanceof Uint8Array)) return list;
  throw badArgument(what, 'an array of byte strings', list);
};

const uintAt = (fields: Fields, index: number, what: string): number => {
  const value = uintOf(fields[index]);
  if (value === undefined) throw badArgument(what, 'an unsigned integer', fields[index]);
  return value;
};

const textAt = (fields: Fields, index: number, what: string): string => {
  const text = fields[index];
  if (typeof text !== 'string') throw badArgument(what, 'text', text);
  return text;
};

const mapAt = (fields: Fields, index: number, what: string): Readonly<Record<string, unknown>> => {
  const map = mapOf(fields[index]);
  if (map === undefined) throw badArgument(what, 'a map', fields[index]);
  return map;
};

/** Absent options are no options. */
const optionsAt = (fields: Fields, index: number): Readonly<Record<string, unknown>> =>
  fields[index] === undefined ? {} : mapAt(fields, index, 'the options');

const flagOf = (options: Readonly<Record<string, unknown>>, name: string): boolean => {
  const flag = options[name] ?? false;
  if (typeof flag !== 'boolean') throw badArgument(`the option ${name}`, 'true or false', flag);
  return flag;
};

const badArgument = (what: string, expected: string, found: unknown): CoterieError =>
  new CoterieError('BAD_ARGUMENT', `${what}: expected ${expected}, found ${kindOf(found)}`);
