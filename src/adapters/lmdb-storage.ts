/**
 * The storage port on LMDB: one environment, a database for each table, binary keys, and
 * `overlappingSync` off, so that what is visible is durable. The first failed or late commit ends
 * this storage: nothing is promised after it, and the node above stops.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  statfsSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { open } from 'lmdb';
import type { Database, RootDatabase } from 'lmdb';
import { kept, plainView } from '../core/bytes.ts';
import { LOG_TABLE, STORAGE_KEY_BYTES_MAX, STORAGE_TABLES } from '../ports/storage.ts';
import type { CommitResult, Storage, StorageOp, StorageTable } from '../ports/storage.ts';
import { DataDirectoryError } from './data-lock.ts';

const FILE = 'coterie.mdb';
const TABLES = [...STORAGE_TABLES, LOG_TABLE] as const;
/** A failed environment may never finish closing; the process is about to exit anyway. */
const CLOSE_TIMEOUT_MS = 2000;

export type LmdbOptions = {
  /** A commit that takes longer counts as failed, for the disk is stuck. */
  readonly commitDeadlineMs?: number;
  /** Address space mapped at first; the map grows by itself. Default: LMDB's. */
  readonly mapBytes?: number;
};

type Table = Database<Uint8Array, Uint8Array>;

/**
 * Opens, or creates, the store in `dataDir`, which the caller has locked. Throws DataDirectoryError
 * if the file there is no intact LMDB file, and leaves it untouched.
 */
export const openLmdbStorage = (
  dataDir: string,
  { commitDeadlineMs = 10_000, mapBytes }: LmdbOptions = {},
): Storage => {
  const path = join(dataDir, FILE);
  const { root, tables } = openIntact(path, mapBytes);
  const commits = new CommitQueue(commitDeadlineMs);

  return {
    get: (name, key) => {
      checkKey(key);
      // A view on what the next read writes over.
      const value = tables[name].getBinaryFast(key);
      return value === undefined ? undefined : kept(plainView(value));
    },
    range: (name, { from, to, limit }) => {
      if (to?.length === 0) return [];
      const entries = tables[name].getRange({
        limit,
        // LMDB would take an empty or overlong bound for none at all.
        ...(from === undefined || from.length === 0 ? {} : { start: cut(from) }),
        ...(to === undefined ? {} : { end: cut(to) }),
      });
      return [...entries].map(({ key, value }) => ({
        key: new Uint8Array(key),
        value: new Uint8Array(value),
      }));
    },
    commit: (ops, done) => {
      for (const { key } of ops) checkKey(key);
      commits.add(() => root.batch(() => applyAll(tables, ops)), done);
    },
    birthmark: () => birthmarkOf(path),
    usage: () => {
      const { bavail, bsize } = statfsSync(dataDir);
      return { fileBytes: statSync(path).size, freeBytes: bavail * bsize };
    },
    pages: () => {
      const counted = Object.entries(tables).map(([table, database]) => ({
        table,
        ...pagesOf(database.getStats() as Stats),
      }));
      const { free, root: names, lastPageNumber } = root.getStats() as Stats & FileStats;
      const named = pagesOf(names).pages + pagesOf(free).pages + META_PAGES;
      const used = counted.reduce((sum, { pages }) => sum + pages, named);
      return [...counted, { table: 'free', pages: Math.max(0, lastPageNumber + 1 - used) }];
    },
    close: (done) => {
      commits.whenIdle(() => {
        const end = once(() => {
          clearTimeout(deadline);
          done();
        });
        const deadline = setTimeout(end, CLOSE_TIMEOUT_MS);
        root.close().then(end, end);
      });
    },
  };
};

/** What LMDB counts of a database … */
type Stats = {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly entryCount: number;
};
/** … and of the file. */
type FileStats = { readonly free: Stats; readonly root: Stats; readonly lastPageNumber: number };

const META_PAGES = 2;

const pagesOf = (stats: Stats): { readonly pages: number; readonly entries: number } => ({
  pages: stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages,
  entries: stats.entryCount,
});

