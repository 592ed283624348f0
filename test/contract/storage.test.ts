/** LMDB and the simulated disk keep one contract; then what only one of them can show. */
import * as assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { DataDirectoryError } from '../../src/adapters/data-lock.ts';
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
  const opened: Storage[] = [openLmdbStorage(dir)];
  return {
    storage: () => opened.at(-1)!,
    until: turnsUntil,
    reopen: () => opened.push(openLmdbStorage(dir)),
    // A deadline no commit of some MiB can keep stands in for a disk that is stuck.
    breakCommits: () => opened.push(openLmdbStorage(dir, { commitDeadlineMs: 0 })),
    end: async () => {
      for (const each of opened) await closed(each);
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
    breakCommits: () => (disk.faults.failing = true),
    end: async () => undefined,
  };
};

storageContract('LMDB', onLmdb);
storageContract('simulated disk', onSimulatedDisk);

const lmdb = suite('LMDB only');
