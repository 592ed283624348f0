/** The pure parts, each as one small call: ring, records, trees, bytes, membership, histograms. */
import { createHistogram } from 'node:perf_hooks';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { openContext, sealContext } from '../../src/core/context.ts';
import { digestOf } from '../../src/core/gossip.ts';
import { actorId, keyOfText, nodeId, partitionId, putId, startId } from '../../src/core/ids.ts';
import { LatencyWindow } from '../../src/core/latency-window.ts';
import { creationEvent } from '../../src/core/members.ts';
import { MerkleTree, differences } from '../../src/core/merkle.ts';
import { placeHistory } from '../../src/core/placement.ts';
import { preferenceList } from '../../src/core/preference.ts';
import { decodeRecord, encodeRecord } from '../../src/core/record-bytes.ts';
import {
  BLIND,
  EMPTY_RECORD,
  RECORD_LIMITS,
  contextOf,
  merge,
  normalForm,
  write,
} from '../../src/core/record.ts';
import type { CausalContext, RecordOfKey } from '../../src/core/record.ts';
import { RingView, ringOf } from '../../src/node/membership/ring-view.ts';
import type { ValueReply } from '../../src/wire/client-messages.ts';
import { readCbor } from '../../src/wire/gate.ts';
import { decodePeerFrame, encodePeerFrame } from '../../src/wire/peer-codec.ts';
import type { PeerMessage, PutCommand } from '../../src/wire/peer-messages.ts';
import { decodeServerReply, encodeServerReply } from '../../src/wire/reply-codec.ts';
import { decodeClientRequest, encodeClientRequest } from '../../src/wire/request-codec.ts';

export type Case = { readonly name: string; readonly call: () => unknown };

const hex = (n: number): string => n.toString(16).padStart(16, '0');
const start = startId(hex(1));
export const VALUE = new Uint8Array(100).fill(7);
const keys = Array.from({ length: 1024 }, (_, i) => keyOfText(`cart:${i}`));
const key = keys[0]!;

/** Something else at each call, so that nothing is cached that would not be. */
const turning = <T>(items: readonly T[]): (() => T) => {
  let turn = 0;
  return () => items[turn++ % items.length]!;
};

const history = [
  creationEvent({
    clusterName: 'bench',
    n: 3,
    partitions: 256,
    founders: Array.from({ length: 10 }, (_, i) => ({
      ...{ id: nodeId(`n${i}`), zone: `z${i % 3}`, weight: 1 },
    })),
  }),
];
const ring = ringOf(history, new Map());
const view = new RingView(nodeId('n0'), nodeDigest, ring);
const anyKey = turning(keys);
const anyPartition = turning(Array.from({ length: 256 }, (_, i) => partitionId(i)));

let puts = 1;
const mint = (record: RecordOfKey, context: CausalContext, actor: number): RecordOfKey => {
  const result = write(record, context, {
    ...{ actor: actorId(start, actor), putId: putId(hex(puts++)), value: VALUE },
    ...{ writtenAt: 1_767_225_600_000, nowMs: 1_767_225_600_000, mode: 'causal' },
  });
  if (result.type !== 'minted') throw new Error(result.type);
  return result.record;
};
const first = mint(EMPTY_RECORD, BLIND, 1);
const second = mint(first, contextOf(first), 1);
const other = mint(first, contextOf(first), 2);
/** A key with a past: every list as long as it may become. */
let long = first;
for (let i = 0; i < 100; i++) long = mint(long, contextOf(long), i);
const secondBytes = encodeRecord(second, 'with-values');
const longBytes = encodeRecord(long, 'with-values');

const secret = nodeDigest.keyed(new Uint8Array(16), new Uint8Array(16));
const position = view.placeOf(key).position;
const seal = {
  keyTag: () => position,
  sign: (bytes: Uint8Array) => nodeDigest.keyed(secret, bytes),
};
const token = sealContext(contextOf(second), nodeId('n1'), seal);

const tree = new MerkleTree();
const otherTree = new MerkleTree();
for (let leaf = 0; leaf < 1024; leaf++) tree.replace(leaf, 0n, BigInt(leaf * 7919 + 1));
for (let leaf = 0; leaf < 1024; leaf++) otherTree.replace(leaf, 0n, BigInt(leaf * 7919 + 1));
otherTree.replace(500, 0n, 1n);
const anyLeaf = turning(Array.from({ length: 1024 }, (_, i) => (i * 619) % 1024));

