/** `coterie simulate`: whole clusters in this process, one seed each, any fault. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { nodeDigest } from '../index.ts';
import type { Basket } from '../sim/baskets.ts';
import { RunRecorder } from '../inspector/recording.ts';
import { FAULT_NAMES } from '../sim/faults.ts';
import { parseList, replayOf, reportOf } from '../sim/report.ts';
import { runSeed } from '../sim/run.ts';
import type { RunOptions, RunResult } from '../sim/run.ts';
import type { ScenarioOptions } from '../sim/scenario.ts';
import { shrink } from '../sim/shrink.ts';
import { basketOf } from '../simulator.ts';
import type { MergerOnTrial } from '../simulator.ts';
import { CommandFailure, integer, usage } from './exit.ts';

type SimulateFlags = {
  readonly seed?: number;
  readonly runs: number;
  readonly minutes?: number;
  readonly from?: number;
  readonly nodes?: number;
  readonly keys?: number;
  readonly clients?: number;
  readonly operations?: number;
  readonly faults: string;
  readonly limits?: string;
  readonly onlyStrikes?: string;
  readonly onlyOperations?: string;
  readonly jobs?: number;
  readonly shrink: boolean;
  readonly trace?: boolean;
  /** A file, or `true` for one named after the seed. */
  readonly inspect?: string | true;
  readonly json?: boolean;
  /** A module whose merger is tried. */
  readonly merge?: string;
};

/** What every run is made with, but for its seed. */
type Wishes = Omit<RunOptions, 'seed'>;

type Totals = {
  runs: number;
  readonly first: number;
  readonly failed: number[];
  operations: number;
  virtualMs: number;
  readonly paths: Record<string, number>;
};

/** A failing story is made shorter for so long. */
const SHRINK_MS = 60_000;
const SHRINK_RUNS = 300;
/** Fewer seeds than this are not worth another process. */
const SEEDS_PER_JOB = 10;
/** With `--minutes`, as many seeds as there is time for. */
const ENDLESS = 100_000_000;

export const addSimulateCommand = (program: Command): void => {
  program
    .command('simulate')
    .description('run simulated clusters under faults and check that no promise is broken')
    .option('--seed <seed>', 'one seed', integer)
    .option('--runs <count>', 'how many seeds', integer, 100)
    .option('--minutes <minutes>', 'as many seeds as fit into this time', integer)
    .option('--from <seed>', 'the first of them (default: random)', integer)
    .option('--nodes <count>', 'nodes that found the cluster (default: 3 to 7, by seed)', integer)
    .option('--keys <count>', 'keys (default: 4 to 11, by seed)', integer)
    .option('--clients <count>', 'clients at once (default: 6 to 14, by seed)', integer)
    .option('--operations <count>', 'operations of a run', integer)
    .option('--faults <mix>', 'all, none, or kinds separated by commas', 'all')
    .option('--limits <which>', 'roomy or tiny: how soon records are truncated')
    .option('--only-strikes <numbers>', 'of the faults only these, as a shrunk story names them')
    .option('--only-operations <numbers>', 'of the operations only these')
    .option('--jobs <count>', 'processes to share the seeds (default: one a core)', integer)
    .option('--no-shrink', 'tell a failing story as it was')
    .option('--trace', 'print what happened, line by line')
    .option('--inspect [file]', 'record the run of one seed for the page of the inspector')
    .option('--json', 'print the totals as JSON')
    .option('--merge <file>', 'try the merger that an ES module exports: does it lose items?')
    .addHelpText(
      'after',
      `\nKinds of faults: ${[...FAULT_NAMES, 'network'].join(', ')}\n` +
        '\nExamples:\n  coterie simulate --seed 42 --trace\n' +
        '  coterie simulate --minutes 5 --faults kill,cut,network\n' +
        '  coterie simulate --merge ./merge-carts.js --runs 20\n',
    )
    .action(simulate);
};

