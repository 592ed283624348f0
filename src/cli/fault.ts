/** `coterie fault`: break a node on purpose, and mend it; for clusters that allow it. */
import type { Command } from 'commander';
import type { FaultsView } from '../inspector/records.ts';
import { print, withClient, withConnection } from './data.ts';
import type { ConnectionFlags } from './data.ts';
import { usage } from './exit.ts';
import { ask, showing, shows } from './operator.ts';
import type { OperatorFlags } from './operator.ts';
import { tableText } from './table.ts';

type Shown = FaultsView & { readonly node: string };

/** Each fault as it is typed, and as the node is told. */
const FAULTS: readonly {
  readonly name: string;
  readonly argument: string;
  readonly does: string;
  readonly example: string;
  readonly faultOf: (argument: string) => Readonly<Record<string, string | number>>;
}[] = [
  {
    name: 'cut',
    argument: '<peer>',
    does: 'the node neither hears nor reaches that peer',
    example: 'fault cut n3',
    faultOf: (peer) => ({ type: 'cut', peer }),
  },
  {
    name: 'heal',
    argument: '<peer>',
    does: 'takes a cut back',
    example: 'fault heal n3',
    faultOf: (peer) => ({ type: 'heal', peer }),
  },
  {
    name: 'slow-disk',
    argument: '<ms>',
    does: 'each commit of the node is answered so much later; 0: no more',
    example: 'fault slow-disk 200',
    faultOf: (ms) => ({ type: 'slow-disk', delayMs: number(ms) }),
  },
  {
    name: 'skew',
    argument: '<ms>',
    does: 'the wall clock of the node is off by so much; 0: no more',
    example: 'fault skew 60000',
    faultOf: (ms) => ({ type: 'skew', skewMs: number(ms) }),
  },
  ...(
    [
      ['kill', 'SIGKILL to a process of a `coterie cluster`'],
      ['pause', 'SIGSTOP to it'],
      ['resume', 'SIGCONT to it'],
      ['restart', 'starts it again on the data it has'],
      ['wipe', 'kills it, empties its disk and starts it again'],
    ] as const
  ).map(([name, does]) => ({
    ...{ name, does, argument: '<node>', example: `fault ${name} n3` },
    faultOf: (node: string) => ({ type: name, node }),
  })),
];

export const addFaultCommand = (program: Command): void => {
  const fault = program
    .command('fault')
    .description('break a node on purpose; it must have been started with --allow-faults');
  shows(fault.command('show'), 'fault show')
    .description('what is broken on purpose right now')
    .action((flags: OperatorFlags) =>
      showing(flags, (client) => ask<Shown>(client, 'fault.show'), textOf),
    );
  for (const { name, argument, does, example, faultOf } of FAULTS) {
    withConnection(fault.command(name).argument(argument))
      .description(does)
      .addHelpText('after', `\nExample:\n  coterie ${example}\n`)
      .action((said: string, flags: ConnectionFlags) =>
        withClient(flags, async (client) => {
          const shown = await ask<Shown>(client, 'fault.apply', { fault: faultOf(said) });
          if (flags.json === true) print(shown);
          else process.stdout.write(textOf(shown));
        }),
      );
  }
};

const number = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw usage(`expected a number of ms, found ${JSON.stringify(text)}`);
  }
  return value;
};

const textOf = ({ node, cutTo, diskDelayMs, skewMs, processes }: Shown): string => {
  const broken = [
    ...cutTo.map((peer) => `cut from ${peer}`),
    ...(diskDelayMs === 0 ? [] : [`disk ${diskDelayMs} ms slower`]),
    ...(skewMs === 0 ? [] : [`clock off by ${skewMs} ms`]),
  ];
  const line = `${node}: ${broken.length === 0 ? 'nothing is broken' : broken.join(', ')}\n`;
  if (processes.length === 0) return line;
  return (
    line +
    tableText(
      ['PROCESS', 'STATE'],
      processes.map(({ id, state }) => [id, state]),
    )
  );
};
