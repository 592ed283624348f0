/** Whose snapshots make a partition whole again, or a newcomer ready to step in (RULES C4, C7). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { keyOfText, nodeId, partitionId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/ids.ts';
import type { Register } from '../../src/core/registers.ts';
import { seenAlike } from '../../src/node/healing/exchange-walk.ts';
import { NO_RING, RingView } from '../../src/node/membership/ring-view.ts';
import type { Ring } from '../../src/node/membership/ring-view.ts';
import { Completeness } from '../../src/node/store/completeness.ts';
import type { RecordStore } from '../../src/node/store/record-store.ts';
import type { StorageOp } from '../../src/ports/storage.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';

const marks = suite('which partitions a node has whole');

const P = partitionId(0);
const [A, B, C, D, E] = ['a', 'b', 'c', 'd', 'e'].map((id) => nodeId(id)) as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];

const ringOf = (owners: readonly NodeId[], target: readonly NodeId[], removed: NodeId[] = []) => ({
  ...NO_RING,
  ...{ table: [owners], target: [target], n: 3 },
  removed: removed.map((id) => ({ id, how: 'removed' })) as unknown as Ring['removed'],
});

const register = (...owners: readonly NodeId[]): Register => ({ version: 2, owners });

/** One life of a node, on an empty disk unless it is given one. */
const node = (self: NodeId, ring: Ring, disk = new SimDisk()) => {
  const arrived: number[] = [];
  const view = new RingView(self, nodeDigest, ring);
  const clock = new WorldClock();
  const storage = disk.open(new LifeClock(clock), randomStream(1, 'disk'));
  const written: StorageOp[] = [];
  const completeness = new Completeness({
    self,
    ring: view,
    storage,
    store: {
      change: (make: () => void) => make(),
      putMeta: (key: Uint8Array, value: Uint8Array) =>
        written.push({ type: 'put', table: 'meta', key, value }),
      whenAllDurable: () => storage.commit(written.splice(0), () => undefined),
    } as unknown as RecordStore,
    trace: { log: () => undefined },
    defaultW: 2,
    movesArePaused: () => false,
    filled: (partitions) => arrived.push(...partitions),
    lost: () => undefined,
  });
  const looks = (peer: NodeId, how: 'complete' | 'incomplete') =>
    completeness.recordSnapshots([P], peer, () => how === 'complete');
  const isWhole = () => completeness.isComplete(P);
  return { completeness, view, arrived, looks, isWhole, sync: () => clock.advance(100) };
};

marks('an owner without its disk needs N - W + 1 complete owners, or all', () => {
  const first = node(A, ringOf([A, B, C], [A, B, C]));
  first.looks(B, 'complete');
  assert.ok(!first.isWhole());
  first.looks(C, 'complete');
  assert.ok(first.isWhole());
  const second = node(A, ringOf([A, B, C], [A, B, C], [C]));
  second.looks(B, 'incomplete');
  assert.ok(second.isWhole(), 'c is removed');
});

marks('a newcomer where an owner has left needs as many as before', () => {
  const { looks, arrived } = node(D, ringOf([A, B], [A, B, D]));
  looks(A, 'complete');
  assert.deepEqual(arrived, [], 'b and who left may have acknowledged what a has not');
  looks(B, 'complete');
  assert.deepEqual(arrived, [P]);
});

marks('while its partition moves it also needs whoever may have stepped in long since', () => {
  for (const removed of [[], [C]]) {
    const { completeness, looks, isWhole } = node(A, ringOf([A, B, C], [A, B, D], removed));
    for (const peer of [B, C]) if (!removed.includes(peer)) looks(peer, 'complete');
    assert.ok(!isWhole());
    assert.ok(completeness.wants(D));
    looks(D, 'incomplete');
    assert.ok(isWhole());
    assert.ok(!completeness.wants(D));
  }
});

marks('an owner that gave a partition up for a damaged row needs no newcomer for it', () => {
  const { completeness, looks, isWhole } = node(A, ringOf([A, B, C], [A, B, D]));
  for (const peer of [B, C, D]) looks(peer, 'complete');
  assert.ok(isWhole());
  completeness.forget([P]);
  assert.ok(!completeness.wants(D));
  for (const peer of [B, C]) looks(peer, 'complete');
  assert.ok(isWhole());
  completeness.forgetAll();
  for (const peer of [B, C]) looks(peer, 'complete');
  assert.ok(!isWhole(), 'registers may be lost, too');
});