const simulate = async (flags: SimulateFlags): Promise<void> => {
  const wishes: Wishes = {
    ...wishesOf(flags),
    digest: nodeDigest,
    ...(flags.merge === undefined ? {} : { basket: await basketIn(flags.merge) }),
  };
  if (flags.inspect !== undefined && flags.seed === undefined) {
    throw usage('--inspect records one run: give --seed');
  }
  if (flags.runs < 1) throw usage(`--runs is at least 1, found ${flags.runs}`);
  const first = flags.seed ?? flags.from ?? Math.floor(Math.random() * 1_000_000_000);
  const runs = flags.seed !== undefined ? 1 : flags.minutes === undefined ? flags.runs : ENDLESS;
  const jobs = Math.min(flags.jobs ?? availableParallelism(), Math.ceil(runs / SEEDS_PER_JOB));
  const startedMs = performance.now();
  const totals =
    jobs > 1 && flags.trace !== true
      ? await runShared(first, runs, jobs, flags, wishes)
      : runBatch(first, runs, flags, wishes);
  print(totals, performance.now() - startedMs, flags);
  if (totals.failed.length > 0) throw new CommandFailure('a promise was broken', 1);
};

const wishesOf = (flags: SimulateFlags): ScenarioOptions => {
  const { nodes, keys, clients, operations, limits } = flags;
  for (const [name, count] of Object.entries({ nodes, keys, clients, operations })) {
    if (count !== undefined && count < 1) throw usage(`--${name} is at least 1, found ${count}`);
  }
  if (limits !== undefined && limits !== 'roomy' && limits !== 'tiny') {
    throw usage(`--limits is roomy or tiny, found ${limits}`);
  }
  try {
    return {
      faults: faultsOf(flags.faults),
      ...(nodes === undefined ? {} : { nodes }),
      ...(keys === undefined ? {} : { keys }),
      ...(clients === undefined ? {} : { clients }),
      ...(operations === undefined ? {} : { operations }),
      ...(limits === undefined ? {} : { limits }),
      ...(flags.onlyStrikes === undefined ? {} : { onlyStrikes: parseList(flags.onlyStrikes) }),
      ...(flags.onlyOperations === undefined
        ? {}
        : { onlyOperations: parseList(flags.onlyOperations) }),
    };
  } catch (error) {
    if (error instanceof RangeError) throw usage(error.message);
    throw error;
  }
};

