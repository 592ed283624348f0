/** A disk that is not the newest this node had is recognised, and refilled before it is read (C7). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText } from '../../src/core/ids.ts';
import { checkTrees, rootsAreEqual } from '../../src/sim/checks.ts';
import type { Host, World } from '../../src/sim/world.ts';
import { cluster, codeOf } from './cluster.ts';

const backups = suite('old backups are recognised');

const KEYS = Array.from({ length: 30 }, (_, i) => `k${i}`);

const putAll = (c: ReturnType<typeof cluster>, text: string): void => {
  const answers: string[] = [];
  for (const key of KEYS) {
    const change = { key: keyOfText(key), w: 3, mode: 'last-write-wins' } as const;
    const put = c.putOf(0, `${text} ${key}`, change);
    c.world.ask(c.world.hosts[0]!, put, (reply) => answers.push(codeOf(reply)));
  }
  c.world.clock.advance(3000);
  assert.deepEqual(new Set(answers), new Set(['applied']));
  assert.equal(answers.length, KEYS.length);
};

const until = (world: World, what: string, met: () => boolean, msMax = 60_000): void => {
  for (let ms = 0; !met(); ms += 100) {
    assert.ok(ms < msMax, `waited in vain: ${what}`);
    world.clock.advance(100);
  }
};

const isBehind = ({ node }: Host): boolean =>
  node!.status().notes.some((note) => note.includes('peers remember more than is on it'));

const alarms = ({ transcript }: World): readonly string[] =>
  transcript.filter((line) => line.includes('disk.behind'));

/** A warm cluster; what the third node's disk held before the newest writes. */
const withBackup = (config = {}) => {
  const c = cluster(3, 1, config);
  putAll(c, 'old');
  const restore = c.world.hosts[2]!.disk.snapshot();
  putAll(c, 'new');
  assert.deepEqual(alarms(c.world), []);
  return { ...c, restore };
};

backups('a node put back to an old backup never answers from it', () => {
  // Repairs rest long between batches, so that a read would come before them.
  const c = withBackup({ repairPaceMs: 3000 });
  const [, , host] = c.world.hosts as [Host, Host, Host];
  c.world.crash(host);
  c.restore();
  c.world.start(host);
  c.world.clock.advance(10);
  assert.ok(isBehind(host));
  assert.equal(alarms(c.world).length, 1);
  const seen = new Set<string>();
  for (let round = 0; round < 10; round++) {
    for (const key of KEYS) {
      const get = { type: 'get', key: keyOfText(key), r: 1, strict: true, timeoutMs: 400 } as const;
      c.world.ask(host, get, (reply) => {
        const text = reply.type === 'value' ? new TextDecoder().decode(reply.values[0]!) : '';
        seen.add(reply.type === 'value' ? text.slice(0, 3) : codeOf(reply));
      });
    }
    c.world.clock.advance(200);
  }
  assert.deepEqual([...seen], ['new'], 'others answered in its place');
  until(c.world, 'refilled', () => host.node!.status().incomplete === 0, 300_000);
  assert.ok(!isBehind(host));
  for (const other of c.world.hosts) if (other !== host) c.world.crash(other);
  c.world.clock.advance(3000);
  for (const key of KEYS) assert.deepEqual(c.get(2, 1, key, 300).texts, [`new ${key}`]);
});

backups('peers remember across their own restarts, and only until the node has caught up', () => {
  const c = withBackup();
  const [, , host] = c.world.hosts as [Host, Host, Host];
  // One more write by each, so that what was heard of the others is on disk.
  c.world.clock.advance(2000);
  putAll(c, 'more');
  for (const each of c.world.hosts) c.world.crash(each, 'power-loss');
  c.restore();
  for (const each of c.world.hosts) c.world.start(each);
  c.world.clock.advance(100);
  assert.ok(isBehind(host));
  until(c.world, 'refilled', () => host.node!.status().incomplete === 0);
  until(c.world, 'equal roots', () => rootsAreEqual(c.world));
  checkTrees(c.world);
  putAll(c, 'later');
  const heard = alarms(c.world).length;
  for (const each of c.world.hosts) c.world.crash(each);
  for (const each of c.world.hosts) c.world.start(each);
  c.world.clock.advance(5000);
  assert.equal(alarms(c.world).length, heard, 'no new alarm');
});

backups('crashes and power cuts raise no alarm, whatever was under way', () => {
  const c = cluster(3, 5);
  const random = c.world.random('cuts');
  for (let i = 0; i < 60; i++) {
    for (let k = 0; k < 10; k++) {
      const at = random.integer(3);
      if (c.world.hosts[at]!.node === undefined) continue;
      const put = c.putOf(at, `${i}`, { key: keyOfText(`k${k}`), dw: k % 3 });
      c.world.ask(c.world.hosts[at]!, put, () => undefined);
      c.world.clock.advance(random.integer(40));
    }
    const host = c.world.hosts[random.integer(3)]!;
    c.world.crash(host, i % 2 === 0 ? 'kill' : 'power-loss');
    c.world.clock.advance(random.integer(1500));
    c.world.start(host);
    c.world.clock.advance(random.integer(1500));
  }
  assert.deepEqual(alarms(c.world), []);
  // And the memory was there: the same disk a little older is recognised.
  const [, , host] = c.world.hosts as [Host, Host, Host];
  const restore = host.disk.snapshot();
  for (let k = 0; k < 10; k++) c.put(0, 'last', { key: keyOfText(`k${k}`) }, 300);
  c.world.clock.advance(2000);
  c.world.crash(host);
  restore();
  c.world.start(host);
  c.world.clock.advance(1000);
  assert.equal(alarms(c.world).length, 1);
});

backups('progress ends when writes end: an idle cluster commits nothing', () => {
  const c = withBackup();
  c.world.clock.advance(20_000);
  const { commits } = c.world;
  c.world.clock.advance(20_000);
  assert.equal(c.world.commits, commits);
});

backups.run();