const put: PutCommand = {
  ...{ key, value: VALUE, contexts: [token], putId: putId(hex(9)), writtenAt: 1_767_225_600_000 },
  ...{ attempt: 1, mode: 'causal', w: 2, dw: 1, strict: false, timeoutMs: 5000 },
};
const requestFrame = encodeClientRequest(7, { type: 'put', ...put });
const limits = { valueBytesMax: 2 ** 20, requestTimeoutMs: 5000 };
const reply: ValueReply = {
  ...{ type: 'value', state: 'found', values: [VALUE], context: token, node: nodeId('n1') },
};
const replyFrame = encodeServerReply(7, reply);
const mail: readonly PeerMessage[] = Array.from({ length: 10 }, (_, i) =>
  i % 2 === 0
    ? { type: 'write', request: 2 ** 40 + i, key, record: secondBytes, durable: false, round: 0 }
    : { type: 'written', request: 2 ** 40 + i, durable: true },
);
const mailFrame = encodePeerFrame(mail)[0]!;
const kilobyte = encodeClientRequest(7, { type: 'put', ...put, value: new Uint8Array(1024) });

const announcements = history[0]!.type === 'create' ? history[0]!.founders : [];
const book = {
  history,
  announcements: announcements.map(({ id }) => ({
    ...{ node: id, incarnation: 1, address: `ws://${id}:7400` },
  })),
};
const histogram = createHistogram();
const latencies = new LatencyWindow();
let nowMs = 0;

export const CASES: readonly Case[] = [
  { name: 'ring: MD5 and partition of a key', call: () => view.placeOf(anyKey()) },
  { name: 'ring: preference list, cached', call: () => view.preferenceOf(key) },
  {
    name: 'ring: preference list, 10 nodes',
    call: () => preferenceList(ring.table, anyPartition(), ring.members, () => 'healthy'),
  },
  { name: 'placement: 10 founders, Q = 256', call: () => placeHistory(history) },
  { name: 'record: write with context', call: () => mint(second, contextOf(second), 1) },
  { name: 'record: write, lists full', call: () => mint(long, contextOf(long), 1) },
  { name: 'record: merge newer over older', call: () => merge(first, second) },
  { name: 'record: merge concurrent', call: () => merge(second, other) },
  { name: 'record: merge, lists full', call: () => merge(first, long) },
  { name: 'record: normal form, lists full', call: () => normalForm(long, RECORD_LIMITS) },
  { name: 'record: encode', call: () => encodeRecord(second, 'with-values') },
  { name: 'record: decode', call: () => decodeRecord(secondBytes) },
  { name: 'record: decode, lists full', call: () => decodeRecord(longBytes) },
  {
    name: 'context: seal',
    call: () => sealContext(contextOf(second), nodeId('n1'), seal),
  },
  { name: 'context: open', call: () => openContext(token, seal) },
  { name: 'merkle: update one record', call: () => tree.replace(anyLeaf(), 1n, 1n) },
  {
    name: 'merkle: compare two trees',
    call: () =>
      differences(tree.branches(), otherTree.branches()).map((branch) =>
        differences(tree.leavesOf(branch), otherTree.leavesOf(branch)),
      ),
  },
  { name: 'merkle: encode a branch', call: () => tree.encodeBranch(3) },
  {
    name: 'client frame: encode a put',
    call: () => encodeClientRequest(7, { type: 'put', ...put }),
  },
  { name: 'client frame: decode a put', call: () => decodeClientRequest(requestFrame, limits) },
  { name: 'client frame: read its CBOR alone', call: () => readCbor(requestFrame) },
  {
    name: 'client frame: decode a put of 1 KiB',
    call: () => decodeClientRequest(kilobyte, limits),
  },
  { name: 'client frame: encode a value', call: () => encodeServerReply(7, reply) },
  { name: 'client frame: decode a value', call: () => decodeServerReply(replyFrame) },
  { name: 'peer frame: encode 10 messages', call: () => encodePeerFrame(mail) },
  { name: 'peer frame: decode 10 messages', call: () => decodePeerFrame(mailFrame) },
  { name: 'gossip: digest, 10 members', call: () => digestOf(book) },
  { name: 'histogram: perf_hooks', call: () => histogram.record(1234) },
  { name: 'histogram: trailing minute', call: () => latencies.record(1.25, (nowMs += 0.01)) },
];
