/** `coterie transfers`: partitions that are moving, how fast, and holding them back. */
import type { Command } from 'commander';
import type { TransferStatus } from '../node/membership/membership-commands.ts';
import { print, withClient, withConnection } from './data.ts';
import { ask, askEveryNode, refuseSilence, showing, shows } from './operator.ts';
import type { OperatorFlags } from './operator.ts';
import { tableText } from './table.ts';

/** Rows of partitions shown; the others are counted. */
const ROWS_MAX = 20;

export const addTransfersCommand = (program: Command): void => {
  const example = 'transfers --watch';
  const transfers = shows(program.command('transfers'), example, 'until nothing moves')
    .description('partitions that are moving from owner to owner')
    .action(show);
  for (const verb of ['pause', 'resume'] as const) {
    withConnection(transfers.command(verb))
      .description(
        verb === 'pause'
          ? 'every node holds its moves back, until resume or its next start'
          : 'every node goes on with its moves',
      )
      .addHelpText('after', `\nExample:\n  coterie transfers ${verb}\n`)
      .action((_: OperatorFlags, command: Command) => everywhere(command.optsWithGlobals(), verb));
  }
};

const show = (flags: OperatorFlags): Promise<void> => {
  let first: { readonly atMs: number; readonly left: number } | undefined;
  return showing(
    flags,
    (client) => ask<TransferStatus>(client, 'transfers.status'),
    (now) => {
      const left = now.moving.length;
      first ??= { atMs: Date.now(), left };
      return textOf(now, paceOf(first, left));
    },
    ({ moving, departing }) => moving.length === 0 && departing === 0,
  );
};

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

/** Tells every node of the cluster; one that cannot be reached is named, and fails the command. */
const everywhere = (flags: OperatorFlags, verb: 'pause' | 'resume'): Promise<void> =>
  withClient(flags, async (client) => {
    const told = await askEveryNode(client, flags, (one) =>
      ask<TransferStatus>(one, `transfers.${verb}`),
    );
    const done = told.flatMap((each) => ('answer' in each ? each.answer : []));
    if (flags.json === true) print(done);
    else for (const { node } of done) process.stdout.write(`${node}: ${verb}d\n`);
    refuseSilence(told);
  });
