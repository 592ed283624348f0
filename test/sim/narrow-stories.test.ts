/** Narrow escapes: histories in which something that was promised could be broken after all. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText, nodeId } from '../../src/core/ids.ts';
import { encodeRecord } from '../../src/core/record-bytes.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import type { Host, World } from '../../src/sim/world.ts';
import { cluster, codeOf } from './cluster.ts';

const narrow = suite('narrow escapes');

const KEY = keyOfText('k');
const QUIET = { exchangeIntervalMs: 86_400_000 };

/** Deletes are forgotten soon. */
const REAPING = {
  replica: { ...DEFAULT_CONFIG.replica, retryHorizonMs: 6000, writtenAtAheadMs: 0 },
  reap: {
    ...DEFAULT_CONFIG.reap,
    ...{ scanIntervalMs: 1000, intervalMs: 1000, fenceDelayMs: 1000 },
  },
};

const until = (world: World, what: string, met: () => boolean, msMax = 60_000): void => {
  for (let ms = 0; !met(); ms += 10) {
    assert.ok(ms < msMax, `waited in vain: ${what}`);
    world.clock.advance(10);
  }
};

const textsAt = ({ node }: Host): readonly string[] =>
  (node!.recordOf(KEY)?.siblings ?? []).map(({ value }) =>
    value instanceof Uint8Array ? new TextDecoder().decode(value) : value,
  );

const isolate = (world: World, at: number): void => {
  const name = ({ address }: Host): string => address.slice(5);
  const alone = name(world.hosts[at]!);
  for (const [i, host] of world.hosts.entries()) {
    if (i === at) continue;
    world.network.cut(alone, name(host));
    world.network.cut(name(host), alone);
  }
};

narrow('an expiry beyond what a record can hold is refused, and the key stays usable', () => {
  const { world, put, get } = cluster();
  assert.equal(codeOf(put(0, 'v', { expiresAt: Number.MAX_SAFE_INTEGER })), 'BAD_ARGUMENT');
  assert.equal(codeOf(put(0, 'w', { expiresAt: 8.64e15 })), 'applied');
  world.clock.advance(1000);
  assert.deepEqual(get(1, 3).texts, ['w']);
});

narrow('a retry that only others have seen is kept here before it counts as held here', () => {
  const { world, ask, putOf } = cluster(3, 1, {
    ...QUIET,
    replica: { ...DEFAULT_CONFIG.replica, hintsMax: 0 },
  });
  const [, , late] = world.hosts as [Host, Host, Host];
  world.crash(late);
  world.clock.advance(2000);
  const first = putOf(0, 'v', { mode: 'last-write-wins' });
  assert.equal(codeOf(ask(0, first)), 'applied');
  world.start(late);
  until(world, 'it serves', () => late.node!.state === 'serving');
  until(world, 'it is linked', () =>
    late.node!.status().nodes.every(({ health }) => health === 'healthy'),
  );
  assert.equal(late.node!.recordOf(KEY), undefined, 'nobody has told it');
  let durable: readonly string[] | undefined;
  world.ask(late, { ...first, attempt: 2 }, (reply) => {
    assert.ok(reply.type === 'applied', JSON.stringify(reply));
    ({ durable } = reply);
  });
  until(world, 'an answer', () => durable !== undefined);
  for (const host of world.hosts) world.crash(host, 'power-loss');
  world.start(late);
  world.clock.advance(100);
  assert.ok(durable!.includes(late.id));
  assert.deepEqual(textsAt(late), ['v']);
});

narrow('a node that lost a write in a crash does not call it durable for an older one', () => {
  const { world, put, putOf, get } = cluster(3, 1, QUIET);
  const [a, b, gone] = world.hosts as [Host, Host, Host];
  until(world, 'the new cluster is complete', () =>
    world.hosts.every(({ node }) => node!.status().incomplete === 0),
  );
  assert.equal(codeOf(put(0, 'old', { w: 3, dw: 3 })), 'applied');
  world.crash(gone);
  world.clock.advance(2000);
  a.disk.faults.commitMs = [3000, 3000];
  const { context } = get(1, 1);
  let answer: string | undefined;
  world.ask(a, putOf(0, 'new', { contexts: [context], w: 2, dw: 1 }), (reply) => {
    answer = codeOf(reply);
  });
  until(world, 'the second copy is in memory', () => textsAt(b).includes('new'));
  world.crash(b, 'power-loss');
  world.start(b);
  until(world, 'an answer', () => answer !== undefined);
  world.crash(a, 'power-loss');
  world.clock.advance(3000);
  if (answer === 'applied') assert.deepEqual(textsAt(b), ['new']);
});

