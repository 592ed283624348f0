/** `coterie ring`: who holds how much, and whose a key is. */
import type { Command } from 'commander';
import type { DataFlags } from './data.ts';
import { integer, usage } from './exit.ts';
import { ask, showing, shows } from './operator.ts';
import type { OperatorFlags } from './operator.ts';
import { tableText } from './table.ts';

type RingShown = {
  readonly node: string;
  readonly partitions: number;
  readonly n: number;
  readonly moving: number;
  readonly nodes: readonly {
    readonly id: string;
    readonly zone: string;
    readonly weight: number;
    readonly health: string;
    readonly owns: number;
    readonly leads: number;
    readonly target: number;
  }[];
};

export type RingOwners = {
  readonly node: string;
  readonly partitions: number;
  readonly owners: readonly {
    readonly partition: number;
    readonly owners: readonly string[];
    readonly newcomers: readonly string[];
    readonly version: number;
  }[];
};

type OwnersFlags = OperatorFlags & { readonly key?: string; readonly partition?: number };

export const addRingCommand = (program: Command): void => {
  const ring = program.command('ring').description('where data lives: shares, and owners');
  shows(ring.command('show'), 'ring show')
    .description('how many partitions each node owns, leads and should own')
    .action((flags: OperatorFlags) =>
      showing(flags, (client) => ask<RingShown>(client, 'ring.show'), ringText),
    );
  shows(ring.command('owners'), 'ring owners --key cart:alice')
    .description('owners of a key, of a partition, or of all partitions')
    .option('--key <key>', 'of this key')
    .option('--partition <p>', 'of this partition', integer)
    .action((flags: OwnersFlags & DataFlags) => {
      const { key, partition } = flags;
      if (key !== undefined && partition !== undefined)
        throw usage('--key or --partition, not both');
      return showing(flags, (client) => ownersOf(client, key, partition), ownersText);
    });
};

type Asks = Parameters<typeof ask>[0];

/** A page at a time, if all are asked for. */
export const ownersOf = async (
  client: Asks,
  key?: string,
  partition?: number,
): Promise<RingOwners> => {
  if (key !== undefined) return ask<RingOwners>(client, 'ring.owners', { key });
  const one = { from: partition ?? 0, ...(partition === undefined ? {} : { many: 1 }) };
  let found = await ask<RingOwners>(client, 'ring.owners', one);
  while (partition === undefined && found.owners.length < found.partitions) {
    const page = await ask<RingOwners>(client, 'ring.owners', { from: found.owners.length });
    if (page.owners.length === 0) break;
    found = { ...page, owners: [...found.owners, ...page.owners] };
  }
  return found;
};

const ringText = ({ node, partitions, n, moving, nodes }: RingShown): string => {
  const head = ['NODE', 'HEALTH', 'ZONE', 'WEIGHT', 'OWNS', 'LEADS', 'TARGET'];
  const rows = nodes.map(({ id, health, zone, weight, owns, leads, target }) => [
    ...[id + (id === node ? ' *' : ''), health, zone, String(weight)],
    ...[String(owns), String(leads), String(target)],
  ]);
  const facts = `${partitions} partitions, N = ${n}, ${moving} on the move`;
  return `${facts}\n${tableText(head, rows)}`;
};

const ownersText = ({ owners }: RingOwners): string =>
  tableText(
    ['PARTITION', 'OWNERS', 'ARRIVING', 'VERSION'],
    owners.map(({ partition, owners: names, newcomers, version }) => [
      ...[String(partition), names.join(' '), newcomers.join(' ') || '-', String(version)],
    ]),
  );
