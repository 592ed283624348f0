/** How a node finds damage that nobody reads, and mends it from its peers (RULES C7). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { keyOfText } from '../../src/core/ids.ts';
import { leafOf } from '../../src/core/merkle.ts';
import { partitionOf } from '../../src/core/ring.ts';
import { checkTrees, rootsAreEqual } from '../../src/sim/checks.ts';
import { LOG_TABLE } from '../../src/ports/storage.ts';
import { HASTY_LOG } from '../../src/sim/world.ts';
import type { Host, World } from '../../src/sim/world.ts';
import { NO_LOG, cluster, codeOf } from './cluster.ts';

const scrub = suite('disks are scrubbed');

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`);
const OFTEN = { scrubIntervalMs: 2000, scrubPaceMs: 10, exchangeIntervalMs: 86_400_000 };

/** A warm cluster that holds every key everywhere, at rest. */
const filled = (config = {}, log = NO_LOG) => {
  const c = cluster(3, 1, { ...OFTEN, ...config }, 3, 1, log);
  for (const key of KEYS) {
    const put = c.putOf(0, `value of ${key}`, { key: keyOfText(key), w: 3 });
    c.world.ask(c.world.hosts[0]!, put, (reply) => assert.equal(codeOf(reply), 'applied'));
  }
  c.world.clock.advance(5000);
  for (const { node } of c.world.hosts) assert.equal(node!.status().incomplete, 0);
  return c;
};

const until = (world: World, what: string, met: () => boolean): void => {
  for (let ms = 0; !met(); ms += 100) {
    assert.ok(ms < 60_000, `waited in vain: ${what}`);
    world.clock.advance(100);
  }
};

const scrubOf = ({ node }: Host) => node!.status().scrub;

const ends =
  (...keys: readonly string[]) =>
  (name: Uint8Array): boolean =>
    keys.includes(Buffer.from(name.subarray(18)).toString('latin1'));

const assertWhole = (c: ReturnType<typeof filled>, host: Host): void => {
  until(c.world, 'refilled', () => host.node!.status().incomplete === 0);
  assert.ok(rootsAreEqual(c.world));
  checkTrees(c.world);
  // It alone answers, and knows all of them.
  const at = c.world.hosts.indexOf(host);
  for (const other of c.world.hosts) if (other !== host) c.world.crash(other);
  c.world.clock.advance(3000);
  for (const key of KEYS) assert.deepEqual(c.get(at, 1, key, 300).texts, [`value of ${key}`]);
};

scrub('rows damaged on disk are found without a read and come back from the peers', () => {
  const c = filled();
  const [, , host] = c.world.hosts as [Host, Host, Host];
  host.disk.damage('records', ends('k3', 'k17', 'k31'));
  until(c.world, 'the damage is found', () => scrubOf(host).damaged === 3);
  const { misplaced, miscounted } = scrubOf(host);
  assert.deepEqual([misplaced, miscounted], [0, 0]);
  assertWhole(c, host);
});

scrub('a row that vanished is missed, though the roots of all three are equal', () => {
  const c = filled({ scrubIntervalMs: 30_000 });
  const [, , host] = c.world.hosts as [Host, Host, Host];
  host.disk.damage('records', ends('k5'), 'lose');
  const roots = c.world.hosts.map(({ node }) => node!.merkleRoots().map(({ kept }) => kept));
  assert.deepEqual(roots[2], roots[0], 'so anti-entropy by itself would see nothing');
  until(c.world, 'the loss is found', () => scrubOf(host).miscounted === 1);
  assertWhole(c, host);
});

scrub('what memory still has of a row that the disk lost or damaged is not relied on', () => {
  for (const how of ['flip', 'lose'] as const) {
    const c = filled({ scrubIntervalMs: 30_000 });
    const [, , host] = c.world.hosts as [Host, Host, Host];
    const at = c.world.hosts.indexOf(host);
    const { hits } = host.node!.status().rowCache;
    for (let i = 0; i < 2; i++) assert.deepEqual(c.get(at, 1, 'k5', 300).texts, ['value of k5']);
    assert.ok(host.node!.status().rowCache.hits > hits, 'it lies in memory');
    host.disk.damage('records', ends('k5'), how);
    assert.notEqual(host.node!.recordOf(keyOfText('k5')), undefined, 'and is read from there');
    const found = how === 'flip' ? 'damaged' : 'miscounted';
    until(c.world, 'the damage is found', () => scrubOf(host)[found] === 1);
    until(c.world, 'refilled', () => host.node!.status().incomplete === 0);
    c.world.crash(host);
    c.world.start(host);
    until(c.world, 'it serves', () => host.node?.state === 'serving');
    assertWhole(c, host);
  }
});

