/** `coterie plan` and `coterie node`: what a change of membership would do, and the change itself. */
import type { Command } from 'commander';
import type { Client } from '../client/index.ts';
import type { ChangeResult } from '../node/membership/membership-commands.ts';
import type { MembershipPlan } from '../node/membership/membership-plan.ts';
import { print, withClient, withConnection } from './data.ts';
import type { DataFlags } from './data.ts';
import { CommandFailure, EXIT, integer } from './exit.ts';
import { ask } from './operator.ts';
import { bytesText, tableText } from './table.ts';

type ChangeFlags = DataFlags & {
  readonly zone?: string;
  readonly weight?: number;
  readonly plan?: string;
  readonly yes?: boolean;
};

type Change = Readonly<Record<string, string | number>>;

/** How each change is said on the command line. */
const CHANGES: readonly {
  readonly name: string;
  readonly args: string;
  readonly does: string;
  readonly example: string;
  readonly hasPlace?: true;
  readonly changeOf: (args: readonly string[], flags: ChangeFlags) => Change;
}[] = [
  {
    name: 'join',
    args: '<node>',
    does: 'a running node becomes a member and takes its share of the partitions',
    example: 'join n4 --zone rack2',
    hasPlace: true,
    changeOf: ([node = ''], { zone = 'default', weight = 1 }) => ({ node, zone, weight }),
  },
  {
    name: 'leave',
    args: '<node>',
    does: 'a member hands over all it holds and is a member no more; its id never comes back',
    example: 'leave n3',
    changeOf: ([node = '']) => ({ node }),
  },
  {
    name: 'remove',
    args: '<node>',
    does: 'a member is dead for good: nobody waits for what it held',
    example: 'remove n3',
    changeOf: ([node = '']) => ({ node }),
  },
  {
    name: 'replace',
    args: '<node> <by>',
    does: 'another node takes the place of a dead one; no other partitions move',
    example: 'replace n3 n5',
    changeOf: ([node = '', by = '']) => ({ node, by }),
  },
  {
    name: 'set-weight',
    args: '<node> <weight>',
    does: 'a node of weight 2 holds twice the share of one of weight 1',
    example: 'set-weight n1 2',
    changeOf: ([node = '', weight]) => ({ node, weight: integer(weight ?? '') }),
  },
  {
    name: 'set-zone',
    args: '<node> <zone>',
    does: 'the failure domain a node stands in: copies of a key avoid sharing one',
    example: 'set-zone n1 rack1',
    changeOf: ([node = '', zone = '']) => ({ node, zone }),
  },
  {
    name: 'set-n',
    args: '<n>',
    does: 'how many copies of each key there are',
    example: 'set-n 3',
    changeOf: ([n]) => ({ n: integer(n ?? '') }),
  },
];

export const addMembershipCommands = (program: Command): void => {
  const plan = program
    .command('plan')
    .description('what a change of membership would move, and what speaks against it');
  const node = program
    .command('node')
    .description('change the membership: asks for the digest of its plan, or --yes');
  for (const { name, args, does, example, hasPlace, changeOf } of CHANGES) {
    const placed = (command: Command): Command =>
      hasPlace === undefined
        ? command
        : command
            .option('--zone <zone>', 'its failure domain', 'default')
            .option('--weight <weight>', 'its share compared with others', integer, 1);
    const asked = (command: Command): Change => ({
      type: name,
      ...changeOf(command.processedArgs as string[], command.optsWithGlobals()),
    });
    placed(withConnection(plan.command(`${name} ${args}`)))
      .description(does)
      .addHelpText('after', `\nExample:\n  coterie plan ${example}\n`)
      .action((...called: unknown[]) => {
        const command = called.at(-1) as Command;
        const flags: ChangeFlags = command.optsWithGlobals();
        return withClient(flags, async (client) => {
          const made = await planOf(client, asked(command));
          if (flags.json === true) print(made);
          else process.stdout.write(textOf(made));
        });
      });
    placed(withConnection(node.command(`${name} ${args}`)))
      .description(does)
      .option('--plan <digest>', 'of the plan that was looked at (coterie plan)')
      .option('--yes', 'without having looked at a plan')
      .addHelpText('after', `\nExample:\n  coterie node ${example} --yes\n`)
      .action((...called: unknown[]) => {
        const command = called.at(-1) as Command;
        const flags: ChangeFlags = command.optsWithGlobals();
        return withClient(flags, (client) => change(client, asked(command), flags));
      });
  }
};

const planOf = (client: Client, change: Change): Promise<MembershipPlan> =>
  ask(client, 'membership.plan', change);

const change = async (client: Client, wish: Change, flags: ChangeFlags): Promise<void> => {
  const { plan: digest, yes, json } = flags;
  if (digest === undefined && yes !== true) {
    const made = await planOf(client, wish);
    if (json === true) print({ issued: false, plan: made });
    else process.stdout.write(textOf(made));
    throw new CommandFailure(
      `nothing was changed: say it again with --plan ${made.digest}`,
      EXIT.refused,
    );
  }
  const result = await ask<ChangeResult>(client, 'membership.change', {
    ...wish,
    ...(digest === undefined ? {} : { digest }),
    ...(yes === undefined ? {} : { yes }),
  });
  if (json === true) print({ issued: !result.already, ...result });
  else if (result.already) process.stdout.write('it is that way already\n');
  else {
    process.stdout.write(
      `${sentenceOf(result.plan!)}\nit moves by itself now: coterie transfers --watch\n`,
    );
  }
};

const sentenceOf = ({ moving, partitions, replicas, bytes }: MembershipPlan): string =>
  replicas === 0
    ? `none of ${partitions} partitions gets another owner`
    : `${moving} of ${partitions} partitions move, ${replicas} copies` +
      (bytes === undefined ? '' : `, about ${bytesText(bytes)}`);

const textOf = (plan: MembershipPlan): string => {
  const head = ['NODE', 'ZONE', 'WEIGHT', 'NOW', 'THEN', 'TAKES', 'GIVES'];
  const rows = plan.nodes.map((each) => [
    each.node,
    each.zone,
    ...[each.weight, each.before, each.after, each.takes, each.gives].map(String),
  ]);
  return [
    sentenceOf(plan),
    tableText(head, rows).trimEnd(),
    ...plan.warnings.map((warning) => `warning: ${warning}`),
    `plan ${plan.digest}`,
    '',
  ].join('\n');
};
