/**
 * What an operator may ask of this node over the client protocol (PROTOCOL.md, ADMIN): a table of
 * commands, each a name, arguments checked by the command, and a map as the answer.
 */
import { CoterieError } from '../../core/errors.ts';
import type { AdminRequest, HandledReply } from '../../wire/client-messages.ts';
import { badArgument, uintOf } from '../../wire/fields.ts';
import { failedReply } from '../../wire/reply-codec.ts';

export type AdminArguments = Readonly<Record<string, unknown>>;

export type AdminReply = { readonly [name: string]: unknown };

/**
 * Answers once, perhaps later and within `timeoutMs`, or throws CoterieError. Doing it twice must be
 * the same as once.
 */
export type AdminCommand = (
  args: AdminArguments,
  answer: (result: AdminReply | CoterieError) => void,
  timeoutMs: number,
) => void;

export type AdminCommands = Readonly<Record<string, AdminCommand>>;

export const runAdminCommand = (
  commands: AdminCommands,
  { command, args, timeoutMs }: AdminRequest,
  reply: (reply: HandledReply) => void,
): void => {
  const run = Object.hasOwn(commands, command) ? commands[command] : undefined;
  const fail = (error: CoterieError): void => reply(failedReply(error));
  if (run === undefined) {
    const known = Object.keys(commands).sort();
    const message = `this node knows no command ${command}`;
    return fail(new CoterieError('BAD_ARGUMENT', message, { commands: known }));
  }
  try {
    run(
      args,
      (result) =>
        result instanceof CoterieError ? fail(result) : reply({ type: 'admin-is', result }),
      timeoutMs,
    );
  } catch (error) {
    if (!(error instanceof CoterieError)) throw error;
    fail(error);
  }
};

/** An unsigned integer below `below`, undefined where the argument is absent. Throws BAD_ARGUMENT. */
export const uintArgument = (
  args: AdminArguments,
  name: string,
  below: number = Number.MAX_SAFE_INTEGER,
): number | undefined => {
  const item = args[name];
  if (item === undefined || item === null) return undefined;
  const value = uintOf(item);
  if (value !== undefined && value < below) return value;
  throw badArgument(`the argument ${name}`, `an integer from 0 to ${below - 1}`, item);
};