scrub('a damaged row that is read makes its node miss what the disk lost beside it', () => {
  const c = filled({ scrubIntervalMs: 86_400_000, exchangeIntervalMs: 1000 });
  const [, , host] = c.world.hosts as [Host, Host, Host];
  until(c.world, 'the first round', () => scrubOf(host).rounds === 1);
  const at = c.world.hosts.indexOf(host);
  const { partitions } = host.node!.ringView.ring;
  const leaves = new Map<string, string>();
  let pair: readonly [string, string] | undefined;
  for (let i = 0; pair === undefined; i++) {
    const position = nodeDigest.md5(new TextEncoder().encode(`n${i}`));
    const leaf = `${partitionOf(position, partitions)} ${leafOf(position, partitions)}`;
    const neighbour = leaves.get(leaf);
    if (neighbour !== undefined) pair = [neighbour, `n${i}`];
    leaves.set(leaf, `n${i}`);
  }
  const [damaged, lost] = pair;
  for (const key of [...pair, ...KEYS.slice(0, 20), lost]) {
    const put = c.putOf(0, `value of ${key}`, {
      key: keyOfText(key),
      w: 3,
      mode: 'last-write-wins',
    });
    c.world.ask(c.world.hosts[0]!, put, (reply) => assert.equal(codeOf(reply), 'applied'));
    c.world.clock.advance(500);
  }
  host.disk.damage('records', ends(damaged));
  host.disk.damage('records', ends(lost), 'lose');
  const found = host.node!.status().damaged;
  assert.deepEqual(c.get(at, 3, lost, 300).texts, [`value of ${lost}`], 'it lies in memory');
  assert.deepEqual(c.get(at, 1, damaged, 300).texts, [`value of ${damaged}`]);
  assert.equal(host.node!.status().damaged, found + 1);
  until(c.world, 'refilled', () => host.node!.status().incomplete === 0);
  c.world.crash(host);
  c.world.start(host);
  until(c.world, 'it serves', () => host.node?.state === 'serving');
  for (const key of pair) assert.notEqual(host.node!.recordOf(keyOfText(key)), undefined, key);
});

scrub('a Merkle branch that was damaged while the node was down is put right', () => {
  const c = filled();
  const [, , host] = c.world.hosts as [Host, Host, Host];
  c.world.crash(host);
  let chosen = 0;
  host.disk.damage('merkle', () => chosen++ === 0);
  c.world.start(host);
  until(
    c.world,
    'the leaf is found',
    () => host.node !== undefined && scrubOf(host).miscounted === 1,
  );
  until(c.world, 'refilled', () => host.node!.status().incomplete === 0);
  c.world.crash(host);
  c.world.start(host);
  until(c.world, 'equal roots', () => rootsAreEqual(c.world));
  assertWhole(c, host);
});

scrub('an exchange that finds unequal leaves of equal records has them looked at', () => {
  const c = filled({ scrubIntervalMs: 86_400_000, exchangeIntervalMs: 1000 });
  const [, , host] = c.world.hosts as [Host, Host, Host];
  until(c.world, 'the first round', () => scrubOf(host).rounds === 1);
  c.world.crash(host);
  let chosen = 0;
  host.disk.damage('merkle', () => chosen++ === 0);
  c.world.start(host);
  until(c.world, 'the leaf is found', () => scrubOf(host).miscounted === 1);
  assert.equal(scrubOf(host).rounds, 0, 'by no round');
  assertWhole(c, host);
});

