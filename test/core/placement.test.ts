/** RULES B: the bounds over random histories, and how little moves. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { nodeId, startId } from '../../src/core/ids.ts';
import {
  creationEvent,
  foldHistory,
  mergeHistories,
  parseFounders,
} from '../../src/core/members.ts';
import type { History, MembershipEvent } from '../../src/core/members.ts';
import { placeHistory } from '../../src/core/placement.ts';
import type { OwnerTable } from '../../src/core/placement.ts';
import { planOf } from '../../src/core/quota.ts';
import { partitionOf } from '../../src/core/ring.ts';

const placement = suite('placement (RULES B)');

const founded = (count: number, zones: number, partitions = 64, weight = 1): History => [
  creationEvent({
    clusterName: 'c',
    n: 3,
    partitions,
    founders: Array.from({ length: count }, (_, i) => ({
      id: nodeId(`n${i}`),
      zone: `z${i % zones}`,
      weight,
    })),
  }),
];

const event = (history: History, body: object): MembershipEvent => ({
  lamport: history.length + 1,
  issuer: nodeId('n0'),
  sequence: history.length + 1,
  issuedAtMs: 0,
  ...(body as { type: 'leave'; node: ReturnType<typeof nodeId> }),
});

const join = (history: History, id: string, zone = 'z0', weight = 1): History => [
  ...history,
  event(history, { type: 'join', node: nodeId(id), zone, weight }),
];

const counts = (table: OwnerTable): Map<string, number> => {
  const held = new Map<string, number>();
  for (const node of table.flat()) held.set(node, (held.get(node) ?? 0) + 1);
  return held;
};

const moved = (before: OwnerTable, after: OwnerTable): number =>
  after.reduce((sum, owners, p) => sum + owners.filter((n) => !before[p]!.includes(n)).length, 0);

const changes = fc.array(
  fc.record({
    kind: fc.constantFrom('join', 'join', 'leave', 'remove', 'replace', 'weight', 'zone'),
    node: fc.nat(9),
    zone: fc.nat(3),
    weight: fc.integer({ min: 1, max: 3 }),
  }),
  { maxLength: 12 },
);

const historyOf = (
  founders: number,
  zones: number,
  list: readonly { kind: string; node: number; zone: number; weight: number }[],
): History => {
  let history = founded(founders, zones);
  for (const [i, { kind, node, zone, weight }] of list.entries()) {
    const id = nodeId(`n${node}`);
    const body = {
      join: { type: 'join', node: nodeId(`j${i}`), zone: `z${zone}`, weight },
      leave: { type: 'leave', node: id },
      remove: { type: 'remove', node: id },
      replace: { type: 'replace', node: id, by: nodeId(`r${i}`) },
      weight: { type: 'set-weight', node: id, weight },
      zone: { type: 'set-zone', node: id, zone: `z${zone}` },
    }[kind]!;
    const next = [...history, event(history, body)];
    // A cluster without members is no cluster.
    if (foldHistory(next)!.members.length > 0) history = next;
  }
  return history;
};

placement(
  'after any history: n distinct owners, at most c in a zone, each node within its quota',
  () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 4 }),
        changes,
        (s, z, list) => {
          const { membership, table } = placeHistory(historyOf(s, z, list))!;
          const { members, n, partitions } = membership;
          const plan = planOf(members, n, partitions);
          const zoneOf = new Map(members.map(({ id, zone }) => [id, zone]));
          const held = counts(table);
          assert.equal(table.length, partitions);
          for (const owners of table) {
            assert.equal(owners.length, Math.min(n, members.length));
            assert.equal(new Set(owners).size, owners.length, 'distinct');
            for (const zone of new Set(zoneOf.values())) {
              const inZone = owners.filter((owner) => zoneOf.get(owner) === zone).length;
              assert.ok(
                inZone <= plan.zoneCap,
                `${inZone} owners in ${zone}, at most ${plan.zoneCap}`,
              );
            }
          }
          for (const { id, seat } of members) {
            const { floor, ceil } = plan.quotas.get(seat)!;
            const count = held.get(id) ?? 0;
            assert.ok(
              count >= floor && count <= ceil,
              `${id} holds ${count}, not ${floor}-${ceil}`,
            );
          }
        },
      ),
      { numRuns: 300 },
    );
  },
);

placement('every rank is spread level within one over equal nodes', () => {
  for (const count of [3, 4, 5, 7]) {
    const { table } = placeHistory(founded(count, 1, 256))!;
    for (let rank = 0; rank < 3; rank++) {
      const first = counts(table.map((owners) => [owners[rank]!]));
      const sizes = [...first.values()];
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `rank ${rank} of ${count}: ${sizes}`);
    }
  }
});

placement('a join moves at most 1.05 times the least that must move', () => {
  let history = founded(3, 1, 256);
  let { table } = placeHistory(history)!;
  for (let i = 3; i < 12; i++) {
    history = join(history, `n${i}`);
    const after = placeHistory(history)!.table;
    const least = Math.floor((3 * 256) / (i + 1));
    const ratio = moved(table, after) / least;
    assert.ok(ratio <= 1.05, `the join of node ${i + 1} moved ${ratio} times the minimum`);
    table = after;
  }
});

placement('a replaced node hands its seat on: nothing else moves', () => {
  const history = founded(5, 1);
  const before = placeHistory(history)!.table;
  const by = event(history, { type: 'replace', node: nodeId('n2'), by: nodeId('new') });
  const after = placeHistory([...history, by])!.table;
  assert.deepEqual(
    after,
    before.map((owners) => owners.map((id) => (id === 'n2' ? 'new' : id))),
  );
});

placement('a seat passes to nobody who has one: not to another member, nor to its holder', () => {
  const history = founded(5, 1);
  const before = foldHistory(history)!;
  for (const by of ['n2', 'n3']) {
    const handOn = event(history, { type: 'replace', node: nodeId('n2'), by: nodeId(by) });
    assert.deepEqual(foldHistory([...history, handOn]), before);
  }
});

placement('a node of weight 2 holds twice the share', () => {
  const history = join(join(founded(4, 1, 256), 'big', 'z0', 2), 'n9');
  const held = counts(placeHistory(history)!.table);
  assert.ok(Math.abs(held.get('big')! / held.get('n0')! - 2) < 0.05, JSON.stringify([...held]));
});

placement('three zones hold one replica of each partition each', () => {
  const { table, membership } = placeHistory(founded(6, 3))!;
  const zoneOf = new Map(membership.members.map(({ id, zone }) => [id, zone]));
  for (const owners of table) assert.equal(new Set(owners.map((id) => zoneOf.get(id))).size, 3);
});

placement('a removed id never comes back, and an event invalid at its place is void', () => {
  const history = founded(3, 1);
  const gone = [...history, event(history, { type: 'remove', node: nodeId('n1') })];
  const back = join(gone, 'n1');
  assert.deepEqual(placeHistory(back)!.table, placeHistory(gone)!.table);
});

placement('only one that was removed, and has not left, can be gone, and only once', () => {
  const removalsAfter = (...ends: readonly ('leave' | 'remove' | 'gone' | 'left')[]) => {
    let history: readonly MembershipEvent[] = founded(3, 1);
    for (const type of ends) {
      const head = type === 'left' ? { issuer: nodeId('n1') } : {};
      history = [...history, { ...event(history, { type, node: nodeId('n1') }), ...head }];
    }
    return placeHistory(history)!.membership.removed.map(({ how }) => how);
  };
  assert.deepEqual(removalsAfter('gone'), []);
  assert.deepEqual(removalsAfter('leave', 'gone'), []);
  assert.deepEqual(removalsAfter('remove'), ['may-return']);
  assert.deepEqual(removalsAfter('remove', 'gone', 'gone'), ['gone']);
  assert.deepEqual(removalsAfter('remove', 'left', 'gone'), ['left']);
  assert.deepEqual(removalsAfter('remove', 'gone', 'left'), ['left']);
});

placement('the last member stays, whoever is told to go', () => {
  let history: readonly MembershipEvent[] = founded(3, 1);
  for (const [type, id] of [
    ['leave', 'n2'],
    ['remove', 'n1'],
    ['leave', 'n0'],
    ['remove', 'n0'],
  ] as const) {
    history = [...history, event(history, { type, node: nodeId(id) })];
  }
  const { membership, table } = placeHistory(history)!;
  assert.deepEqual(
    membership.members.map(({ id }) => id),
    ['n0'],
  );
  assert.ok(table.every((owners) => owners.join() === 'n0'));
});

placement('two histories merge to one order, whichever way round', () => {
  const base = founded(3, 1);
  const [a, b] = [join(base, 'x'), join(base, 'y')];
  const other = b.map((each) => (each.type === 'join' ? { ...each, issuer: nodeId('n2') } : each));
  assert.deepEqual(mergeHistories(a, other), mergeHistories(other, a));
  assert.equal(mergeHistories(a, a), a);
});

placement('two lives of one issuer named their events alike: one order wherever they meet', () => {
  const base = founded(3, 1);
  const inLife = (id: string, life: string): History =>
    join(base, id).map((each) =>
      each.type === 'join' ? { ...each, sequence: 1, life: startId(life.repeat(16)) } : each,
    );
  const [a, b] = [inLife('x', 'a'), inLife('y', 'b')];
  const both = mergeHistories(a, b);
  assert.equal(both.length, 3);
  assert.deepEqual(mergeHistories(b, a), both);
});

placement('a partition is the top bits of the position', () => {
  const position = new Uint8Array(16);
  assert.equal(partitionOf(position, 256), 0);
  position.fill(0xff);
  assert.equal(partitionOf(position, 256), 255);
  assert.equal(partitionOf(position, 65536), 65535);
  assert.equal(partitionOf(position, 1), 0);
  position[0] = 0x80;
  assert.equal(partitionOf(position, 2), 1);
});

placement('bootstrap lists are read, or refused with what was expected', () => {
  assert.deepEqual(parseFounders('a, b@r1*2'), [
    { id: 'a', zone: 'default', weight: 1 },
    { id: 'b', zone: 'r1', weight: 2 },
  ]);
  for (const bad of ['', 'a,a', 'a@', 'a*0', 'a*x', '.a', 'a b']) {
    assert.throws(() => parseFounders(bad), RangeError, bad);
  }
});

placement.run();
