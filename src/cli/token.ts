/** `coterie token` and `coterie secret`: what opens the doors of a node, made and taken back. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parseTokens } from '../core/access.ts';
import { tokenHash } from '../node/clients/client-access.ts';
import { nodeDigest } from '../index.ts';
import { print } from './data.ts';
import { CommandFailure, EXIT, integer, usage } from './exit.ts';
import { asUsage } from './settings.ts';
import { tableText } from './table.ts';

type Flags = {
  readonly file: string;
  readonly name: string;
  readonly role: readonly string[];
  readonly rate?: number;
  readonly expires?: string;
  readonly json?: boolean;
};

/** An entry as the file has it. */
type Entry = {
  readonly name: string;
  readonly hash: string;
  readonly roles: readonly string[];
  readonly requestsPerSecondMax?: number;
  readonly expires?: string;
};

export const addTokenCommand = (program: Command): void => {
  const token = program
    .command('token')
    .description(
      'make, list and take back the tokens of clients; a running node is told by SIGHUP',
    );
  withFile(token.command('add'))
    .description(
      'add a token to the file and print it: it is shown this once, the file has its hash',
    )
    .requiredOption('--name <name>', 'who it is for')
    .requiredOption(
      '--role <grant>',
      'read, write, admin, or read:prefix, write:prefix; may be repeated',
      (value: string, earlier: readonly string[]) => [...earlier, value],
      [],
    )
    .option('--rate <count>', 'requests a second', integer)
    .option('--expires <time>', 'when it ends, such as 2030-01-01T00:00:00Z')
    .addHelpText(
      'after',
      '\nExample:\n  coterie token add --file t.json --name shop --role write:cart:\n',
    )
    .action(add);
  withFile(token.command('list'))
    .description('names and roles of the tokens in the file')
    .addHelpText('after', '\nExample:\n  coterie token list --file t.json\n')
    .action(list);
  withFile(token.command('remove'))
    .argument('<name>', 'a name, or the first digits of a hash')
    .description('take tokens out of the file')
    .addHelpText('after', '\nExample:\n  coterie token remove shop --file t.json\n')
    .action(remove);
  program
    .command('secret')
    .description('print a new cluster secret for the file of --secret-file')
    .addHelpText('after', '\nExample:\n  (umask 077; coterie secret > secret)\n')
    .action(() => void process.stdout.write(`${randomBytes(32).toString('hex')}\n`));
};

const withFile = (command: Command): Command =>
  command.requiredOption('--file <file>', 'the tokens file').option('--json', 'print JSON');

const add = ({ file, name, role, rate, expires, json }: Flags): void => {
  const token = randomBytes(32).toString('base64url');
  const entry: Entry = {
    name,
    hash: tokenHash(nodeDigest, token),
    roles: role,
    ...(rate === undefined ? {} : { requestsPerSecondMax: rate }),
    ...(expires === undefined ? {} : { expires }),
  };
  save(file, [...(existsSync(file) ? entriesOf(file) : []), entry]);
  if (json === true) print({ ...entry, token });
  else process.stdout.write(`${token}\n`);
};

const list = ({ file, json }: Flags): void => {
  const entries = entriesOf(file);
  if (json === true) return print(entries);
  const rows = entries.map(({ name, hash, roles, requestsPerSecondMax, expires }) => [
    ...[name, hash.slice(0, 12), roles.join(' ')],
    ...[String(requestsPerSecondMax ?? '-'), expires ?? '-'],
  ]);
  process.stdout.write(tableText(['NAME', 'HASH', 'ROLES', 'RATE', 'EXPIRES'], rows));
};

const remove = (which: string, { file, json }: Flags): void => {
  const entries = entriesOf(file);
  const fits = ({ name, hash }: Entry) =>
    name === which || (which.length >= 6 && hash.startsWith(which));
  const gone = entries.filter(fits);
  if (gone.length === 0) throw new CommandFailure(`no token ${which} in ${file}`, EXIT.notFound);
  save(
    file,
    entries.filter((entry) => !fits(entry)),
  );
  if (json === true) print(gone);
  else process.stdout.write(`${gone.length} taken out; tell the nodes with SIGHUP\n`);
};

const entriesOf = (file: string): readonly Entry[] => {
  try {
    const content = JSON.parse(readFileSync(file, 'utf8')) as { readonly tokens: readonly Entry[] };
    parseTokens(content);
    return content.tokens;
  } catch (error) {
    throw usage(`${file}: ${(error as Error).message}`);
  }
};

/** Whole or not at all: a node may read it meanwhile. */
const save = (file: string, tokens: readonly Entry[]): void => {
  asUsage(() => parseTokens({ tokens }));
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify({ tokens }, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
};
