/**
 * Client requests as bytes: one CBOR array per binary message, with every refusal that can be told
 * from the message alone (PROTOCOL.md). Byte strings in decoded messages are copies.
 */
import { CONTEXT_BYTES_MAX } from '../core/context.ts';
import { CoterieError, unreachable } from '../core/errors.ts';
import { bytesOfHex, bytesOfKey, hexOf, putId } from '../core/ids.ts';
import type { Key, PutId } from '../core/ids.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { CONTEXTS_MAX, OPS, PUSH_ID, REQUEST_ID_MAX } from './client-messages.ts';
import type {
  ClientRequest,
  DecodedRequest,
  GetRequest,
  HelloRequest,
  PutRequest,
  RequestLimits,
} from './client-messages.ts';
import {
  badArgument,
  bytesAt,
  bytesListAt,
  checkedKey,
  checkedTimeoutMs,
  flagOf,
  kindOf,
  mapAt,
  optionsAt,
  textAt,
  uintAt,
  uintOf,
} from './fields.ts';
import type { Fields } from './fields.ts';
import { checkCbor } from './gate.ts';
import type { PutCommand } from './peer-messages.ts';

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
    case 'admin': {
      const { command, args, timeoutMs } = request;
      return encodeCbor([OPS.admin, id, command, args, { timeout: timeoutMs }]);
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
  if (Array.isArray(fields) && Array.isArray(fields[0])) return { type: 'foreign' };
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
    case OPS.admin:
      return {
        type: 'admin',
        command: textAt(fields, 2, 'the command'),
        args: mapAt(fields, 3, 'the arguments'),
        timeoutMs: timeoutOf(optionsAt(fields, 4), limits),
      };
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
  return {
    type: 'put',
    key: keyAt(fields, 2),
    value: valueAt(fields, 3, limits.valueBytesMax),
    contexts: contextsAt(fields, 4),
    putId: putIdAt(fields, 5),
    writtenAt: uintAt(fields, 6, 'the time of writing'),
    attempt: attemptAt(fields, 7),
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
  const timeoutMs = timeoutOf(options, limits);
  return { ...quorum, strict: flagOf(options, 'strict'), timeoutMs };
};

const timeoutOf = (
  { timeout }: Readonly<Record<string, unknown>>,
  { requestTimeoutMs }: RequestLimits,
): number => (timeout === undefined ? requestTimeoutMs : checkedTimeoutMs(timeout));

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

const attemptAt = (fields: Fields, index: number): number => {
  const attempt = uintAt(fields, index, 'the attempt');
  if (attempt === 0) throw badArgument('the attempt', 'an unsigned integer from 1', attempt);
  return attempt;
};