marks('a snapshot taken for another register or history is taken again', () => {
  const before = ringOf([A, B, C], [A, B, D]);
  const { completeness, view, looks, arrived } = node(D, before);
  looks(A, 'complete');
  const event = { lamport: 2, issuer: A, sequence: 1, issuedAtMs: 0 };
  view.replaceRing({ ...before, history: [{ ...event, type: 'set-weight', node: D, weight: 1 }] });
  completeness.ringChanged();
  assert.ok(completeness.wants(A));
  looks(B, 'complete');
  assert.deepEqual(arrived, []);
  looks(A, 'complete');
  assert.deepEqual(arrived, [P]);
});

marks('a newcomer waits for no other newcomer, unless it has lost something', () => {
  const { completeness, arrived, looks } = node(D, ringOf([A, B, C], [A, D, E]));
  assert.ok(!completeness.wants(E));
  looks(A, 'complete');
  assert.deepEqual(arrived, []);
  looks(B, 'complete');
  assert.deepEqual(arrived, [P]);
  completeness.forgetAll();
  assert.ok(completeness.wants(E));
  for (const peer of [A, B, C]) looks(peer, 'complete');
  assert.deepEqual(arrived, [P], 'it may have stepped in before, and e after it');
  looks(E, 'incomplete');
  assert.deepEqual(arrived, [P, P]);
});

marks('what a newcomer has lost it still knows in its next life', () => {
  const ring = ringOf([A, B, C], [A, D, E]);
  const disk = new SimDisk();
  const first = node(D, ring, disk);
  first.completeness.forget([P]);
  assert.ok(!first.completeness.wants(E), 'a row, and no register');
  first.completeness.forgetAll();
  first.sync();
  const { completeness, arrived, looks } = node(D, ring, disk);
  assert.ok(completeness.wants(E));
  for (const peer of [A, B, C]) looks(peer, 'complete');
  assert.deepEqual(arrived, []);
  looks(E, 'incomplete');
  assert.deepEqual(arrived, [P]);
});

marks('who sees another register or target than the peer counts no snapshot of it', () => {
  const seen = (register: Register, target: readonly NodeId[]) =>
    new RingView(A, nodeDigest, {
      ...ringOf(register.owners, target),
      registers: new Map([[P, register]]),
    });
  const ours = seen({ version: 2, owners: [A, B, D] }, [A, B, D]);
  const roots = [{ partition: P, root: 1n, complete: true }];
  const differs = (view: RingView) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, view.seenAs(P));
    return !seenAlike({ ring: ours }, roots, bytes).has(P);
  };
  assert.ok(!differs(ours));
  assert.ok(!differs(seen({ version: 2, owners: [D, A, B] }, [B, D, A])), 'in any order');
  assert.ok(differs(seen({ version: 1, owners: [A, B, D] }, [A, B, D])), 'the version');
  assert.ok(differs(seen({ version: 2, owners: [A, B, C] }, [A, B, D])), 'the owners');
  assert.ok(differs(seen({ version: 2, owners: [A, B, D] }, [A, B, E])), 'the target');
  assert.ok(!seenAlike({ ring: ours }, roots, new Uint8Array()).has(P), 'it says too little');
  assert.ok(seenAlike({ ring: ours }, roots, undefined).has(P), 'an older node');
});

marks('a strict write counts under the same register and the same next step only', () => {
  const key = keyOfText('k');
  const ring = { ...ringOf([A, B, C], [A, D, E]), registers: new Map([[P, register(A, B, C)]]) };
  const seen = (said: Parameters<RingView['isSeenAs']>[1]) =>
    new RingView(A, nodeDigest, ring).isSeenAs(key, said);
  const [version, owners, next] = [2, [C, B, A], [D, A, C]];
  assert.ok(seen({ register: version, owners, next }));
  assert.ok(seen({ register: version }), 'an older node');
  assert.ok(seen({}), 'not strict');
  assert.ok(!seen({ register: 1, owners, next }));
  assert.ok(!seen({ register: version, owners: [A, B, D], next }), 'another of that version');
  assert.ok(!seen({ register: version, owners, next: [A, C, E] }), 'who steps in');
  assert.ok(!seen({ register: version, owners, next: [A, B, D] }), 'who goes');
});

marks.run();
