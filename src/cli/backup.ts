/** `coterie backup`: whole records, out of a running cluster. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CoterieError } from '../client/index.ts';
import type { Client } from '../client/index.ts';
import { BACKUP_FORMAT, FILE_HEAD, MANIFEST, encodeEntry, fileNameOf } from '../core/backup.ts';
import type { BackupFile, BackupManifest, BackupRow } from '../core/backup.ts';
import { compareBytes } from '../core/key-page.ts';
import { bytesOfKey, keyOfBytes, partitionId } from '../core/ids.ts';
import type { Key } from '../core/ids.ts';
import { decodeRecord, encodeRecord } from '../core/record-bytes.ts';
import { merge } from '../core/record.ts';
import { nodeDigest } from '../index.ts';
import { recordKey } from '../node/store/stored.ts';
import { partitionsIn } from './backup-files.ts';
import { openClient, print, withClient, withConnection } from './data.ts';
import type { ConnectionFlags } from './data.ts';
import { CommandFailure, EXIT, usage } from './exit.ts';
import { ask, statusOf } from './operator.ts';
import { bytesText } from './table.ts';
import { Progress } from './progress.ts';
import { ownersOf } from './ring.ts';

type BackupFlags = ConnectionFlags & { readonly partition?: string; readonly partial?: boolean };

type Plan = {
  readonly node: string;
  readonly cluster: string;
  readonly n: number;
  readonly w: number;
  readonly partitions: number;
  readonly owned: readonly number[];
  readonly held: readonly number[];
  readonly complete: readonly number[];
};

type Page = {
  readonly node: string;
  readonly rows: readonly (readonly [Uint8Array, Uint8Array])[];
  readonly next?: Uint8Array;
};

type Source = { readonly plan: Plan; readonly client: Client };

export const addBackupCommand = (program: Command): void => {
  withConnection(program.command('backup').argument('<dir>'))
    .description('copy every record of a running cluster into an empty folder')
    .option('--partition <list>', 'only these partitions, by commas')
    .option('--partial', 'go on where too few owners answer to be sure of every write')
    .addHelpText(
      'after',
      '\nExample:\n  coterie backup /backups/monday --url ws://127.0.0.1:7400\n',
    )
    .action((dir: string, flags: BackupFlags) =>
      withClient(flags, (client) => backUp(client, dir, flags)),
    );
};

const backUp = async (client: Client, dir: string, flags: BackupFlags): Promise<void> => {
  if (existsSync(dir) && readdirSync(dir).length > 0) throw usage(`${dir} is not empty`);
  const startedAt = new Date().toISOString();
  const ring = await ownersOf(client);
  const sources = await sourcesOf(client, flags);
  try {
    const { partitions, cluster, n } = sources[0]!.plan;
    const wanted = partitionsIn(flags.partition, partitions);
    mkdirSync(dir, { recursive: true });
    const progress = new Progress('partitions', wanted.length, flags.json !== true);
    const files: BackupFile[] = [];
    for (const partition of wanted) {
      const { owners } = ring.owners[partition]!;
      files.push(await backUpPartition(dir, { partition, owners }, sources, progress));
      progress.step();
    }
    progress.end();
    const lacking = files.filter(({ complete }) => !complete).map(({ partition }) => partition);
    if (lacking.length > 0 && flags.partial !== true) {
      const which = `${lacking.length} partitions (${lacking.slice(0, 8).join(', ')}…)`;
      throw new CommandFailure(
        `too few owners of ${which} answered to be sure of every write: no manifest was written; --partial to settle for what there is`,
        EXIT.refused,
      );
    }
    const manifest: BackupManifest = {
      ...{ format: BACKUP_FORMAT, cluster, n, partitions },
      ...{ startedAt, finishedAt: new Date().toISOString() },
      nodes: sources.map(({ plan }) => plan.node),
      files,
    };
    // Last, whole or not at all: a folder without it is no backup.
    const path = join(dir, MANIFEST);
    await writeFile(`${path}.part`, `${JSON.stringify(manifest, null, 1)}\n`);
    await rename(`${path}.part`, path);
    const records = files.reduce((sum, file) => sum + file.records, 0);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    if (flags.json === true) print({ dir, records, bytes, incomplete: lacking });
    else process.stdout.write(`${records} records, ${bytesText(bytes)} in ${dir}\n`);
  } finally {
    await Promise.all(sources.map((source) => source.client.close('now')));
  }
};

/** A client of each node that answers, with what it holds. */
const sourcesOf = async (client: Client, flags: BackupFlags): Promise<readonly Source[]> => {
  const status = await statusOf(client);
  const asked = await Promise.all(
    status.nodes.map(async ({ id, address }): Promise<Source | string> => {
      if (address === '') return `${id}: its address is not known yet`;
      const own = openClient({ ...flags, url: address });
      try {
        return { plan: await ask<Plan>(own, 'backup.plan'), client: own };
      } catch (error) {
        await own.close('now');
        if (!(error instanceof CoterieError)) throw error;
        return `${id}: ${error.message}`;
      }
    }),
  );
  for (const silent of asked) {
    if (typeof silent === 'string') process.stderr.write(`coterie: not read: ${silent}\n`);
  }
  const sources = asked.filter((each) => typeof each === 'object');
  if (sources.length === 0) throw new CommandFailure('no node answered', EXIT.refused);
  return sources;
};

