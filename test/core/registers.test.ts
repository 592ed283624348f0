import assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { nodeId, partitionId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/ids.ts';
import {
  bump,
  currentOwners,
  dropLeavers,
  isNewer,
  mergeRegisters,
  newcomersOf,
  nextOwners,
} from '../../src/core/registers.ts';
import type { Register, Registers } from '../../src/core/registers.ts';

const registers = suite('registers (RULES C)');

const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map(nodeId) as [NodeId, ...NodeId[]] as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];
const nobodyRemoved = { isRemoved: () => false, zoneOf: () => 'z' };
const some = fc.uniqueArray(fc.constantFrom(a, b, c, d, e), { minLength: 1, maxLength: 4 });
const register: fc.Arbitrary<Register> = fc.record({
  version: fc.integer({ min: 1, max: 4 }),
  owners: some.map((owners) => [...owners].sort()),
});
const table: fc.Arbitrary<Registers> = fc
  .array(fc.tuple(fc.nat(3), register), { maxLength: 4 })
  .map((entries) => new Map(entries.map(([p, r]) => [partitionId(p), r])));

registers(
  'merging is commutative, associative and idempotent: gossip in any order ends the same',
  () => {
    const plain = (r: Registers) => JSON.stringify([...r].sort(([x], [y]) => x - y));
    fc.assert(
      fc.property(table, table, table, (x, y, z) => {
        assert.equal(plain(mergeRegisters(x, y)), plain(mergeRegisters(y, x)));
        assert.equal(
          plain(mergeRegisters(mergeRegisters(x, y), z)),
          plain(mergeRegisters(x, mergeRegisters(y, z))),
        );
        assert.equal(mergeRegisters(x, x), x);
      }),
    );
  },
);

registers(
  'a bump lets one newcomer in and at most one leaver out, until all of the target are in',
  () => {
    fc.assert(
      fc.property(some, some, (owners, target) => {
        let current: Register = { version: 0, owners };
        for (let step = 0; ; step++) {
          const [newcomer] = newcomersOf(current.owners, target);
          if (newcomer === undefined) break;
          const next = bump(current, newcomer, target, nobodyRemoved);
          assert.ok(isNewer(next, current));
          assert.ok(next.owners.includes(newcomer));
          const gone = current.owners.filter((owner) => !next.owners.includes(owner));
          assert.ok(gone.length <= 1 && gone.every((owner) => !target.includes(owner)));
          assert.ok(next.owners.length >= Math.min(current.owners.length, target.length));
          assert.equal(new Set(next.owners).size, next.owners.length);
          assert.ok(step < 10);
          current = next;
        }
        const last = dropLeavers(current, target);
        assert.deepEqual([...last.owners].sort(), [...target].sort());
      }),
    );
  },
);

registers('whom a bump lets go: a removed owner first, then one of its zone, then by id', () => {
  const zones = new Map([
    [a, 'x'],
    [b, 'y'],
    [d, 'y'],
  ]);
  const zoneOf = (node: NodeId) => zones.get(node);
  const register = { version: 4, owners: [a, b, c] };
  const target = [c, d, e];
  const free = bump(register, d, target, { isRemoved: () => false, zoneOf });
  assert.deepEqual(free, { version: 5, owners: [a, c, d] });
  const dead = bump(register, d, target, { isRemoved: (node) => node === a, zoneOf });
  assert.deepEqual(dead.owners, [b, c, d]);
  const stranger = bump(register, e, target, { isRemoved: () => false, zoneOf });
  assert.deepEqual(stranger.owners, [b, c, e]);
});

registers(
  'the next owners: the first newcomer by rank in, its leaver out; then without leavers',
  () => {
    const standing = { isRemoved: () => false, zoneOf: () => undefined };
    const after = (owners: readonly NodeId[], target: readonly NodeId[]) =>
      nextOwners({ version: 1, owners }, target, standing);
    assert.deepEqual(after([a, b, c], [e, a, d]), [a, c, e]);
    assert.deepEqual(after([a, c, e], [e, a, d]), [a, d, e]);
    assert.deepEqual(after([a, b], [d, a, b]), [a, b, d], 'there were too few');
    assert.deepEqual(after([a, b, c], [c, a]), [a, c], 'there are too many');
    assert.deepEqual(after([a, b, c], [c, b, a]), [a, b, c]);
  },
);

registers('current owners: registers over the founding, in the rank order of the target', () => {
  const founding = [
    [a, b, c],
    [a, b, c],
  ];
  const target = [
    [c, d, a],
    [b, a, d],
  ];
  const moved: Registers = new Map([[partitionId(1), { version: 1, owners: [a, b, d] }]]);
  assert.deepEqual(currentOwners(founding, moved, target), [
    [c, a, b],
    [b, a, d],
  ]);
});

registers.run();