narrow(
  'the newest of last-write-wins is the delete, though an older value survives beside it',
  () => {
    const { world, put, ask } = cluster();
    isolate(world, 2);
    world.clock.advance(3000);
    const lww = { mode: 'last-write-wins' } as const;
    assert.equal(codeOf(put(2, 'older', { ...lww, w: 1, dw: 1 })), 'applied');
    assert.equal(codeOf(put(0, '', { ...lww, value: 'tombstone' })), 'applied');
    world.network.heal();
    world.clock.advance(20_000);
    const reply = ask(1, { type: 'get', key: KEY, r: 3, strict: false, timeoutMs: 3000, ...lww });
    assert.ok(reply.type === 'value');
    assert.equal(reply.state, 'deleted');
  },
);

narrow('hints for a node that was removed drain, though the hint store is full', () => {
  const replica = { ...DEFAULT_CONFIG.replica, hintsMax: 3 };
  const c = cluster(4, 4, { replica });
  const n4 = nodeId('n4');
  c.world.clock.advance(1000);
  c.world.crash(c.world.hosts[3]!);
  c.world.clock.advance(3000);
  for (let i = 0; i < 60; i++) c.put(0, 'v', { key: keyOfText(`k${i}`) }, 200);
  c.world.clock.advance(3000);
  const hints = (): number =>
    c.world.hosts.reduce(
      (sum, { node }) =>
        sum + (node?.status().nodes.reduce((all, each) => all + each.hints, 0) ?? 0),
      0,
    );
  assert.ok(hints() >= 3, 'the store is full');
  c.world.hosts[0]!.node!.changeMembership({ type: 'remove', node: n4 });
  until(c.world, 'hints drained', () => hints() === 0, 120_000);
});

narrow('two changes of membership in one breath are both made', () => {
  const { world } = cluster(5, 1, {}, 3);
  const { node } = world.hosts[0]!;
  for (const id of ['n4', 'n5']) {
    const join = { type: 'join', node: nodeId(id), zone: 'default', weight: 1 } as const;
    assert.equal(node!.changeMembership(join), undefined);
  }
  world.clock.advance(5000);
  const { members } = world.hosts[2]!.node!.ringView.ring;
  assert.deepEqual(members.map(({ id }) => id).sort(), ['n1', 'n2', 'n3', 'n4', 'n5']);
});

narrow('a plan that was only looked at is no change, and the change can be made after it', () => {
  const c = cluster(4, 1, {}, 3);
  const ask = (command: string, more: object = {}) => {
    const args = { type: 'join', node: 'n4', ...more };
    return codeOf(c.ask(0, { type: 'admin', command, args, timeoutMs: 1000 }, 1000));
  };
  assert.equal(ask('membership.plan'), 'admin-is');
  assert.equal(ask('membership.plan'), 'admin-is');
  assert.equal(ask('membership.change', { yes: true }), 'admin-is');
  c.world.clock.advance(3000);
  const { members } = c.world.hosts[2]!.node!.ringView.ring;
  assert.ok(members.some(({ id }) => id === 'n4'));
});

narrow('one owner that is down holds up its own partitions only when a node leaves', () => {
  const c = cluster(6, 3);
  for (let i = 0; i < 60; i++) c.put(0, 'v', { key: keyOfText(`k${i}`), w: 3 }, 100);
  const [, dead, , , , leaver] = c.world.hosts as [Host, Host, Host, Host, Host, Host];
  const tell = (command: string) =>
    c.ask(5, { type: 'admin', command, args: {}, timeoutMs: 1000 }, 50);
  tell('transfers.pause');
  c.world.hosts[0]!.node!.changeMembership({ type: 'leave', node: leaver.id });
  const view = () => c.world.hosts[0]!.node!.ringView.ring;
  until(c.world, 'its places are taken', () =>
    view().table.every((owners) => !owners.includes(leaver.id)),
  );
  c.world.crash(dead);
  c.world.clock.advance(3000);
  tell('transfers.resume');
  c.world.clock.advance(60_000);
  const left = leaver.node!.ringView.ring.table.flatMap((owners, p) =>
    leaver.node!.merkleRoots()[p]!.kept === 0n || owners.includes(dead.id) ? [] : [p],
  );
  assert.deepEqual(left, []);
});