scrub('what is only logged is written anew before a crash has to rely on it', () => {
  const hoard = { ...HASTY_LOG, heldRows: 100_000, heldBytes: 2 ** 30, logRows: 100_000 };
  for (const how of ['flip', 'lose'] as const) {
    const c = filled({}, hoard);
    const [, , host] = c.world.hosts as [Host, Host, Host];
    until(c.world, 'the first round', () => scrubOf(host).rounds > 0);
    let chosen = 0;
    host.disk.damage(LOG_TABLE, () => chosen++ % 2 === 0, how);
    assert.ok(chosen > 0, 'there is a log');
    until(c.world, 'the damage is found', () => scrubOf(host).logged > 0);
    const { damaged, misplaced, miscounted } = scrubOf(host);
    assert.deepEqual([damaged, misplaced, miscounted], [0, 0, 0], 'memory has them all');
    c.world.clock.advance(1000);
    c.world.crash(host, 'power-loss');
    c.world.start(host);
    until(c.world, 'it serves', () => host.node?.state === 'serving');
    assert.equal(host.node!.status().incomplete, 0, 'nothing had to be fetched');
    assertWhole(c, host);
  }
});

scrub('a damaged hint is kept anew, and reaches the owner it is for', () => {
  const c = filled();
  const [first, , third] = c.world.hosts as [Host, Host, Host];
  c.world.crash(third);
  c.world.clock.advance(3000);
  for (const key of KEYS) {
    const put = c.putOf(0, `later ${key}`, { key: keyOfText(key), mode: 'last-write-wins' });
    c.world.ask(first, put, (reply) => assert.equal(codeOf(reply), 'applied'));
  }
  c.world.clock.advance(5000);
  const kept = (): number => first.node!.hintGauges().reduce((sum, { count }) => sum + count, 0);
  const before = kept();
  let chosen = 0;
  first.disk.damage('hints', () => chosen++ % 4 === 0);
  assert.ok(chosen >= KEYS.length);
  until(c.world, 'the damage is found', () => scrubOf(first).hints >= KEYS.length / 4);
  assert.equal(kept(), before, 'none is counted twice');
  c.world.start(third);
  until(c.world, 'all are delivered', () => kept() === 0);
  for (const key of KEYS) {
    const { siblings } = third.node!.recordOf(keyOfText(key))!;
    assert.equal(siblings.length, 1);
    assert.equal(new TextDecoder().decode(siblings[0]!.value as Uint8Array), `later ${key}`);
  }
});

scrub('a lone node gives up what nobody can give back, and says so', () => {
  const c = cluster(1, 1, OFTEN, 1, 1, NO_LOG);
  const [host] = c.world.hosts as [Host];
  assert.equal(codeOf(c.put(0, 'gone', { w: 1 })), 'applied');
  host.disk.damage('records', () => true);
  until(c.world, 'the damage is found', () => scrubOf(host).damaged === 1);
  assert.equal(host.node!.status().incomplete, 0);
  assert.deepEqual(c.get(0, 1).texts, []);
  checkTrees(c.world);
});

scrub('under writes it finds nothing, whatever is buffered', () => {
  const c = cluster(3, 1, { ...OFTEN, scrubIntervalMs: 1000, scrubPaceMs: 1 }, 3, 1, NO_LOG);
  for (let i = 0; i < 1500; i++) {
    const key = keyOfText(`k${i % 7}`);
    c.world.ask(c.world.hosts[i % 3]!, c.putOf(i % 3, `${i}`, { key }), () => undefined);
    c.world.clock.advance(4);
  }
  c.world.clock.advance(3000);
  for (const host of c.world.hosts) {
    const { rounds, rows, damaged, misplaced, miscounted } = scrubOf(host);
    assert.ok(rounds >= 3 && rows > 0, `${rounds} rounds, ${rows} rows`);
    assert.deepEqual([damaged, misplaced, miscounted], [0, 0, 0]);
    assert.equal(host.node!.status().incomplete, 0);
  }
});

scrub('an operator need not wait for the next round', () => {
  const c = filled({ scrubIntervalMs: 86_400_000 });
  const [, host] = c.world.hosts as [Host, Host];
  until(c.world, 'the first round', () => scrubOf(host).rounds === 1);
  host.disk.damage('records', ends('k8'));
  c.world.clock.advance(60_000);
  assert.equal(scrubOf(host).damaged, 0);
  const asked = c.ask(1, { type: 'admin', command: 'repair.scrub', args: {}, timeoutMs: 1000 }, 10);
  assert.equal(codeOf(asked), 'admin-is');
  until(c.world, 'the damage is found', () => scrubOf(host).damaged === 1);
  until(c.world, 'the round is over', () => scrubOf(host).rounds === 2);
  assertWhole(c, host);
});

scrub.run();
