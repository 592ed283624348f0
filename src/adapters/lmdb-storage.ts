/**
 * The storage port on LMDB: one environment, a database for each table, binary keys, and
 * `overlappingSync` off, so that what is visible is durable. The first failed or late commit ends
 * this storage: nothing is promised after it.
 */
import { existsSync, openSync, readSync, closeSync, statSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';
import { STORAGE_TABLES } from '../ports/storage.ts';
import type { CommitResult, Storage, StorageTable } from '../ports/storage.ts';
import { DataDirectoryError } from './data-lock.ts';

const FILE = 'coterie.mdb';
/** The magic number of an LMDB meta page, at this offset of the file. */
const MAGIC = 0xbeefc0de;
const MAGIC_OFFSET = 24;

export type LmdbOptions = {
  /** A commit that takes longer counts as failed: the disk is stuck. */
  readonly commitDeadlineMs: number;
};

/** Throws DataDirectoryError if the file there is no LMDB file, and leaves it untouched. */
export const openLmdbStorage = (
  dataDir: string,
  { commitDeadlineMs }: LmdbOptions = { commitDeadlineMs: 10_000 },
): Storage => {
  const path = join(dataDir, FILE);
  refuseForeignFile(path);
  let root: RootDatabase<Uint8Array, Uint8Array>;
  try {
    root = open<Uint8Array, Uint8Array>({
      path,
      noSubdir: true,
      maxDbs: STORAGE_TABLES.length + 1,
      overlappingSync: false,
      keyEncoding: 'binary',
      encoding: 'binary',
    });
  } catch (error) {
    throw new DataDirectoryError(`${path} cannot be opened: ${String(error)}`);
  }
  const tables = new Map<StorageTable, Database<Uint8Array, Uint8Array>>(
    STORAGE_TABLES.map((name) => [
      name,
      root.openDB<Uint8Array, Uint8Array>({ name, keyEncoding: 'binary', encoding: 'binary' }),
    ]),
  );
  const table = (name: StorageTable) => tables.get(name)!;
  let failure: string | undefined;
  let last: Promise<unknown> = Promise.resolve();

  return {
    get: (name, key) => {
      const value = table(name).get(key);
      return value === undefined ? undefined : Uint8Array.from(value);
    },
    range: (name, { from, to, limit }) => {
      const options = {
        limit,
        ...(from === undefined ? {} : { start: from }),
        ...(to === undefined ? {} : { end: to }),
      };
      return [...table(name).getRange(options)].map(({ key, value }) => ({
        key: Uint8Array.from(key),
        value: Uint8Array.from(value),
      }));
    },
    commit: (ops, done) => {
      let answered = false;
      const answer = (result: CommitResult): void => {
        if (answered) return;
        answered = true;
        clearTimeout(deadline);
        if (result.type === 'failed') failure ??= result.reason;
        done(failure === undefined ? result : { type: 'failed', reason: failure });
      };
      const deadline = setTimeout(
        () => answer({ type: 'failed', reason: `a commit took over ${commitDeadlineMs} ms` }),
        commitDeadlineMs,
      );
      if (failure !== undefined) {
        queueMicrotask(() => answer({ type: 'failed', reason: failure! }));
        return;
      }
      // Copied now: lmdb keeps the very buffers it is given until the commit.
      const copies = ops.map((op) =>
        op.type === 'put' ? { ...op, value: Buffer.from(op.value) } : op,
      );
      const committed = root.batch(() => {
        for (const op of copies) {
          if (op.type === 'put') void table(op.table).put(op.key, op.value);
          else void table(op.table).remove(op.key);
        }
      });
      last = committed.then(
        () => answer({ type: 'durable' }),
        (error: unknown) => answer({ type: 'failed', reason: String(error) }),
      );
    },
    usage: () => {
      const { bavail, bsize } = statfsSync(dataDir);
      return { fileBytes: statSync(path).size, freeBytes: bavail * bsize };
    },
    close: (done) => {
      void last.then(() => root.close()).then(done, done);
    },
  };
};

const refuseForeignFile = (path: string): void => {
  if (!existsSync(path)) return;
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(MAGIC_OFFSET + 4);
    const read = readSync(file, head, 0, head.length, 0);
    const empty = read === 0;
    if (!empty && (read < head.length || head.readUInt32LE(MAGIC_OFFSET) !== MAGIC)) {
      throw new DataDirectoryError(`${path} is damaged or no data file: left untouched`);
    }
  } finally {
    closeSync(file);
  }
};