/** How the merger that a module exports, by default or as `merge`, keeps items. */
const basketIn = async (file: string): Promise<Basket> => {
  try {
    const module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
    return basketOf((module['default'] ?? module['merge']) as MergerOnTrial);
  } catch (error) {
    throw usage(`--merge ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
};

const faultsOf = (mix: string): NonNullable<ScenarioOptions['faults']> => {
  if (mix === 'all' || mix === 'none') return mix;
  return mix.split(',').map((name) => {
    const known = [...FAULT_NAMES, 'network' as const].find((each) => each === name);
    if (known === undefined) throw usage(`no fault is called ${JSON.stringify(name)}`);
    return known;
  });
};

/** One seed after another, here. */
const runBatch = (first: number, runs: number, flags: SimulateFlags, wishes: Wishes): Totals => {
  const totals: Totals = { runs: 0, first, failed: [], operations: 0, virtualMs: 0, paths: {} };
  const endMs = performance.now() + (flags.minutes ?? Infinity) * 60_000;
  const recorder = flags.inspect === undefined ? undefined : new RunRecorder();
  for (let seed = first; seed < first + runs && performance.now() < endMs; seed++) {
    const options = { seed, ...wishes };
    const result = runSeed({
      ...options,
      ...(recorder === undefined ? {} : { watch: recorder.watch }),
    });
    totals.runs += 1;
    totals.operations += result.operations;
    totals.virtualMs += result.virtualMs;
    for (const [path, count] of result.counters) {
      totals.paths[path] = (totals.paths[path] ?? 0) + count;
    }
    if (flags.trace === true) process.stdout.write(`${result.transcript.join('\n')}\n`);
    if (result.broken !== undefined) {
      totals.failed.push(seed);
      if (flags.json !== true) process.stdout.write(tell(result, options, flags));
    }
    if (recorder !== undefined) writeRecording(recorder, result, flags.inspect!);
    if (flags.seed !== undefined) process.stdout.write(`transcript ${digestOf(result)}\n`);
  }
  return totals;
};

/** The seeds in as many processes; what fails is told here. */
const runShared = async (
  first: number,
  runs: number,
  jobs: number,
  flags: SimulateFlags,
  wishes: Wishes,
): Promise<Totals> => {
  const share = Math.ceil(runs / jobs);
  const [, ...replayed] = replayOf(0, wishes).split(' --trace');
  const same = [
    ...replayed
      .join('')
      .split(' ')
      .filter((word) => word !== ''),
    ...(flags.merge === undefined ? [] : ['--merge', flags.merge]),
  ];
  const parts = await Promise.all(
    Array.from({ length: jobs }, (_, job) => {
      const from = first + job * share;
      const count = Math.min(share, first + runs - from);
      const minutes = flags.minutes === undefined ? [] : ['--minutes', `${flags.minutes}`];
      return runElsewhere(['--from', `${from}`, '--runs', `${count}`, ...minutes, ...same]);
    }),
  );
  const totals: Totals = { runs: 0, first, failed: [], operations: 0, virtualMs: 0, paths: {} };
  for (const part of parts) {
    totals.runs += part.runs;
    totals.operations += part.operations;
    totals.virtualMs += part.virtualMs;
    totals.failed.push(...part.failed);
    for (const [path, count] of Object.entries(part.paths)) {
      totals.paths[path] = (totals.paths[path] ?? 0) + count;
    }
  }
  for (const seed of flags.json === true ? [] : totals.failed) {
    const options = { seed, ...wishes };
    process.stdout.write(tell(runSeed(options), options, flags));
  }
  return totals;
};

const runElsewhere = (args: readonly string[]): Promise<Totals> =>
  new Promise((resolve, reject) => {
    const main = fileURLToPath(new URL('./main.js', import.meta.url));
    const child = spawn(process.execPath, [main, 'simulate', '--jobs', '1', '--json', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (said.stdout += String(chunk)));
    child.stderr.on('data', (chunk) => (said.stderr += String(chunk)));
    child.on('error', reject);
    child.on('close', (code) => {
      try {
        resolve(JSON.parse(said.stdout) as Totals);
      } catch {
        reject(new CommandFailure(`a simulating process ended with ${code}: ${said.stderr}`, 3));
      }
    });
  });

const print = (totals: Totals, tookMs: number, flags: SimulateFlags): void => {
  const { runs, first, failed, operations, virtualMs, paths } = totals;
  const rate = {
    seedsPerMinute: Math.round((runs / tookMs) * 60_000),
    operationsPerRun: Math.round(operations / Math.max(1, runs)),
    speed: Math.round(virtualMs / tookMs),
  };
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ ...totals, ...rate })}\n`);
    return;
  }
  const visited = Object.entries(paths).map(([path, count]) => `${path} ${count}`);
  process.stdout.write(
    `${runs} runs from seed ${first}: ${failed.length} failed, ` +
      `${rate.operationsPerRun} operations a run, ${rate.seedsPerMinute} seeds a minute, ` +
      `${rate.speed} times real time\nvisited: ${visited.join(', ')}\n`,
  );
};

/** The shortest story that breaks the same promise. */
const tell = (result: RunResult, options: RunOptions, flags: SimulateFlags): string => {
  const merge = flags.merge === undefined ? '' : ` --merge ${flags.merge}`;
  if (!flags.shrink || flags.trace === true) return reportOf(result, options, merge);
  const endMs = performance.now() + SHRINK_MS;
  const goesOn = (): boolean => performance.now() < endMs;
  const shrunk = shrink(result, options, { runsMax: SHRINK_RUNS, goesOn });
  return reportOf(shrunk.result, shrunk.options, merge);
};

const writeRecording = (recorder: RunRecorder, result: RunResult, file: string | true): void => {
  const path = file === true ? `coterie-seed-${result.seed}.json` : file;
  writeFileSync(path, JSON.stringify(recorder.recording(result)));
  process.stdout.write(`recorded: coterie inspect ${path}\n`);
};

/** SHA-256 of the transcript: equal for equal seeds, on every run and machine. */
const digestOf = ({ transcript }: RunResult): string =>
  createHash('sha256').update(transcript.join('\n')).digest('hex');
