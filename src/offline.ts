/** What can be done to a data directory that no node runs on: look at it, and make it small. */
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataDirectoryError, lockDataDirectory } from './adapters/data-lock.ts';
import { compactLmdbFile } from './adapters/lmdb-storage.ts';
import { nodeDigest } from './adapters/node-digest.ts';
import { carryMarks } from './node/store/completeness.ts';
import { verifyStorage } from './node/store/verify-storage.ts';
import type { StorageReport } from './node/store/verify-storage.ts';
import type { CommitResult } from './ports/storage.ts';
import { openStorage, underLog } from './storage.ts';

export type { StorageReport } from './node/store/verify-storage.ts';

/** Reads all of `dataDir`. Throws DataDirectoryError if it is in use, absent or no data directory. */
export const verifyDataDirectory = async (dataDir: string): Promise<StorageReport> =>
  withLock(dataDir, async () => {
    const storage = openStorage(dataDir);
    try {
      return verifyStorage(storage, nodeDigest);
    } finally {
      await new Promise<void>((resolve) => storage.close(resolve));
    }
  });

/**
 * Writes the data file anew without its free pages, looks whether the copy is sound, and only then
 * puts it in the place of the old one. Throws DataDirectoryError, with the old file in its place.
 */
export const compactDataDirectory = async (
  dataDir: string,
): Promise<{ readonly bytesBefore: number; readonly bytesAfter: number }> =>
  withLock(dataDir, async () => {
    const draft = join(dataDir, 'compacted');
    rmSync(draft, { recursive: true, force: true });
    try {
      return await compactLmdbFile(dataDir, draft, async (file, birthmark) => {
        const copy = underLog(draft, file);
        const { damaged, findings } = verifyStorage(copy, nodeDigest);
        if (damaged > 0) throw unusable(dataDir, `the copy is damaged: ${findings[0]}`);
        const result = await new Promise<CommitResult>((done) => carryMarks(copy, birthmark, done));
        if (result.type === 'failed') throw unusable(dataDir, result.reason);
      });
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  });

const withLock = async <T>(dataDir: string, task: () => Promise<T>): Promise<T> => {
  // Locking creates a directory; here there is nothing to look at in a new one.
  if (statSync(dataDir, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw unusable(dataDir, 'there is no such directory');
  }
  if (statSync(join(dataDir, 'coterie.mdb'), { throwIfNoEntry: false }) === undefined) {
    throw unusable(dataDir, 'it holds no coterie.mdb');
  }
  const unlock = lockDataDirectory(dataDir);
  try {
    return await task();
  } finally {
    unlock();
  }
};

const unusable = (path: string, reason: string): DataDirectoryError =>
  new DataDirectoryError({ type: 'unusable', path, reason });
