/** Partitions change owners (RULES C): joins, leaves, removals, replacements, and what crosses them. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText, nodeId } from '../../src/core/ids.ts';
import type { MembershipChange } from '../../src/core/members.ts';
import { checkTrees, rootsAreEqual } from '../../src/sim/checks.ts';
import type { Host, World } from '../../src/sim/world.ts';
import { cluster, codeOf } from './cluster.ts';

const moves = suite('partitions move');

const KEYS = Array.from({ length: 60 }, (_, i) => `k${i}`);
const n4 = nodeId('n4');

const putAll = (c: ReturnType<typeof cluster>, text: string): void => {
  for (const key of KEYS) {
    const reply = c.put(0, `${text} of ${key}`, { key: keyOfText(key) }, 200);
    assert.equal(codeOf(reply), 'applied', JSON.stringify(reply));
  }
};

/** Returns once the change is in force where it was issued. */
const change = (c: ReturnType<typeof cluster>, at: number, what: MembershipChange): void => {
  assert.equal(c.world.hosts[at]!.node!.changeMembership(what), undefined);
  c.world.clock.advance(50);
};

/** Returns a moment after it is met: links are made and buffers written by then. */
const until = (world: World, what: string, met: () => boolean, msMax = 60_000): void => {
  for (let ms = 0; !met(); ms += 100) {
    assert.ok(ms < msMax, `waited in vain: ${what}`);
    world.clock.advance(100);
  }
  world.clock.advance(1000);
};

/** Every living node sees the same owners everywhere, and they are the target. */
const isSettled = (world: World): boolean => {
  const views = world.hosts.flatMap(({ node }) => (node === undefined ? [] : [node.ringView.ring]));
  return views.every(
    ({ table, target }) =>
      JSON.stringify(table) === JSON.stringify(views[0]!.table) &&
      table.every((owners, p) => [...owners].sort().join() === [...target[p]!].sort().join()),
  );
};

moves('a fourth node joins: partitions move to it, and every key is still read', () => {
  const c = cluster(4, 1, {}, 3);
  putAll(c, 'kept');
  assert.equal(c.world.hosts[3]!.node!.state, 'joining');
  const before = c.world.hosts[0]!.node!.ringView.ring.table;
  assert.equal(
    change(c, 1, {
      type: 'join',
      node: n4,
      zone: 'default',
      weight: 1,
    }),
    undefined,
  );
  until(c.world, 'the move ends', () => isSettled(c.world) && rootsAreEqual(c.world));
  const { table } = c.world.hosts[0]!.node!.ringView.ring;
  assert.ok(
    table.filter((owners) => owners.includes(n4)).length >= 5,
    'its fair share of 8 x 3 / 4',
  );
  assert.notDeepEqual(table, before);
  until(c.world, 'former owners empty', () =>
    c.world.hosts.every(({ node }) => node!.status().transfers.departing === 0),
  );
  checkTrees(c.world);
  for (const key of KEYS) assert.deepEqual(c.get(3, 2, key, 300).texts, [`kept of ${key}`]);
});

moves('writes during a join are on the new owners in the end', () => {
  const c = cluster(4, 2, {}, 3);
  putAll(c, 'old');
  change(c, 0, { type: 'join', node: n4, zone: 'default', weight: 1 });
  putAll(c, 'new');
  until(c.world, 'the move ends', () => isSettled(c.world) && rootsAreEqual(c.world));
  for (const key of KEYS) {
    assert.deepEqual(c.get(3, 3, key, 300).texts, [`new of ${key}`, `old of ${key}`]);
  }
});

moves('a node leaves: it stays owner until others hold its data, then holds nothing', () => {
  const c = cluster(4, 3);
  putAll(c, 'kept');
  change(c, 0, { type: 'leave', node: n4 });
  until(c.world, 'the move ends', () => isSettled(c.world));
  const leaver = c.world.hosts[3]!.node!;
  until(c.world, 'it is empty', () => leaver.status().transfers.departing === 0);
  assert.ok(leaver.ringView.ring.table.every((owners) => !owners.includes(n4)));
  c.world.crash(c.world.hosts[3]!);
  c.world.clock.advance(3000);
  for (const key of KEYS) assert.deepEqual(c.get(0, 3, key, 300).texts, [`kept of ${key}`]);
});

