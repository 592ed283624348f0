/** A disk that is not the newest this node had is recognised, and refilled before it is read (C7). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText } from '../../src/core/ids.ts';
import { checkTrees, rootsAreEqual } from '../../src/sim/checks.ts';
import { decodePeerFrame } from '../../src/wire/peer-codec.ts';
import type { PeerMessage } from '../../src/wire/peer-messages.ts';
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
  c.world.clock.advance(2000);
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

/** Whether the third node, put back to what it was at `restore`, learns that it is behind. */
const isRecognised = ({ world }: ReturnType<typeof cluster>, restore: () => void): boolean => {
  const host = world.hosts[2]!;
  world.crash(host, 'power-loss');
  restore();
  world.start(host);
  world.clock.advance(2000);
  return alarms(world).length > 0;
};

// Seed 425400873: the owner died, and was put back, before its next gossip round.
for (const [who, at] of [
  ['another node', 0],
  ['the node itself, for a strict one', 2],
] as const) {
  backups(`an ack tells at once how far the disk behind it is: coordinated by ${who}`, () => {
    const c = cluster();
    const { clock, hosts } = c.world;
    clock.advance(5000);
    let rounds = 0;
    c.world.observe((event) => {
      if (event.type !== 'frame' || event.from !== hosts[2]!.id) return;
      const isRound = ({ type }: PeerMessage) => type === 'registers.digest';
      if (decodePeerFrame(event.frame).some(isRound)) rounds += 1;
    });
    while (rounds === 0) clock.advance(10);
    const restore = hosts[2]!.disk.snapshot();
    const put = c.putOf(at, 'new', { w: 3, dw: 3, strict: true });
    let reply = '';
    c.world.ask(c.world.hosts[at]!, put, (answer) => (reply = codeOf(answer)));
    until(c.world, 'the ack', () => reply !== '', 1000);
    assert.equal(reply, 'applied');
    clock.advance(50);
    assert.equal(rounds, 1, 'before its next gossip round');
    assert.ok(isRecognised(c, restore));
  });
}

backups('progress that was lost on its way is told again', () => {
  const c = cluster();
  const [first, second, third] = c.world.hosts as [Host, Host, Host];
  c.world.clock.advance(5000);
  const restore = third.disk.snapshot();
  // No durable ack is asked of the third node: its flush comes after the acks.
  c.put(0, 'new', { w: 3, dw: 1 }, 20);
  for (const other of [first, second]) c.world.network.cut(third.name, other.name);
  c.world.clock.advance(1500);
  for (const other of [first, second]) c.world.network.mend(third.name, other.name);
  c.world.clock.advance(3000);
  assert.ok(!c.world.transcript.some((line) => line.includes('unlinked')), 'the same links');
  assert.ok(isRecognised(c, restore));
});

/** A strict write that the first node missed, and what the third node's disk held before it. */
const withMissedWrite = () => {
  const c = cluster();
  const [first, second, third] = c.world.hosts as [Host, Host, Host];
  c.world.clock.advance(3000);
  const restore = third.disk.snapshot();
  for (const other of [second, third]) c.world.network.cut(first.name, other.name);
  c.world.clock.advance(3000);
  const put = { w: 2, dw: 2, strict: true } as const;
  assert.equal(codeOf(c.put(2, 'acknowledged', put, 1000)), 'applied');
  // Who remembers how far the disk was is gone; who comes back knows nothing of it.
  c.world.crash(second, 'power-loss');
  c.world.crash(third, 'power-loss');
  for (const other of [second, third]) c.world.network.mend(first.name, other.name);
  return { ...c, restore, third };
};

const strictGet = {
  type: 'get',
  key: keyOfText('k'),
  r: 2,
  strict: true,
  timeoutMs: 2000,
} as const;

// Seed 451000520.
backups('a directory that was copied knows it, though nobody is there to tell', () => {
  const c = withMissedWrite();
  c.restore('copied');
  c.world.start(c.third);
  c.world.clock.advance(5000);
  assert.equal(codeOf(c.ask(2, strictGet)), 'QUORUM_NOT_MET');
  assert.equal(codeOf(c.ask(0, strictGet)), 'QUORUM_NOT_MET');
  assert.ok(c.third.node!.status().notes.some((note) => note.includes('is a copy')));
  c.world.start(c.world.hosts[1]!);
  until(c.world, 'refilled', () => c.third.node!.status().incomplete === 0);
  assert.deepEqual(c.get(0).texts, ['acknowledged']);
  // From here on the copy is the directory.
  c.world.crash(c.third);
  c.world.start(c.third);
  c.world.clock.advance(10);
  assert.equal(c.third.node!.status().incomplete, 0);
});

backups('its own directory serves at once, whoever is away', () => {
  const c = withMissedWrite();
  c.world.start(c.third);
  c.world.clock.advance(5000);
  const reply = c.ask(0, strictGet);
  assert.ok(reply.type === 'value' && reply.values.length === 1, codeOf(reply));
});

backups('a cluster of copies fills itself, as a new one does', () => {
  const c = cluster();
  putAll(c, 'old');
  const restores = c.world.hosts.map(({ disk }) => disk.snapshot());
  for (const host of c.world.hosts) c.world.crash(host);
  for (const restore of restores) restore('copied');
  for (const host of c.world.hosts) c.world.start(host);
  c.world.clock.advance(10);
  const isWhole = () => c.world.hosts.every(({ node }) => node!.status().incomplete === 0);
  assert.ok(!isWhole());
  until(c.world, 'whole', isWhole);
  for (const key of KEYS) assert.deepEqual(c.get(1, 2, key, 300).texts, [`old ${key}`]);
});

backups('progress ends when writes end: an idle cluster commits nothing', () => {
  const c = withBackup();
  c.world.clock.advance(20_000);
  const { commits } = c.world;
  c.world.clock.advance(20_000);
  assert.equal(c.world.commits, commits);
});

backups.run();
