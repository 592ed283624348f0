/** `coterie get`, `put`, `delete` and `scan`. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CoterieError, connect } from '../client/index.ts';
import type { Applied, Client } from '../client/index.ts';
import { keyOfBytes, showKey } from '../core/ids.ts';
import { CommandFailure, EXIT, integer, usage } from './exit.ts';

export type DataFlags = {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
  readonly r?: number;
  readonly w?: number;
  readonly dw?: number;
  readonly timeout?: number;
  readonly strict?: boolean;
  readonly context?: string;
  readonly ifAbsent?: boolean;
  readonly ifContext?: boolean;
  readonly lww?: boolean;
  readonly ttl?: number;
};

type ScanFlags = DataFlags & { readonly partition?: number; readonly limit?: number };

export const DEFAULT_URL = 'ws://127.0.0.1:7400';

export const addDataCommands = (program: Command): void => {
  withConnection(program.command('get').argument('<key>'))
    .description('print all concurrent values of a key; exit 1 if there is none')
    .option('--r <r>', 'replicas that must answer', integer)
    .option('--strict', 'count real owners only')
    .addHelpText('after', '\nExample:\n  coterie get cart:alice --json\n')
    .action((key: string, flags: DataFlags) =>
      withClient(flags, (client) => get(client, key, flags)),
    );

  withConnection(writeOptions(program.command('put').argument('<key>').argument('<value>')))
    .description('write a value; without --context it overwrites nothing, it adds a sibling')
    .addHelpText('after', '\nExample:\n  coterie put cart:alice milk --w 2 --dw 1\n')
    .action((key: string, value: string, flags: DataFlags) =>
      withClient(flags, (client) => write(flags, client.put(key, value, putOptions(flags)))),
    );

  withConnection(writeOptions(program.command('delete').argument('<key>')))
    .description('delete what --context has seen; without it, what a read sees now')
    .addHelpText('after', '\nExample:\n  coterie delete cart:alice\n')
    .action((key: string, flags: DataFlags) =>
      withClient(flags, (client) => write(flags, client.delete(key, putOptions(flags)))),
    );

  withConnection(program.command('scan').argument('[prefix]'))
    .description('print the keys, in no order; with a prefix only those that begin with it')
    .option('--partition <p>', 'only this partition', integer)
    .option('--limit <n>', 'stop after so many', integer)
    .addHelpText('after', '\nExample:\n  coterie scan cart: --json\n')
    .action((prefix: string | undefined, flags: ScanFlags) =>
      withClient(flags, (client) => scan(client, prefix, flags)),
    );
};

export const withConnection = (command: Command): Command =>
  command
    .option('--url <url>', 'ws:// address of a node, several by comma (or COTERIE_URL)')
    .option('--token-file <file>', 'file with the token (or the token itself in COTERIE_TOKEN)')
    .option('--timeout <ms>', 'deadline of the whole operation', integer)
    .option('--json', 'print JSON');

export type ConnectionFlags = Pick<DataFlags, 'url' | 'tokenFile' | 'timeout' | 'json'>;

/** Runs `task` with a connected client; failures of the store become exit codes. */
export const withClient = async (
  flags: ConnectionFlags,
  task: (client: Client) => Promise<void>,
): Promise<void> => {
  const client = openClient(flags);
  try {
    await task(client);
  } catch (error) {
    if (!(error instanceof CoterieError)) throw error;
    throw failure(error, flags.json === true);
  } finally {
    await client.close('now');
  }
};

/** A client of the node that the flags, or the environment, name. Throws the usage failure. */
export const openClient = (flags: ConnectionFlags): Client => {
  const url = flags.url ?? process.env['COTERIE_URL'] ?? DEFAULT_URL;
  const urls = url.split(',');
  const wrong = urls.find((each) => !/^wss?:\/\/[^/\s]+\/?$/.test(each));
  if (wrong !== undefined) throw usage(`expected ws://host:port, found ${wrong}`);
  if (flags.timeout !== undefined && (flags.timeout < 1 || flags.timeout > 600_000)) {
    throw usage(`--timeout is 1-600000 ms, found ${flags.timeout}`);
  }
  const token = tokenOf(flags);
  return connect(urls, {
    name: 'coterie-cli',
    // Whoever names a node means that one.
    addresses: 'given',
    ...(token === undefined ? {} : { token }),
    // Somebody waits for the answer: too few nodes is told after one more look, not after seconds.
    quorumRetriesMax: 1,
    ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
  });
};