moves('a dead node is removed: the others take over, N copies of every key again', () => {
  const c = cluster(4, 4);
  putAll(c, 'kept');
  c.world.clock.advance(1000);
  c.world.crash(c.world.hosts[3]!);
  c.world.clock.advance(3000);
  change(c, 0, { type: 'remove', node: n4 });
  until(c.world, 'the move ends', () => isSettled(c.world) && rootsAreEqual(c.world));
  for (const key of KEYS) assert.deepEqual(c.get(1, 3, key, 300).texts, [`kept of ${key}`]);
});

moves('a wiped owner waits for who stepped in while it had its disk, known to it or not', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const c = cluster(4, seed);
    const [one, two, , wiped] = c.world.hosts as [Host, Host, Host, Host];
    const { network } = c.world;
    const between = (how: 'cut' | 'mend', host: Host, others: readonly Host[]): void => {
      for (const other of others) {
        network[how](host.name, other.name);
        network[how](other.name, host.name);
      }
    };
    const ownersOf = (key: string): string =>
      [...one.node!.ringView.ownersOf(keyOfText(key))].sort().join();
    const [key = assert.fail('a key of each partition')] = KEYS.filter(
      (each) => ownersOf(each) === 'n2,n3,n4',
    );
    c.world.crash(c.world.hosts[2]!);
    change(c, 0, { type: 'remove', node: nodeId('n3') });
    until(c.world, 'the move ends', () => ownersOf(key) === 'n1,n2,n4');
    between('cut', two, [one, wiped]);
    const strict = { key: keyOfText(key), w: 2, dw: 2, strict: true };
    assert.equal(codeOf(c.put(3, 'new', strict)), 'applied');
    c.world.crash(wiped);
    wiped.disk.wipe();
    between('cut', one, [wiped]);
    between('mend', two, [wiped]);
    c.world.start(wiped);
    const { partition } = wiped.node!.ringView.placeOf(keyOfText(key));
    for (let ms = 0; ms < 20_000; ms += 20) {
      c.world.clock.advance(20);
      assert.ok(wiped.node!.incomplete().includes(partition), `seed ${seed}, after ${ms} ms`);
    }
    between('mend', one, [two, wiped]);
    until(c.world, 'it is filled', () => !wiped.node!.incomplete().includes(partition));
    assert.deepEqual(c.get(3, 1, key).texts, ['new']);
  }
});

moves('a new machine replaces a dead one: only its partitions move', () => {
  const c = cluster(5, 5, {}, 4);
  putAll(c, 'kept');
  c.world.clock.advance(1000);
  const before = c.world.hosts[0]!.node!.ringView.ring.table;
  c.world.crash(c.world.hosts[3]!);
  c.world.clock.advance(3000);
  const by = nodeId('n5');
  change(c, 0, { type: 'replace', node: n4, by });
  until(c.world, 'the move ends', () => isSettled(c.world) && rootsAreEqual(c.world));
  const { table } = c.world.hosts[0]!.node!.ringView.ring;
  const renamed = before.map((owners) => owners.map((node) => (node === n4 ? by : node)).sort());
  assert.deepEqual(
    table.map((owners) => [...owners].sort()),
    renamed,
  );
  for (const key of KEYS) assert.deepEqual(c.get(4, 3, key, 300).texts, [`kept of ${key}`]);
});

moves('source and newcomer crash in the middle of a move, and it goes on', () => {
  const c = cluster(4, 6, { repairPaceMs: 1500 }, 3);
  putAll(c, 'kept');
  c.world.clock.advance(1000);
  change(c, 0, { type: 'join', node: n4, zone: 'default', weight: 1 });
  for (const at of [3, 0, 3, 1]) {
    c.world.clock.advance(700);
    c.world.crash(c.world.hosts[at]!, 'power-loss');
    c.world.clock.advance(500);
    c.world.start(c.world.hosts[at]!);
  }
  until(c.world, 'the move ends', () => isSettled(c.world) && rootsAreEqual(c.world));
  for (const key of KEYS) assert.deepEqual(c.get(3, 3, key, 300).texts, [`kept of ${key}`]);
});