narrow('a put handed to a node that does not serve yet goes to the next owner', () => {
  const c = cluster(4, 1, { gossipIntervalMs: 5000 });
  const owners = c.world.hosts[0]!.node!.ringView.ownersOf(KEY);
  const wiped = c.world.hosts.find(({ id }) => id === owners[0])!;
  const outside = c.world.hosts.findIndex(({ id }) => !owners.includes(id));
  c.world.crash(wiped);
  wiped.disk.wipe();
  c.world.clock.advance(2000);
  c.world.start(wiped, 'newcomer');
  until(c.world, 'it is linked', () =>
    c.world.hosts[outside]!.node!.status().nodes.every(({ health }) => health === 'healthy'),
  );
  assert.equal(wiped.node!.state, 'joining');
  assert.equal(codeOf(c.put(outside, 'v')), 'applied');
});

narrow('a delete is not forgotten while a node that left may bring back what was deleted', () => {
  const c = cluster(4, 3, REAPING);
  const owners = c.world.hosts[0]!.node!.ringView.ownersOf(KEY);
  assert.equal(codeOf(c.put(0, 'cart', { w: 3, dw: 3 }, 300)), 'applied');
  const leaver = c.world.hosts.find(({ id }) => id === owners[2])!;
  const at = c.world.hosts.findIndex(({ id }) => id === owners[0]);
  c.world.crash(leaver);
  c.world.clock.advance(1000);
  c.world.hosts[at]!.node!.changeMembership({ type: 'leave', node: leaver.id });
  const { context } = c.get(at, 2, 'k', 300);
  const gone = { value: 'tombstone', contexts: [context] } as const;
  assert.equal(codeOf(c.put(at, '', gone, 300)), 'applied');
  c.world.clock.advance(40_000);
  const reasons = c.world.hosts.map(({ node }) => node?.status().reaping.blockedBy);
  assert.ok(reasons.includes(`no answer from ${leaver.id}`), reasons.join());
  c.world.start(leaver);
  c.world.clock.advance(30_000);
  assert.notEqual(c.get(at, 2, 'k', 300).state, 'found');
  assert.ok(
    c.world.hosts.every(({ node }) => node!.recordOf(KEY) === undefined),
    'it has given away what it held: now the delete is forgotten',
  );
});

narrow('an old image of a disk does not bring back what was deleted and forgotten since', () => {
  const c = cluster(3, 1, REAPING);
  const [, , host] = c.world.hosts as [Host, Host, Host];
  assert.equal(codeOf(c.put(0, 'cart', { w: 3, dw: 3 }, 300)), 'applied');
  const restore = host.disk.snapshot();
  const { context } = c.get(0, 2, 'k', 300);
  const gone = { value: 'tombstone', contexts: [context] } as const;
  assert.equal(codeOf(c.put(0, '', gone, 300)), 'applied');
  c.world.clock.advance(40_000);
  assert.equal(c.get(0, 3, 'k', 300).state, 'never-seen', 'it is forgotten');
  c.world.crash(host);
  restore();
  c.world.start(host);
  c.world.clock.advance(10_000);
  assert.equal(host.node, undefined, 'it has seen what its disk is, and stopped');
  assert.match(c.world.transcript.join(), /n3 fails: this data directory is an old image/);
  assert.equal(c.get(0, 2, 'k', 300).state, 'never-seen');
  host.disk.wipe();
  c.world.start(host);
  until(c.world, 'refilled', () => host.node!.status().incomplete === 0);
  assert.equal(c.get(2, 3, 'k', 300).state, 'never-seen');
  // Whoever took part in the rounds is no image, also after a crash.
  for (const each of c.world.hosts) {
    c.world.crash(each, 'power-loss');
    c.world.start(each);
    c.world.clock.advance(5000);
  }
  assert.ok(c.world.hosts.every(({ node }) => node?.state === 'serving'));
});

narrow('an old image is recognised although everybody else has started anew since', () => {
  const c = cluster(3, 1, REAPING);
  const [a, b, host] = c.world.hosts as [Host, Host, Host];
  assert.equal(codeOf(c.put(0, 'cart', { w: 3, dw: 3 }, 300)), 'applied');
  const restore = host.disk.snapshot();
  const { context } = c.get(0, 2, 'k', 300);
  const gone = { value: 'tombstone', contexts: [context] } as const;
  assert.equal(codeOf(c.put(0, '', gone, 300)), 'applied');
  c.world.clock.advance(40_000);
  for (const each of [a, b, host]) c.world.crash(each);
  restore();
  for (const each of [a, b, host]) c.world.start(each);
  c.world.clock.advance(10_000);
  assert.equal(host.node, undefined, 'it has seen what its disk is, and stopped');
  assert.equal(c.get(0, 2, 'k', 300).state, 'never-seen');
});

