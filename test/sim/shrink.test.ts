/** A failing story is made short, and told with the command that replays it. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { InvariantBroken } from '../../src/sim/invariants.ts';
import { parseList, replayOf, reportOf } from '../../src/sim/report.ts';
import type { RunOptions, RunResult } from '../../src/sim/run.ts';
import { scenarioOf } from '../../src/sim/scenario.ts';
import { shrink } from '../../src/sim/shrink.ts';

const shrinking = suite('a failing story');

const SEED = 5;
const options: RunOptions = { seed: SEED, digest: nodeDigest };

/** A run that nobody has to wait for: it breaks if these strikes and operations are in it. */
const runThatNeeds =
  (strikes: readonly number[], operations: readonly number[]) =>
  (wishes: RunOptions): RunResult => {
    const scenario = scenarioOf(SEED, wishes);
    const has = (all: readonly { readonly index: number }[], needed: readonly number[]): boolean =>
      needed.every((index) => all.some((each) => each.index === index));
    const breaks = has(scenario.strikes, strikes) && has(scenario.operations, operations);
    const broken = new InvariantBroken('no acknowledged write lost', 'key0', 'v7 is nowhere');
    return {
      ...{ seed: SEED, scenario, virtualMs: 23_000, operations: 1, phase: 'faults' },
      transcript: ['3.000 n1 dies (kill)', '4.000 client 1 puts key0 = v7', '5.000 key01 is none'],
      counters: new Map(),
      ...(breaks ? { broken } : {}),
    };
  };

shrinking('keeps only the strikes and operations that it needs', () => {
  const all = scenarioOf(SEED);
  assert.ok(all.strikes.length > 20 && all.operations.length > 100);
  const strikes = [2, all.strikes.length - 3];
  const operations = [7, 99];
  const run = runThatNeeds(strikes, operations);
  const { result } = shrink(run(options), options, { runsMax: 2000, goesOn: () => true }, run);
  assert.deepEqual(
    result.scenario.strikes.map(({ index }) => index),
    strikes,
  );
  assert.deepEqual(
    result.scenario.operations.map(({ index }) => index),
    operations,
  );
});

shrinking('stops when it has run often enough', () => {
  let runs = 0;
  const run = runThatNeeds([2], [7]);
  const counted = (wishes: RunOptions): RunResult => {
    runs += 1;
    return run(wishes);
  };
  shrink(run(options), options, { runsMax: 10, goesOn: () => true }, counted);
  assert.ok(runs <= 10, `${runs} runs`);
});

shrinking('says what broke, when, what befell the key, and how to replay it', () => {
  const run = runThatNeeds([2], [7]);
  const shorter = { ...options, onlyStrikes: [2], onlyOperations: [5, 6, 7] };
  const report = reportOf(run(shorter), shorter);
  assert.match(report, /seed 5, phase faults, after 23\.0 s: no acknowledged write lost: v7/);
  assert.match(report, /n1 dies[^]*client 1 puts key0 = v7/);
  assert.doesNotMatch(report, /key01/);
  assert.match(report, /simulate --seed 5 --trace --only-strikes 2 --only-operations 5-7\n/);
});

shrinking('lists of numbers are read as they are written', () => {
  for (const numbers of [[], [3], [0, 1, 2, 9], [4, 6, 8]]) {
    const [, list] = / --only-strikes (\S+)/.exec(replayOf(1, { onlyStrikes: numbers }))!;
    assert.deepEqual(parseList(list!), numbers);
  }
  for (const wrong of ['', '1-', 'a', '5--7', '0-99999999']) {
    assert.throws(() => parseList(wrong), RangeError, wrong);
  }
});

shrinking.run();
