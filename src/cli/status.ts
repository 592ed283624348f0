/** `coterie status`: the cluster as one node sees it. */
import type { Command } from 'commander';
import type { Status } from '../index.ts';
import { print, withClient, withConnection } from './data.ts';
import type { DataFlags } from './data.ts';
import { tableText } from './table.ts';

export const addStatusCommand = (program: Command): void => {
  withConnection(program.command('status'))
    .description('nodes, their health, partitions and hints, as the asked node sees them')
    .addHelpText('after', '\nExample:\n  coterie status --url ws://127.0.0.1:7400\n')
    .action((flags: DataFlags) =>
      withClient(flags, async (client) => {
        const status = (await client.status()) as unknown as Status;
        if (flags.json === true) print(status);
        else process.stdout.write(tableOf(status));
      }),
    );
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
    ...status.notes.map((note) => `note: ${note}`),
    '',
  ].join('\n');
};
