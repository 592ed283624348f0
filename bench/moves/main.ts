/**
 * A cluster that grows and shrinks under a steady open-loop load (paper § 6.2): 3 → 4 → 5 → 4 → 3
 * nodes, then a join in the middle of which a source and the newcomer are killed. Prints what clients
 * felt in each phase, what was carried against what had to move, and whether every key and every
 * checked write is still there. Ends by itself: at `--minutes` it says what was still moving.
 * Exit 1 if a request failed while nobody was killed, anything is missing, or time was up.
 */
import { Command, Option } from 'commander';
import { connect } from '../../src/client/index.ts';
import { integer } from '../../src/cli/exit.ts';
import { randomStream } from '../../src/sim/random.ts';
import { judge } from '../chaos/oracle.ts';
import { Workload } from '../chaos/workload.ts';
import { YCSB, failuresIn } from '../cluster/jobs.ts';
import type { Job, JobResult } from '../cluster/jobs.ts';
import { LoadGenerator } from '../cluster/load.ts';
import { Nodes } from '../cluster/nodes.ts';
import { openLoop, p99MsOf, sized } from '../cluster/sizing.ts';
import { median, rounded } from '../support/processes.ts';
import { settingNow, writeJson } from '../support/table.ts';
import { Moves } from './moves.ts';
import type { Killed, Load, Moved } from './moves.ts';

const options = new Command('bench:moves')
  .option('--keys <count>', 'keys before the first change', integer, 100_000)
  .option('--value-bytes <count>', 'of each value', integer, 1024)
  .option('--rate <per second>', 'half of them puts; else 20 % of a closed loop', integer)
  .addOption(
    new Option('--part <which>', 'only this').choices(['all', 'changes', 'kills']).default('all'),
  )
  .option('--calm <seconds>', 'without a change, first and last', integer, 60)
  .option('--minutes <count>', 'after which what is not done is given up', integer, 90)
  .option('--json <file>', 'the result, to be kept')
  .parse()
  .opts<{
    readonly keys: number;
    readonly valueBytes: number;
    readonly rate?: number;
    readonly part: 'all' | 'changes' | 'kills';
    readonly calm: number;
    readonly minutes: number;
    readonly json?: string;
  }>();

type Phase = Partial<Moved & Killed> & {
  readonly phase: string;
  readonly seconds: number;
  readonly operations: number;
  readonly failed: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Of the runs of 10 s in it: the median one and the worst. */
  readonly p99Ms: number;
  readonly worstP99Ms: number;
  /** Of the generator's own event loop, the worst run. */
  readonly generatorLateMs: number;
  /** Why it ended before it was over. */
  readonly unfinished?: string;
};

const RUN_SECONDS = 10;
/** Little enough for two cores to have time for moves; too much p99, and admission would end them. */
const SHARE = 0.2;
const P99_MS_MAX = 40;
const CHECKED_CLIENTS = 2;
const CHECKED_REST_MS = 50;
const JOIN = '3 → 4';
const KILLS = `${JOIN}, kills`;

const job: Job = {
  ...{ type: 'run', seconds: RUN_SECONDS, pace: openLoop(1), ...YCSB['a']! },
  // Zipf's few keys would be written again and again; here all of them may be moving.
  ...{ choice: 'uniform', keys: options.keys, valueBytes: options.valueBytes },
  ...{ timeoutMs: 10_000, seed: 0 },
};
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

const errorsOf = (runs: readonly JobResult[]): Readonly<Record<string, number>> => {
  const codes = new Set(runs.flatMap(({ errors }) => Object.keys(errors)));
  return Object.fromEntries(
    [...codes].map((code) => [code, sum(runs.map(({ errors }) => errors[code] ?? 0))]),
  );
};

/** Load goes on for as long as `act` takes, and at least for one run. */
const phaseOf = async (
  phase: string,
  perSecond: number,
  mix: Job['mix'],
  moves: Moves,
  act: () => Promise<Partial<Moved & Killed>>,
): Promise<Phase> => {
  const beganMs = performance.now();
  const seconds = (): number => Math.round((performance.now() - beganMs) / 1000);
  let isOver = false;
  // A rejection between two runs must not end the process with nodes alive.
  const acting: Promise<Partial<Phase>> = act()
    .catch((error: unknown) => ({ unfinished: String(error) }))
    .finally(() => (isOver = true));
  const runs: JobResult[] = [];
  do {
    const seed = Math.floor(beganMs) + runs.length;
    // What fails between two runs would fail unseen: without a pause, and without a beginning of its own.
    const run = await generator.runAtOnce({ ...job, mix, pace: openLoop(perSecond), seed });
    runs.push(run);
    say(
      `${phase}, ${seconds()} s: p99 ${p99MsOf(run).toFixed(0)} ms, ${failuresIn(run)} failed; ` +
        ((await moves.underWay()) || 'nothing moves'),
    );
  } while (!isOver);
  const moved = await acting;
  const p99s = runs.map(p99MsOf);
  return {
    ...{ phase, seconds: seconds(), operations: sum(runs.map(({ operations }) => operations)) },
    ...{ failed: sum(runs.map(failuresIn)), errors: errorsOf(runs) },
    ...{ p99Ms: rounded(median(p99s), 1), worstP99Ms: rounded(Math.max(...p99s), 1) },
    generatorLateMs: rounded(Math.max(...runs.map(({ ownDelayMs }) => ownDelayMs.p99)), 1),
    ...moved,
  };
};

