/** How deletes are forgotten, by agreement only (RULES A9). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText, putId } from '../../src/core/ids.ts';
import { encodeRecord } from '../../src/core/record-bytes.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import type { Config } from '../../src/node/config.ts';
import { rootsAreEqual } from '../../src/sim/checks.ts';
import type { Host } from '../../src/sim/world.ts';
import type { PutCommand } from '../../src/wire/peer-messages.ts';
import { cluster, codeOf } from './cluster.ts';

const reap = suite('deletes are forgotten by agreement');

const KEY = keyOfText('k');
const HELD_MS = 6000;
const YEAR_MS = 365 * 86_400_000;

const config = (change: Partial<Config['reap']> = {}): Partial<Config> => ({
  replica: { ...DEFAULT_CONFIG.replica, retryHorizonMs: HELD_MS, writtenAtAheadMs: 0 },
  reap: {
    ...DEFAULT_CONFIG.reap,
    scanIntervalMs: 1000,
    intervalMs: 1000,
    fenceDelayMs: 1000,
    ...change,
  },
});

type Cluster = ReturnType<typeof cluster>;

/** Questions that wait no longer than they must, so that little time passes between them. */
const put = (c: Cluster, at: number, text: string, change: Partial<PutCommand> = {}) =>
  c.put(at, text, change, 300);
const get = (c: Cluster, at: number) => c.get(at, 2, 'k', 300);

const deleteKey = (c: Cluster, at = 0): void => {
  const { context } = get(c, at);
  assert.equal(codeOf(put(c, at, '', { value: 'tombstone', contexts: [context] })), 'applied');
};

const holders = (c: Cluster): readonly string[] =>
  c.world.hosts.filter(({ node }) => node?.recordOf(KEY) !== undefined).map(({ id }) => id);

const reaped = (c: Cluster): number =>
  c.world.hosts.reduce((sum, { node }) => sum + (node?.status().reaping.reaped ?? 0), 0);

reap('once every owner has held it long enough a delete leaves nothing behind', () => {
  const c = cluster(3, 1, config());
  put(c, 0, 'cart', { w: 3 });
  deleteKey(c);
  assert.equal(get(c, 1).state, 'deleted');
  assert.deepEqual(holders(c), ['n1', 'n2', 'n3']);
  c.world.clock.advance(20_000);
  assert.deepEqual(holders(c), []);
  assert.equal(reaped(c), 3);
  assert.equal(get(c, 1).state, 'never-seen');
  assert.ok(rootsAreEqual(c.world));
});

reap('not before: retries of what was deleted may still come', () => {
  const c = cluster(3, 1, config());
  c.world.clock.advance(HELD_MS);
  const first = {
    putId: putId('00000000000000aa'),
    writtenAt: c.world.hosts[0]!.clock.wallMs(),
    w: 3,
  };
  put(c, 0, 'cart', first);
  deleteKey(c);
  // A walk, a round and its fence fit in here, and the nodes have been up for longer than it takes.
  c.world.clock.advance(HELD_MS - 1500);
  assert.deepEqual(holders(c), ['n1', 'n2', 'n3']);
  assert.equal(codeOf(put(c, 1, 'cart', { ...first, attempt: 2 })), 'applied');
  assert.equal(get(c, 2).state, 'deleted', 'the retry is known as overwritten');
});

reap('a node that is down keeps everything from being forgotten, and status names it', () => {
  const c = cluster(4, 3, config());
  put(c, 0, 'cart', { w: 3 });
  const [, , , outsider] = c.world.hosts as [Host, Host, Host, Host];
  const owners = outsider.node!.ringView.ownersOf(KEY);
  const away = c.world.hosts.find(({ id }) => !owners.includes(id))!;
  const at = c.world.hosts.findIndex(({ id }) => id === owners[0]);
  c.world.crash(away);
  deleteKey(c, at);
  c.world.clock.advance(20_000);
  assert.equal(holders(c).length, 3);
  const { blockedBy, blockedForMs } = c.world.hosts[at]!.node!.status().reaping;
  assert.equal(blockedBy, `no answer from ${away.id}`);
  assert.ok(blockedForMs > 1000);
  c.world.start(away);
  c.world.clock.advance(20_000);
  assert.deepEqual(holders(c), []);
});

reap(
  'a write of before the round comes too late; the same write of this round would be taken',
  () => {
    const c = cluster(3, 1, config());
    put(c, 0, 'cart', { w: 3 });
    const [a, b] = c.world.hosts as [Host, Host];
    const record = encodeRecord(a.node!.recordOf(KEY)!, 'with-values');
    const { round: before } = a.node!.status().reaping;
    deleteKey(c);
    c.world.clock.advance(20_000);
    assert.deepEqual(holders(c), []);
    const late = { type: 'write', request: 1, key: KEY, record, durable: false } as const;
    a.node!.sendTo(b.id, { ...late, round: before });
    c.world.clock.advance(1000);
    assert.deepEqual(holders(c), [], 'refused, and not acknowledged');
    a.node!.sendTo(b.id, { ...late, round: a.node!.status().reaping.round });
    c.world.clock.advance(1000);
    assert.deepEqual(holders(c), ['n2'], 'the fence was what kept it out');
  },
);

