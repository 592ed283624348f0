/** The write log through crashes and power cuts: what was answered is there, in the order it came. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { withWriteLog } from '../../src/node/store/write-log.ts';
import { LOG_TABLE, STORAGE_TABLES } from '../../src/ports/storage.ts';
import type { Storage, StorageEntry, StorageOp, StorageTable } from '../../src/ports/storage.ts';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';

const logs = suite('the write log');

const LIMITS = {
  ...{ heldRows: 10, heldBytes: 2000, logRows: 16, sliceRows: 3 },
  ...{ rowBytesMax: 100, hotRowBytesMax: 200 },
};
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const shown = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** All that a storage shows, by table and key. */
const stateOf = (storage: Storage): string[] =>
  STORAGE_TABLES.flatMap((table) =>
    storage
      .range(table, { limit: 10_000 })
      .map(({ key, value }) => `${table} ${shown(key)}=${shown(value)}`),
  );

const op = fc
  .tuple(fc.constantFrom('records', 'merkle'), fc.nat(30), fc.option(fc.nat(999)), fc.nat(20))
  .map(([table, key, value, size]): StorageOp => {
    const place = { table: table as StorageTable, key: text(`k${key}`) };
    if (value === null) return { type: 'remove', ...place };
    return { type: 'put', ...place, value: text(`${value}`.padStart(size === 0 ? 150 : 3, '.')) };
  });
const commits = fc.array(fc.array(op, { maxLength: 6 }), { maxLength: 40 });
const lives = fc.array(
  fc.record({ commits, end: fc.constantFrom('kill', 'power-loss', 'close') }),
  {
    maxLength: 4,
  },
);

logs('keeps every answered commit through any number of lives, and none in part', () => {
  fc.assert(
    fc.property(lives, fc.nat(), (story, seed) => {
      const world = new WorldClock();
      const disk = new SimDisk();
      const random = randomStream(seed, 'write log');
      /** The states that the next life may find: after each commit not answered, and the last answered. */
      let possible: string[][] = [[]];
      for (const { commits: made, end } of [...story, { commits: [], end: 'close' }]) {
        const clock = new LifeClock(world);
        const log = withWriteLog(disk.open(clock, random), nodeDigest, LIMITS);
        const found = stateOf(log);
        assert.ok(
          possible.some((state) => JSON.stringify(state) === JSON.stringify(found)),
          `${JSON.stringify(found)} is none of ${JSON.stringify(possible)}`,
        );
        const model = new Map(found.map((row) => row.split('=') as [string, string]));
        const shownOf = (): string[] =>
          [...model]
            .sort(([a], [b]) => inOrderOfTables(a, b))
            .map(([name, value]) => `${name}=${value}`);
        const states = [shownOf()];
        let answered = 0;
        made.forEach((ops, i) => {
          for (const each of ops) {
            const name = `${each.table} ${shown(each.key)}`;
            if (each.type === 'put') model.set(name, shown(each.value));
            else model.delete(name);
          }
          states.push(shownOf());
          log.commit(ops, ({ type }) => {
            assert.equal(type, 'durable');
            answered += 1;
            assert.deepEqual(stateOf(log), states[answered], 'visible is durable');
          });
          // What is found damaged on disk, or said to be, is mended beside whatever is under way.
          if (i % 5 === 4) log.checkLog!(2, () => random.integer(3) > 0);
          assert.deepEqual(stateOf(log), states[answered], 'mended or not');
          // Some are answered before the next comes, some are not.
          if (i % 3 !== 0) world.advance(random.integer(4));
        });
        if (end === 'close') {
          world.advance(1000);
          assert.equal(answered, made.length);
        }
        possible = states.slice(answered);
        clock.end();
        if (end === 'power-loss') disk.powerLoss();
        else disk.crash(random);
      }
    }),
    { numRuns: 300 },
  );
});

const inOrderOfTables = (a: string, b: string): number => {
  const rank = (row: string): number => STORAGE_TABLES.findIndex((table) => row.startsWith(table));
  return rank(a) - rank(b) || (a < b ? -1 : 1);
};

/** What the log and the table have come to after many commits of one record each. */
const afterMany = (valueBytes: number): { readonly longest: number; readonly placed: number } => {
  const world = new WorldClock();
  const disk = new SimDisk();
  const base = disk.open(new LifeClock(world), randomStream(1, 'disk'));
  const log = withWriteLog(base, nodeDigest, LIMITS);
  let longest = 0;
  for (let i = 0; i < 500; i++) {
    const key = text(`k${i % 40}`);
    const value = text(`${i}`.padStart(valueBytes, '.'));
    log.commit([{ type: 'put', table: 'records', key, value }], () => undefined);
    world.advance(10);
    longest = Math.max(longest, base.range(LOG_TABLE, { limit: 1000 }).length);
  }
  return { longest, placed: base.range('records', { limit: 1000 }).length };
};

