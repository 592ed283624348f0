/** `coterie status`: the cluster as one node sees it. */
import type { Command } from 'commander';
import type { Status } from '../index.ts';
import { showing, shows, statusOf } from './operator.ts';
import type { OperatorFlags } from './operator.ts';
import { tableText } from './table.ts';

export const addStatusCommand = (program: Command): void => {
  shows(program.command('status'), 'status --url ws://127.0.0.1:7400 --watch')
    .description('nodes, their health, partitions and hints, as the asked node sees them')
    .action((flags: OperatorFlags) => showing(flags, statusOf, tableOf));
};

const tableOf = (status: Status): string => {
  const head = ['NODE', 'STATE', 'HEALTH', 'ZONE', 'WEIGHT', 'PARTITIONS', 'HINTS', 'ADDRESS'];
  const rows = status.nodes.map((node) => [
    node.id + (node.id === status.node ? ' *' : ''),
    node.state,
    node.health,
    node.zone,
    String(node.weight),
    String(node.partitions),
    String(node.hints),
    node.address,
  ]);
  const facts = `cluster ${status.cluster}, N = ${status.n}, ${status.partitions} partitions`;
  return [
    facts,
    tableText(head, rows).trimEnd(),
    ...backgroundOf(status),
    reapingOf(status),
    ...status.notes.map((note) => `note: ${note}`),
    '',
  ].join('\n');
};

/** How much of the time background work has, and what for. */
const backgroundOf = ({ node, admission }: Status): readonly string[] => {
  const { readP99Ms, writeP99Ms, thresholdMs, pressure, slices, tasks } = admission;
  const waits = `p99 read ${inMs(readP99Ms)}, write ${inMs(writeP99Ms)}, threshold ${thresholdMs} ms`;
  const head = ['BACKGROUND', 'SLICES', 'STEPS', 'WORKED', 'RESTED'];
  const rows = tasks
    .filter(({ steps }) => steps > 0)
    .map((each) => [
      each.task + (each.active ? ' *' : ''),
      String(each.slices),
      String(each.steps),
      inMs(each.workedMs),
      inMs(each.restedMs),
    ]);
  return [
    `background work of ${node}: ${slices} of 100 slices (${pressure}); ${waits}`,
    ...(rows.length === 0 ? [] : [tableText(head, rows).trimEnd()]),
  ];
};

/** What became of deletes, and what keeps those that wait. */
const reapingOf = ({ reaping }: Status): string => {
  const { candidates, reaped, pruned, blockedBy, blockedForMs } = reaping;
  const blocked =
    blockedBy === undefined ? '' : `; for ${Math.round(blockedForMs / 1000)} s: ${blockedBy}`;
  return `deletes: ${reaped} forgotten, ${pruned} records pruned, ${candidates} waiting${blocked}`;
};

const inMs = (ms: number | undefined): string => (ms === undefined ? '-' : `${ms.toFixed(1)} ms`);