narrow('a newcomer that starts anew is no old image, though deletes were forgotten before', () => {
  const c = cluster(4, 1, REAPING, 3);
  const newcomer = c.world.hosts[3]!;
  assert.equal(codeOf(c.put(0, 'cart', { w: 3, dw: 3 }, 300)), 'applied');
  assert.equal(codeOf(c.put(0, 'kept', { w: 3, dw: 3, key: keyOfText('other') }, 300)), 'applied');
  const { context } = c.get(0, 2, 'k', 300);
  const gone = { value: 'tombstone', contexts: [context] } as const;
  assert.equal(codeOf(c.put(0, '', gone, 300)), 'applied');
  c.world.clock.advance(40_000);
  assert.equal(c.get(0, 3, 'k', 300).state, 'never-seen', 'it is forgotten');
  c.world.hosts[0]!.node!.changeMembership({ type: 'leave', node: nodeId('n3') });
  const join = { type: 'join', node: newcomer.id, zone: 'default', weight: 1 } as const;
  c.world.hosts[0]!.node!.changeMembership(join);
  until(
    c.world,
    'it holds something',
    () =>
      !newcomer.node!.incomplete().length &&
      newcomer.node!.recordOf(keyOfText('other')) !== undefined,
  );
  for (const how of ['kill', 'power-loss'] as const) {
    c.world.crash(newcomer, how);
    c.world.start(newcomer);
    c.world.clock.advance(5000);
    assert.equal(newcomer.node?.state, 'serving', c.world.transcript.slice(-5).join());
  }
});

narrow('who has left and is switched off keeps no delete from being forgotten', () => {
  const c = cluster(4, 3, REAPING);
  const owners = c.world.hosts[0]!.node!.ringView.ownersOf(KEY);
  assert.equal(codeOf(c.put(0, 'cart', { w: 3, dw: 3 }, 300)), 'applied');
  const leaver = c.world.hosts.find(({ id }) => id === owners[2])!;
  const at = c.world.hosts.findIndex(({ id }) => id === owners[0]);
  const rest = c.world.hosts.filter((host) => host !== leaver);
  c.world.hosts[at]!.node!.changeMembership({ type: 'leave', node: leaver.id });
  until(c.world, 'it has said so to all', () =>
    rest.every(({ node }) => node!.ringView.hasLeft(leaver.id)),
  );
  assert.equal(leaver.node!.state, 'left');
  assert.equal(leaver.node!.recordOf(KEY), undefined);
  c.world.crash(leaver);
  const { context } = c.get(at, 2, 'k', 300);
  const gone = { value: 'tombstone', contexts: [context] } as const;
  assert.equal(codeOf(c.put(at, '', gone, 300)), 'applied');
  until(c.world, 'the delete is forgotten', () =>
    rest.every(({ node }) => node!.recordOf(KEY) === undefined),
  );
  // It was the last word: nothing it is asked or told makes it take part again.
  c.world.start(leaver);
  c.world.clock.advance(5000);
  assert.equal(leaver.node!.state, 'left');
  const refused = c.put(c.world.hosts.indexOf(leaver), 'v', {}, 300);
  assert.equal(codeOf(refused), 'GOING_AWAY');
});

narrow('who has left, or was removed, takes nothing that an old ring sends it', () => {
  for (const type of ['leave', 'remove'] as const) {
    const c = cluster(5, 3);
    const owners = c.world.hosts[0]!.node!.ringView.ownersOf(KEY);
    const [owner, other, gone] = [owners[0], owners[1], owners[2]].map((id) =>
      c.world.hosts.find((host) => host.id === id)!,
    ) as [Host, Host, Host];
    assert.equal(codeOf(c.put(c.world.hosts.indexOf(owner), 'v', { w: 3, dw: 3 })), 'applied');
    const record = encodeRecord(owner.node!.recordOf(KEY)!, 'with-values');
    owner.node!.changeMembership({ type, node: gone.id });
    const state = type === 'leave' ? 'left' : 'removed';
    until(c.world, `it has ${state}`, () => gone.node!.state === state);
    until(c.world, 'it has given away what it held', () => !gone.node!.recordOf(KEY));
    const late = keyOfText('late');
    const write = { type: 'write', request: 1, durable: true, round: 0, record } as const;
    for (const to of [gone, other]) owner.node!.sendTo(to.id, { ...write, key: late });
    c.world.clock.advance(1000);
    assert.ok(other.node!.recordOf(late) !== undefined, 'it is a write as any other');
    assert.equal(gone.node!.recordOf(late), undefined, type);
  }
});

