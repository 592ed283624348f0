/** A node's data directory as a storage port: LMDB under a write log. */
import { DataDirectoryError } from './adapters/data-lock.ts';
import { openLmdbStorage } from './adapters/lmdb-storage.ts';
import type { LmdbOptions } from './adapters/lmdb-storage.ts';
import { nodeDigest } from './adapters/node-digest.ts';
import { withWriteLog } from './node/store/write-log.ts';
import type { Storage } from './ports/storage.ts';

/** Throws DataDirectoryError if what is in `dataDir` is damaged, and leaves it untouched. */
export const openStorage = (dataDir: string, options: LmdbOptions = {}): Storage =>
  underLog(dataDir, openLmdbStorage(dataDir, options));

/** What lies in `base`, the log included. Throws DataDirectoryError if the log is damaged. */
export const underLog = (dataDir: string, base: Storage): Storage => {
  try {
    return withWriteLog(base, nodeDigest);
  } catch (error) {
    base.close(() => undefined);
    throw new DataDirectoryError({ type: 'unusable', path: dataDir, reason: String(error) });
  }
};
