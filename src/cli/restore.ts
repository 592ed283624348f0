/** `coterie restore`: the records of a backup, merged into a running cluster of whatever size. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { CoterieError } from '../client/index.ts';
import type { Client } from '../client/index.ts';
import type { BackupRow } from '../core/backup.ts';
import { bytesOfKey } from '../core/ids.ts';
import { partitionOf } from '../core/ring.ts';
import { nodeDigest } from '../index.ts';
import { manifestOf, partitionsIn, readRecordsFile } from './backup-files.ts';
import { openClient, print, withClient, withConnection } from './data.ts';
import type { ConnectionFlags } from './data.ts';
import { ask, statusOf } from './operator.ts';
import { Progress } from './progress.ts';
import { ownersOf } from './ring.ts';

type RestoreFlags = ConnectionFlags & { readonly partition?: string };

export const addRestoreCommand = (program: Command): void => {
  withConnection(program.command('restore').argument('<dir>'))
    .description('merge a backup into a running cluster, of whatever size')
    .option('--partition <list>', 'only these partitions of the backup, by commas')
    .addHelpText(
      'after',
      '\nExample:\n  coterie verify /backups/monday && coterie restore /backups/monday\n',
    )
    .action((dir: string, flags: RestoreFlags) =>
      withClient(flags, (client) => restore(client, dir, flags)),
    );
};

const BATCH_ROWS = 500;
const BATCH_BYTES = 512 * 1024;

const restore = async (client: Client, dir: string, flags: RestoreFlags): Promise<void> => {
  const manifest = await manifestOf(dir);
  const wanted = new Set(partitionsIn(flags.partition, manifest.partitions));
  const files = manifest.files.filter(({ partition }) => wanted.has(partition));
  const total = files.reduce((sum, { records }) => sum + records, 0);
  const ring = await ownersOf(client);
  const status = await statusOf(client);
  const clients = new Map<string, Client>(
    status.nodes
      .filter(({ health, address }) => health !== 'down' && address !== '')
      .map(({ id, address }) => [id, openClient({ ...flags, url: address })]),
  );
  const progress = new Progress('records', total, flags.json !== true);
  try {
    for (const { file } of files) {
      let batches = new Map<string, Batch>();
      for await (const row of readRecordsFile(join(dir, file))) {
        const partition = partitionOf(nodeDigest.md5(bytesOfKey(row.key)), ring.partitions);
        const { owners } = ring.owners[partition]!;
        // Whoever is no owner keeps the record with hints for them all.
        const owner = owners.find((id) => clients.has(id)) ?? status.node;
        if (row.record.length > BATCH_BYTES) {
          await sendInParts(clients.get(owner)!, row);
          progress.moved(row.record.length);
          progress.step(1);
          continue;
        }
        const batch = batches.get(owner) ?? { rows: [], bytes: 0 };
        batches.set(owner, batch);
        batch.rows.push(row);
        batch.bytes += row.record.length;
        if (batch.rows.length < BATCH_ROWS && batch.bytes < BATCH_BYTES) continue;
        await sendAll(batches, clients, progress);
        batches = new Map();
      }
      await sendAll(batches, clients, progress);
    }
    progress.end();
    if (flags.json === true) print({ dir, records: total });
    else process.stdout.write(`${total} records merged; hints bring them to the other owners\n`);
  } finally {
    await Promise.all([...clients.values()].map((each) => each.close('now')));
  }
};

type Batch = { readonly rows: BackupRow[]; bytes: number };

const sendAll = async (
  batches: ReadonlyMap<string, Batch>,
  clients: ReadonlyMap<string, Client>,
  progress: Progress,
): Promise<void> => {
  await Promise.all(
    [...batches].map(async ([node, { rows, bytes }]) => {
      await sendBatch(clients.get(node)!, rows);
      progress.moved(bytes);
      progress.step(rows.length);
    }),
  );
};

const sendBatch = (client: Client, rows: readonly BackupRow[]): Promise<void> =>
  patiently(async () => {
    const args = { rows: rows.map(({ key, record }) => [bytesOfKey(key), record]) };
    await ask(client, 'restore.write', args);
  });

/** A record with large siblings is more than a frame may hold. */
const sendInParts = (client: Client, { key, record }: BackupRow): Promise<void> =>
  patiently(async () => {
    const of = record.length;
    for (let at = 0; at < of;) {
      const bytes = record.subarray(at, at + BATCH_BYTES);
      const args = { key: bytesOfKey(key), of, at, bytes };
      // Where to go on is for the node to say: it may have forgotten, or heard a piece twice.
      at = (await ask<{ readonly have: number }>(client, 'restore.part', args)).have;
    }
  });

/** A node whose hint store is full is waited for: the others are catching up. */
const patiently = async (send: () => Promise<void>): Promise<void> => {
  for (let round = 1; ; round++) {
    try {
      return await send();
    } catch (error) {
      const full = error instanceof CoterieError && error.code === 'OVERLOADED';
      if (!full || round === OVERLOADED_ROUNDS_MAX) throw error;
      await sleep(1000);
    }
  }
};

const OVERLOADED_ROUNDS_MAX = 600;