const rowOf = (phase: Phase, before: Phase): object => ({
  ...{ phase: phase.phase, seconds: phase.seconds, operations: phase.operations },
  failed: phase.failed,
  'p99 ms': phase.p99Ms,
  'of before': rounded(phase.p99Ms / before.p99Ms, 2),
  'worst p99 ms': phase.worstP99Ms,
  'own delay p99 ms': phase.generatorLateMs,
  ...(phase.carried === undefined ? {} : carriedOf(phase.carried, phase.minimum!, phase.planned)),
});

const carriedOf = ({ records, bytes }: Load, minimum: number, planned = 0): object => ({
  ...{ records, minimum, MB: megabytes(bytes), 'planned MB': megabytes(planned) },
  'of minimum': rounded(records / minimum, 3),
});

const megabytes = (bytes: number): number => rounded(bytes / 1e6, 1);

/** What the kills made necessary again: clients only read meanwhile, so all that moves was there before. */
const resentOf = (phases: readonly Phase[]): string[] => {
  const killed = phases.find(({ kills }) => kills !== undefined);
  if (killed?.kills === undefined || killed.carried === undefined) return [];
  const { records, bytes } = killed.carried;
  const again = records - killed.minimum!;
  return [
    ...killed.kills.map(
      ({ node, victim, filling, carried }) =>
        `the ${victim} ${node} was killed when ${carried.records} records were carried, ${filling} partitions still to fill` +
        (filling === 0 ? ': too late to tell anything' : ''),
    ),
    `carried with both kills: ${records} records of ${killed.minimum}, ${megabytes(bytes)} MB; again ` +
      `${again} records, ${Math.round((again * bytes) / records)} bytes`,
  ];
};

const nodes = await Nodes.start({ nodes: 3 });
const generator = new LoadGenerator();
const ending = new AbortController();
const phases: Phase[] = [];
try {
  const beganMs = performance.now();
  const minutes = (): string => ((performance.now() - beganMs) / 60_000).toFixed(1);
  const moves = new Moves(nodes, options.keys, beganMs + options.minutes * 60_000, say);
  say(`writing ${options.keys} keys of ${options.valueBytes} bytes`);
  await generator.open(nodes.addresses, 8);
  await generator.fill(options.keys, options.valueBytes);
  await generator.run({ ...job, pace: { type: 'closed', inFlight: 64 } });
  const { most, perSecond } =
    options.rate === undefined
      ? await sized(generator, job, {
          ...{ share: SHARE, p99MsMax: P99_MS_MAX, closedSeconds: 10, trySeconds: 10 },
          tell: say,
        })
      : { most: undefined, perSecond: options.rate };

  const stream = randomStream(1, 'moves');
  const workload = new Workload(() => stream.fraction());
  const client = connect(nodes.addresses);
  const checked = Array.from({ length: CHECKED_CLIENTS }, (_, i) =>
    workload.run(client, `c${i}`, ending.signal, CHECKED_REST_MS),
  );
  const calm = () =>
    new Promise<object>((resolve) => setTimeout(() => resolve({}), options.calm * 1000));
  type Change = readonly [string, () => Promise<Partial<Moved & Killed>>];
  const changes: readonly Change[] = [
    [JOIN, () => moves.join()],
    ['4 → 5', () => moves.join()],
    ['5 → 4', () => moves.leave('n4')],
    ['4 → 3', () => moves.leave('n5')],
    ['after', calm],
  ];
  const { part } = options;
  const steps: readonly Change[] = [
    ['before', calm],
    ...(part === 'kills' ? [] : changes),
    ...(part === 'changes' ? [] : [[KILLS, () => moves.crashingJoin()] as const]),
  ];
  let unfinished: string | undefined;
  for (const [name, act] of steps) {
    // What clients write while a partition moves is not carried: there would be no telling what was
    // carried twice.
    const { mix } = name === KILLS ? YCSB['c']! : job;
    const phase = await phaseOf(name, perSecond, mix, moves, act);
    phases.push(phase);
    say(JSON.stringify(phase));
    if (phase.unfinished === undefined) continue;
    unfinished = `${name}: ${phase.unfinished}`;
    break;
  }
  ending.abort();
  await Promise.all(checked);
  say(`looking for every key, ${minutes()} minutes after the beginning`);
  const gone = await moves.missing();
  const broken = await workload.finalValues(client).then(
    (values) => judge(workload.writes, values),
    (error: unknown) => [`the checked keys could not be read: ${String(error)}`],
  );
  await client.close();

  const setting = settingNow();
  const what = `${perSecond} operations a second, ${options.keys} keys, ${options.valueBytes} bytes`;
  const share = most === undefined ? '' : `; a closed loop of 64 reached ${Math.round(most)}`;
  process.stdout.write(`${JSON.stringify(setting)}\n${what}${share}\n`);
  console.table(phases.map((phase) => rowOf(phase, phases[0]!)));
  const { applied, refused, unknown, reads } = workload.counts;
  const lines = [
    ...resentOf(phases),
    `${gone.missing} of ${options.keys} keys missing, ${gone.unread} could not be read`,
    `checked clients: ${reads} reads, ${applied} writes applied, ${refused} refused, ${unknown} unknown; ${broken.length} broken`,
    ...broken,
    unfinished === undefined ? `done in ${minutes()} minutes` : `not done: ${unfinished}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  if (options.json !== undefined) {
    const result = { most, perSecond, phases, ...gone, ...workload.counts, broken, unfinished };
    writeJson(options.json, { ...options, ...result });
  }
  const failed = sum(phases.filter(({ kills }) => kills === undefined).map((each) => each.failed));
  const isWhole = failed + gone.missing + gone.unread + broken.length === 0;
  if (!isWhole || unfinished !== undefined) process.exitCode = 1;
} finally {
  ending.abort();
  await generator.close();
  await nodes.stop();
}
