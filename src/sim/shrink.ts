/**
 * Makes a failing run short: leaves out strikes of fate and operations of clients as long as the
 * same promise stays broken (delta debugging: halves first, then ever smaller parts).
 */
import { runSeed } from './run.ts';
import type { RunOptions, RunResult } from './run.ts';

export type ShrinkLimits = {
  /** Runs to spend at most. */
  readonly runsMax: number;
  /** Asked between runs: whether there is still time. */
  readonly goesOn: () => boolean;
};

/** A run that breaks the same promise with less, and the options that replay it. */
export type Shrunk = { readonly result: RunResult; readonly options: RunOptions };

export const shrink = (
  failed: RunResult,
  options: RunOptions,
  limits: ShrinkLimits,
  run: (options: RunOptions) => RunResult = runSeed,
): Shrunk => {
  const invariant = failed.broken?.invariant;
  let best: Shrunk = { result: failed, options };
  let runs = 0;
  const mayRun = (): boolean => runs < limits.runsMax && limits.goesOn();
  const fails = (change: Partial<RunOptions>): boolean => {
    runs += 1;
    const tried = { ...best.options, ...change };
    const result = run(tried);
    if (result.broken === undefined || result.broken.invariant !== invariant) return false;
    best = { result, options: tried };
    return true;
  };
  // What never happened before it broke goes at once.
  const begun = failed.scenario.operations.map(({ index }) => index);
  const strikes = failed.scenario.strikes
    .filter(({ atMs }) => atMs <= failed.virtualMs)
    .map(({ index }) => index);
  fails({ onlyStrikes: strikes, onlyOperations: begun });
  for (let shorter = true; shorter && mayRun();) {
    const before = sizeOf(best.result);
    leaveOut(idsOf(best.result, 'strikes'), (onlyStrikes) => fails({ onlyStrikes }), mayRun);
    leaveOut(
      idsOf(best.result, 'operations'),
      (onlyOperations) => fails({ onlyOperations }),
      mayRun,
    );
    shorter = sizeOf(best.result) < before;
  }
  return best;
};

/** Tries without ever smaller parts of `all`; `fails` says whether what is left is still enough. */
const leaveOut = (
  all: readonly number[],
  fails: (kept: readonly number[]) => boolean,
  mayRun: () => boolean,
): void => {
  let kept = all;
  for (let part = kept.length; part >= 1; part = Math.floor(part / 2)) {
    for (let at = 0; at < kept.length && mayRun();) {
      const rest = [...kept.slice(0, at), ...kept.slice(at + part)];
      if (fails(rest)) kept = rest;
      else at += part;
    }
  }
};

const idsOf = ({ scenario }: RunResult, of: 'strikes' | 'operations'): readonly number[] =>
  scenario[of].map(({ index }) => index);

const sizeOf = ({ scenario }: RunResult): number =>
  scenario.strikes.length + scenario.operations.length;
