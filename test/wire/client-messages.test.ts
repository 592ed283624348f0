/** The client protocol: worked examples of PROTOCOL.md, round trips, and every refusal. */
import * as assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { suite } from 'uvu';
import { CoterieError, ERROR_KINDS } from '../../src/core/errors.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { keyOfBytes, keyOfText, nodeId, putId } from '../../src/core/ids.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { CONTEXTS_MAX, OPS } from '../../src/wire/client-messages.ts';
import type { ClientRequest, ServerReply } from '../../src/wire/client-messages.ts';
import { decodeServerReply, encodeServerReply, failedReply } from '../../src/wire/reply-codec.ts';
import { decodeClientRequest, encodeClientRequest } from '../../src/wire/request-codec.ts';
import { PROTOCOL, examples } from './examples.ts';

const messages = suite('client messages');

const LIMITS = { valueBytesMax: 1000, requestTimeoutMs: 5000 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const hexOf = (frame: Uint8Array): string => Buffer.from(frame).toString('hex');
const context = new Uint8Array([0x01, 0xc0, 0xff, 0xee]);
const key = keyOfText('cart:alice');

const REQUESTS: readonly (readonly [string, number, ClientRequest])[] = [
  ['HELLO', 1, { type: 'hello', versionMin: 1, versionMax: 1, client: 'shop/3', token: 's3cret' }],
  ['GET', 2, { type: 'get', key, r: 2, strict: false, timeoutMs: 5000 }],
  [
    'PUT',
    3,
    {
      type: 'put',
      key,
      value: bytes('milk'),
      contexts: [context],
      putId: putId('0123456789abcdef'),
      writtenAt: 1760000000000,
      attempt: 1,
      w: 2,
      dw: 1,
      strict: false,
      timeoutMs: 5000,
    },
  ],
  [
    'PUT',
    4,
    {
      type: 'put',
      key,
      value: 'tombstone',
      contexts: [context],
      putId: putId('fedcba9876543210'),
      writtenAt: 1760000000001,
      attempt: 2,
      mode: 'last-write-wins',
      strict: true,
      timeoutMs: 250,
    },
  ],
  ['STATUS', 5, { type: 'status' }],
  ['PING', 6, { type: 'ping' }],
  ['CANCEL', 3, { type: 'cancel' }],
  [
    'GET_MANY',
    7,
    {
      type: 'get-many',
      requests: ['a', 'b'].map((name) => ({
        type: 'get',
        key: keyOfText(name),
        r: 1,
        strict: false,
        timeoutMs: 5000,
      })),
    },
  ],
  [
    'PUT_MANY',
    8,
    {
      type: 'put-many',
      requests: [
        {
          type: 'put',
          key: keyOfText('a'),
          value: bytes('milk'),
          contexts: [],
          putId: putId('0123456789abcdef'),
          writtenAt: 1760000000000,
          attempt: 1,
          onlyIf: 'absent',
          expiresAt: 1760000060000,
          strict: false,
          timeoutMs: 5000,
        },
      ],
    },
  ],
  [
    'SCAN',
    9,
    {
      type: 'scan',
      partition: 200,
      after: new Uint8Array([0xc8, 0x01]),
      limit: 100,
      timeoutMs: 5000,
    },
  ],
  ['RING', 10, { type: 'ring' }],
  ['REPLICA_GET', 11, { type: 'replica-get', key, want: 'header' }],
  ['REPAIR', 12, { type: 'repair', key, timeoutMs: 1000 }],
  ['ADMIN', 7, { type: 'admin', command: 'repair.start', args: { partition: 3 }, timeoutMs: 5000 }],
];

const REPLIES: readonly (readonly [string, number, ServerReply])[] = [
  [
    'WELCOME',
    1,
    {
      type: 'welcome',
      version: 1,
      node: nodeId('n1'),
      cluster: 'c4f3',
      limits: {
        keyBytesMax: 1024,
        valueBytesMax: 1048576,
        contextBytesMax: 8192,
        inFlightMax: 128,
      },
      ringVersion: 7,
      addresses: ['ws://10.0.0.1:7400'],
    },
  ],
  [
    'VALUE',
    2,
    {
      type: 'value',
      state: 'found',
      values: [bytes('milk'), bytes('eggs')],
      context,
      node: nodeId('n1'),
    },
  ],
  [
    'APPLIED',
    3,
    { type: 'applied', acks: [nodeId('n1'), nodeId('n2')], durable: [nodeId('n1')], context },
  ],
  ['STATUS_IS', 5, { type: 'status-is', status: { state: 'serving' } }],
  ['PONG', 6, { type: 'pong' }],
  [
    'FAILED',
    2,
    {
      type: 'failed',
      code: 'KEY_EMPTY',
      message: 'a key is 1-1024 bytes, found none',
      details: { retryable: false, outcome: 'refused' },
    },
  ],
  [
    'PART',
    7,
    {
      type: 'part',
      index: 1,
      answer: { type: 'value', state: 'never-seen', values: [], context },
    },
  ],
  ['DONE', 7, { type: 'done' }],
  ['KEYS', 9, { type: 'keys', keys: [keyOfText('a'), key], next: new Uint8Array([0xc8, 0x02]) }],
  [
    'RING_IS',
    10,
    {
      type: 'ring-is',
      ringVersion: 8,
      partitions: 2,
      n: 2,
      nodes: [
        { id: nodeId('n1'), address: 'ws://10.0.0.1:7400', health: 'healthy' },
        { id: nodeId('n2'), address: '', health: 'down' },
      ],
      owners: [[0, 1], [1]],
      r: 2,
      prefixes: [keyOfText('session:')],
    },
  ],
  [
    'REPLICA_IS',
    11,
    { type: 'replica-is', role: 'owner', record: new Uint8Array([1, 0, 0, 0]), context },
  ],
  ['ADMIN_IS', 7, { type: 'admin-is', result: { state: 'running' } }],
  ['GOING_AWAY', 0, { type: 'going-away' }],
  ['RING_CHANGED', 0, { type: 'ring-changed', ringVersion: 8 }],
];

const CDDL = readFileSync('src/wire/protocol.cddl', 'utf8');

messages('are worked out in PROTOCOL.md, each once and byte for byte', () => {
  const requests = REQUESTS.map(
    ([name, id, request]) => [name, hexOf(encodeClientRequest(id, request))] as const,
  );
  const replies = REPLIES.map(
    ([name, id, reply]) => [name, hexOf(encodeServerReply(id, reply))] as const,
  );
  assert.deepEqual(examples, [...requests, ...replies]);
});

messages('have their numbers and names in PROTOCOL.md and in protocol.cddl', () => {
  for (const [name, op] of Object.entries(OPS)) {
    assert.match(CDDL, new RegExp(`^${name} = \\[op: ${op}, id: `, 'm'));
    const title = name.toUpperCase().replace('-', '_');
    assert.match(PROTOCOL, new RegExp(`^### ${title} \\(${op}\\): `, 'm'));
  }
});

messages('fail with codes that PROTOCOL.md lists with their marks, all of them', () => {
  const rows = [...PROTOCOL.matchAll(/^\| `([A-Z_]+)` \| (yes|no) \| (\w+) \|/gm)];
  const listed = rows.map(([, code, retryable, outcome]) => [code, retryable, outcome]);
  const kinds = Object.entries(ERROR_KINDS).map(([code, { retryable, outcome }]) => [
    code,
    retryable ? 'yes' : 'no',
    outcome,
  ]);
  assert.deepEqual(listed.sort(), kinds.sort());
});

for (const [name, id, request] of REQUESTS) {
  messages(`${name} ${id} comes back as it was`, () => {
    const decoded = decodeClientRequest(encodeClientRequest(id, request), LIMITS);
    assert.deepEqual(decoded, { type: 'request', id, request });
  });
}

for (const [name, id, reply] of REPLIES) {
  messages(`${name} ${id} comes back as it was`, () => {
    assert.deepEqual(decodeServerReply(encodeServerReply(id, reply)), { type: 'reply', id, reply });
  });
}

const node = fc.constantFrom('n1', 'a-node.of_64'.padEnd(64, 'x')).map(nodeId);
const part = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.nat(70_000).map((n) => new Uint8Array(n)),
);
const opId = fc.oneof(fc.nat(300), fc.integer({ min: 1, max: 2 ** 32 - 1 }));
const answered: fc.Arbitrary<ServerReply> = fc.oneof(
  fc.record(
    {
      type: fc.constant('value' as const),
      state: fc.constantFrom('found' as const, 'deleted' as const, 'never-seen' as const),
      values: fc.array(part, { maxLength: 30 }),
      context: part,
      node,
    },
    { requiredKeys: ['type', 'state', 'values', 'context'] },
  ),
  fc.record({
    type: fc.constant('applied' as const),
    acks: fc.array(node, { maxLength: 30 }),
    durable: fc.array(node, { maxLength: 3 }),
    context: part,
  }),
);