const backUpPartition = async (
  dir: string,
  { partition, owners }: { readonly partition: number; readonly owners: readonly string[] },
  sources: readonly Source[],
  progress: Progress,
): Promise<BackupFile> => {
  const holders = sources.filter(
    ({ plan }) => plan.held.includes(partition) || plan.owned.includes(partition),
  );
  const broken = new Set<string>();
  const streams = holders.map((source) => rowsOf(source, partition, broken));
  const file = fileNameOf(partition);
  const path = join(dir, file);
  const handle = await open(`${path}.part`, 'wx');
  const written = new RecordsWriter(handle);
  try {
    for await (const row of merged(streams, partition)) {
      const bytes = await written.add(row);
      progress.moved(bytes);
    }
    await written.end();
  } finally {
    await handle.close();
  }
  await rename(`${path}.part`, path);
  const read = holders.filter(({ plan }) => !broken.has(plan.node));
  const { w } = sources[0]!.plan;
  // C4, for a reader: as many complete owners as meet every write quorum.
  const n = owners.length;
  const complete = read.filter(
    ({ plan }) => owners.includes(plan.node) && plan.complete.includes(partition),
  ).length;
  return {
    ...{ partition, file, ...written.summary() },
    sources: read.map(({ plan }) => plan.node),
    complete: complete >= n - Math.min(w, n) + 1,
  };
};

/** What one node holds of a partition, page by page; a node that falls silent ends its stream. */
async function* rowsOf(
  { plan, client }: Source,
  partition: number,
  broken: Set<string>,
): AsyncGenerator<BackupRow> {
  let after: Uint8Array | undefined;
  for (;;) {
    let page: Page;
    try {
      const args = { partition, ...(after === undefined ? {} : { after }) };
      page = await ask<Page>(client, 'backup.read', args);
    } catch (error) {
      if (!(error instanceof CoterieError)) throw error;
      broken.add(plan.node);
      return;
    }
    for (const [name, record] of page.rows) yield { key: keyOfBytes(name), record };
    after = page.next;
    if (after === undefined) return;
  }
}

type Head = { row: BackupRow; name: Uint8Array; readonly stream: AsyncGenerator<BackupRow> };

/** Streams in one order as one: what several hold of a key becomes one record. */
async function* merged(
  streams: readonly AsyncGenerator<BackupRow>[],
  partition: number,
): AsyncGenerator<BackupRow> {
  const nameOf = (key: Key) =>
    recordKey(partitionId(partition), nodeDigest.md5(bytesOfKey(key)), key);
  const next = async (stream: AsyncGenerator<BackupRow>): Promise<Head | undefined> => {
    const { value, done } = await stream.next();
    return done === true ? undefined : { row: value, name: nameOf(value.key), stream };
  };
  let heads = (await Promise.all(streams.map(next))).filter((head) => head !== undefined);
  while (heads.length > 0) {
    const first = heads.reduce((a, b) => (compareBytes(b.name, a.name) < 0 ? b : a));
    const same = heads.filter(({ name }) => compareBytes(name, first.name) === 0);
    yield { key: first.row.key, record: mergedRecord(same.map(({ row }) => row.record)) };
    const others = heads.filter((head) => !same.includes(head));
    const advanced = await Promise.all(same.map(({ stream }) => next(stream)));
    heads = [...others, ...advanced.filter((head) => head !== undefined)];
  }
}

const mergedRecord = (records: readonly Uint8Array[]): Uint8Array => {
  const [first, ...others] = records;
  if (others.every((other) => compareBytes(other, first!) === 0)) return first!;
  return encodeRecord(
    records.map(decodeRecord).reduce((a, b) => merge(a, b)),
    'with-values',
  );
};

/** Writes the entries of one file and counts what a manifest says of them. */
class RecordsWriter {
  readonly #handle: FileHandle;
  readonly #sha256 = createHash('sha256');
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #records = 0;
  #bytes = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
    this.#take(FILE_HEAD);
  }

  async add(row: BackupRow): Promise<number> {
    const entry = encodeEntry(row, nodeDigest.crc32);
    this.#take(entry);
    this.#records += 1;
    if (this.#pendingBytes > 1024 * 1024) await this.#write();
    return entry.length;
  }

  async end(): Promise<void> {
    await this.#write();
    await this.#handle.sync();
  }

  summary(): Pick<BackupFile, 'records' | 'bytes' | 'sha256'> {
    return { records: this.#records, bytes: this.#bytes, sha256: this.#sha256.digest('hex') };
  }

  #take(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#bytes += bytes.length;
  }

  async #write(): Promise<void> {
    await this.#handle.writev(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}
