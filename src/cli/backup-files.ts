/** Reading the files of a backup, an entry at a time: a partition may be larger than memory. */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ENTRY_BYTES_MAX,
  FILE_HEAD,
  LENGTH_BYTES,
  MANIFEST,
  decodeEntry,
  lengthOfEntry,
  parseManifest,
} from '../core/backup.ts';
import type { BackupManifest, BackupRow } from '../core/backup.ts';
import { compareBytes } from '../core/key-page.ts';
import { nodeDigest } from '../index.ts';
import { CommandFailure, EXIT, usage } from './exit.ts';

const CHUNK_BYTES = 1024 * 1024;

/** The entries of a file in order; `heard` is given every byte. Throws the failure that says where it is damaged. */
export async function* readRecordsFile(
  path: string,
  heard: (bytes: Uint8Array) => void = () => undefined,
): AsyncGenerator<BackupRow> {
  const handle = await open(path, 'r').catch((error: Error) => {
    throw new CommandFailure(error.message, EXIT.refused);
  });
  let held: Buffer = Buffer.alloc(0);
  let offset = 0;
  /** `bytes` of the file, fewer only at its end. */
  const take = async (bytes: number): Promise<Buffer> => {
    while (held.length < bytes) {
      const chunk = Buffer.alloc(Math.max(CHUNK_BYTES, bytes - held.length));
      const { bytesRead } = await handle.read(chunk, 0, chunk.length);
      if (bytesRead === 0) break;
      held = Buffer.concat([held, chunk.subarray(0, bytesRead)]);
    }
    const taken = held.subarray(0, bytes);
    held = held.subarray(taken.length);
    heard(taken);
    return taken;
  };
  const damaged = (what: string): CommandFailure =>
    new CommandFailure(`${path} is damaged at byte ${offset}: ${what}`, EXIT.refused);
  try {
    const head = await take(FILE_HEAD.length);
    if (compareBytes(head, FILE_HEAD) !== 0) throw damaged('no file of records');
    offset = head.length;
    for (;;) {
      const ahead = await take(LENGTH_BYTES);
      if (ahead.length === 0) return;
      const length = ahead.length < LENGTH_BYTES ? 0 : lengthOfEntry(ahead);
      if (length === 0 || length > ENTRY_BYTES_MAX) throw damaged(`an entry of ${length} bytes`);
      const rest = await take(length);
      if (rest.length < length) throw damaged('the file is cut short');
      const row = decodeEntry(rest, nodeDigest.crc32);
      if (typeof row === 'string') throw damaged(row);
      yield row;
      offset += LENGTH_BYTES + length;
    }
  } finally {
    await handle.close();
  }
}

/** The manifest of the backup in `dir`. Throws the failure that says why there is none. */
export const manifestOf = async (dir: string): Promise<BackupManifest> => {
  try {
    return parseManifest(await readFile(join(dir, MANIFEST), 'utf8'));
  } catch (error) {
    if (error instanceof RangeError)
      throw new CommandFailure(`${dir}: ${error.message}`, EXIT.refused);
    throw new CommandFailure(`${dir} is no backup: ${(error as Error).message}`, EXIT.refused);
  }
};

/** `3,7,10-12`; all, if none is named. */
export const partitionsIn = (list: string | undefined, partitions: number): readonly number[] => {
  if (list === undefined) return Array.from({ length: partitions }, (_, index) => index);
  return list.split(',').flatMap((part) => {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (from === undefined || first > last || last >= partitions) {
      throw usage(`--partition: expected partitions from 0 to ${partitions - 1}, found ${part}`);
    }
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
};
