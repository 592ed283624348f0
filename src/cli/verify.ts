/** `coterie verify` and `compact`: what can be done to files that no node is using. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { MANIFEST } from '../core/backup.ts';
import type { BackupFile } from '../core/backup.ts';
import { compareBytes } from '../core/key-page.ts';
import { bytesOfKey, partitionId } from '../core/ids.ts';
import { decodeRecord } from '../core/record-bytes.ts';
import { partitionOf } from '../core/ring.ts';
import { DataDirectoryError, nodeDigest } from '../index.ts';
import { recordKey } from '../node/store/stored.ts';
import { compactDataDirectory, verifyDataDirectory } from '../offline.ts';
import type { StorageReport } from '../offline.ts';
import { manifestOf, readRecordsFile } from './backup-files.ts';
import { print } from './data.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { bytesText } from './table.ts';
import { Progress } from './progress.ts';

type Flags = { readonly json?: boolean };

export const addVerifyCommands = (program: Command): void => {
  program
    .command('verify')
    .argument('<dir>', 'a backup, or the data directory of a node that is stopped')
    .description('read all of it and say what is damaged; exit 1 if anything is')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  coterie verify /backups/monday\n')
    .action((dir: string, flags: Flags) =>
      existsSync(join(dir, MANIFEST)) ? verifyBackup(dir, flags) : verifyData(dir, flags),
    );
  program
    .command('compact')
    .argument('<dir>', 'the data directory of a node that is stopped')
    .description('write the data file anew without its free pages')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  coterie compact ./data/n1\n')
    .action(async (dir: string, { json }: Flags) => {
      const sizes = await offline(() => compactDataDirectory(dir));
      const { bytesBefore, bytesAfter } = sizes;
      if (json === true) print({ dir, ...sizes });
      else process.stdout.write(`${dir}: ${bytesText(bytesBefore)} → ${bytesText(bytesAfter)}\n`);
    });
};

const offline = async <T>(task: () => Promise<T>): Promise<T> => {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof DataDirectoryError)) throw error;
    throw new CommandFailure(error.message, EXIT.refused);
  }
};

const verifyData = async (dir: string, { json }: Flags): Promise<void> => {
  const report = await offline(() => verifyDataDirectory(dir));
  if (json === true) print({ dir, kind: 'data', ...report });
  else process.stdout.write(dataText(dir, report));
  if (report.damaged > 0) throw new CommandFailure('', EXIT.notFound);
};

const dataText = (dir: string, report: StorageReport): string => {
  const { node, format, incarnation, end, members, records, siblings, tombstones, hints } = report;
  const unsaid = report.damaged - report.findings.length;
  return [
    `${dir}: node ${node}, life ${incarnation}, ended ${end === 'clean' ? 'cleanly' : 'by a crash'}, data format ${format}`,
    `cluster of ${members.join(', ')}; ${report.partitions} partitions`,
    `${records} records with ${siblings} siblings (${tombstones} tombstones), ${hints} hints`,
    ...report.findings.map((finding) => `damaged: ${finding}`),
    ...(unsaid > 0 ? [`… and ${unsaid} more`] : []),
    report.damaged === 0 ? 'sound' : `${report.damaged} things are damaged`,
    '',
  ].join('\n');
};

const verifyBackup = async (dir: string, { json }: Flags): Promise<void> => {
  const manifest = await manifestOf(dir);
  const { files, partitions } = manifest;
  const progress = new Progress('files', files.length, json !== true);
  const findings: string[] = [];
  let records = 0;
  let bytes = 0;
  for (const file of files) {
    try {
      await verifyFile(dir, file, partitions);
      records += file.records;
      bytes += file.bytes;
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      findings.push(error.message);
    }
    progress.moved(file.bytes);
    progress.step();
  }
  progress.end();
  const incomplete = files.filter(({ complete }) => !complete).map(({ partition }) => partition);
  if (json === true) {
    const damaged = findings.length;
    print({ dir, kind: 'backup', records, bytes, incomplete, damaged, findings });
  } else {
    const { nodes, finishedAt, cluster } = manifest;
    const lines = [
      `${dir}: cluster ${cluster}, from ${nodes.join(', ')}, finished ${finishedAt}`,
      `${records} records, ${bytesText(bytes)} in ${files.length} of ${partitions} partitions`,
      ...(incomplete.length === 0
        ? []
        : [`${incomplete.length} partitions may lack writes: too few of their owners were read`]),
      ...findings.map((finding) => `damaged: ${finding}`),
      findings.length === 0 ? 'sound' : `${findings.length} files are damaged`,
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  if (findings.length > 0) throw new CommandFailure('', EXIT.notFound);
};

/** Throws the failure that says what is wrong with a file. */
const verifyFile = async (dir: string, file: BackupFile, partitions: number): Promise<void> => {
  const path = join(dir, file.file);
  const wrong = (what: string) => new CommandFailure(`${path}: ${what}`, EXIT.notFound);
  const sha256 = createHash('sha256');
  let records = 0;
  let before: Uint8Array = new Uint8Array(0);
  for await (const { key, record } of readRecordsFile(path, (bytes) => sha256.update(bytes))) {
    const position = nodeDigest.md5(bytesOfKey(key));
    const partition = partitionOf(position, partitions);
    if (partition !== file.partition) throw wrong(`a key of partition ${partition}`);
    const name = recordKey(partitionId(partition), position, key);
    if (compareBytes(before, name) >= 0) throw wrong('keys out of order');
    before = name;
    try {
      decodeRecord(record);
    } catch (error) {
      throw wrong(`a record that cannot be read: ${(error as Error).message}`);
    }
    records += 1;
  }
  if (records !== file.records)
    throw wrong(`${records} records, the manifest says ${file.records}`);
  if (sha256.digest('hex') !== file.sha256) throw wrong('its SHA-256 is not that of the manifest');
};
