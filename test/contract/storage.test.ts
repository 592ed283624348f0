/** LMDB and the simulated disk keep one contract; then what only one of them can show. */
import * as assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
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
import type { CommitResult, Storage } from '../../src/ports/storage.ts';
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

const onLmdb = (): StorageHarness => {
  const dir = temporaryFolder();
  let storage = openLmdbStorage(dir);
  let isOpen = true;
  const close = (): Promise<void> => {
    isOpen = false;
    return closed(storage);
  };
  return {
    storage: () => ({ ...storage, close: (done) => void close().then(done) }),
    until: turnsUntil,
    reopen: () => {
      storage = openLmdbStorage(dir);
      isOpen = true;
    },
    // A deadline that no commit of some MiB keeps stands in for a disk that is stuck.
    breakCommits: async () => {
      await close();
      storage = openLmdbStorage(dir, { commitDeadlineMs: 0 });
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

const onSimulatedDisk = (): StorageHarness => {
  const world = new WorldClock();
  const disk = new SimDisk();
  const random = randomStream(1, 'disk');
  const open = (): Storage => disk.open(new LifeClock(world), random);
  let storage = open();
  return {
    storage: () => storage,
    until: async (met) => {
      while (!met()) assert.ok(world.step(), 'nothing more will ever happen');
    },
    reopen: () => (storage = open()),
    breakCommits: async () => {
      disk.faults.failing = true;
    },
    end: async () => undefined,
  };
};

storageContract('LMDB', onLmdb);
storageContract('simulated disk', onSimulatedDisk);

const lmdb = suite('LMDB only');

/** Runs `script` as a module in a process of its own; `storage` is open in `dir` there. */
const inChild = (dir: string, script: string, shellPrefix = ''): ChildProcess => {
  const adapter = new URL('../../src/adapters/lmdb-storage.js', import.meta.url);
  const module = `import { openLmdbStorage } from '${adapter}';
    const storage = openLmdbStorage(${JSON.stringify(dir)});
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
  const storage = openLmdbStorage(dir);
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
    const storage = openLmdbStorage(dir);
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
    const storage = openLmdbStorage(dir);
    await new Promise<CommitResult>((resolve) => {
      const [key, value] = [Uint8Array.of(1), new Uint8Array(20_000)];
      storage.commit([{ type: 'put', table: 'records', key, value }], resolve);
    });
    await closed(storage);
    const path = join(dir, 'coterie.mdb');
    apply(path);
    const [before, changed] = [readFileSync(path), statSync(path).mtimeMs];
    assert.equal(problemOf(() => openLmdbStorage(dir)).type, 'corrupt');
    assert.ok(before.equals(readFileSync(path)));
    assert.equal(statSync(path).mtimeMs, changed);
  });
}

inFolder('an empty file is a new store, a folder in its place is unusable', async (dir) => {
  writeFileSync(join(dir, 'coterie.mdb'), '');
  await closed(openLmdbStorage(dir));
  rmSync(join(dir, 'coterie.mdb'));
  mkdirSync(join(dir, 'coterie.mdb'));
  assert.equal(problemOf(() => openLmdbStorage(dir)).type, 'unusable');
});

lmdb.run();
