/** What the commands for operators share: asking one node or all of them, and watching. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { CoterieError } from '../client/index.ts';
import type { Client } from '../client/index.ts';
import type { Status } from '../index.ts';
import { openClient, print, withClient, withConnection } from './data.ts';
import type { ConnectionFlags } from './data.ts';
import { CommandFailure, EXIT, integer } from './exit.ts';

export type OperatorFlags = ConnectionFlags & {
  /** Seconds between two looks; `true`: the usual. */
  readonly watch?: number | true;
  readonly everyNode?: boolean;
};

const WATCH_SECONDS = 1;

/**
 * The flags of a command that shows something of a running node; `example` without the program, and
 * until when --watch goes on.
 */
export const shows = (command: Command, example: string, until = 'until interrupted'): Command =>
  withConnection(command)
    .option('--watch [seconds]', `print it anew ${until}`, integer)
    .addHelpText('after', `\nExample:\n  coterie ${example}\n`);

/** Home, and everything below it gone. */
const CLEAR = '\x1b[H\x1b[J';

/**
 * Prints what `look` finds, as a text for people or a line of JSON; with --watch again and again,
 * until it is over or somebody interrupts.
 */
export const showing = <T>(
  flags: OperatorFlags,
  look: (client: Client) => Promise<T>,
  textOf: (found: T) => string,
  isOver: (found: T) => boolean = () => false,
): Promise<void> =>
  withClient(flags, async (client) => {
    for (;;) {
      const found = await look(client);
      if (flags.json === true) print(found);
      else process.stdout.write((flags.watch === undefined ? '' : CLEAR) + textOf(found));
      if (flags.watch === undefined || isOver(found)) return;
      await sleep(1000 * (flags.watch === true ? WATCH_SECONDS : Math.max(1, flags.watch)));
    }
  });

/** The answer of `command`, in the shape its table says. */
export const ask = async <T>(
  client: Client,
  command: string,
  args: Readonly<Record<string, unknown>> = {},
): Promise<T> => (await client.admin(command, args)) as unknown as T;

/** The cluster as the asked node sees it. */
export const statusOf = async (client: Client): Promise<Status> =>
  (await client.status()) as unknown as Status;

export type OfNode<T> =
  | { readonly node: string; readonly answer: T }
  | { readonly node: string; readonly unreachable: string };

/**
 * What every node of the cluster answers, as `client` knows them by their announced addresses; a node
 * that does not answer is in the list with the reason.
 */
export const askEveryNode = async <T>(
  client: Client,
  flags: ConnectionFlags,
  look: (client: Client) => Promise<T>,
): Promise<readonly OfNode<T>[]> => {
  const { nodes } = await statusOf(client);
  return Promise.all(
    nodes.map(async ({ id, address }): Promise<OfNode<T>> => {
      if (address === '') return { node: id, unreachable: 'its address is not known yet' };
      const own = openClient({ ...flags, url: address });
      try {
        return { node: id, answer: await look(own) };
      } catch (error) {
        if (!(error instanceof CoterieError)) throw error;
        return { node: id, unreachable: `${error.code}: ${error.message}` };
      } finally {
        await own.close('now');
      }
    }),
  );
};

/** Ends the command with the nodes that did not answer, if there are any. */
export const refuseSilence = (answers: readonly OfNode<unknown>[]): void => {
  const silent = answers.filter((each) => 'unreachable' in each);
  if (silent.length === 0) return;
  const names = silent.map(
    (each) => `${each.node} (${'unreachable' in each ? each.unreachable : ''})`,
  );
  throw new CommandFailure(`no answer from ${names.join(', ')}`, EXIT.refused);
};

/** `3 s`, `5 min`, `2 h`, `4 d`. */
export const ageText = (ms: number | undefined): string => {
  if (ms === undefined) return '-';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
};