reap('a node that starts anew learns the floor before it hears anything else', () => {
  const c = cluster(3, 1, config());
  put(c, 0, 'cart', { w: 3 });
  const [a, b] = c.world.hosts as [Host, Host];
  const record = encodeRecord(a.node!.recordOf(KEY)!, 'with-values');
  deleteKey(c);
  c.world.clock.advance(20_000);
  c.world.crash(b);
  c.world.start(b);
  c.world.clock.advance(3000);
  assert.ok(b.node!.status().reaping.floor > 0);
  const late = { type: 'write', request: 1, key: KEY, record, durable: false } as const;
  a.node!.sendTo(b.id, { ...late, round: 0 });
  c.world.clock.advance(1000);
  assert.deepEqual(holders(c), []);
});

reap('a copy that stands in for an owner keeps the delete until it is handed over', () => {
  const c = cluster(4, 3, { ...config(), hintScanIntervalMs: 60_000 });
  put(c, 0, 'cart', { w: 3 });
  const owners = c.world.hosts[0]!.node!.ringView.ownersOf(KEY);
  const [first, , third] = owners.map((id) => c.world.hosts.find((host) => host.id === id)!);
  const spare = c.world.hosts.find(({ id }) => !owners.includes(id))!;
  const record = encodeRecord(first!.node!.recordOf(KEY)!, 'with-values');
  first!.node!.sendTo(spare.id, {
    ...{ type: 'write', request: 1, key: KEY, record, durable: false, round: 0 },
    hintFor: third!.id,
  });
  c.world.clock.advance(100);
  deleteKey(c, c.world.hosts.indexOf(first!));
  c.world.clock.advance(40_000);
  assert.equal(holders(c).length, 4);
  assert.equal(first!.node!.status().reaping.blockedBy, `${spare.id}: it stands in for an owner`);
  c.world.clock.advance(60_000);
  assert.deepEqual(holders(c), []);
});

/** A key deleted while a node that owns nothing of it is down; `remove` is asked of the first owner. */
const deletedWhileDown = () => {
  const c = cluster(4, 3, { ...config(), removedReturnMs: 40_000 });
  put(c, 0, 'cart', { w: 3 });
  const owners = c.world.hosts[0]!.node!.ringView.ownersOf(KEY);
  const at = c.world.hosts.findIndex(({ id }) => id === owners[0]);
  const gone = c.world.hosts.find(({ id }) => !owners.includes(id))!;
  deleteKey(c, at);
  c.world.crash(gone);
  const issuer = c.world.hosts[at]!;
  const remove = () => issuer.node!.changeMembership({ type: 'remove', node: gone.id });
  return { c, gone, issuer, remove };
};

reap('after a removal nothing is forgotten while the removed node may still return', () => {
  const { c, gone, remove } = deletedWhileDown();
  remove();
  c.world.clock.advance(20_000);
  assert.equal(holders(c).length, 3);
  const reasons = c.world.hosts.map(({ node }) => node?.status().reaping.blockedBy ?? '');
  assert.ok(reasons.some((reason) => reason.startsWith(`${gone.id} was removed`)));
  c.world.clock.advance(40_000);
  assert.deepEqual(holders(c), []);
});

reap('a removal issued under a clock years ahead holds nothing up longer than any other', () => {
  const { c, issuer, remove } = deletedWhileDown();
  issuer.clock.skewMs = 5 * YEAR_MS;
  remove();
  c.world.clock.advance(1000);
  issuer.clock.skewMs = 0;
  c.world.clock.advance(20_000);
  assert.equal(holders(c).length, 3, 'it may still return');
  c.world.clock.advance(40_000);
  assert.deepEqual(holders(c), []);
});

reap('nor is it over sooner because the clock of its issuer was years behind', () => {
  const c = cluster(4, 3, { ...config(), removedReturnMs: 40_000 });
  const [first, , , gone] = c.world.hosts as [Host, Host, Host, Host];
  c.world.crash(gone);
  first.clock.skewMs = -5 * YEAR_MS;
  first.node!.changeMembership({ type: 'remove', node: gone.id });
  c.world.clock.advance(20_000);
  c.world.start(gone);
  c.world.clock.advance(5000);
  assert.ok(first.node!.ringView.hasLeft(gone.id), 'it came in time, had nothing, and said so');
});

