/** `coterie simulate`: whole clusters in this process, one seed each, any fault. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { nodeDigest } from '../index.ts';
import { RunRecorder } from '../inspector/recording.ts';
import { runSeed } from '../sim/run.ts';
import type { RunResult } from '../sim/run.ts';
import { CommandFailure, usage } from './exit.ts';
import { integer } from './start.ts';

type SimulateFlags = {
  readonly seed?: number;
  readonly runs: number;
  readonly from?: number;
  readonly nodes?: number;
  readonly operations?: number;
  readonly faults: string;
  readonly trace?: boolean;
  /** A file, or `true` for one named after the seed. */
  readonly inspect?: string | true;
  readonly json?: boolean;
};

export const addSimulateCommand = (program: Command): void => {
  program
    .command('simulate')
    .description('run simulated clusters under faults and check that no acknowledged write is lost')
    .option('--seed <seed>', 'one seed', integer)
    .option('--runs <count>', 'how many seeds', integer, 100)
    .option('--from <seed>', 'the first of them (default: random)', integer)
    .option('--nodes <count>', 'nodes (default: 3 to 5, by seed)', integer)
    .option('--operations <count>', 'writes of a run', integer)
    .option('--faults <which>', 'all or none', 'all')
    .option('--trace', 'print what happened, line by line')
    .option('--inspect [file]', 'record the run of one seed for the page of the inspector')
    .option('--json', 'print the totals as JSON')
    .addHelpText('after', '\nExample:\n  coterie simulate --seed 42 --inspect\n')
    .action(simulate);
};

const simulate = (flags: SimulateFlags): void => {
  if (flags.faults !== 'all' && flags.faults !== 'none') throw usage('--faults is all or none');
  if (flags.inspect !== undefined && flags.seed === undefined) {
    throw usage('--inspect records one run: give --seed');
  }
  if (flags.runs < 1) throw usage(`--runs is at least 1, found ${flags.runs}`);
  const first = flags.seed ?? flags.from ?? Math.floor(Math.random() * 1_000_000_000);
  const runs = flags.seed === undefined ? flags.runs : 1;
  const totals = { runs, first, failed: [] as number[], operations: 0, virtualMs: 0 };
  const paths: Record<string, number> = {};
  const startedMs = performance.now();
  const recorder = flags.inspect === undefined ? undefined : new RunRecorder();
  for (let seed = first; seed < first + runs; seed++) {
    const result = runSeed({
      seed,
      digest: nodeDigest,
      faults: flags.faults,
      ...(recorder === undefined ? {} : { watch: recorder.watch }),
      ...(flags.nodes === undefined ? {} : { nodes: flags.nodes }),
      ...(flags.operations === undefined ? {} : { operations: flags.operations }),
    });
    totals.operations += result.operations;
    totals.virtualMs += result.virtualMs;
    for (const [path, count] of result.counters) paths[path] = (paths[path] ?? 0) + count;
    if (flags.trace === true) process.stdout.write(`${result.transcript.join('\n')}\n`);
    if (result.broken !== undefined) {
      totals.failed.push(seed);
      process.stdout.write(storyOf(result));
    }
    if (recorder !== undefined) writeRecording(recorder, result, flags.inspect!);
    if (runs === 1) process.stdout.write(`transcript ${digestOf(result)}\n`);
  }
  const ms = performance.now() - startedMs;
  const rate = {
    seedsPerMinute: Math.round((runs / ms) * 60_000),
    speed: Math.round(totals.virtualMs / ms),
  };
  if (flags.json === true)
    process.stdout.write(`${JSON.stringify({ ...totals, ...rate, paths })}\n`);
  else {
    process.stdout.write(
      `${runs} runs from seed ${first}: ${totals.failed.length} failed, ${totals.operations} writes, ` +
        `${rate.seedsPerMinute} seeds a minute, ${rate.speed} times real time\n` +
        `visited: ${Object.entries(paths)
          .map(([path, count]) => `${path} ${count}`)
          .join(', ')}\n`,
    );
  }
  if (totals.failed.length > 0) throw new CommandFailure('an invariant was broken', 1);
};

const writeRecording = (recorder: RunRecorder, result: RunResult, file: string | true): void => {
  const path = file === true ? `coterie-seed-${result.seed}.json` : file;
  writeFileSync(path, JSON.stringify(recorder.recording(result)));
  process.stdout.write(`recorded: coterie inspect ${path}\n`);
};

/** SHA-256 of the transcript: equal for equal seeds, on every run and machine. */
const digestOf = ({ transcript }: RunResult): string =>
  createHash('sha256').update(transcript.join('\n')).digest('hex');

const storyOf = ({ seed, broken, transcript }: RunResult): string => {
  const story = transcript.filter(
    (line) => line.includes(` ${broken!.key}`) || / dies| starts| cut | calm/.test(line),
  );
  return [
    `seed ${seed}: ${broken!.message}`,
    ...(broken!.key === '' ? [] : [`the story of ${broken!.key}:`, ...story.slice(-60)]),
    `replay: coterie simulate --seed ${seed} --trace`,
    '',
  ].join('\n');
};
