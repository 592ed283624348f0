/** `coterie transfers`: partitions that are moving, how fast, and holding them back. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Client } from '../client/index.ts';
import type { TransferStatus } from '../node/membership-commands.ts';
import type { Status } from '../index.ts';
import { print, withClient, withConnection } from './data.ts';
import type { DataFlags } from './data.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { tableText } from './table.ts';

type TransferFlags = DataFlags & { readonly watch?: boolean };

const WATCH_MS = 1000;
/** Rows of partitions shown; the others are counted. */
const ROWS_MAX = 20;

export const addTransfersCommand = (program: Command): void => {
  const transfers = withConnection(program.command('transfers'))
    .description('partitions that are moving from owner to owner')
    .option('--watch', 'print it anew every second until nothing moves')
    .addHelpText('after', '\nExample:\n  coterie transfers --watch\n')
    .action((flags: TransferFlags) => withClient(flags, (client) => show(client, flags)));
  for (const verb of ['pause', 'resume'] as const) {
    withConnection(transfers.command(verb))
      .description(
        verb === 'pause'
          ? 'every node holds its moves back, until resume or its next start'
          : 'every node goes on with its moves',
      )
      .addHelpText('after', `\nExample:\n  coterie transfers ${verb}\n`)
      .action((_: TransferFlags, command: Command) => {
        const flags: TransferFlags = command.optsWithGlobals();
        return withClient(flags, (client) => everywhere(client, flags, verb));
      });
  }
};

const show = async (client: Client, { watch, json }: TransferFlags): Promise<void> => {
  let first: { readonly atMs: number; readonly left: number } | undefined;
  for (;;) {
    const now = (await client.admin('transfers.status')) as unknown as TransferStatus;
    const left = now.moving.length;
    first ??= { atMs: Date.now(), left };
    if (json === true) print(now);
    else process.stdout.write((watch === true ? CLEAR : '') + textOf(now, paceOf(first, left)));
    if (watch !== true || (left === 0 && now.departing === 0)) return;
    await sleep(WATCH_MS);
  }
};

/** Home, and everything below it gone. */
const CLEAR = '\x1b[H\x1b[J';

/** How fast partitions have arrived since the first look, and how long the others may take. */
const paceOf = (first: { readonly atMs: number; readonly left: number }, left: number): string => {
  const seconds = (Date.now() - first.atMs) / 1000;
  const done = first.left - left;
  if (done <= 0 || seconds < 1) return '';
  const rate = done / seconds;
  return `, ${rate.toFixed(1)} a second, about ${Math.ceil(left / rate)} s left`;
};

const textOf = (now: TransferStatus, pace: string): string => {
  const { node, moving, filling, departing, given, paused } = now;
  const own =
    `${node}: fills ${filling}, keeps something of ${departing} for others, ` +
    `gave ${given} records${paused ? '; paused' : ''}`;
  if (moving.length === 0) return `nothing moves\n${own}\n`;
  const rows = moving
    .slice(0, ROWS_MAX)
    .map(({ partition, version, owners, arriving, leaving }) => [
      String(partition),
      String(version),
      owners.join(','),
      arriving.join(',') || '-',
      leaving.join(',') || '-',
    ]);
  const more = moving.length - rows.length;
  return [
    `${moving.length} partitions are moving${pace}`,
    own,
    tableText(['PARTITION', 'REGISTER', 'OWNERS', 'ARRIVING', 'LEAVING'], rows).trimEnd(),
    ...(more > 0 ? [`and ${more} more`] : []),
    '',
  ].join('\n');
};

/** Asks every node of the cluster; one that cannot be reached is named, and fails the command. */
const everywhere = async (
  client: Client,
  flags: TransferFlags,
  verb: 'pause' | 'resume',
): Promise<void> => {
  const { nodes } = (await client.status()) as unknown as Status;
  const done: TransferStatus[] = [];
  const missed: string[] = [];
  for (const { id, address } of nodes) {
    try {
      await withClient({ ...flags, url: address }, async (one) => {
        done.push((await one.admin(`transfers.${verb}`)) as unknown as TransferStatus);
      });
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      missed.push(id);
    }
  }
  if (flags.json === true) print(done);
  else for (const { node } of done) process.stdout.write(`${node}: ${verb}d\n`);
  if (missed.length > 0) {
    throw new CommandFailure(`not reached: ${missed.join(', ')}`, EXIT.refused);
  }
};