messages('that answer gets and puts are the bytes that cbor-x would write', () => {
  const fieldsOf = (id: number, reply: ServerReply): unknown[] => {
    if (reply.type === 'part') return [24, id, reply.index, fieldsOf(id, reply.answer), {}];
    if (reply.type === 'applied') return [18, id, reply.acks, reply.durable, reply.context, {}];
    if (reply.type !== 'value') throw new Error(reply.type);
    const options = reply.node === undefined ? {} : { node: reply.node };
    return [17, id, reply.state, reply.values, reply.context, options];
  };
  fc.assert(
    fc.property(opId, answered, fc.nat(127), (id, answer, index) => {
      for (const reply of [answer, { type: 'part', index, answer } as ServerReply]) {
        assert.equal(hexOf(encodeServerReply(id, reply)), hexOf(encodeCbor(fieldsOf(id, reply))));
      }
    }),
    { numRuns: 200 },
  );
});

const putRequest = fc.record(
  {
    type: fc.constant('put' as const),
    key: fc.uint8Array({ minLength: 1, maxLength: 1024 }).map(keyOfBytes),
    value: fc.oneof(fc.constant('tombstone' as const), fc.uint8Array({ maxLength: 1000 })),
    contexts: fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: CONTEXTS_MAX }),
    putId: fc
      .uint8Array({ minLength: 8, maxLength: 8 })
      .map((id) => putId(Buffer.from(id).toString('hex'))),
    writtenAt: fc.maxSafeNat(),
    attempt: fc.integer({ min: 1, max: 1000 }),
    mode: fc.constantFrom('causal' as const, 'last-write-wins' as const),
    expiresAt: fc.oneof(fc.constant('never' as const), fc.integer({ min: 1, max: 2 ** 45 })),
    w: fc.integer({ min: 1, max: 9 }),
    dw: fc.integer({ min: 0, max: 9 }),
    strict: fc.boolean(),
    timeoutMs: fc.integer({ min: 1, max: 600_000 }),
  },
  {
    noNullPrototype: true,
    requiredKeys: [
      'type',
      'key',
      'value',
      'contexts',
      'putId',
      'writtenAt',
      'attempt',
      'mode',
      'strict',
      'timeoutMs',
    ],
  },
);

