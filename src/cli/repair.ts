/** `coterie repair`: makes one node equal with its co-owners now, or shows how it stands. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Client } from '../client/index.ts';
import type { ExchangeProgress } from '../node/healing/exchange-desk.ts';
import type { RepairOfPeer, RepairProgress } from '../node/healing/repair-run.ts';
import type { RepairStatus } from '../node/healing/repair-commands.ts';
import { print, withClient, withConnection } from './data.ts';
import { CommandFailure, EXIT, integer, usage } from './exit.ts';
import { ageText, ask, showing, shows } from './operator.ts';
import type { OperatorFlags } from './operator.ts';
import { tableText } from './table.ts';

type RepairFlags = OperatorFlags & {
  readonly partition?: number;
  readonly since?: string;
};

const LOOK_MS = 500;
const SCRUB_LOOK_MS = 1000;

export const addRepairCommand = (program: Command): void => {
  const repair = withConnection(program.command('repair'))
    .description('compare a node with all co-owners of its partitions, and repair what differs')
    .option('--partition <p>', 'only this partition', integer)
    .option('--since <duration>', 'leave out nodes found equal within 30s, 10m, 2h')
    .addHelpText('after', '\nExample:\n  coterie repair --url ws://127.0.0.1:7400\n')
    .action((flags: RepairFlags) => withClient(flags, (client) => run(client, flags)));

  shows(repair.command('status'), 'repair status --watch')
    .description('what anti-entropy has found and moved since the node started')
    // The connection may be named before or after `status`.
    .action((_: RepairFlags, command: Command) =>
      showing(command.optsWithGlobals(), repairOf, tableOf),
    );

  withConnection(repair.command('scrub'))
    .description('look at every row of the node now, and refill from its peers what is damaged')
    .addHelpText('after', '\nExample:\n  coterie repair scrub --url ws://127.0.0.1:7400\n')
    .action((_: RepairFlags, command: Command) => {
      const flags: RepairFlags = command.optsWithGlobals();
      return withClient(flags, (client) => scrub(client, flags));
    });
};

/** Asks for a scrub and shows how far it is until its round is over. */
const scrub = async (client: Client, { json }: RepairFlags): Promise<void> => {
  const begun = await ask<RepairStatus>(client, 'repair.scrub');
  let now = begun;
  for (;;) {
    if (json !== true) process.stdout.write(`${scrubOf(now)}\n`);
    if (now.scrub.state === 'resting') break;
    await sleep(SCRUB_LOOK_MS);
    now = await repairOf(client);
    if (now.node !== begun.node || now.scrub.rounds < begun.scrub.rounds) {
      throw new CommandFailure(`${begun.node} began anew while it scrubbed`, EXIT.unknown);
    }
  }
  if (json === true) print(now.scrub);
};

const run = async (client: Client, flags: RepairFlags): Promise<void> => {
  const { partition, since, json } = flags;
  const begun = await ask<RepairStatus>(client, 'repair.start', {
    ...(partition === undefined ? {} : { partition }),
    ...(since === undefined ? {} : { sinceMs: durationMs(since) }),
  });
  let shown = '';
  let now = begun;
  for (;;) {
    const text = stepOf(now);
    if (json !== true && text !== shown) process.stdout.write(`${text}\n`);
    shown = text;
    if (now.run?.state === 'done') break;
    await sleep(LOOK_MS);
    now = await repairOf(client);
    if (now.node !== begun.node || now.run?.run !== begun.run?.run) {
      throw new CommandFailure(
        `${begun.node} no longer knows of this repair: it began anew, or another was asked for`,
        EXIT.unknown,
      );
    }
  }
  const { peers = [] } = now.run;
  if (json === true) print(now.run);
  const left = peers.filter(({ state }) => state !== 'equal').map(({ peer }) => peer);
  if (left.length > 0) {
    throw new CommandFailure(`not compared with ${left.join(', ')}`, EXIT.refused);
  }
};

const repairOf = (client: Client): Promise<RepairStatus> => ask(client, 'repair.status');

/** One line of progress: what of the repair is done, and what is under way. */
const stepOf = ({ run: repair, underWay }: RepairStatus): string => {
  if (repair === undefined) return '';
  const open = repair.peers.some((each) => each.peer === underWay?.peer && isOpen(each));
  return progressOf(repair) + (open ? ` (${underWayOf(underWay!)})` : '');
};

const isOpen = ({ state }: RepairOfPeer): boolean =>
  state === 'waiting' || state === 'looking again';

const progressOf = ({ peers, partition }: RepairProgress): string => {
  const what = partition === undefined ? '' : `partition ${partition}: `;
  const each = peers.map(
    ({ peer, state, pulled, pushed }) => `${peer} ${state}, ${pulled} taken, ${pushed} given`,
  );
  return what + (each.join(' · ') || 'no other node owns anything here');
};

const underWayOf = ({ peer, differing, left }: ExchangeProgress): string =>
  `${peer}: ${differing - left} of ${differing} differing partitions settled`;

const tableOf = (now: RepairStatus): string => {
  const { node, incomplete, damaged, peers, underWay, readRepairs, run: newest } = now;
  const head = ['PEER', 'COMPARED', 'ABANDONED', 'EQUAL', 'LOOKING AGAIN', 'TAKEN', 'GIVEN'];
  const rows = peers.map((report) => [
    report.peer,
    String(report.exchanges),
    String(report.abandoned),
    report.equalSinceMs === undefined ? 'never' : `${ageText(report.equalSinceMs)} ago`,
    String(report.pending),
    String(report.pulled),
    String(report.pushed),
  ]);
  return [
    `${node}: ${incomplete} partitions being refilled, ${damaged} damaged rows found`,
    tableText(head, rows).trimEnd(),
    ...(underWay === undefined ? [] : [`comparing with ${underWayOf(underWay)}`]),
    ...(newest === undefined
      ? []
      : [`repair ${newest.run} ${newest.state}: ${progressOf(newest)}`]),
    `reads brought ${readRepairs.sent} records up to date, and left ${readRepairs.skipped}`,
    scrubOf(now),
    '',
  ].join('\n');
};

const scrubOf = ({ scrub: now }: RepairStatus): string => {
  const { state, left, rounds, rows, damaged, misplaced, miscounted, roundEndedMs } = now;
  const { logged, hints } = now;
  const found = `${rows} rows seen, ${damaged} damaged, ${misplaced} misplaced`;
  const ended = roundEndedMs === undefined ? '' : `, the last ${ageText(roundEndedMs)} ago`;
  return (
    `scrub ${state}${state === 'checking' ? `, ${left} partitions left` : ''}: ${rounds} rounds${ended}; ` +
    `${found}, ${miscounted} leaves of trees, ${logged} rows of the log and ${hints} hints wrong`
  );
};

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const durationMs = (text: string): number => {
  const parts = /^([0-9]{1,6})([smhd])$/.exec(text);
  if (parts === null) throw usage(`--since is a duration like 30s, 10m, 2h or 1d, found ${text}`);
  return Number(parts[1]) * UNITS_MS[parts[2]!]!;
};
