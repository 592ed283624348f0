/** LMDB and the simulated disk keep one contract; then what only one of them can show. */
import * as assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { DataDirectoryError } from '../../src/adapters/data-lock.ts';
import type { DataDirectoryProblem } from '../../src/adapters/data-lock.ts';
import { openLmdbStorage } from '../../src/adapters/lmdb-storage.ts';
import { withWriteLog } from '../../src/node/store/write-log.ts';
import type { WriteLogLimits } from '../../src/node/store/write-log.ts';
import type { Random } from '../../src/ports/random.ts';
import type { CommitResult, Storage, StorageOp, StorageTable } from '../../src/ports/storage.ts';
import { openStorage } from '../../src/storage.ts';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';
import { storageContract } from './storage.ts';
import type { StorageHarness } from './storage.ts';

const DEADLINE_MS = 10_000;

const turnsUntil = async (met: () => boolean): Promise<void> => {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!met()) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${DEADLINE_MS} ms in vain`);
    await new Promise((resolve) => setImmediate(resolve));
  }
};

const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'coterie-storage-'));

/** What lies over the storage that is tested. */
type Over = (storage: Storage) => Storage;
const plain: Over = (storage) => storage;

const onLmdb = (over: Over = plain): StorageHarness => {
  const dir = temporaryFolder();
  let storage = over(openLmdbStorage(dir));
  let isOpen = true;
  const close = (): Promise<void> => {
    isOpen = false;
    return closed(storage);
  };
  return {
    storage: () => ({ ...storage, close: (done) => void close().then(done) }),
    until: turnsUntil,
    reopen: () => {
      storage = over(openLmdbStorage(dir));
      isOpen = true;
    },
    putBackCopy: () => {
      const copy = `${dir}-copy`;
      cpSync(dir, copy, { recursive: true, preserveTimestamps: true });
      rmSync(dir, { recursive: true });
      renameSync(copy, dir);
    },
    // A deadline that no commit of some MiB keeps stands in for a disk that is stuck.
    breakCommits: async () => {
      await close();
      storage = over(openLmdbStorage(dir, { commitDeadlineMs: 0 }));
      isOpen = true;
    },
    end: async () => {
      if (isOpen) await close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

const closed = (storage: Storage): Promise<void> =>
  new Promise((resolve) => storage.close(resolve));

const onSimulatedDisk = (over: Over = plain): StorageHarness => {
  const world = new WorldClock();
  const disk = new SimDisk();
  const random = randomStream(1, 'disk');
  const open = (): Storage => over(disk.open(new LifeClock(world), random));
  let storage = open();
  return {
    storage: () => storage,
    until: async (met) => {
      while (!met()) assert.ok(world.step(), 'nothing more will ever happen');
    },
    reopen: () => (storage = open()),
    putBackCopy: () => disk.snapshot()('copied'),
    breakCommits: async () => {
      disk.faults.failing = true;
    },
    end: async () => undefined,
  };
};

/** So small that every few commits begin a pass. */
const HASTY: WriteLogLimits = {
  heldRows: 8,
  heldBytes: 9999,
  logRows: 20,
  sliceRows: 3,
  rowBytesMax: 1000,
  hotRowBytesMax: 1500,
};

const hasty = (storage: Storage): Storage => withWriteLog(storage, nodeDigest, HASTY);
const logged = (storage: Storage): Storage => withWriteLog(storage, nodeDigest);

storageContract('LMDB', () => onLmdb());
storageContract('simulated disk', () => onSimulatedDisk());
storageContract('a write log over LMDB', () => onLmdb(logged));
storageContract('a hasty write log over LMDB', () => onLmdb(hasty));
storageContract('a hasty write log over the simulated disk', () => onSimulatedDisk(hasty));

const lmdb = suite('LMDB only');

/** Runs `script` as a module in a process of its own; `storage` is open in `dir` there. */
const inChild = (dir: string, script: string, shellPrefix = ''): ChildProcess => {
  const opener = new URL('../../src/storage.js', import.meta.url);
  const module = `import { openStorage } from '${opener}';
    const storage = openStorage(${JSON.stringify(dir)});
    const bytes = (text) => new TextEncoder().encode(text);
    ${script}`;
  const command = `${shellPrefix} exec "$0" --input-type=module -e "$1"`;
  return spawn('/bin/sh', ['-c', command, process.execPath, module], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
};

const outputOf = (child: ChildProcess): (() => string) => {
  let output = '';
  child.stdout!.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return () => output;
};

const problemOf = (open: () => unknown): DataDirectoryProblem => {
  try {
    open();
  } catch (error) {
    assert.ok(error instanceof DataDirectoryError, String(error));
    assert.ok(error.message.includes(error.problem.path), error.message);
    return error.problem;
  }
  return assert.fail('it opened');
};

const inFolder = (claim: string, body: (dir: string) => Promise<void>): void =>
  lmdb(claim, async () => {
    const dir = temporaryFolder();
    try {
      await body(dir);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

inFolder('kill -9 leaves every commit whole and no answered one missing', async (dir) => {
  const child = inChild(
    dir,
    `const next = (round) => {
       const value = bytes(String(round).padStart(8, '0'));
       const put = (table, key) => ({ type: 'put', table, key: bytes(key), value });
       const ops = Array.from({ length: 100 }, (_, i) => put(i % 2 ? 'records' : 'merkle', 'k' + i));
       storage.commit(ops, () => process.stdout.write(round + '\\n'));
       setImmediate(() => next(round + 1));
     };
     next(1);`,
  );
  const output = outputOf(child);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  await turnsUntil(() => output().split('\n').length > 40 || child.exitCode !== null);
  child.kill('SIGKILL');
  await gone;
  const answered = Number(output().trim().split('\n').at(-1));
  assert.ok(answered >= 39, output());
  const storage = openStorage(dir);
  const values = (['records', 'merkle'] as const).flatMap((table) =>
    storage.range(table, { limit: 1000 }).map(({ value }) => Number(Buffer.from(value).toString())),
  );
  await closed(storage);
  assert.equal(values.length, 100);
  assert.equal(new Set(values).size, 1);
  assert.ok(values[0]! >= answered, `${values[0]} after ${answered} was answered`);
});

inFolder(
  'a disk that refuses to grow fails the commit, and what was durable stays',
  async (dir) => {
    const child = inChild(
      dir,
      `let round = 0;
     const next = () => storage.commit(
       [{ type: 'put', table: 'records', key: bytes('k' + round), value: new Uint8Array(100_000) }],
       ({ type, reason }) => {
         if (type === 'durable' && ++round < 500) return next();
         storage.commit([], (later) => {
           process.stdout.write(JSON.stringify({ round, type, reason, later: later.type }) + '\\n');
           storage.close(() => process.exit(0));
         });
       });
     next();`,
      // The shell counts in blocks of 512 bytes: a file of 4 MiB and not more.
      'ulimit -f 8192;',
    );
    const output = outputOf(child);
    await turnsUntil(() => child.exitCode !== null || child.signalCode !== null);
    const last = output()
      .split('\n')
      .find((line) => line.startsWith('{"round"'));
    assert.ok(last !== undefined, `${child.exitCode} ${child.signalCode} ${output()}`);
    const { round, type, reason, later } = JSON.parse(last) as Record<string, string | number>;
    assert.equal(type, 'failed');
    assert.equal(later, 'failed');
    assert.ok(String(reason).length > 0);
    assert.equal(child.exitCode, 0, output());
    const storage = openStorage(dir);
    const kept = storage.range('records', { limit: 1000 }).length;
    await closed(storage);
    assert.ok(Number(round) > 5 && kept >= Number(round), `${kept} of ${round}`);
  },
);

/** Damage by name: what it does to an intact file. */
const DAMAGE: Readonly<Record<string, (path: string) => void>> = {
  'text instead of data': (path) => writeFileSync(path, 'these are my notes\n'.repeat(1000)),
  'a few bytes only': (path) => truncateSync(path, 100),
  'the second meta page missing': (path) => truncateSync(path, 4096),
  'cut in half': (path) => truncateSync(path, 8192),
  'another format version': (path) => {
    const file = readFileSync(path);
    file.writeUInt32LE(99, 28);
    writeFileSync(path, file);
  },
};

for (const [damage, apply] of Object.entries(DAMAGE)) {
  inFolder(`a damaged file is refused and left alone: ${damage}`, async (dir) => {
    const storage = openStorage(dir);
    await new Promise<CommitResult>((resolve) => {
      const [key, value] = [Uint8Array.of(1), new Uint8Array(20_000)];
      storage.commit([{ type: 'put', table: 'records', key, value }], resolve);
    });
    await closed(storage);
    const path = join(dir, 'coterie.mdb');
    apply(path);
    const [before, changed] = [readFileSync(path), statSync(path).mtimeMs];
    assert.equal(problemOf(() => openStorage(dir)).type, 'corrupt');
    assert.ok(before.equals(readFileSync(path)));
    assert.equal(statSync(path).mtimeMs, changed);
  });
}

inFolder('an empty file is a new store, a folder in its place is unusable', async (dir) => {
  writeFileSync(join(dir, 'coterie.mdb'), '');
  await closed(openStorage(dir));
  rmSync(join(dir, 'coterie.mdb'));
  mkdirSync(join(dir, 'coterie.mdb'));
  assert.equal(problemOf(() => openStorage(dir)).type, 'unusable');
});

lmdb.run();

const platter = suite('simulated disk only');

type Bench = {
  readonly world: WorldClock;
  readonly disk: SimDisk;
  readonly random: Random;
  /** A new life of the process. */
  start(): { readonly storage: Storage; readonly clock: LifeClock };
};

const bench = (seed = 1): Bench => {
  const world = new WorldClock();
  const [disk, random] = [new SimDisk(), randomStream(seed, 'bench')];
  const start = () => {
    const clock = new LifeClock(world);
    return { storage: disk.open(clock, random), clock };
  };
  return { world, disk, random, start };
};

const numbered = (i: number): StorageOp[] =>
  (['records', 'merkle'] as const).map((table) => ({
    type: 'put',
    table,
    key: Uint8Array.of(i),
    value: Uint8Array.of(i),
  }));

const countIn = (storage: Storage, table: StorageTable = 'records'): number =>
  storage.range(table, { limit: 1000 }).length;

platter('a crash keeps what was answered, and of the rest a beginning of whole commits', () => {
  const survivors = new Set<number>();
  for (let seed = 1; seed <= 60; seed++) {
    const { world, disk, random, start } = bench(seed);
    const { storage, clock } = start();
    let answered = 0;
    for (let i = 0; i < 3; i++) storage.commit(numbered(i), () => (answered += 1));
    world.advance(10);
    for (let i = 3; i < 6; i++) storage.commit(numbered(i), () => assert.fail('answered'));
    clock.end();
    disk.crash(random);
    storage.commit(numbered(99), () => assert.fail('a dead life was answered'));
    world.advance(1000);
    const next = start().storage;
    const count = countIn(next);
    assert.equal(answered, 3);
    assert.ok(count >= 3 && count <= 6);
    for (const table of ['records', 'merkle'] as const) {
      const keys = next.range(table, { limit: 99 }).map(({ key }) => key[0]);
      assert.deepEqual(
        keys,
        Array.from({ length: count }, (_, i) => i),
      );
    }
    survivors.add(count);
  }
  assert.equal(survivors.size, 4, 'each possible number of survivors was seen');
});

platter('commits end in the order of their beginning, by a clock of any rate', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const { world, random, start } = bench(seed);
    const { storage, clock } = start();
    const ended: number[] = [];
    for (let i = 0; i < 50; i++) {
      if (i % 10 === 0) clock.drift(0.9 + random.fraction() / 5);
      storage.commit(numbered(i), () => ended.push(i));
      world.advance(random.fraction() * 2);
    }
    world.advance(100);
    assert.deepEqual(
      ended,
      Array.from({ length: 50 }, (_, i) => i),
    );
  }
});

platter('a power loss takes what was not synced, also what a crash had left in the cache', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { world, disk, random, start } = bench(seed);
    const { storage, clock } = start();
    storage.commit(numbered(0), () => undefined);
    world.advance(10);
    for (let i = 1; i < 6; i++) storage.commit(numbered(i), () => undefined);
    clock.end();
    if (seed % 2 === 0) disk.crash(random);
    disk.powerLoss();
    assert.equal(countIn(start().storage), 1);
  }
});

platter('what the next process could read after a crash outlives a power loss', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { disk, random, start } = bench(seed);
    const { storage } = start();
    for (let i = 0; i < 4; i++) storage.commit(numbered(i), () => undefined);
    disk.crash(random);
    const seen = countIn(start().storage);
    disk.powerLoss();
    assert.equal(countIn(start().storage), seen);
  }
});

platter('an old backup comes back as it was, as often as it is put back', () => {
  const { world, disk, start } = bench();
  const { storage } = start();
  storage.commit(numbered(0), () => undefined);
  world.advance(10);
  const restore = disk.snapshot();
  for (let round = 0; round < 2; round++) {
    const { storage: later } = start();
    later.commit(numbered(1), () => undefined);
    world.advance(10);
    assert.equal(countIn(later), 2);
    disk.powerLoss();
    restore();
    assert.equal(countIn(start().storage), 1);
  }
});

platter('a wiped disk is empty, and free to be used', () => {
  const { world, disk, start } = bench();
  start().storage.commit(numbered(0), () => undefined);
  world.advance(10);
  disk.wipe();
  const { storage } = start();
  assert.equal(countIn(storage), 0);
  assert.equal(storage.usage().fileBytes, 0);
});

platter('a full disk fails the commit that no longer fits, a stuck one at the deadline', () => {
  for (const fault of ['full', 'stuck'] as const) {
    const { world, disk, start } = bench();
    const { storage } = start();
    if (fault === 'full') disk.faults.freeBytes = 3;
    else disk.faults.commitMs = [60_000, 60_000];
    const results: CommitResult[] = [];
    storage.commit(numbered(0), (result) => results.push(result));
    world.advance(9_999);
    assert.equal(results.length, fault === 'full' ? 1 : 0);
    world.advance(1);
    assert.equal(results[0]?.type, 'failed');
    Object.assign(disk.faults, { freeBytes: 2 ** 40, commitMs: [1, 1] });
    storage.commit(numbered(1), (result) => results.push(result));
    world.advance(10);
    assert.equal(results[1]?.type, 'failed', 'this life is over for writes');
    const next = start().storage;
    next.commit(numbered(2), (result) => results.push(result));
    world.advance(10);
    assert.equal(results[2]?.type, 'durable');
  }
});

platter.run();