messages('carry any put', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 32 - 1 }), putRequest, (id, request) => {
      const decoded = decodeClientRequest(encodeClientRequest(id, request), LIMITS);
      assert.deepEqual(decoded, { type: 'request', id, request });
    }),
  );
});

messages('hold copies: the frame may be reused at once', () => {
  const frame = Uint8Array.from(
    encodeClientRequest(...(REQUESTS[2]!.slice(1) as [number, ClientRequest])),
  );
  const decoded = decodeClientRequest(frame, LIMITS);
  frame.fill(0);
  assert.ok(decoded.type === 'request');
  assert.deepEqual(decoded.request, REQUESTS[2]![2]);
});

messages('are read with options absent, and with elements and options of a later version', () => {
  const read = (fields: unknown[]) => decodeClientRequest(encodeCbor(fields), LIMITS);
  const get = { type: 'get', key, strict: false, timeoutMs: 5000 };
  const name = bytes('cart:alice');
  assert.deepEqual(read([2, 9, name]), { type: 'request', id: 9, request: get });
  const later = [2, 9, name, { r: 1, shiny: [{ deep: -1 }] }, 'more', 7];
  assert.deepEqual(read(later), { type: 'request', id: 9, request: { ...get, r: 1 } });
  assert.deepEqual(read([5, 9]), { type: 'request', id: 9, request: { type: 'ping' } });
  const long = Buffer.from(
    '84 1b0000000000000002 1b0000000000000009 4161 a1 6172 1b0000000000000001'.replace(/ /g, ''),
    'hex',
  );
  const longest = decodeClientRequest(long, LIMITS);
  assert.ok(longest.type === 'request' && longest.id === 9);
  assert.deepEqual(longest.request, { ...get, key: keyOfText('a'), r: 1 });
});

