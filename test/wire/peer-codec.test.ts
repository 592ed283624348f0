/** Frames between nodes: every message survives the way, and nothing else gets in. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { keyOfText, nodeId, putId, startId } from '../../src/core/ids.ts';
import { decodePeerFrame, encodePeerFrame } from '../../src/wire/peer-codec.ts';
import type { PeerMessage } from '../../src/wire/peer-messages.ts';

const frames = suite('frames between nodes');

const key = keyOfText('cart:älice');
const n1 = nodeId('n1');
const bytes = new Uint8Array([0, 1, 2, 255]);
const head = { lamport: 3, issuer: n1, sequence: 2, issuedAtMs: 1_700_000_000_000.5 };

const ONE_OF_EACH: readonly PeerMessage[] = [
  { type: 'ping' },
  { type: 'write', request: 2 ** 52, key, record: bytes, round: 3, durable: true, hintFor: n1 },
  { type: 'write', request: 1, key, record: new Uint8Array(0), round: 3, durable: false },
  { type: 'write', request: 1, key, record: bytes, round: 3, durable: false, over: 2n ** 64n - 1n },
  {
    type: 'write',
    request: 1,
    key,
    record: bytes,
    round: 3,
    durable: true,
    register: 7,
    next: [n1],
    owners: [n1],
  },
  { type: 'sync', request: 7, key },
  { type: 'sync', request: 7, key, putId: putId('00112233445566ff') },
  { type: 'read', request: 7, key, want: 'header' },
  { type: 'written', request: 7, durable: false },
  { type: 'answer', request: 7, round: 3, role: 'fallback' },
  { type: 'answer', request: 7, round: 3, role: 'owner', record: new Uint8Array(5000).fill(9) },
  { type: 'refused', request: 7, code: 'INSUFFICIENT_STORAGE' },
  {
    type: 'forward',
    request: 9,
    put: {
      key,
      value: 'tombstone',
      contexts: [bytes, bytes],
      putId: putId('00112233445566ff'),
      writtenAt: 1_700_000_000_000,
      attempt: 2,
      mode: 'last-write-wins',
      dw: 0,
      strict: true,
      timeoutMs: 12.5,
    },
  },
  {
    type: 'forward',
    request: 9,
    put: {
      key,
      value: bytes,
      contexts: [],
      putId: putId('00112233445566ff'),
      writtenAt: 0,
      attempt: 1,
      mode: 'causal',
      onlyIf: 'absent',
      expiresAt: 1_800_000_000_000,
      strict: false,
      timeoutMs: 1,
    },
    cause: 'n1.8',
  },
  {
    type: 'forwarded',
    request: 9,
    reply: { type: 'applied', acks: [n1], durable: [], context: bytes },
  },
  {
    type: 'forwarded',
    request: 9,
    reply: {
      type: 'failed',
      code: 'QUORUM_NOT_MET',
      message: 'zu wenige Knoten – schade',
      details: { outcome: 'unknown', wanted: 2, strict: false, acks: ['n1', 'n2'] },
    },
  },
  { type: 'gossip.digest', digest: 'x'.repeat(100) },
  {
    type: 'gossip.known',
    known: { n1: 4 },
    announcements: [{ node: n1, incarnation: 3, address: 'ws://127.0.0.1:1' }],
    answer: true,
  },
  {
    type: 'gossip.events',
    events: [
      {
        ...head,
        type: 'create',
        clusterName: 'shop',
        n: 3,
        partitions: 256,
        placement: 1,
        founders: [{ id: n1, zone: 'a', weight: 1.5 }],
      },
      { ...head, type: 'leave', node: n1 },
      { ...head, type: 'remove', node: n1 },
      { ...head, life: startId('00112233445566ff'), type: 'left', node: n1 },
      { ...head, type: 'gone', node: n1 },
      { ...head, type: 'replace', node: n1, by: nodeId('n2') },
    ],
  },
  { type: 'deliver', batch: 4, round: 3, entries: [{ key, record: bytes }] },
  { type: 'roots.ask', request: 8 },
  { type: 'roots', request: 8, roots: bytes },
  { type: 'roots', request: 8, roots: bytes, views: bytes },
  { type: 'fetch', request: 8, keys: [key, key] },
  { type: 'progress', start: startId('00112233445566aa'), commits: 2 ** 40 },
  {
    type: 'progress',
    start: startId('00112233445566aa'),
    commits: 7,
    after: startId('00112233445566ff'),
  },
  { type: 'remembered', start: startId('00112233445566aa'), commits: 0 },
  { type: 'records', request: 8, looked: 64, entries: [{ key, hash: bytes }], complete: true },
  { type: 'fetched', request: 8, round: 3, looked: 3, entries: [] },
  { type: 'inspect.tell', viewer: 'v', tell: { a: [1, 'b', { c: true }] } },
  { type: 'proof', proof: bytes },
  { type: 'registers.digest', digest: bytes },
  { type: 'registers.known', registers: bytes, answer: false },
  { type: 'offer', batch: 5, partition: 255, version: 2, entries: [{ key, hash: bytes }] },
  { type: 'offer.answered', batch: 5, wanted: [0, 300] },
  { type: 'offer.refused', batch: 5 },
  {
    type: 'surrender',
    batch: 5,
    round: 3,
    partition: 0,
    version: 0,
    entries: [{ key, record: bytes }],
  },
  { type: 'surrendered', batch: 5 },
  { type: 'list', request: 7, partition: 255, limit: 1000 },
  { type: 'list', request: 7, partition: 0, limit: 1, after: bytes },
  { type: 'listed', request: 7, names: [{ place: bytes, live: true }] },
  { type: 'listed', request: 7, names: [], next: bytes },
  { type: 'round.at', round: 4, floor: 2, entered: 3, forgotten: 1 },
  { type: 'round.open', round: 5 },
  { type: 'round.entered', round: 5, history: bytes },
  {
    ...{ type: 'fence', round: 5, batch: 6, history: bytes, partition: 3, version: 1 },
    entries: [{ key, hash: bytes }],
  },
  { type: 'fence.up', batch: 6, agreed: [0], reason: 'the partition is moving' },
  { type: 'forget', batch: 6, agreed: [0] },
  { type: 'read', request: 7, key, want: 'with-values', cause: 'n1.7' },
];

frames('every kind of message arrives as it left, in one frame and in order', () => {
  const [frame, ...more] = encodePeerFrame(ONE_OF_EACH);
  assert.equal(more.length, 0);
  assert.deepEqual(decodePeerFrame(Buffer.from(frame!)), ONE_OF_EACH);
});

frames('a kind of event keeps its number: nodes of another minor version know it by that', () => {
  const frames = (['leave', 'remove', 'left', 'gone'] as const).map(
    (type) =>
      encodePeerFrame([{ type: 'gossip.events', events: [{ ...head, type, node: n1 }] }])[0]!,
  );
  const [first, ...others] = frames;
  const at = first!.findIndex((byte, i) => byte !== others[0]![i]);
  const without = (frame: Uint8Array): Uint8Array => frame.with(at, 0);
  for (const frame of others) assert.deepEqual(without(frame), without(first!));
  assert.deepEqual(
    frames.map((frame) => frame[at]),
    [2, 3, 4, 9],
  );
});

frames('bytes in a decoded message do not change with the frame', () => {
  const frame = encodePeerFrame([ONE_OF_EACH[1]!])[0]!;
  const [message] = decodePeerFrame(frame);
  frame.fill(7);
  assert.deepEqual(message, ONE_OF_EACH[1]);
});

frames('large messages are spread over frames, none lost', () => {
  const large = {
    type: 'answer',
    request: 1,
    round: 3,
    role: 'owner',
    record: new Uint8Array(700_000),
  };
  const sent = encodePeerFrame([large, large, large, { type: 'pong' }] as PeerMessage[]);
  assert.equal(sent.length, 2);
  assert.deepEqual(
    sent.flatMap(decodePeerFrame).map(({ type }) => type),
    ['answer', 'answer', 'answer', 'pong'],
  );
});

frames('a message, and a field at an end, of a newer node is passed over', () => {
  const [pong] = encodePeerFrame([{ type: 'pong' }]);
  const newerMessage = new Uint8Array([0, 0, 0, 3, 200, 1, 2]);
  assert.deepEqual(decodePeerFrame(Buffer.concat([newerMessage, pong!])), [{ type: 'pong' }]);
  const told = { type: 'pong', sentAtMs: 1.5, wallMs: 2.5 } as const;
  const newerField = Buffer.concat([encodePeerFrame([told])[0]!, new Uint8Array([1, 2])]);
  newerField.writeUInt32BE(newerField.length - 4);
  assert.deepEqual(decodePeerFrame(Buffer.concat([newerField, pong!])), [told, { type: 'pong' }]);
});

frames('a frame cut anywhere is refused, and never half believed', () => {
  for (const message of ONE_OF_EACH) {
    const frame = encodePeerFrame([message])[0]!;
    for (let end = 1; end < frame.length; end++) {
      assert.throws(() => decodePeerFrame(frame.subarray(0, end)), RangeError, message.type);
    }
  }
});

frames('fields that make no sense are refused', () => {
  const wrong = [
    { type: 'hello', protocol: 1, cluster: '', node: '../x', start: startId('0'.repeat(16)) },
    { type: 'hello', protocol: 1, cluster: '', node: 'n1', start: 'x' },
    { type: 'write', request: 1, key: '', record: bytes, round: 3, durable: true },
    { type: 'write', request: 1, key: 'k'.repeat(1025), record: bytes, round: 3, durable: true },
    { type: 'write', request: 1, key, record: bytes, round: 3, durable: true, hintFor: 'no node' },
    { type: 'refused', request: 1, code: 'NO_SUCH_CODE' },
    { type: 'read', request: 1, key, want: 'everything' },
  ];
  for (const message of wrong) {
    const frame = encodePeerFrame([message as unknown as PeerMessage])[0]!;
    assert.throws(() => decodePeerFrame(frame), RangeError, JSON.stringify(message));
  }
});

frames(
  'random bytes, and frames with bytes changed, throw RangeError or TypeError or decode',
  () => {
    const frame = encodePeerFrame(ONE_OF_EACH)[0]!;
    const survives = (bytesOfFrame: Uint8Array): void => {
      try {
        decodePeerFrame(bytesOfFrame);
      } catch (error) {
        // TypeError: what TextDecoder says of invalid UTF-8.
        assert.ok(error instanceof RangeError || error instanceof TypeError, String(error));
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), survives));
    const place = fc.tuple(fc.nat(frame.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(place, { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = frame.slice();
        for (const [at, byte] of changes) changed[at] = byte;
        survives(changed);
      }),
    );
  },
);

frames.run();
