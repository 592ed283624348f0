/** Looks at rows as they lie on disk: they find what is wrong, and nothing that is only under way. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { keyOfText, partitionId } from '../../src/core/ids.ts';
import type { Key, PartitionId } from '../../src/core/ids.ts';
import { LEAVES } from '../../src/core/merkle.ts';
import type { Findings } from '../../src/node/store/audit.ts';
import { recordKey } from '../../src/node/store/stored.ts';
import type { StorageOp } from '../../src/ports/storage.ts';
import { PARTITIONS, PARTS, StoreBench, recordOf } from './store-bench.ts';

const audits = suite('an audit of rows');

const KEYS = Array.from({ length: 12 }, (_, i) => keyOfText(`key ${i}`));

/** Everything that looks of `rowsMax` rows find, partition by partition. */
const lookAtAll = ({ store }: StoreBench, rowsMax = 1000) => {
  const found = { rows: 0, damaged: [] as Key[], misplaced: 0, miscounted: 0 };
  const take = ({ rows, damaged, misplaced, miscounted }: Findings): void => {
    found.rows += rows;
    found.damaged.push(...damaged);
    found.misplaced += misplaced.length;
    found.miscounted += miscounted.length;
  };
  for (const partition of PARTS) {
    for (let leaf = 0; leaf < LEAVES;) {
      const look = store.audit.look(partition, leaf, rowsMax);
      assert.ok(look.next > leaf, 'every look gets on');
      take(look);
      leaf = look.next;
    }
  }
  return found;
};

const sound = (rows: number) => ({ rows, damaged: [], misplaced: 0, miscounted: 0 });

const filled = (): StoreBench => {
  const bench = new StoreBench();
  KEYS.forEach((key, i) => bench.put(key, recordOf(i + 1)));
  bench.commit();
  return bench;
};

const change = (bench: StoreBench, ...ops: readonly StorageOp[]): void => {
  bench.storage.commit(ops, () => undefined);
  bench.clock.advance(100);
};

const rowOf = (bench: StoreBench, key: Key) => {
  const { name, partition, leaf } = bench.store.open(key).place;
  return { name, partition, leaf, value: bench.storage.get('records', name)! };
};

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ key: fc.nat(11), n: fc.integer({ min: 1, max: 99 }) }) },
  { weight: 2, arbitrary: fc.record({ remove: fc.nat(11) }) },
  { weight: 3, arbitrary: fc.record({ waitMs: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.constant('commit' as const) },
);

audits('nothing is wrong while changes are buffered or their commit is under way', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (steps, max) => {
      const bench = new StoreBench();
      let underWay = false;
      for (const each of steps) {
        if (each === 'commit') {
          if (!underWay) bench.store.commit(() => (underWay = false));
          underWay = true;
        } else if ('waitMs' in each) bench.clock.advance(each.waitMs);
        else if ('remove' in each) bench.put(KEYS[each.remove]!, 'removed');
        else bench.put(KEYS[each.key]!, recordOf(each.n));
        const found = lookAtAll(bench, max);
        assert.deepEqual(found, sound(found.rows));
      }
      bench.clock.advance(100);
      bench.commit();
      const held = KEYS.filter((key) => bench.store.open(key).held !== 'nothing');
      assert.deepEqual(lookAtAll(bench, max), sound(held.length));
    }),
    { numRuns: 50 },
  );
});

audits('a flipped bit is told from the row, and the tree is not blamed for it', () => {
  const bench = filled();
  const [key] = KEYS as [Key];
  const { name, value } = rowOf(bench, key);
  value[value.length - 8]! ^= 1;
  change(bench, { type: 'put', table: 'records', key: name, value });
  assert.deepEqual(lookAtAll(bench), { ...sound(KEYS.length), damaged: [key] });
});

audits('a row that is gone is told from the tree, which can be put right', () => {
  const bench = filled();
  const [key] = KEYS as [Key];
  const { name, partition, leaf } = rowOf(bench, key);
  change(bench, { type: 'remove', table: 'records', key: name });
  const [found] = bench.store.audit.look(partition, 0, 1000).miscounted;
  assert.equal(found?.leaf, leaf);
  assert.deepEqual(lookAtAll(bench), { ...sound(KEYS.length - 1), miscounted: 1 });
  bench.store.audit.recount(partition, leaf, found.held);
  assert.deepEqual(lookAtAll(bench), sound(KEYS.length - 1));
  bench.put(KEYS[1]!, recordOf(50));
  bench.commit();
  assert.deepEqual(bench.roots(), bench.rebuiltRoots());
  const roots = bench.roots();
  bench.restart();
  assert.deepEqual(bench.roots(), roots, 'on disk, too');
});

audits('a row under a wrong name is nobody’s: in another place, partition, or beyond all', () => {
  const bench = filled();
  const [key] = KEYS as [Key];
  const { partition, value } = rowOf(bench, key);
  const other = partitionId((partition + 1) % PARTITIONS);
  const position = new Uint8Array(16).fill(0xff);
  const wrong = (at: PartitionId): Uint8Array => recordKey(at, position, key);
  const put = (name: Uint8Array): StorageOp => ({
    type: 'put',
    table: 'records',
    key: name,
    value,
  });
  change(bench, put(wrong(partition)), put(wrong(other)), put(new Uint8Array([0, other, 0])));
  change(bench, put(wrong(partitionId(PARTITIONS + 3))));
  for (const rowsMax of [1, 1000]) {
    assert.deepEqual(lookAtAll(bench, rowsMax), { ...sound(KEYS.length + 3), misplaced: 3 });
  }
  assert.equal(bench.store.audit.beyond(10).length, 1);
  for (const at of PARTS) {
    for (const name of bench.store.audit.look(at, 0, 1000).misplaced)
      bench.store.audit.remove(name);
  }
  for (const name of bench.store.audit.beyond(10)) bench.store.audit.remove(name);
  bench.clock.advance(100);
  assert.deepEqual(lookAtAll(bench), sound(KEYS.length));
  assert.equal(bench.store.audit.beyond(10).length, 0);
});

audits.run();