logs('what is held comes in the order of its keys, however short they are or alike', () => {
  const byte = fc.constantFrom(0, 1, 0x7f, 0x80, 0xff);
  const key = fc.array(byte, { minLength: 1, maxLength: 9 }).map((bytes) => new Uint8Array(bytes));
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 40 }), (keys) => {
      const world = new WorldClock();
      const base = new SimDisk().open(new LifeClock(world), randomStream(1, 'disk'));
      const log = withWriteLog(base, nodeDigest);
      const ops = keys.map((key): StorageOp => ({
        ...{ type: 'put', table: 'records', key, value: text('v') },
      }));
      log.commit(ops, () => undefined);
      world.advance(10);
      assert.equal(base.range('records', { limit: 100 }).length, 0, 'held, not in their places');
      const names = (list: readonly Uint8Array[]): string[] =>
        list.map((each) => Buffer.from(each).toString('hex'));
      assert.deepEqual(
        names(log.range('records', { limit: 100 }).map((entry) => entry.key)),
        [...new Set(names(keys))].sort(),
      );
    }),
  );
});

logs('a log does not grow beyond what is held and what came since', () => {
  const { longest, placed } = afterMany(3);
  assert.ok(longest < 40, `${longest} log rows`);
  assert.ok(placed > 20, 'rows reach their places');
});

logs('nor where every record goes to its place at once', () => {
  const { longest, placed } = afterMany(LIMITS.hotRowBytesMax + 1);
  assert.ok(longest < 40, `${longest} log rows`);
  assert.equal(placed, 40);
});

logs('of a large record that is written again and again only the last goes to its place', () => {
  const world = new WorldClock();
  const base = new SimDisk().open(new LifeClock(world), randomStream(1, 'disk'));
  const log = withWriteLog(base, nodeDigest, LIMITS);
  const key = text('hot');
  const put = (what: string, bytes: number): string => {
    const value = text(what.padStart(bytes, '.'));
    log.commit([{ type: 'put', table: 'records', key, value }], () => undefined);
    world.advance(10);
    assert.deepEqual(log.get('records', key), value, 'whoever reads sees the last one');
    return shown(base.get('records', key)!).replace(/^[.]+/, '');
  };
  assert.equal(put('1', 150), '1', 'at first it goes to its place at once');
  assert.equal(put('2', 150), '1');
  assert.equal(put('3', 150), '1');
  assert.equal(put('4', LIMITS.hotRowBytesMax + 1), '4', 'it has become too large for the log');
  assert.equal(put('5', 150), '4');
  for (let other = 0; other < LIMITS.heldRows; other++) {
    const ops = [
      { type: 'put', table: 'records', key: text(`k${other}`), value: text('v') },
    ] as const;
    log.commit(ops, () => undefined);
    world.advance(10);
  }
  for (let i = 0; i < 10; i++) log.commit([], () => world.advance(10));
  assert.equal(put('6', 150), '5', 'a pass has placed what was held');
});

logs('a check of the log ends, however much comes meanwhile', () => {
  const world = new WorldClock();
  const base = new SimDisk().open(new LifeClock(world), randomStream(1, 'disk'));
  const log = withWriteLog(base, nodeDigest);
  let commits = 0;
  const commit = (): void => {
    const key = text(`k${(commits += 1)}`);
    log.commit([{ type: 'put', table: 'records', key, value: text('v') }], () => undefined);
    world.advance(10);
  };
  for (let i = 0; i < 6; i++) commit();
  let rows = 0;
  for (let looks = 1; ; looks++) {
    const { rows: looked, damaged, done } = log.checkLog!(2, () => true);
    rows += looked;
    assert.equal(damaged, 0);
    if (done) break;
    assert.ok(looks < 6, 'it ends with what was there when it began');
    for (let i = 0; i < 3; i++) commit();
  }
  assert.equal(rows, 6);
  assert.equal(log.checkLog!(100, () => true).rows, commits, 'the next one looks at all');
});

logs('a flipped byte of a value costs that value; a flipped frame is refused', () => {
  const reopened = (flippedAt: number): Storage => {
    const world = new WorldClock();
    const disk = new SimDisk();
    const storage = disk.open(new LifeClock(world), randomStream(1, 'disk'));
    const log = withWriteLog(storage, nodeDigest, LIMITS);
    const put = (key: string, value: string): StorageOp => ({
      ...{ type: 'put', table: 'records', key: text(key), value: text(value) },
    });
    log.commit([put('a', 'first'), put('b', 'second')], () => undefined);
    world.advance(10);
    const [{ key, value }] = storage.range(LOG_TABLE, { limit: 1 }) as [StorageEntry];
    value[flippedAt < 0 ? value.length + flippedAt : flippedAt]! ^= 1;
    storage.commit([{ type: 'put', table: LOG_TABLE, key, value }], () => undefined);
    world.advance(10);
    return withWriteLog(disk.open(new LifeClock(world), randomStream(2, 'disk')), nodeDigest);
  };
  assert.deepEqual(stateOf(reopened(-1)), ['records a=first', 'records b=secone']);
  for (let at = 0; at < 12; at++) assert.throws(() => reopened(at), RangeError, `byte ${at}`);
});

logs('what an earlier version wrote without a log is there, and is written over', () => {
  const world = new WorldClock();
  const bare = new SimDisk().open(new LifeClock(world), randomStream(1, 'disk'));
  const put = (storage: Storage, key: string, value: string): void => {
    const op = { type: 'put', table: 'records', key: text(key), value: text(value) } as const;
    storage.commit([op], () => undefined);
    world.advance(10);
  };
  for (const key of ['a', 'b', 'c']) put(bare, key, 'early');
  const log = withWriteLog(bare, nodeDigest, LIMITS);
  put(log, 'b', 'late');
  assert.deepEqual(stateOf(log), ['records a=early', 'records b=late', 'records c=early']);
});

logs.run();
