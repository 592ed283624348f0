/** What people read of a run that failed: what broke, when, and the story of the key. */
import { INVARIANTS } from './invariants.ts';
import type { RunOptions, RunResult } from './run.ts';
import type { ScenarioOptions } from './scenario.ts';

const STORY_LINES_MAX = 80;
/** What befalls nodes and the ways between them, and what operators do. */
const WORLD_LINE =
  /^\d+\.\d+ (?:n\d+(?:'s| starts| dies| pauses| is | fails)|cut |clog |partition |congestion|operator |phase: )/;

/** Several lines, each ended; `options` are those the run was made with, `more` the flags besides. */
export const reportOf = (result: RunResult, options: RunOptions, more = ''): string => {
  const { seed, broken, phase, virtualMs, scenario } = result;
  if (broken === undefined) return '';
  const { invariant, key, message } = broken;
  const about = key === '' ? 'the cluster' : key;
  return [
    `seed ${seed}, phase ${phase}, after ${(virtualMs / 1000).toFixed(1)} s: ${message}`,
    `the promise: ${INVARIANTS[invariant]}`,
    `${scenario.founders} nodes and ${scenario.spares} that wait, ${scenario.strikes.length} ` +
      `strikes, ${scenario.operations.length} operations; the story of ${about}:`,
    ...storyOf(result).map((line) => `  ${line}`),
    `replay: ${replayOf(seed, options)}${more}`,
    '',
  ].join('\n');
};

/** The lines about the key that broke, and what befell the world meanwhile; the last ones of them. */
const storyOf = ({ transcript, broken }: RunResult): readonly string[] => {
  const key = broken?.key ?? '';
  const isTold = (line: string): boolean =>
    WORLD_LINE.test(line) || (key !== '' && new RegExp(`\\b${key}\\b`).test(line));
  const told = transcript.filter(isTold);
  const left = told.length - STORY_LINES_MAX;
  return left <= 0 ? told : [`(${left} lines before)`, ...told.slice(-STORY_LINES_MAX)];
};

/** The command that tells the same story again. */
export const replayOf = (seed: number, options: ScenarioOptions): string => {
  const { faults, onlyStrikes, onlyOperations } = options;
  const flags = {
    nodes: options.nodes,
    keys: options.keys,
    clients: options.clients,
    operations: options.operations,
    limits: options.limits,
    faults: typeof faults === 'object' ? faults.join() : faults === 'all' ? undefined : faults,
    'only-strikes': onlyStrikes === undefined ? undefined : listOf(onlyStrikes),
    'only-operations': onlyOperations === undefined ? undefined : listOf(onlyOperations),
  };
  const given = Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [` --${name} ${value}`],
  );
  return `coterie simulate --seed ${seed} --trace${given.join('')}`;
};

/** `0-3,7`, or `none`. */
const listOf = (numbers: readonly number[]): string => {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  const texts = ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return texts.length === 0 ? 'none' : texts.join();
};

/** Reads what `listOf` wrote. Throws RangeError. */
export const parseList = (text: string): readonly number[] => {
  if (text === 'none') return [];
  return text.split(',').flatMap((part) => {
    const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (from === undefined || Number(to) - Number(from) > 100_000) {
      throw new RangeError(`expected numbers such as 0-3,7, found ${JSON.stringify(part)}`);
    }
    return Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i);
  });
};
