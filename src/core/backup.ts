/**
 * The form of a backup: a folder with a manifest and one file for each partition of the ring it was
 * taken from. Records are whole — vector, all siblings, tombstones, seen put ids — and merge into
 * whatever cluster they are restored to; the local word `me` is left out, so nobody who restores them
 * can mint an old dot again (RULES A4).
 *
 *   manifest.json      what, whence, and for each file its records, bytes and SHA-256
 *   p00042.records     "coterie records 1\n" │ entries, ascending by position, then key
 *   entry              length of the rest (4) │ key length (2) │ key │ record │ CRC-32 of both (4)
 */
import { ByteWriter } from './bytes.ts';
import { bytesOfKey, keyOfBytes } from './ids.ts';
import type { Key } from './ids.ts';

export const BACKUP_FORMAT = 1;
export const MANIFEST = 'manifest.json';
export const FILE_HEAD = new TextEncoder().encode('coterie records 1\n');

export type BackupRow = { readonly key: Key; readonly record: Uint8Array };

export type BackupFile = {
  readonly partition: number;
  readonly file: string;
  readonly records: number;
  /** Of the whole file. */
  readonly bytes: number;
  readonly sha256: string;
  /** Nodes whose rows of this partition were read to the end. */
  readonly sources: readonly string[];
  /** Whether these were enough owners to hold every acknowledged write (RULES C4). */
  readonly complete: boolean;
};

export type BackupManifest = {
  readonly format: number;
  readonly cluster: string;
  readonly n: number;
  readonly partitions: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly nodes: readonly string[];
  readonly files: readonly BackupFile[];
};

export const fileNameOf = (partition: number): string =>
  `p${String(partition).padStart(5, '0')}.records`;

export const encodeEntry = (
  { key, record }: BackupRow,
  crc32: (bytes: Uint8Array) => number,
): Uint8Array => {
  const name = bytesOfKey(key);
  const writer = new ByteWriter();
  writer.uint32(2 + name.length + record.length + CHECKSUM_BYTES);
  writer.byte(name.length >> 8);
  writer.byte(name.length & 0xff);
  writer.raw(name);
  writer.raw(record);
  writer.uint32(crc32(writer.view().subarray(LENGTH_BYTES)));
  return writer.take();
};

/** Bytes ahead of an entry that say how many follow. */
export const LENGTH_BYTES = 4;
const CHECKSUM_BYTES = 4;
/** No entry is longer: a larger length is damage, not to be believed. */
export const ENTRY_BYTES_MAX = 256 * 1024 * 1024;

export const lengthOfEntry = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);

/** What follows the length; the reason in words if that is not what was written. */
export const decodeEntry = (
  bytes: Uint8Array,
  crc32: (bytes: Uint8Array) => number,
): BackupRow | string => {
  const end = bytes.length - CHECKSUM_BYTES;
  if (end < 3) return 'an entry too short to hold a key';
  const body = bytes.subarray(0, end);
  const checksum = new DataView(bytes.buffer, bytes.byteOffset + end).getUint32(0);
  if (crc32(body) !== checksum) return 'an entry whose checksum does not fit';
  const keyEnd = 2 + ((body[0]! << 8) | body[1]!);
  if (keyEnd > end || keyEnd === 2) return 'an entry without a key';
  return { key: keyOfBytes(body.slice(2, keyEnd)), record: body.slice(keyEnd) };
};

/** The manifest in a file's text. Throws RangeError naming what is not as it should be. */
export const parseManifest = (text: string): BackupManifest => {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw new RangeError(`${MANIFEST} is no JSON: ${(error as Error).message}`);
  }
  const manifest = (found ?? {}) as BackupManifest;
  if (manifest.format !== BACKUP_FORMAT) {
    const what = JSON.stringify(manifest.format);
    throw new RangeError(`${MANIFEST}: format ${BACKUP_FORMAT} expected, found ${what}`);
  }
  const { files, partitions } = manifest;
  if (!Number.isInteger(partitions) || !Array.isArray(files)) {
    throw new RangeError(`${MANIFEST}: partitions and files expected`);
  }
  for (const file of files) {
    const { partition, records, bytes, sha256, sources } = file;
    const sound =
      [partition, records, bytes].every((each) => Number.isInteger(each) && each >= 0) &&
      /^[0-9a-f]{64}$/.test(sha256) &&
      Array.isArray(sources) &&
      // Nobody leads a restore outside the backup's folder.
      file.file === fileNameOf(partition);
    if (!sound) throw new RangeError(`${MANIFEST}: what it says of ${file.file} cannot be`);
  }
  return manifest;
};
