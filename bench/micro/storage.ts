/** The store on a real disk: reads, and flushes of buffers of several sizes at random places. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLmdbStorage } from '../../src/adapters/lmdb-storage.ts';
import type { StorageOp } from '../../src/ports/storage.ts';
import { seeded } from '../support/random.ts';

const KEY_BYTES = 24;
const ROW_BYTES = 250;
const ROWS = 20_000;

export type AsyncCase = { readonly name: string; readonly call: () => Promise<unknown> | unknown };
export type DiskCases = {
  readonly cases: readonly AsyncCase[];
  readonly close: () => Promise<void>;
};

/** `rows` are there before anything is measured. */
export const diskCases = async (rows = ROWS): Promise<DiskCases> => {
  const dir = mkdtempSync(join(tmpdir(), 'coterie-bench-'));
  const storage = openLmdbStorage(dir);
  const chance = seeded(1);
  const keys = Array.from({ length: rows }, () => bytesFrom(chance, KEY_BYTES));
  const value = bytesFrom(chance, ROW_BYTES);
  const some = (count: number): StorageOp[] =>
    Array.from({ length: count }, () => ({
      ...{ type: 'put', table: 'records', value },
      key: keys[Math.floor(chance() * rows)]!,
    }));
  const commit = (ops: readonly StorageOp[]): Promise<void> =>
    new Promise((resolve, reject) =>
      storage.commit(ops, (result) =>
        result.type === 'durable' ? resolve() : reject(new Error(result.reason)),
      ),
    );
  await commit(keys.map((key) => ({ type: 'put', table: 'records', key, value })));
  const log = bytesFrom(chance, 250 * (KEY_BYTES + ROW_BYTES));
  return {
    cases: [
      {
        name: 'storage: get',
        call: () => storage.get('records', keys[Math.floor(chance() * rows)]!),
      },
      { name: 'storage: flush 1 record', call: () => commit(some(1)) },
      { name: 'storage: flush 250 records', call: () => commit(some(250)) },
      { name: 'storage: flush 1,000 records', call: () => commit(some(1000)) },
      {
        name: 'storage: flush 250 records as one value',
        call: () => commit([{ type: 'put', table: 'log', key: new Uint8Array([1]), value: log }]),
      },
    ],
    close: async () => {
      await new Promise<void>((resolve) => storage.close(resolve));
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

const bytesFrom = (chance: () => number, length: number): Uint8Array =>
  new Uint8Array(length).map(() => chance() * 256);