narrow('a leaver that still keeps a hint has not left', () => {
  const c = cluster(5, 3, REAPING);
  const [a, down, , , leaver] = c.world.hosts as [Host, Host, Host, Host, Host];
  c.world.crash(down);
  c.world.clock.advance(3000);
  const keys = Array.from({ length: 40 }, (_, i) => keyOfText(`k${i}`));
  for (const key of keys) assert.equal(codeOf(c.put(4, 'v', { key }, 100)), 'applied');
  assert.ok(leaver.node!.hintGauges().length > 0, 'it stands in for the one that is down');
  a.node!.changeMembership({ type: 'leave', node: leaver.id });
  c.world.clock.advance(60_000);
  assert.notEqual(leaver.node!.state, 'left');
  assert.ok(!a.node!.ringView.hasLeft(leaver.id));
  c.world.start(down);
  until(c.world, 'it has left', () => a.node!.ringView.hasLeft(leaver.id), 120_000);
  assert.equal(leaver.node!.state, 'left');
});

narrow('a founder that lost its disk names no change as it named one before', () => {
  const c = cluster(5, 1, {}, 3);
  const [first] = c.world.hosts as [Host];
  const join = (id: string) =>
    first.node!.changeMembership({
      ...{ type: 'join', node: nodeId(id) },
      zone: 'default',
      weight: 1,
    });
  assert.equal(join('n4'), undefined);
  c.world.clock.advance(5000);
  c.world.crash(first);
  first.disk.wipe();
  isolate(c.world, 0);
  c.world.start(first);
  c.world.clock.advance(500);
  assert.equal(join('n5'), undefined, 'it knows no better');
  c.world.clock.advance(2000);
  c.world.network.heal();
  c.world.clock.advance(20_000);
  for (const { id, node } of c.world.hosts) {
    const members = node!.ringView.ring.members.map((each) => each.id);
    assert.deepEqual(members, ['n1', 'n2', 'n3', 'n4', 'n5'], id);
    assert.deepEqual(node!.ringView.ring.target, c.world.hosts[0]!.node!.ringView.ring.target, id);
  }
});

narrow('two spares for one dead node, named on both sides of a split: the loser hands over', () => {
  const c = cluster(6, 1, REAPING, 4);
  const [a, b, side, dead, , loser] = c.world.hosts as [Host, Host, Host, Host, Host, Host];
  c.world.crash(dead);
  const [left, right] = [
    [a, c.world.hosts[4]!],
    [b, side, loser],
  ];
  for (const one of left) {
    for (const other of right) {
      c.world.network.cut(one.address.slice(5), other.address.slice(5));
      c.world.network.cut(other.address.slice(5), one.address.slice(5));
    }
  }
  c.world.clock.advance(3000);
  const replace = (host: Host, by: string) =>
    host.node!.changeMembership({ type: 'replace', node: dead.id, by: nodeId(by) });
  assert.equal(replace(a, 'n5'), undefined);
  assert.equal(replace(side, 'n6'), undefined);
  c.world.clock.advance(30_000);
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
  for (const key of keys) {
    assert.equal(codeOf(c.put(5, 'v', { key: keyOfText(key), w: 1 }, 4000)), 'applied');
  }
  c.world.network.heal();
  c.world.clock.advance(120_000);
  const rest = [a, b, side, c.world.hosts[4]!];
  for (const { id, node } of rest) {
    assert.equal(node!.ringView.moving().length, 0, `${id} waits for a move`);
    assert.deepEqual(node!.ringView.ring.table, a.node!.ringView.ring.table, id);
  }
  for (const key of keys) assert.deepEqual(c.get(0, 3, key, 300).texts, ['v']);
  assert.ok(a.node!.ringView.hasLeft(loser.id), 'and says that it has left');
  assert.equal(loser.node!.state, 'left');
});

narrow('a record without its values is not taken from a peer', () => {
  const { world, put, get } = cluster();
  const [a, b] = world.hosts as [Host, Host];
  assert.equal(codeOf(put(0, 'v', { w: 3 })), 'applied');
  const record = encodeRecord(a.node!.recordOf(KEY)!, 'header');
  const write = { type: 'write', request: 1, durable: false, round: 0, record } as const;
  const other = keyOfText('other');
  a.node!.sendTo(b.id, { ...write, key: other });
  world.clock.advance(1000);
  assert.equal(b.node!.recordOf(other), undefined);
  assert.equal(get(1, 2, 'other').state, 'never-seen');
});

narrow.run();
