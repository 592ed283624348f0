/**
 * Strict writes while partitions move (RULES C2, C3, C7): who was cut off from one must not step in
 * as an owner that has it. A read may be refused in these stories; a stale answer is what they look for.
 */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText, nodeId } from '../../src/core/ids.ts';
import type { PartitionId } from '../../src/core/ids.ts';
import type { MembershipChange } from '../../src/core/members.ts';
import type { Node } from '../../src/node/node.ts';
import { cluster, codeOf } from './cluster.ts';

const strict = suite('strict writes while partitions move');

const KEYS = Array.from({ length: 200 }, (_, i) => `k${i}`);

/** Nodes by their numbers, from 1. */
const worldOf = (hosts: number, seed: number, founders: number) => {
  const c = cluster(hosts, seed, {}, founders);
  const { network, clock } = c.world;
  const host = (i: number) => c.world.hosts[i - 1]!;
  const node = (i: number): Node => host(i).node!;
  const link = (how: 'cut' | 'mend', a: number, ...others: readonly number[]): void => {
    for (const b of others) {
      network[how](host(a).name, host(b).name);
      network[how](host(b).name, host(a).name);
    }
  };
  const change = (at: number, what: MembershipChange): void => {
    assert.equal(node(at).changeMembership(what), undefined);
    clock.advance(200);
  };
  const targetOf = (at: number, partition: PartitionId): readonly number[] =>
    node(at)
      .ringView.ring.target[partition]!.map((id) => Number(id.slice(1)))
      .sort();
  /** A key of each partition, with an old value everywhere. */
  const keys = new Map(
    KEYS.map((key) => [node(1).ringView.placeOf(keyOfText(key)).partition, keyOfText(key)]),
  );
  for (const key of keys.values()) assert.equal(codeOf(c.put(0, 'old', { key }, 50)), 'applied');
  clock.advance(2000);
  const put = (at: number, partition: PartitionId): boolean => {
    const written = { key: keys.get(partition)!, w: 2, dw: 2, strict: true };
    return codeOf(c.put(at - 1, 'new', written, 1500)) === 'applied';
  };
  /** What a strict read says: the value, or why not. */
  const get = (at: number, partition: PartitionId): string => {
    const read = { key: keys.get(partition)!, r: 2, strict: true, timeoutMs: 1000 };
    const reply = c.ask(at - 1, { type: 'get', ...read }, 1500);
    if (reply?.type !== 'value') return codeOf(reply);
    return reply.values.map((value) => new TextDecoder().decode(value)).join();
  };
  /** Its operator asks for it, on each of them. */
  const pauseMoves = (...nodes: readonly number[]): void => {
    const asked = { type: 'admin', command: 'transfers.pause', args: {}, timeoutMs: 1000 } as const;
    for (const i of nodes) c.ask(i - 1, asked, 5);
  };
  return {
    world: c.world,
    pauseMoves,
    clock,
    host,
    node,
    link,
    change,
    targetOf,
    partitions: keys,
    put,
    get,
  };
};

/**
 * Five nodes of which n4 and n5 are to step in for two of n1, n2 and n3; they hear of it alone. Then a
 * partition where both do, and the other owners by letters: `a` stays, `b` goes before `c`.
 */
const twoNewcomers = () => {
  const w = worldOf(5, 1, 3);
  w.link('cut', 4, 5, 1, 2, 3);
  w.link('cut', 5, 1, 2, 3, 4);
  for (const node of ['n4', 'n5']) w.change(1, joinOf(node));
  w.clock.advance(3000);
  const [partition] = [...w.partitions.keys()].filter((each) =>
    [4, 5].every((newcomer) => w.targetOf(1, each).includes(newcomer)),
  );
  const [a] = w.targetOf(1, partition!);
  const [b, c] = [1, 2, 3].filter((owner) => owner !== a);
  return { ...w, partition: partition!, a: a!, b: b!, c: c! };
};

const joinOf = (node: string) =>
  ({ type: 'join', node: nodeId(node), zone: 'default', weight: 1 }) as const;
const join = joinOf('n4');