/** Never a flag of its own: whoever lists the processes would read it. */
const tokenOf = ({ tokenFile }: Pick<DataFlags, 'tokenFile'>): string | undefined => {
  if (tokenFile === undefined) return process.env['COTERIE_TOKEN'];
  try {
    return readFileSync(tokenFile, 'utf8').trim();
  } catch (error) {
    throw usage(`--token-file: ${(error as Error).message}`);
  }
};

const writeOptions = (command: Command): Command =>
  command
    .option('--w <w>', 'replicas that must have it', integer)
    .option('--dw <dw>', 'replicas that must have it on disk', integer)
    .option('--strict', 'count real owners only')
    .option('--lww', 'replace what is older by the clocks, instead of keeping siblings')
    .option('--ttl <ms>', 'how long the value lives', integer)
    .option('--if-absent', 'refuse if a value is there')
    .option('--if-context', 'refuse if something is there that --context has not seen')
    .option('--context <base64>', 'context of an earlier get of this key');

const putOptions = (flags: DataFlags) => ({
  ...(flags.lww === undefined ? {} : { lastWriteWins: flags.lww }),
  ...(flags.ttl === undefined ? {} : { ttlMs: flags.ttl }),
  ...(flags.ifAbsent === undefined ? {} : { ifAbsent: flags.ifAbsent }),
  ...(flags.ifContext === undefined ? {} : { ifContext: flags.ifContext }),
  ...quorumOptions(flags),
});

const quorumOptions = ({ w, dw, strict, context, timeout }: DataFlags) => ({
  ...(w === undefined ? {} : { w }),
  ...(dw === undefined ? {} : { dw }),
  ...(strict === undefined ? {} : { strict }),
  ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  ...(context === undefined ? {} : { context: new Uint8Array(Buffer.from(context, 'base64')) }),
});

const get = async (client: Client, key: string, flags: DataFlags): Promise<void> => {
  const { r, strict, timeout } = flags;
  const read = await client.get(key, {
    ...(r === undefined ? {} : { r }),
    ...(strict === undefined ? {} : { strict }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  });
  if (flags.json === true) {
    const texts = read.values.map(textOf);
    const encoding = texts.every((text) => text !== undefined) ? undefined : 'base64';
    print({
      values: encoding === undefined ? texts : read.values.map(base64),
      ...(encoding === undefined ? {} : { encoding }),
      state: read.state,
      context: base64(read.context),
    });
  } else {
    for (const value of read.values) process.stdout.write(`${Buffer.from(value).toString()}\n`);
    if (read.values.length > 1) {
      process.stderr.write(`${read.values.length} siblings: merge them and put with --context\n`);
    }
  }
  if (read.values.length === 0) throw new CommandFailure(`${key}: ${read.state}`, EXIT.notFound);
};

/** A line each: the key as it is shown everywhere, or a JSON object. */
const scan = async (
  client: Client,
  prefix: string | undefined,
  { partition, limit = Infinity, json }: ScanFlags,
): Promise<void> => {
  let left = limit;
  const options = {
    ...(prefix === undefined ? {} : { prefix }),
    ...(partition === undefined ? {} : { partition }),
  };
  for await (const key of client.scan(options)) {
    if (left <= 0) return;
    left -= 1;
    const text = textOf(key);
    if (json !== true) process.stdout.write(`${showKey(keyOfBytes(key))}\n`);
    else print(text === undefined ? { key: base64(key), encoding: 'base64' } : { key: text });
  }
};

const write = async (flags: DataFlags, applying: Promise<Applied>): Promise<void> => {
  const { outcome, acks, durable, context } = await applying;
  if (flags.json === true) print({ outcome, acks, durable, context: base64(context) });
  else
    process.stdout.write(
      `${outcome}: on ${acks.join(', ')}; on disk ${durable.join(', ') || '-'}\n`,
    );
};

const failure = (error: CoterieError, json: boolean): CommandFailure => {
  const { code, message, outcome, retryable, details } = error;
  if (json) {
    const list = (name: string) => (Array.isArray(details[name]) ? details[name] : []);
    const [acks, durable] = [list('acks'), list('durable')];
    print({ outcome, acks, durable, context: '', code, message, retryable });
  }
  const exitCode = outcome === 'unknown' ? EXIT.unknown : EXIT.refused;
  return new CommandFailure(
    `${code} (${outcome}): ${message}`,
    usageCodes.has(code) ? EXIT.usage : exitCode,
  );
};

/** Mistakes of whoever typed the command. */
const usageCodes = new Set<string>([
  'KEY_EMPTY',
  'KEY_TOO_LONG',
  'VALUE_TOO_LARGE',
  'BAD_ARGUMENT',
  'BAD_QUORUM',
  'BAD_TIMEOUT',
  'BAD_CONTEXT',
  'CONTEXT_KEY_MISMATCH',
]);

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

export const print = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};
