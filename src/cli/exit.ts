/** How a command ends: its exit code, and what it says of a line that it does not understand. */
export const EXIT = {
  ok: 0,
  notFound: 1,
  usage: 2,
  refused: 3,
  unknown: 4,
  /** Of a node that its cluster removed too long ago to take it back (RULES C8). */
  retired: 5,
} as const;

/** Ends the command with a message for people on stderr. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

export const usage = (message: string): CommandFailure => new CommandFailure(message, EXIT.usage);

/** What commander makes of an option that counts something. */
export const integer = (text: string): number => {
  if (!/^-?\d+$/.test(text)) throw usage(`expected an integer, found ${JSON.stringify(text)}`);
  return Number(text);
};