moves('a strict put counts only replicas that see the same owners', () => {
  const c = cluster(4, 11, {}, 3);
  putAll(c, 'kept');
  const { network, hosts } = c.world;
  const host = (i: number): string => hosts[i]!.address.slice(5);
  const cutOff = (at: number): void => {
    for (const other of [0, 1, 2, 3]) {
      if (other !== at) (network.cut(host(at), host(other)), network.cut(host(other), host(at)));
    }
  };
  // n1 misses how the registers change, and then asks before it hears of it.
  cutOff(0);
  change(c, 1, { type: 'join', node: n4, zone: 'default', weight: 1 });
  c.world.clock.advance(20_000);
  const stale = hosts[0]!.node!.ringView.ring.table;
  const moved = KEYS.find((key) => {
    const owners = hosts[1]!.node!.ringView.ownersOf(keyOfText(key));
    return (
      !owners.includes(nodeId('n1')) &&
      hosts[0]!.node!.ringView.ownersOf(keyOfText(key)).length === 3
    );
  });
  assert.ok(moved !== undefined && stale.flat().every((node) => node !== n4));
  network.heal();
  const strict = { key: keyOfText(moved), strict: true, w: 2, dw: 2, timeoutMs: 400 };
  const answers = Array.from({ length: 60 }, (_, i) => c.put(0, `strict ${i}`, strict, 100));
  // Not one that found too few nodes reachable: one that asked, and whose acks did not count.
  const uncounted = answers.some(
    (reply) => reply.type === 'failed' && reply.details['outcome'] === 'unknown',
  );
  assert.ok(uncounted, 'while they disagree');
  assert.equal(codeOf(answers.at(-1)!), 'applied', 'once they agree');
});

// Seed 600000928.
moves('nor one that knows who is to come while its coordinator does not', () => {
  const c = cluster(4, 11);
  const { network, hosts } = c.world;
  const viewOf = (i: number) => hosts[i]!.node!.ringView;
  const cutOff = (at: number): void => {
    for (const other of [0, 1, 2, 3]) {
      const [a, b] = [hosts[at]!.address.slice(5), hosts[other]!.address.slice(5)];
      if (other !== at) (network.cut(a, b), network.cut(b, a));
    }
  };
  const key = KEYS.map(keyOfText).find((each) => {
    const owners = viewOf(0).ownersOf(each);
    return owners.includes(nodeId('n1')) && !owners.includes(n4);
  });
  assert.ok(key !== undefined);
  const { partition } = viewOf(0).placeOf(key);
  // The leaver has not heard that it is to go, its heir not that it is to come: registers stay.
  cutOff(0);
  cutOff(3);
  change(c, 1, { type: 'leave', node: nodeId('n1') });
  c.world.clock.advance(1000);
  const isBehind = (): boolean =>
    viewOf(0).ownersOf(key).includes(nodeId('n1')) &&
    viewOf(0).versionOf(partition) === viewOf(1).versionOf(partition) &&
    viewOf(0).ring.target[partition]!.includes(nodeId('n1')) &&
    viewOf(1).ring.target[partition]!.includes(n4);
  assert.ok(isBehind());
  network.heal();
  const strict = { key, strict: true, w: 2, dw: 2, timeoutMs: 90 };
  let uncounted = 0;
  for (let i = 0; i < 60; i++) {
    const reply = c.put(0, `strict ${i}`, strict, 100);
    if (!isBehind()) continue;
    assert.equal(reply.type, 'failed', JSON.stringify(reply));
    if (reply.details['outcome'] === 'unknown') uncounted += 1;
  }
  assert.ok(uncounted > 0, 'it asked, and was not counted');
  assert.ok(!isBehind());
  assert.equal(codeOf(c.put(1, 'at last', { ...strict, timeoutMs: 3000 })), 'applied');
});

// Seed 460001374.
moves('a node that was replaced in one half of the cluster only serves again', () => {
  const c = cluster(4, 12, {}, 3);
  putAll(c, 'kept');
  const [first, , third] = c.world.hosts as [Host, Host, Host];
  for (const other of c.world.hosts.slice(1)) {
    c.world.network.cut(first.name, other.name);
    c.world.network.cut(other.name, first.name);
  }
  change(c, 1, { type: 'replace', node: third.id, by: n4 });
  c.world.clock.advance(5000);
  assert.equal(third.node!.state, 'removed');
  // The earlier one by name: nobody takes a seat who is a member already.
  change(c, 0, { type: 'join', node: n4, zone: 'default', weight: 1 });
  c.world.network.heal();
  until(c.world, 'they agree', () => first.node!.ringView.nodes().length === 4);
  until(c.world, 'the move ends', () => isSettled(c.world) && rootsAreEqual(c.world));
  assert.equal(third.node!.state, 'serving');
  for (const key of KEYS) assert.deepEqual(c.get(2, 3, key, 300).texts, [`kept of ${key}`]);
});