messages('of a later node are passed over, and of an unknown code keep their marks', () => {
  assert.deepEqual(decodeServerReply(encodeCbor([99, 0, 'news'])), { type: 'unknown-op', id: 0 });
  const details = { retryable: false, outcome: 'refused', map: { a: 1 } };
  const decoded = decodeServerReply(encodeCbor([21, 4, 'NEW_CODE', 'm', details, {}]));
  const kept = { retryable: false, outcome: 'refused', code: 'NEW_CODE' };
  const reply = { type: 'failed', code: 'INTERNAL', message: 'm', details: kept };
  assert.deepEqual(decoded, { type: 'reply', id: 4, reply });
});

messages('of a node that are malformed say what is wrong', () => {
  const reasonOf = (fields: unknown): string => {
    const decoded = decodeServerReply(encodeCbor(fields));
    return decoded.type === 'bad' ? decoded.reason : decoded.type;
  };
  assert.match(reasonOf({}), /expected an array/);
  assert.match(reasonOf([17, 'x']), /expected an array \[op, id/);
  assert.match(reasonOf([17, 1, 'lost', [], bytes('c')]), /the state: expected found/);
  assert.match(reasonOf([17, 1, 'found', ['text'], bytes('c')]), /the values/);
  assert.match(reasonOf([18, 1, ['n1'], ['not a node'], bytes('c')]), /the nodes/);
  assert.match(reasonOf([16, 1, 1, '', 'c', {}, 1]), /the node: expected a node id/);
  const cut = decodeServerReply(encodeCbor([20, 1, {}]).subarray(0, 2));
  assert.ok(cut.type === 'bad' && /offset/.test(cut.reason));
});

messages('of failure say whether to retry and what became of the write', () => {
  for (const [code, kind] of Object.entries(ERROR_KINDS)) {
    const reply = failedReply(new CoterieError(code as ErrorCode, 'm', { wanted: 2 }));
    const decoded = decodeServerReply(encodeServerReply(1, reply));
    assert.ok(decoded.type === 'reply' && decoded.reply.type === 'failed');
    assert.deepEqual(decoded.reply.details, { wanted: 2, ...kind });
  }
  const early = new CoterieError('QUORUM_NOT_MET', 'm', { outcome: 'refused', acks: ['n1'] });
  const decoded = decodeServerReply(encodeServerReply(1, failedReply(early)));
  assert.ok(decoded.type === 'reply' && decoded.reply.type === 'failed');
  assert.deepEqual(decoded.reply.details, { outcome: 'refused', acks: ['n1'], retryable: true });
});

const put = (changes: Readonly<Record<number, unknown>>): unknown[] => {
  const fields: unknown[] = [3, 8, bytes('k'), bytes('v'), [], new Uint8Array(8), 1n, 1, {}];
  for (const [index, item] of Object.entries(changes)) fields[Number(index)] = item;
  return fields;
};
const get = (options: unknown): unknown[] => [2, 8, bytes('k'), options];

const REFUSALS: readonly (readonly [string, unknown, number, ErrorCode, RegExp])[] = [
  ['a message that is no array', { op: 2 }, 0, 'BAD_FRAME', /array \[op, id/],
  ['an empty array', [], 0, 'BAD_FRAME', /array \[op, id/],
  ['an op alone', [2], 0, 'BAD_FRAME', /array \[op, id/],
  ['the id 0', [2, 0, bytes('k')], 0, 'BAD_REQUEST_ID', /found 0/],
  ['an id beyond 2^32 - 1', [2, 2 ** 32, bytes('k')], 0, 'BAD_REQUEST_ID', /4294967296/],
  ['a negative id', [2, -1, bytes('k')], 0, 'BAD_REQUEST_ID', /found -1/],
  ['an id that is text', [2, '1', bytes('k')], 0, 'BAD_REQUEST_ID', /found text/],
  ['a missing id [bad input 9c]', [2, null], 0, 'BAD_REQUEST_ID', /found null/],
  ['an unknown op [bad input 9a]', [15, 8], 8, 'UNKNOWN_OP', /op 15/],
  ['the op of an answer', [16, 8], 8, 'UNKNOWN_OP', /op 16/],
  ['an op that is text', ['get', 8], 8, 'UNKNOWN_OP', /op text/],
  ['a missing key', [2, 8], 8, 'BAD_ARGUMENT', /the key: .* found nothing/],
  ['a key that is text', [2, 8, 'k'], 8, 'BAD_ARGUMENT', /the key: .* found text/],
  ['an empty key [bad input 10a]', [2, 8, new Uint8Array()], 8, 'KEY_EMPTY', /found none/],
  [
    'a key of 1,025 bytes [bad input 10b]',
    [2, 8, new Uint8Array(1025)],
    8,
    'KEY_TOO_LONG',
    /1-1024.*1025/,
  ],
  ['options that are an array', get([]), 8, 'BAD_ARGUMENT', /the options: .* an array/],
  ['r = 0', get({ r: 0 }), 8, 'BAD_QUORUM', /r must be an integer from 1, found 0/],
  ['r = -1 [bad input 12a]', get({ r: -1 }), 8, 'BAD_QUORUM', /found -1/],
  ['r = 1.5 [bad input 12a]', get({ r: 1.5 }), 8, 'BAD_QUORUM', /found 1.5/],
  ['r = "2" [bad input 12a]', get({ r: '2' }), 8, 'BAD_QUORUM', /found text/],
  ['r = null', get({ r: null }), 8, 'BAD_QUORUM', /found null/],
  ['w = 0 [bad input 12a]', put({ 8: { w: 0 } }), 8, 'BAD_QUORUM', /w must be an integer from 1/],
  ['dw = -1', put({ 8: { dw: -1 } }), 8, 'BAD_QUORUM', /dw must be an integer from 0/],
  ['a timeout of 0 [bad input 12b]', get({ timeout: 0 }), 8, 'BAD_TIMEOUT', /found 0/],
  ['a negative timeout [bad input 12b]', get({ timeout: -5 }), 8, 'BAD_TIMEOUT', /found -5/],
  [
    'an infinite timeout [bad input 12b]',
    get({ timeout: Infinity }),
    8,
    'BAD_TIMEOUT',
    /found Infinity/,
  ],
  ['a timeout that is no number', get({ timeout: NaN }), 8, 'BAD_TIMEOUT', /found NaN/],
  ['a timeout beyond the largest', get({ timeout: 600_001 }), 8, 'BAD_TIMEOUT', /600001/],
  ['strict = 1', get({ strict: 1 }), 8, 'BAD_ARGUMENT', /option strict/],
  ['lww = "yes"', put({ 8: { lww: 'yes' } }), 8, 'BAD_ARGUMENT', /option lww/],
  [
    'a missing value [bad input 11b]',
    [3, 8, bytes('k')],
    8,
    'BAD_ARGUMENT',
    /the value: .* nothing/,
  ],
  ['a value that is text', put({ 3: 'v' }), 8, 'BAD_ARGUMENT', /the value: .* found text/],
  ['an undefined value', put({ 3: undefined }), 8, 'BAD_ARGUMENT', /the value: .* nothing/],
  [
    'a value one byte too large [bad input 11a]',
    put({ 3: new Uint8Array(1001) }),
    8,
    'VALUE_TOO_LARGE',
    /1001/,
  ],
  ['contexts that are one context', put({ 4: context }), 8, 'BAD_ARGUMENT', /the contexts/],
  ['a context that is text', put({ 4: ['c'] }), 8, 'BAD_ARGUMENT', /the contexts/],
  ['17 contexts', put({ 4: Array(17).fill(context) }), 8, 'BAD_ARGUMENT', /at most 16/],
  [
    'an oversized context [bad input 13a]',
    put({ 4: [new Uint8Array(8193)] }),
    8,
    'BAD_CONTEXT',
    /8193/,
  ],
  [
    'two conditions',
    put({ 8: { ifAbsent: true, ifContext: true } }),
    8,
    'BAD_ARGUMENT',
    /one condition/,
  ],
  [
    'a condition and lww',
    put({ 8: { ifAbsent: true, lww: true } }),
    8,
    'BAD_ARGUMENT',
    /last-write-wins/,
  ],
  [
    'ifContext without a context',
    put({ 8: { ifContext: true } }),
    8,
    'BAD_ARGUMENT',
    /at least one/,
  ],
  ['ifAbsent = 1', put({ 8: { ifAbsent: 1 } }), 8, 'BAD_ARGUMENT', /option ifAbsent/],
  ['expires = -1', put({ 8: { expires: -1 } }), 8, 'BAD_ARGUMENT', /option expires/],
  ['a put id of 7 bytes', put({ 5: new Uint8Array(7) }), 8, 'BAD_ARGUMENT', /put id: .* 7 bytes/],
  ['a put id that is text', put({ 5: '0123456789abcdef' }), 8, 'BAD_ARGUMENT', /put id/],
  ['a negative time', put({ 6: -1 }), 8, 'BAD_ARGUMENT', /time of writing/],
  ['a fractional time', put({ 6: 0.5 }), 8, 'BAD_ARGUMENT', /time of writing/],
  ['attempt 0', put({ 7: 0 }), 8, 'BAD_ARGUMENT', /the attempt: .* from 1/],
  ['many keys that are none', [7, 8, [], {}], 8, 'BAD_ARGUMENT', /1 to 128/],
  ['129 keys', [7, 8, Array(129).fill(bytes('k')), {}], 8, 'BAD_ARGUMENT', /found 129/],
  ['an empty key among many', [7, 8, [bytes('k'), bytes('')], {}], 8, 'KEY_EMPTY', /number 1/],
  ['a put of many that is none', [8, 8, [7], {}], 8, 'BAD_ARGUMENT', /a put: .* an array/],
  ['a bad put id among many', [8, 8, [put({ 5: '' }).slice(2)], {}], 8, 'BAD_ARGUMENT', /number 0/],
  ['a scan of no partition', [9, 8, -1, null, {}], 8, 'BAD_ARGUMENT', /the partition/],
  ['a scan of 1,001 keys', [9, 8, 0, null, { limit: 1001 }], 8, 'BAD_ARGUMENT', /1 to 1000/],
  ['a cursor that is text', [9, 8, 0, 'x', {}], 8, 'BAD_ARGUMENT', /the cursor/],
  ['a cursor of 1,041 bytes', [9, 8, 0, new Uint8Array(1041), {}], 8, 'BAD_ARGUMENT', /cursor/],
  ['a hello without versions', [1, 8], 8, 'BAD_ARGUMENT', /lowest version/],
  ['a hello without a name', [1, 8, 1, 1], 8, 'BAD_ARGUMENT', /client name/],
  ['a token that is bytes', [1, 8, 1, 1, 'c', { token: context }], 8, 'BAD_ARGUMENT', /token/],
];

for (const [name, fields, id, code, message] of REFUSALS) {
  messages(`with ${name} are refused as ${code}`, () => {
    const decoded = decodeClientRequest(encodeCbor(fields), LIMITS);
    assert.ok(decoded.type === 'bad', 'it was accepted');
    assert.equal(decoded.error.code, code);
    assert.match(decoded.error.message, message);
    assert.equal(decoded.id, id);
    assert.equal(decoded.error.outcome, 'refused');
  });
}

messages('that are malformed are refused with the offset and the reason [bad input 8a]', () => {
  const decoded = decodeClientRequest(new Uint8Array([0x82, 0x02, 0xc2]), LIMITS);
  assert.ok(decoded.type === 'bad');
  assert.equal(decoded.id, 0);
  assert.equal(decoded.error.code, 'BAD_FRAME');
  assert.deepEqual(decoded.error.details, { offset: 2, reason: 'a tag' });
});

messages('accept keys of any bytes [bad input 10c]', () => {
  for (const name of ['\0', 'a\nb', '../../etc', '\u0001'.repeat(1024)]) {
    const decoded = decodeClientRequest(encodeCbor([2, 8, bytes(name)]), LIMITS);
    assert.ok(decoded.type === 'request' && decoded.request.type === 'get');
    assert.equal(decoded.request.key, keyOfText(name));
  }
});

messages('between nodes are told apart from bad ones', () => {
  const decoded = decodeClientRequest(encodeCbor([[0, 1, 'cluster', 'n1']]), LIMITS);
  assert.deepEqual(decoded, { type: 'foreign' });
});

messages('never make the decoder throw, whatever the bytes', () => {
  const item = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.string(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 12 }),
    fc.array(fc.uint8Array({ maxLength: 3 }), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom('r', 'w', 'timeout', 'strict', 'token'), fc.integer()),
  );
  const op = fc.integer({ min: 0, max: 25 });
  const frame = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .tuple(op, fc.array(item, { maxLength: 9 }))
      .map(([first, rest]) => encodeCbor([first, ...rest])),
  );
  fc.assert(
    fc.property(frame, (bytesOfFrame) => {
      decodeClientRequest(bytesOfFrame, LIMITS);
      decodeServerReply(bytesOfFrame);
    }),
    { numRuns: 5000 },
  );
});

messages.run();