reap('what a removed node holds stays forgotten, though all clocks are put back', () => {
  const c = cluster(4, 3, { ...config(), removedReturnMs: 40_000 });
  put(c, 0, 'cart', { w: 3 });
  const { hosts } = c.world;
  const owners = hosts[0]!.node!.ringView.ownersOf(KEY);
  const gone = hosts.find(({ id }) => id === owners[2])!;
  const at = hosts.findIndex(({ id }) => id === owners[0]);
  c.world.crash(gone);
  c.world.clock.advance(2000);
  deleteKey(c, at);
  hosts[at]!.node!.changeMembership({ type: 'remove', node: gone.id });
  c.world.clock.advance(80_000);
  assert.deepEqual(holders(c), []);
  for (const host of hosts) host.clock.skewMs = -YEAR_MS;
  // Also of a life that has not seen the time pass.
  const restarted = hosts.find((host) => host !== gone)!;
  c.world.crash(restarted);
  c.world.start(restarted);
  c.world.clock.advance(3000);
  c.world.start(gone);
  c.world.clock.advance(20_000);
  assert.equal(gone.node, undefined, 'it was told, and has ended');
  assert.deepEqual(holders(c), []);
});

reap(
  'what is deleted within a round waits for the next: messages of this one may be under way',
  () => {
    const c = cluster(3, 1, {
      ...config({ intervalMs: 15_000, fenceDelayMs: 5000 }),
      replica: { ...DEFAULT_CONFIG.replica, retryHorizonMs: 1000, writtenAtAheadMs: 0 },
    });
    const early = keyOfText('early');
    put(c, 0, 'cart', { w: 3 });
    assert.equal(codeOf(put(c, 0, '', { key: early, value: 'tombstone' })), 'applied');
    const rounds = () => c.world.hosts.map(({ node }) => node!.status().reaping.round);
    while (rounds().some((round) => round === 0)) c.world.clock.advance(100);
    deleteKey(c);
    const isHeld = () => c.world.hosts[0]!.node!.recordOf(early) !== undefined;
    while (isHeld()) c.world.clock.advance(100);
    c.world.clock.advance(3000);
    assert.deepEqual(rounds(), [1, 1, 1]);
    assert.deepEqual(holders(c), ['n1', 'n2', 'n3']);
    c.world.clock.advance(40_000);
    assert.deepEqual(holders(c), [], 'now it is forgotten');
  },
);

reap('a delete that is overwritten meanwhile is a living record, and stays', () => {
  const c = cluster(3, 1, config());
  put(c, 0, 'cart', { w: 3 });
  deleteKey(c);
  const { context } = get(c, 0);
  put(c, 1, 'revived', { contexts: [context], w: 3 });
  c.world.clock.advance(20_000);
  assert.deepEqual(get(c, 2).texts, ['revived']);
  assert.equal(reaped(c), 0);
});

reap('more deletes than are looked for at once are all forgotten, one lot after the other', () => {
  const c = cluster(3, 1, config({ candidatesMax: 5, batchMax: 2 }));
  const keys = Array.from({ length: 60 }, (_, i) => keyOfText(`k${i}`));
  for (const key of keys) {
    assert.equal(codeOf(c.put(0, '', { key, value: 'tombstone' }, 50)), 'applied');
  }
  const left = () => keys.filter((key) => c.world.hosts[1]!.node!.recordOf(key) !== undefined);
  assert.equal(left().length, 60);
  c.world.clock.advance(60_000);
  assert.deepEqual(left(), []);
  assert.equal(reaped(c), 180);
  const { candidates } = c.world.hosts[0]!.node!.status().reaping;
  assert.equal(candidates, 0);
});

reap('the context of a forgotten delete still writes cleanly', () => {
  const c = cluster(3, 1, config());
  put(c, 0, 'cart', { w: 3 });
  deleteKey(c);
  const { context } = get(c, 0);
  c.world.clock.advance(20_000);
  assert.deepEqual(holders(c), []);
  put(c, 1, 'anew', { contexts: [context], w: 3 });
  assert.deepEqual(get(c, 2).texts, ['anew']);
});

reap('what overwritten puts left in a living record is pruned everywhere alike', () => {
  const c = cluster(3, 1, config({ pruneAtLeast: 4 }));
  put(c, 0, 'v0', { w: 3 });
  for (let i = 1; i < 8; i++) {
    const { context } = get(c, i % 3);
    put(c, i % 3, `v${i}`, { contexts: [context], w: 3 });
  }
  assert.ok(c.world.hosts[0]!.node!.recordOf(KEY)!.seen.count >= 4);
  c.world.clock.advance(20_000);
  for (const { node } of c.world.hosts) {
    const record = node!.recordOf(KEY)!;
    assert.equal(record.seen.count, 0);
    assert.equal(record.vector.length, 1);
  }
  assert.deepEqual(get(c, 1).texts, ['v7']);
  assert.ok(rootsAreEqual(c.world));
});

reap.run();