moves('paused moves stand still, requests do not, and they go on when resumed', () => {
  const c = cluster(4, 9, {}, 3);
  putAll(c, 'kept');
  const everywhere = (command: string): void => {
    for (const at of c.world.hosts.keys()) {
      c.ask(at, { type: 'admin', command, args: {}, timeoutMs: 1000 }, 50);
    }
  };
  everywhere('transfers.pause');
  change(c, 0, { type: 'join', node: n4, zone: 'default', weight: 1 });
  c.world.clock.advance(20_000);
  const { table } = c.world.hosts[1]!.node!.ringView.ring;
  assert.ok(table.every((owners) => !owners.includes(n4)));
  assert.equal(codeOf(c.put(2, 'meanwhile', { key: keyOfText('k0') }, 300)), 'applied');
  everywhere('transfers.resume');
  until(c.world, 'the move ends', () => isSettled(c.world) && rootsAreEqual(c.world));
});

/** A node cut off takes a write nobody else has, is removed, and comes back after `awayMs`. */
const returning = (awayMs: number): ReturnType<typeof cluster> => {
  const c = cluster(4, 10, { removedReturnMs: 30_000 });
  putAll(c, 'kept');
  const { network, hosts } = c.world;
  const host = (i: number): string => hosts[i]!.address.slice(5);
  for (const other of [0, 1, 2]) {
    network.cut(host(3), host(other));
    network.cut(host(other), host(3));
  }
  c.world.clock.advance(5000);
  assert.equal(
    codeOf(c.put(3, 'only here', { key: keyOfText('lone'), w: 1, dw: 1 }, 300)),
    'applied',
  );
  change(c, 0, { type: 'remove', node: n4 });
  c.world.clock.advance(awayMs);
  network.heal();
  c.world.clock.advance(30_000);
  return c;
};

moves(
  'a removed node that returns in time hands over what only it holds, and serves nothing',
  () => {
    const c = returning(5000);
    assert.deepEqual(c.get(0, 3, 'lone', 300).texts, ['only here']);
    assert.equal(c.world.hosts[3]!.node!.state, 'left', 'it has nothing more to give');
    assert.ok(c.world.hosts[0]!.node!.ringView.hasLeft(n4), 'nobody waits for it any more');
    assert.equal(
      codeOf(c.ask(3, { type: 'get', key: keyOfText('k0'), strict: false, timeoutMs: 500 }, 600)),
      'GOING_AWAY',
    );
  },
);

moves(
  'after the time to return what it brings is refused: deletes may be forgotten by then',
  () => {
    const c = returning(40_000);
    assert.deepEqual(c.get(0, 3, 'lone', 300).texts, []);
    assert.equal(c.world.hosts[3]!.node, undefined, 'it was told, and has ended');
  },
);

moves('two operators change membership on both sides of a split: one ring in the end', () => {
  const c = cluster(6, 7, {}, 4);
  putAll(c, 'kept');
  const { network, hosts } = c.world;
  const host = (i: number): string => hosts[i]!.address.slice(5);
  for (const a of [0, 1, 4]) {
    for (const b of [2, 3, 5]) {
      network.cut(host(a), host(b));
      network.cut(host(b), host(a));
    }
  }
  c.world.clock.advance(3000);
  const five = nodeId('n5');
  const six = nodeId('n6');
  change(c, 0, { type: 'join', node: five, zone: 'default', weight: 1 });
  change(c, 2, { type: 'join', node: six, zone: 'default', weight: 1 });
  c.world.clock.advance(8000);
  network.heal();
  until(c.world, 'the move ends', () => isSettled(c.world) && rootsAreEqual(c.world), 120_000);
  for (const key of KEYS) assert.deepEqual(c.get(5, 3, key, 300).texts, [`kept of ${key}`]);
});

moves('two changes asked for at one node in one breath are both in force', () => {
  const c = cluster(5, 8);
  const [asked] = c.world.hosts;
  assert.equal(asked!.node!.changeMembership({ type: 'leave', node: n4 }), undefined);
  assert.equal(asked!.node!.changeMembership({ type: 'leave', node: nodeId('n5') }), undefined);
  assert.ok(asked!.node!.changeMembership({ type: 'leave', node: n4 }) !== undefined, 'once only');
  until(c.world, 'both have left', () =>
    c.world.hosts.every(({ node }) => node!.ringView.ring.members.length === 3),
  );
});

moves.run();
