/**
 * `npm run bench:scale`: how the cost of an operation, of rest and of a start grows with nodes and with
 * keys, and what several processes on one machine reach. `-- --help` lists what it can do.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { integer } from '../../src/cli/exit.ts';
import { openEcho } from '../cluster/echo.ts';
import { loadAverage, whenInterrupted } from '../support/processes.ts';
import { settingNow, writeJson } from '../support/table.ts';
import { byKeys, rowsByKeys } from './by-keys.ts';
import { byNodes, restRows, rowsByNodes } from './by-nodes.ts';
import { byProcesses, rowsByProcesses, sharedHosts } from './by-processes.ts';
import { filled } from './directories.ts';
import type { Filled } from './directories.ts';
import { frameRows, framesOf } from './frames.ts';
import type { Frames } from './frames.ts';
import { startRows, starts } from './starts.ts';

const PARTS = ['frames', 'nodes', 'hosts', 'keys', 'start'] as const;
type Part = (typeof PARTS)[number];
const NODES = ['3', '5', '7', '9'];

const options = new Command('bench:scale')
  .addOption(new Option('--part <which...>', 'only these').choices(PARTS))
  .addOption(
    new Option('--nodes <counts...>', 'frames, nodes: of these').choices(NODES).default(NODES),
  )
  .option('--keys-max <count>', 'keys, start: 10,000, 100,000, … up to this', integer, 1_000_000)
  .option('--rate <per second>', 'nodes: of the open loop', integer, 200)
  .option('--seconds <count>', 'each measurement', integer, 2)
  .option('--warm <operations>', 'of each kind before, for three nodes', integer, 40_000)
  .option(
    '--rounds <count>',
    'nodes, keys: each measurement so often, all sizes in turns',
    integer,
    5,
  )
  .option('--alone', 'nodes: one size after the other, not all of them alive at once')
  .option('--json <file>', 'the result, to be kept')
  .parse()
  .opts<{
    readonly part?: readonly Part[];
    readonly nodes: readonly string[];
    readonly keysMax: number;
    readonly rate: number;
    readonly seconds: number;
    readonly warm: number;
    readonly rounds: number;
    readonly alone?: true;
    readonly json?: string;
  }>();

const KEYS = [10_000, 100_000, 1_000_000, 10_000_000];
/** Of every node count: so few that each size is filled in seconds. */
const KEYS_OF_NODES = 20_000;
const VALUE_BYTES = 100;
/** As small as a session's or a flag's: ten million of them, three times, fit into memory. */
const SMALL_VALUE_BYTES = 20;
const REST_SECONDS = 20;
const STARTS = 3;
const PROCESS_ROUNDS = 3;

const tell = (line: string): void => void process.stderr.write(`${line}\n`);
const isWanted = (part: Part): boolean => options.part === undefined || options.part.includes(part);
const { seconds, rounds, warm } = options;

const root = mkdtempSync(join(tmpdir(), 'coterie-scale-'));
const clean = async (): Promise<void> => rmSync(root, { recursive: true, force: true });
const uninterrupted = whenInterrupted(clean);
const echo = await openEcho();
const result: Record<string, unknown> = {};

const sizes = options.nodes.map(Number).sort((a, b) => a - b);

const framesPart = async (): Promise<void> => {
  const found: Frames[] = [];
  for (const size of sizes) found.push(...(await framesOf(size)));
  console.table(frameRows(found));
  result['frames'] = found;
};

const nodesPart = async (): Promise<void> => {
  const { alone = false, rate } = options;
  const shape = { sizes, rounds, warmOperations: warm, rate, alone };
  const bench = { keys: KEYS_OF_NODES, valueBytes: VALUE_BYTES, seconds, tell };
  const found = await byNodes(echo, bench, { ...shape, restSeconds: REST_SECONDS });
  console.table(rowsByNodes(found));
  console.table(restRows(found));
  result['nodes'] = found;
};

const keysPart = async (directories: readonly Filled[]): Promise<void> => {
  const bench = { valueBytes: SMALL_VALUE_BYTES, seconds, tell };
  const found = await byKeys(echo, bench, directories, rounds, warm);
  console.table(rowsByKeys(found));
  result['keys'] = found;
};

const startPart = async (directories: readonly Filled[]): Promise<void> => {
  const bench = { valueBytes: SMALL_VALUE_BYTES, seconds, tell };
  const found = await starts(bench, directories, STARTS);
  console.table(startRows(found, directories));
  result['start'] = found;
};

const hostsPart = async (): Promise<void> => {
  const bench = { keys: KEYS_OF_NODES, valueBytes: VALUE_BYTES, seconds, tell };
  const found = await byProcesses(bench, PROCESS_ROUNDS, warm);
  console.table(rowsByProcesses(found));
  const { partitions, shared } = await sharedHosts();
  process.stdout.write(
    `three hosts of two: ${shared} of ${partitions} partitions on one host twice\n`,
  );
  result['hosts'] = { found, partitions, shared };
};

try {
  process.stdout.write(`${JSON.stringify({ ...settingNow(), loadAverage: loadAverage() })}\n`);
  if (isWanted('frames')) await framesPart();
  if (isWanted('nodes')) await nodesPart();
  if (isWanted('hosts')) await hostsPart();
  if (isWanted('keys') || isWanted('start')) {
    const directories: Filled[] = [];
    for (const keys of KEYS.filter((each) => each <= options.keysMax)) {
      directories.push(await filled(root, keys, SMALL_VALUE_BYTES));
      tell(JSON.stringify({ ...directories.at(-1), dir: undefined }));
    }
    result['filled'] = directories;
    if (isWanted('keys')) await keysPart(directories);
    if (isWanted('start')) await startPart(directories);
  }
  if (options.json !== undefined) writeJson(options.json, { ...options, ...result });
} finally {
  uninterrupted();
  await echo.close();
  await clean();
}
