/**
 * One ordered, transactional store per node: named tables of binary keys, synchronous reads of the
 * last commit, and atomic commits that are durable (fsynced) before they are visible.
 *
 * Both the LMDB adapter and the simulated disk pass `test/contract/storage.ts`.
 */

/** records: sorted by partition, hash, key · hints: by target · the rest small. */
export const STORAGE_TABLES = ['records', 'hints', 'merkle', 'members', 'meta'] as const;
/** Of a storage over this one that writes a log first (write-log.ts); nobody else looks there. */
export const LOG_TABLE = 'log';
export type StorageTable = (typeof STORAGE_TABLES)[number] | typeof LOG_TABLE;

export const STORAGE_KEY_BYTES_MAX = 1900;

export type StorageOp =
  | {
      readonly type: 'put';
      readonly table: StorageTable;
      readonly key: Uint8Array;
      readonly value: Uint8Array;
    }
  | { readonly type: 'remove'; readonly table: StorageTable; readonly key: Uint8Array };

export type CommitResult =
  | { readonly type: 'durable' }
  /** Nothing of this commit is promised; the node must stop (fail-stop), a fresh process may reopen. */
  | { readonly type: 'failed'; readonly reason: string };

export type StorageRange = {
  /** Inclusive; absent: from the first key. */
  readonly from?: Uint8Array;
  /** Exclusive; absent: to the last key. */
  readonly to?: Uint8Array;
  /** At most this many entries; a bound is a must, since an open snapshot grows the file. */
  readonly limit: number;
};

/** A table of the file, or its `free` pages. */
export type TablePages = {
  readonly table: string;
  readonly pages: number;
  /** Absent for free pages. */
  readonly entries?: number;
};

/** `done`: the end was reached, the next look begins anew. */
export type LogCheck = { readonly rows: number; readonly damaged: number; readonly done: boolean };

export type StorageEntry = { readonly key: Uint8Array; readonly value: Uint8Array };

export type Storage = {
  /** The committed value, a copy the caller may keep; undefined if there is none. Keys: 1–1,900 bytes. */
  get(table: StorageTable, key: Uint8Array): Uint8Array | undefined;
  /** Committed entries in ascending byte order, copied, snapshot closed on return. */
  range(table: StorageTable, range: StorageRange): readonly StorageEntry[];
  /**
   * Applies all of `ops` in order in one atomic transaction, or none. `done` is called exactly once,
   * never within this call, in the order of the commits; after a failure every later commit fails
   * too. Until it is called the storage may read the bytes of `ops`: they must not change.
   */
  commit(ops: readonly StorageOp[], done: (result: CommitResult) => void): void;
  /**
   * What tells this file from every copy of it, the same in all lives; undefined as long as the file
   * system does not say.
   */
  birthmark(): string | undefined;
  /** Bytes of the file and bytes free on its disk, for the free-space floor. */
  usage(): { readonly fileBytes: number; readonly freeBytes: number };
  /**
   * Looks at the next `rowsMax` rows of a log that is not in its places yet, as they are on disk, and
   * has what is damaged written anew from memory; done at the row that was the last one when the
   * check began. Absent where nothing is logged.
   */
  checkLog?(rowsMax: number, isSound: (value: Uint8Array) => boolean): LogCheck;
  /** Where the pages of the file are; absent where there are none to count. */
  pages?(): readonly TablePages[];
  /** Waits for commits under way, then calls `done`; no call is allowed afterwards. */
  close(done: () => void): void;
};