/**
 * Copies the file of `dataDir` without its free pages by way of the folder `draft`, has `check` look
 * at the copy of the file with that birthmark, and puts it in the place of the old one. Whatever fails
 * before that leaves the old one.
 */
export const compactLmdbFile = async (
  dataDir: string,
  draft: string,
  check: (copy: Storage, birthmark: string | undefined) => Promise<void>,
): Promise<{ readonly bytesBefore: number; readonly bytesAfter: number }> => {
  const [path, copy] = [join(dataDir, FILE), join(draft, FILE)];
  const bytesBefore = statSync(path).size;
  const { root } = openIntact(path, undefined);
  try {
    await root.backup(copy, true);
  } finally {
    await root.close();
  }
  const storage = openLmdbStorage(draft);
  try {
    await check(storage, birthmarkOf(path));
  } finally {
    await new Promise<void>((resolve) => storage.close(resolve));
  }
  syncFile(copy);
  const bytesAfter = statSync(copy).size;
  renameSync(copy, path);
  syncFile(path);
  return { bytesBefore, bytesAfter };
};

/** A file system that does not know when it made a file shows 0, or when it last changed it. */
const birthmarkOf = (path: string): string | undefined => {
  const { birthtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return birthtimeNs === 0n || birthtimeNs === ctimeNs ? undefined : String(birthtimeNs);
};

/** Commits under way, answered once each, in order, and all refused after the first failure. */
class CommitQueue {
  readonly #deadlineMs: number;
  readonly #waiting: ((result: CommitResult) => void)[] = [];
  #failure: CommitResult | undefined;
  #idle: (() => void) | undefined;

  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  add(begin: () => Promise<unknown>, done: (result: CommitResult) => void): void {
    if (this.#failure !== undefined) {
      this.#waiting.push(done);
      queueMicrotask(() => this.#answerAll());
      return;
    }
    const committed = begin();
    const deadline = setTimeout(
      () => this.#fail(`a commit took longer than ${this.#deadlineMs} ms`),
      this.#deadlineMs,
    );
    this.#waiting.push((result) => {
      clearTimeout(deadline);
      done(result);
    });
    committed.then(
      // LMDB commits in the order of the calls, so this is the oldest.
      () => this.#answerOldest(),
      (error: unknown) => void reasonOf(error).then((reason) => this.#fail(reason)),
    );
  }

  /** Calls `task` when no commit is under way, never within this call. */
  whenIdle(task: () => void): void {
    this.#idle = task;
    queueMicrotask(() => this.#checkIdle());
  }

  #answerOldest(): void {
    // After a failure all were answered; what a late success says counts for nothing.
    if (this.#failure !== undefined) return;
    this.#waiting.shift()?.({ type: 'durable' });
    this.#checkIdle();
  }

  #fail(reason: string): void {
    this.#failure ??= { type: 'failed', reason };
    this.#answerAll();
  }

  #answerAll(): void {
    for (const answer of this.#waiting.splice(0)) answer(this.#failure!);
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.#waiting.length > 0) return;
    const task = this.#idle;
    this.#idle = undefined;
    task?.();
  }
}

/** LMDB's rejection carries the cause as a promise of its own, unhandled unless we take it. */
const reasonOf = async (error: unknown): Promise<string> => {
  const cause: unknown = (error as { readonly commitError?: Promise<never> }).commitError;
  return Promise.resolve(cause).then(
    () => String(error),
    (reason: unknown) => String(reason),
  );
};

type Environment = {
  readonly root: RootDatabase;
  readonly tables: Readonly<Record<StorageTable, Table>>;
};

const openIntact = (path: string, mapBytes: number | undefined): Environment => {
  try {
    refuseDamagedFile(path);
    const environment = openEnvironment(path, mapBytes);
    syncFile(path);
    return environment;
  } catch (error) {
    if (error instanceof DataDirectoryError) throw error;
    throw new DataDirectoryError({ type: 'unusable', path, reason: String(error) });
  }
};

const openEnvironment = (path: string, mapBytes: number | undefined): Environment => {
  const binary = { keyEncoding: 'binary', encoding: 'binary' } as const;
  const root = open({
    path,
    noSubdir: true,
    maxDbs: TABLES.length + 1,
    overlappingSync: false,
    ...binary,
    ...(mapBytes === undefined ? {} : { mapSize: mapBytes }),
  });
  const tables = Object.fromEntries(
    TABLES.map((name) => [name, root.openDB({ name, ...binary })]),
  ) as Record<StorageTable, Table>;
  return { root, tables };
};

/**
 * A process killed between the write and the sync of a commit leaves it readable in the page cache:
 * without this, we could show it to others and a power cut would take it back.
 */
const syncFile = (path: string): void => {
  for (const each of [path, dirname(path)]) {
    const file = openSync(each, 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
};

const applyAll = (tables: Readonly<Record<StorageTable, Table>>, ops: readonly StorageOp[]) => {
  for (const op of ops) {
    // LMDB holds the value until it reads it, in another thread; the key it copies at once.
    if (op.type === 'put') void tables[op.table].put(op.key, op.value);
    else void tables[op.table].remove(op.key);
  }
};

const checkKey = ({ length }: Uint8Array): void => {
  if (length === 0 || length > STORAGE_KEY_BYTES_MAX) {
    throw new RangeError(`a storage key is 1-${STORAGE_KEY_BYTES_MAX} bytes, found ${length}`);
  }
};

/** A bound longer than every key sorts as its first STORAGE_KEY_BYTES_MAX + 1 bytes do. */
const cut = (bound: Uint8Array): Uint8Array =>
  bound.length > STORAGE_KEY_BYTES_MAX ? bound.subarray(0, STORAGE_KEY_BYTES_MAX + 1) : bound;

// Where things are in a meta page of LMDB's format 2 (mdb.c: MDB_page_header, MDB_meta).
const META = {
  magic: 24,
  version: 28,
  pageBytes: 48,
  roots: [88, 136],
  transaction: 152,
  end: 160,
};
const MAGIC = 0xbeefc0de;
const VERSION = 2;
const EMPTY_TREE = 2n ** 64n - 1n;

/**
 * LMDB maps the file and believes it: a file cut short would end the process with SIGBUS at the
 * first read. So the newest meta page must be whole, and the roots it names inside the file.
 */
const refuseDamagedFile = (path: string): void => {
  if (!existsSync(path) || statSync(path).size === 0) return;
  const found = damageOf(path);
  if (found !== undefined) throw new DataDirectoryError({ type: 'corrupt', path, found });
};

const damageOf = (path: string): string | undefined => {
  const { size } = statSync(path);
  const file = openSync(path, 'r');
  try {
    const metaAt = (offset: number): Buffer | undefined => {
      const page = Buffer.alloc(META.end);
      return readSync(file, page, 0, META.end, offset) === META.end ? page : undefined;
    };
    const first = metaAt(0);
    if (first === undefined) return `${size} bytes are too few for an LMDB file`;
    if (first.readUInt32LE(META.magic) !== MAGIC) return 'no LMDB magic number';
    if (first.readUInt32LE(META.version) !== VERSION) return 'another format version of LMDB';
    const pageBytes = first.readUInt32LE(META.pageBytes);
    if (pageBytes < 512 || pageBytes > 65536 || (pageBytes & (pageBytes - 1)) !== 0) {
      return `a page size of ${pageBytes}`;
    }
    const second = metaAt(pageBytes);
    if (second?.readUInt32LE(META.magic) !== MAGIC) return 'the second meta page is gone';
    const age = (meta: Buffer): bigint => meta.readBigUInt64LE(META.transaction);
    const newest = age(first) > age(second) ? first : second;
    for (const offset of META.roots) {
      const root = newest.readBigUInt64LE(offset);
      if (root !== EMPTY_TREE && (root + 1n) * BigInt(pageBytes) > BigInt(size)) {
        return `cut short at ${size} bytes, page ${root} is missing`;
      }
    }
    return undefined;
  } finally {
    closeSync(file);
  }
};

const once = (task: () => void): (() => void) => {
  let done = false;
  return () => {
    if (!done) task();
    done = true;
  };
};
