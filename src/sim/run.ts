/**
 * One seed, one story: a cluster under a workload, first with faults, then calm, and the demand
 * that everything converges and nothing acknowledged is lost.
 */
import type { ActorHost } from '../node/requests/nursery.ts';
import type { Digest } from '../ports/digest.ts';
import { Baskets } from './baskets.ts';
import type { Basket } from './baskets.ts';
import { killForGood, settle, stopAll } from './calm.ts';
import { FAULTS, endFaults } from './faults.ts';
import type { History } from './history.ts';
import type { InvariantBroken } from './invariants.ts';
import { OnlineJudge } from './judge.ts';
import { Paths } from './paths.ts';
import { FAULTS_MS, scenarioOf } from './scenario.ts';
import type { Scenario, ScenarioOptions } from './scenario.ts';
import { withoutRealTime } from './sandbox.ts';
import { Watch, brokenIn } from './watch.ts';
import { Workload } from './workload.ts';
import { World } from './world.ts';
import type { Observer, WatchOf } from './world.ts';

export type RunOptions = ScenarioOptions & {
  readonly seed: number;
  readonly digest: Digest;
  readonly actorHost?: ActorHost;
  /** Whoever records the run for the inspector. */
  readonly watch?: WatchOf;
  /** A merger on trial keeps what the values hold. */
  readonly basket?: Basket;
  /** Hears everything that happens, as it happens; it changes nothing. */
  readonly observe?: Observer;
};

export type Phase = 'start' | 'faults' | 'calm' | 'end';

export type RunResult = {
  readonly seed: number;
  readonly scenario: Scenario;
  readonly virtualMs: number;
  readonly operations: number;
  readonly transcript: readonly string[];
  /** How often each path was visited, and each fault struck. */
  readonly counters: ReadonlyMap<string, number>;
  readonly broken?: InvariantBroken;
  /** Where it broke. */
  readonly phase: Phase;
};

/** How long a cluster that nobody hurts yet takes to find itself, virtual ms. */
const WARM_UP_MS = 3000;

export const runSeed = (options: RunOptions): RunResult => withoutRealTime(() => run(options));

const run = (options: RunOptions): RunResult => {
  const { seed, digest, actorHost, watch: watchOf, observe, basket, ...wishes } = options;
  const scenario = scenarioOf(seed, { ...wishes, baskets: basket !== undefined });
  const { founders, spares, zones, config, network } = scenario;
  const nodes = founders + spares;
  const world = new World({
    ...{ seed, nodes, founders, zones, digest, config },
    ...(actorHost === undefined ? {} : { actorHost }),
    ...(watchOf === undefined ? {} : { watch: watchOf }),
  });
  if (observe !== undefined) world.observe(observe);
  const paths = new Paths(world);
  let judge!: OnlineJudge;
  const baskets = basket && new Baskets(basket, world.random('baskets'));
  const judging = (history: History): OnlineJudge => {
    judge = new OnlineJudge(world, scenario, history, digest);
    return judge;
  };
  const workload = new Workload(world, scenario, judging, baskets);
  let phase: Phase = 'start';
  const watch = new Watch(world, judge);
  const enter = (next: Phase): void => {
    phase = next;
    world.say(`phase: ${next}`);
  };
  const found = brokenIn(() => {
    for (const host of world.hosts) world.start(host);
    watch.advance(WARM_UP_MS);
    watch.advanceUntil('the founders have found each other', () => isFounded(world, founders));
    enter('faults');
    world.usualNetwork = network;
    workload.start();
    const strikes = strikeInTime(world, scenario, paths);
    watch.advanceWhile(FAULTS_MS, () => !workload.isDone);
    strikes.end();
    endFaults(world);
    killForGood(world, scenario);
    enter('calm');
    settle(watch, workload, scenario, paths);
    enter('end');
    stopAll(watch);
  });
  const broken = judge.broken ?? found;
  for (const [name, count] of workload.counters) paths.add(name, count);
  paths.add('record at its limits', judge.atLimits);
  paths.add('expired value read', judge.expiredReads);
  if (baskets !== undefined) {
    paths.add('items put in', baskets.items);
    paths.add('siblings merged', baskets.merges);
  }
  return {
    seed,
    scenario,
    virtualMs: world.clock.nowMs,
    operations: workload.operations,
    transcript: world.transcript,
    counters: paths.counts,
    phase,
    ...(broken === undefined ? {} : { broken }),
  };
};

const isFounded = ({ hosts }: World, founders: number): boolean =>
  hosts
    .slice(0, founders)
    .every(({ node }) => node?.state === 'serving' && node.incomplete().length === 0);

const strikeInTime = (world: World, { strikes }: Scenario, paths: Paths): { end(): void } => {
  let active = true;
  for (const strike of strikes) {
    world.clock.schedule(() => {
      if (!active) return;
      paths.add(strike.kind);
      FAULTS[strike.kind].strike(world, strike);
    }, strike.atMs);
  }
  return {
    end: () => {
      active = false;
    },
  };
};
