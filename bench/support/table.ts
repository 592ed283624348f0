/** Results kept in files and compared with later ones. */
import { readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { arch, cpus, totalmem } from 'node:os';
import { rounded } from './processes.ts';

/** Where and of what a result is: without it a number means nothing. */
export type Setting = {
  readonly commit: string;
  readonly date: string;
  readonly node: string;
  readonly machine: string;
};

export const settingNow = (): Setting => {
  const git = (...args: string[]): string => {
    try {
      return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch {
      return '';
    }
  };
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' and changes';
  const { length } = cpus();
  return {
    commit: `${git('rev-parse', '--short', 'HEAD').trim() || 'unknown'}${changed}`,
    date: new Date().toISOString(),
    node: process.version,
    machine: `${length} × ${cpus()[0]?.model.trim() ?? 'unknown'} (${arch()}), ${rounded(totalmem() / 2 ** 30, 0)} GiB`,
  };
};

export const writeJson = (file: string, value: object): void =>
  writeFileSync(file, `${JSON.stringify({ setting: settingNow(), ...value }, undefined, 2)}\n`);

export const readJson = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;

/** A time measured often: median and the median distance from it, ns. */
export type Timing = {
  readonly name: string;
  readonly medianNs: number;
  readonly madNs: number;
  readonly samples: number;
};

export type Moved = Timing & {
  readonly beforeNs: number | undefined;
  readonly ratio: number | undefined;
  readonly verdict: 'new' | 'same' | 'faster' | 'slower';
};

/** Below this nothing counts as moved: two runs of the same code differ as much. */
const NOISE = 0.1;

/**
 * What moved beyond noise: the medians are further apart than a tenth, and than three times the
 * distances within each run.
 */
export const compareTimings = (before: readonly Timing[], after: readonly Timing[]): Moved[] =>
  after.map((now) => {
    const then = before.find(({ name }) => name === now.name);
    if (then === undefined) {
      return { ...now, beforeNs: undefined, ratio: undefined, verdict: 'new' };
    }
    const apart = Math.abs(now.medianNs - then.medianNs);
    const moved = apart > NOISE * then.medianNs && apart > 3 * Math.max(now.madNs, then.madNs);
    const direction = now.medianNs < then.medianNs ? 'faster' : 'slower';
    return {
      ...now,
      beforeNs: then.medianNs,
      ratio: now.medianNs / then.medianNs,
      verdict: moved ? direction : 'same',
    };
  });
