/** `coterie shell`: a REPL of JavaScript with a client in it. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { start } from 'node:repl';
import type { REPLEval, REPLServer } from 'node:repl';
import { inspect } from 'node:util';
import type { Command } from 'commander';
import * as library from '../client/index.ts';
import type { Client } from '../client/index.ts';
import { withClient, withConnection } from './data.ts';
import type { DataFlags } from './data.ts';

type ShellFlags = DataFlags & { readonly history?: string };

export const addShellCommand = (program: Command): void => {
  withConnection(program.command('shell'))
    .description('a JavaScript prompt with the connected client as `db`; Tab completes')
    .option('--history <file>', 'where to keep what was typed (~/.coterie_history)')
    .addHelpText('after', "\nExample:\n  coterie shell\n  > db.put('cart:alice', 'milk')\n")
    .action((flags: ShellFlags) => withClient(flags, (client) => converse(client, flags)));
};

const converse = async (client: Client, { history }: ShellFlags): Promise<void> => {
  const isTerminal = process.stdin.isTTY === true;
  if (isTerminal) process.stdout.write('db is the client; mergers and codecs go by their names.\n');
  const server = start({ prompt: isTerminal ? 'coterie> ' : '', writer: shown });
  Object.assign(server.context, library, { db: client });
  const evaluation = inTurn(server.eval, server);
  (server as { eval: REPLEval }).eval = evaluation.evaluate;
  if (isTerminal) await keepHistory(server, history ?? join(homedir(), '.coterie_history'));
  await new Promise<void>((resolve) => server.once('exit', resolve));
  await evaluation.finished();
};

/**
 * One line after the other, each when the one before has its answer: what an operation promises is
 * what whoever typed it wants to see, also where the lines come from a file.
 */
const inTurn = (inner: REPLEval, server: REPLServer) => {
  let last: Promise<void> = Promise.resolve();
  const run = (...[code, context, file, done]: Parameters<REPLEval>): Promise<void> =>
    new Promise((finished) => {
      const end = (error: Error | null, result: unknown): void => {
        done(error, result);
        finished();
      };
      inner.call(server, code, context, file, (error, result: unknown) => {
        if (!(result instanceof Promise)) return end(error, result);
        result.then(
          (value: unknown) => end(null, value),
          (reason: Error) => end(reason, undefined),
        );
      });
    });
  const evaluate: REPLEval = (...line) => {
    last = last.then(() => run(...line));
  };
  return { evaluate, finished: () => last };
};

/** Without it the shell works as well: a home that cannot be written is no reason to end. */
const keepHistory = (server: REPLServer, file: string): Promise<void> =>
  new Promise((resolve) => server.setupHistory(file, () => resolve()));

/** Siblings as text where they are, and bytes where they are not. */
const shown = (value: unknown): string => {
  const { colors } = { colors: process.stdout.isTTY === true };
  if (!(value instanceof library.Values)) return inspect(value, { colors });
  const { state, values } = value;
  const siblings = values.map((each) => {
    const text = Buffer.from(each).toString();
    return Buffer.from(text).equals(each) ? text : each;
  });
  return `${state} ${inspect(siblings, { colors })}`;
};