strict('what a newcomer looked through for one target counts for no other', () => {
  for (const seed of [1, 2, 3]) {
    const w = worldOf(4, seed, 3);
    w.link('cut', 4, 2, 3);
    w.change(1, join);
    w.clock.advance(8000);
    // n4 has looked n1 through; n1 and n2 are alone with what comes now.
    w.link('cut', 4, 1);
    w.link('cut', 3, 1, 2);
    w.clock.advance(1000);
    const moving = [...w.partitions.keys()].filter((p) => w.targetOf(1, p).join() === '1,2,4');
    const written = moving.filter((partition) => w.put(2, partition));
    assert.ok(written.length > 0);
    w.world.crash(w.host(2));
    w.link('mend', 4, 3);
    w.change(3, { type: 'remove', node: nodeId('n2') });
    w.clock.advance(20_000);
    for (const partition of written) {
      for (const at of [3, 4]) assert.ok(w.get(at, partition) !== 'old', `seed ${seed}, n${at}`);
    }
    w.link('mend', 1, 3, 4);
    w.clock.advance(30_000);
    for (const partition of written) assert.match(w.get(4, partition), /new/);
  }
});

strict('nor for the same target, if that was another one in between', () => {
  const w = worldOf(5, 1, 3);
  w.link('cut', 4, 1, 2, 3, 5);
  w.link('cut', 5, 3);
  w.change(1, { ...join, weight: 3 });
  w.clock.advance(5000);
  const before = new Map([...w.partitions.keys()].map((p) => [p, w.targetOf(1, p)]));
  w.link('mend', 4, 1);
  w.clock.advance(8000);
  w.link('cut', 4, 1);
  w.clock.advance(500);
  w.change(1, { type: 'set-weight', node: nodeId('n4'), weight: 1 });
  w.clock.advance(5000);
  const [partition, target = assert.fail('a partition that n4 loses')] =
    [...before].find(
      ([p, nodes]) => nodes.includes(4) && nodes.includes(1) && !w.targetOf(1, p).includes(4),
    ) ?? assert.fail('a partition that n4 loses');
  const stays = target.find((i) => i !== 1 && i !== 4)!;
  const leaves = 5 - stays;
  w.link('cut', stays, 1, leaves);
  w.clock.advance(300);
  assert.ok(w.put(1, partition));
  w.change(1, { type: 'set-weight', node: nodeId('n4'), weight: 3 });
  assert.deepEqual(w.targetOf(1, partition), target);
  w.clock.advance(3000);
  // n5 carries the news to who stays, and n4 hears of both changes there at once.
  w.link('cut', 5, 1, 2);
  w.link('mend', 5, stays);
  for (let ms = 0; w.targetOf(stays, partition).join() !== target.join(); ms += 5) {
    assert.ok(ms < 30_000, 'the news in time');
    w.clock.advance(5);
  }
  w.link('mend', 4, stays, 5);
  w.clock.advance(15_000);
  for (const at of [stays, 4]) assert.ok(w.get(at, partition) !== 'old', `n${at}`);
  w.link('mend', 1, 2, 3, 4, 5);
  w.clock.advance(30_000);
  assert.match(w.get(4, partition), /new/);
});

