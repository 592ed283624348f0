/**
 * Client requests as bytes: one CBOR array per binary message, with every refusal that can be told
 * from the message alone (PROTOCOL.md). Byte strings in decoded messages are copies.
 */
import { CONTEXT_BYTES_MAX } from '../core/context.ts';
import { CoterieError, unreachable } from '../core/errors.ts';
import { KEY_BYTES_MAX, bytesOfHex, bytesOfKey, hexOf, putId } from '../core/ids.ts';
import type { Key, PutId } from '../core/ids.ts';
import { encodeCbor } from './cbor.ts';
import {
  CONTEXTS_MAX,
  MANY_MAX,
  OPS,
  PUSH_ID,
  REQUEST_ID_MAX,
  SCAN_LIMIT_MAX,
} from './client-messages.ts';
import type {
  ClientRequest,
  DecodedRequest,
  GetRequest,
  HelloRequest,
  PutRequest,
  RequestLimits,
  ScanRequest,
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
import { readCbor } from './gate.ts';
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
      setMode(options, request.mode);
      setTrace(options, request.traceparent);
      return encodeCbor([OPS.get, id, bytesOfKey(request.key), options]);
    case 'put':
      return encodeCbor([OPS.put, id, ...putFields(request)]);
    case 'get-many': {
      const [first] = request.requests;
      if (first !== undefined) {
        setQuorumOptions(options, first);
        setMode(options, first.mode);
        setTrace(options, first.traceparent);
      }
      const keys = request.requests.map(({ key }) => bytesOfKey(key));
      return encodeCbor([OPS['get-many'], id, keys, options]);
    }
    case 'admin': {
      const { command, args, timeoutMs } = request;
      return encodeCbor([OPS.admin, id, command, args, { timeout: timeoutMs }]);
    }
    case 'put-many':
      return encodeCbor([OPS['put-many'], id, request.requests.map(putFields), options]);
    case 'scan': {
      const { partition, after = null, limit, timeoutMs } = request;
      return encodeCbor([OPS.scan, id, partition, after, { limit, timeout: timeoutMs }]);
    }
    case 'replica-get':
      if (request.want === 'header') options['header'] = true;
      return encodeCbor([OPS['replica-get'], id, bytesOfKey(request.key), options]);
    case 'repair':
      setQuorumOptions(options, request);
      return encodeCbor([OPS.repair, id, bytesOfKey(request.key), options]);
    case 'ring':
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
  const read = readCbor(frame);
  if (read.type === 'malformed') return bad(PUSH_ID, badFrame(read.offset, read.reason));
  const fields = read.item;
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

/** The fields of one put, from its key to its options. */
const putFields = (request: PutRequest): readonly unknown[] => {
  const options: Record<string, unknown> = {};
  setQuorumOptions(options, request);
  setMode(options, request.mode);
  setTrace(options, request.traceparent);
  if (request.onlyIf !== undefined) options[CONDITION_NAMES[request.onlyIf]] = true;
  if (request.expiresAt !== undefined) {
    options['expires'] = request.expiresAt === 'never' ? 0 : BigInt(request.expiresAt);
  }
  const value = request.value === 'tombstone' ? null : request.value;
  const { key, contexts, writtenAt, attempt } = request;
  const put = bytesOfHex(request.putId);
  // As a bigint: a number this large would be written as a float.
  return [bytesOfKey(key), value, contexts, put, BigInt(writtenAt), attempt, options];
};

/** Version 00 has 55 characters; a later one may have more. */
const TRACEPARENT_MAX = 128;
/** A position and a key. */
const CURSOR_BYTES_MAX = 16 + KEY_BYTES_MAX;

const CONDITION_NAMES = { absent: 'ifAbsent', seen: 'ifContext' } as const;

const setMode = (options: Record<string, unknown>, mode: PutCommand['mode'] | undefined): void => {
  if (mode !== undefined) options['lww'] = mode === 'last-write-wins';
};

const setTrace = (options: Record<string, unknown>, traceparent: string | undefined): void => {
  if (traceparent !== undefined) options['traceparent'] = traceparent;
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
    case OPS.get:
      return getOf(keyAt(fields, 2), optionsAt(fields, 3), limits);
    case OPS.put:
      return putOf(fields, 2, limits);
    case OPS['get-many']: {
      const options = optionsAt(fields, 3);
      const requests = eachOf(fields, 'the keys', (key) => getOf(keyAt([key], 0), options, limits));
      return { type: 'get-many', requests };
    }
    case OPS['put-many']: {
      const requests = eachOf(fields, 'the puts', (put) => {
        if (!Array.isArray(put)) throw badArgument('a put', 'an array', put);
        return putOf(put, 0, limits);
      });
      return { type: 'put-many', requests };
    }
    case OPS.scan:
      return scanOf(fields, limits);
    case OPS.ring:
      return { type: 'ring' };
    case OPS['replica-get']: {
      const want = flagOf(optionsAt(fields, 3), 'header') ? 'header' : 'with-values';
      return { type: 'replica-get', key: keyAt(fields, 2), want };
    }
    case OPS.repair: {
      const options = optionsAt(fields, 3);
      flagOf(options, 'strict');
      return { type: 'repair', timeoutMs: timeoutOf(options, limits), key: keyAt(fields, 2) };
    }
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

/** A request while it is read: what its sender left out is absent. */
type Draft<Request> = { -readonly [Field in keyof Request]: Request[Field] };

const getOf = (key: Key, options: Options, limits: RequestLimits): GetRequest => {
  const timeoutMs = timeoutOf(options, limits);
  const get: Draft<GetRequest> = { type: 'get', key, strict: flagOf(options, 'strict'), timeoutMs };
  readShared(options, get);
  const r = quorumIn(options, 'r');
  if (r !== undefined) get.r = r;
  return get;
};

/** What gets and puts may say alike. */
const readShared = (options: Options, into: Draft<GetRequest> | Draft<PutRequest>): void => {
  if (options['lww'] !== undefined) {
    into.mode = flagOf(options, 'lww') ? 'last-write-wins' : 'causal';
  }
  // Never a reason to refuse a request.
  const { traceparent } = options;
  if (typeof traceparent === 'string' && traceparent.length <= TRACEPARENT_MAX) {
    into.traceparent = traceparent;
  }
};

/** The third field as a list of 1 to 128; a refusal names the one it is about. */
const eachOf = <T>(fields: Fields, what: string, read: (item: unknown) => T): readonly T[] => {
  const list = fields[2];
  if (!Array.isArray(list)) throw badArgument(what, 'an array', list);
  if (list.length === 0 || list.length > MANY_MAX) {
    throw badArgument(what, `1 to ${MANY_MAX} of them`, list.length);
  }
  return list.map((item, index) => {
    try {
      return read(item);
    } catch (error) {
      if (!(error instanceof CoterieError)) throw error;
      throw new CoterieError(error.code, `number ${index} of ${what}: ${error.message}`, {
        ...error.details,
        index,
      });
    }
  });
};

const scanOf = (fields: Fields, limits: RequestLimits): ScanRequest => {
  const options = optionsAt(fields, 4);
  const partition = uintAt(fields, 2, 'the partition');
  const timeoutMs = timeoutOf(options, limits);
  const limit = uintOf(options['limit'] ?? SCAN_LIMIT_MAX);
  if (limit === undefined || limit < 1 || limit > SCAN_LIMIT_MAX) {
    throw badArgument('the option limit', `1 to ${SCAN_LIMIT_MAX}`, options['limit']);
  }
  const after = fields[3] ?? undefined;
  const page = { type: 'scan', partition, limit, timeoutMs } as const;
  if (after === undefined) return page;
  const cursor = bytesAt(fields, 3, 'the cursor');
  if (cursor.length > CURSOR_BYTES_MAX) throw badArgument('the cursor', 'one of a page', cursor);
  return { after: cursor, ...page };
};

/** The fields of one put, from its key at `at` to its options. */
const putOf = (fields: Fields, at: number, limits: RequestLimits): PutRequest => {
  const options = optionsAt(fields, at + 6);
  const put: Draft<PutRequest> = {
    type: 'put',
    key: keyAt(fields, at),
    value: valueAt(fields, at + 1, limits.valueBytesMax),
    contexts: contextsAt(fields, at + 2),
    putId: putIdAt(fields, at + 3),
    writtenAt: uintAt(fields, at + 4, 'the time of writing'),
    attempt: attemptAt(fields, at + 5),
    strict: flagOf(options, 'strict'),
    timeoutMs: timeoutOf(options, limits),
  };
  readShared(options, put);
  const onlyIf = conditionIn(options, put.contexts);
  if (onlyIf !== undefined) put.onlyIf = onlyIf;
  const expiresAt = expiryIn(options);
  if (expiresAt !== undefined) put.expiresAt = expiresAt;
  const w = quorumIn(options, 'w');
  if (w !== undefined) put.w = w;
  const dw = quorumIn(options, 'dw');
  if (dw !== undefined) put.dw = dw;
  return put;
};

const conditionIn = (
  options: Options,
  contexts: readonly Uint8Array[],
): PutCommand['onlyIf'] | undefined => {
  const ifAbsent = flagOf(options, 'ifAbsent');
  const ifContext = flagOf(options, 'ifContext');
  if (!ifAbsent && !ifContext) return undefined;
  if (ifAbsent && ifContext) throw badArgument('a put', 'one condition', 2);
  if (flagOf(options, 'lww')) throw badArgument('a last-write-wins put', 'no condition', 1);
  if (ifContext && contexts.length === 0) {
    throw badArgument('the contexts of a put with ifContext', 'at least one', 0);
  }
  return ifAbsent ? 'absent' : 'seen';
};

/** 0 says that the value never expires, whatever the defaults of its prefix are. */
const expiryIn = ({ expires }: Options): PutRequest['expiresAt'] | undefined => {
  if (expires === undefined) return undefined;
  const at = uintAt([expires], 0, 'the option expires');
  return at === 0 ? 'never' : at;
};

type Options = Readonly<Record<string, unknown>>;

/** A quorum may not be below what its name allows. */
const quorumIn = (options: Options, name: 'r' | 'w' | 'dw'): number | undefined => {
  const item = options[name];
  if (item === undefined) return undefined;
  const least = name === 'dw' ? 0 : 1;
  const value = uintOf(item);
  if (value !== undefined && value >= least) return value;
  const message = `${name} must be an integer from ${least}, found ${kindOf(item)}`;
  throw new CoterieError('BAD_QUORUM', message);
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