strict(
  'an owner without its disk asks who stepped in, though who is left knows nothing of it',
  () => {
    const w = worldOf(5, 1, 4);
    const own = (at: number, partition: PartitionId): string =>
      [...w.node(at).ringView.ring.table[partition]!].sort().join();
    const moving = [...w.partitions.keys()].filter((p) => own(1, p) === 'n2,n3,n4');
    w.link('cut', 5, 1, 4);
    w.world.crash(w.host(3));
    w.clock.advance(1000);
    w.link('cut', 1, 4);
    w.change(2, { type: 'remove', node: nodeId('n3') });
    // n1 looks n2 through, which then hears nothing more: not that n1 has stepped in.
    w.clock.advance(8000);
    w.link('cut', 2, 1, 4);
    w.link('mend', 1, 4);
    const isIn = (p: PartitionId) => own(1, p) === 'n1,n2,n4' && own(4, p) === 'n1,n2,n4';
    for (let ms = 0; !moving.every(isIn); ms += 5) {
      assert.ok(ms < 60_000, 'n1 steps in');
      w.clock.advance(5);
    }
    w.clock.advance(200);
    const written = moving.filter((partition) => w.put(4, partition));
    assert.ok(written.length > 0);
    w.clock.advance(3000);
    w.world.crash(w.host(4));
    w.host(4).disk.wipe();
    w.link('cut', 1, 2, 4, 5);
    w.link('mend', 4, 2, 5);
    w.link('mend', 2, 5);
    w.clock.advance(500);
    w.world.start(w.host(4));
    w.clock.advance(40_000);
    for (const partition of written) {
      assert.equal(own(2, partition), 'n2,n3,n4');
      for (const at of [2, 4, 5]) assert.ok(w.get(at, partition) !== 'old', `n${at}`);
    }
    w.link('mend', 1, 2, 4, 5);
    w.clock.advance(40_000);
    for (const partition of written) assert.match(w.get(4, partition), /new/);
  },
);

strict('an owner without its disk is refilled while moves are paused', () => {
  const w = worldOf(4, 1, 3);
  w.pauseMoves(1, 2, 3, 4);
  w.change(1, join);
  w.clock.advance(3000);
  w.world.crash(w.host(2));
  w.host(2).disk.wipe();
  w.world.start(w.host(2));
  w.clock.advance(5);
  w.pauseMoves(2);
  w.clock.advance(30_000);
  assert.deepEqual(w.node(2).incomplete(), []);
  assert.ok(w.node(2).ringView.moving().length > 0, 'and nothing else moves');
});

strict('two newcomers step in one after the other, and a write waits for who is the next', () => {
  const w = twoNewcomers();
  const { partition, a, b, c } = w;
  const [first, second] = w
    .node(1)
    .ringView.newcomersOf(partition)
    .map((id) => Number(id.slice(1)));
  w.link('mend', second!, b);
  w.link('mend', first!, a);
  w.clock.advance(8000);
  // The second has looked b through; what comes now c and the second do not hear of.
  w.link('cut', second!, b);
  w.link('cut', c, a, b);
  w.clock.advance(1500);
  assert.ok(w.put(a, partition), 'a, b and the first newcomer have it');
  w.link('mend', second!, c);
  w.clock.advance(20_000);
  assert.equal(w.node(second!).ringView.versionOf(partition), 0, 'it is not its turn');
  for (const at of [c, second!]) assert.notEqual(w.get(at, partition), 'old', `n${at}`);
  for (let i = 1; i <= 5; i++) w.link('mend', i, ...[1, 2, 3, 4, 5].filter((j) => j !== i));
  w.clock.advance(60_000);
  assert.deepEqual(
    [...w.node(1).ringView.ring.table[partition]!].sort(),
    [a, 4, 5].map((i) => nodeId(`n${i}`)),
    'in the end both own it',
  );
  for (let at = 1; at <= 5; at++) assert.match(w.get(at, partition), /new/);
});

strict('nor do they step in at once on two sides of a cut', () => {
  const w = twoNewcomers();
  const { partition, a, b, c } = w;
  w.link('mend', 4, b);
  w.link('mend', 5, c);
  w.clock.advance(8000);
  w.link('cut', 4, b);
  w.link('cut', a, b, c);
  w.clock.advance(500);
  w.link('mend', 4, a);
  w.link('mend', 5, b);
  w.clock.advance(8000);
  const inForce = [4, 5].map((at) => w.node(at).ringView.versionOf(partition));
  assert.deepEqual(
    inForce.sort(),
    [0, 1],
    'of two registers of one version only one could be in force',
  );
  assert.ok(w.put(a, partition));
  for (let i = 1; i <= 5; i++) w.link('mend', i, ...[1, 2, 3, 4, 5].filter((j) => j !== i));
  w.clock.advance(60_000);
  for (let at = 1; at <= 5; at++) assert.match(w.get(at, partition), /new/);
});

strict.run();
