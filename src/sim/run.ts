/**
 * One seed, one story: a cluster under a workload, first with faults, then calm, and the demand
 * that everything converges and nothing acknowledged is lost.
 */
import { keyOfText } from '../core/ids.ts';
import type { Digest } from '../ports/digest.ts';
import type { CoordinatorHost } from '../node/nursery.ts';
import type { Random } from '../ports/random.ts';
import {
  InvariantBroken,
  checkConvergence,
  checkHistory,
  checkIdle,
  checkTrees,
  rootsAreEqual,
} from './checks.ts';
import { World } from './world.ts';
import type { WatchOf } from './world.ts';
import { Workload } from './workload.ts';
import type { WriteFate } from './workload.ts';
import { DEFAULT_CONFIG } from '../node/config.ts';

export type RunOptions = {
  readonly seed: number;
  readonly digest: Digest;
  readonly nodes?: number;
  readonly operations?: number;
  readonly faults?: 'all' | 'none';
  /** Whoever records the run. */
  readonly watch?: WatchOf;
  /** `tiny`: K and M of A6 so small that records are truncated all the time; then only loss is checked. */
  readonly limits?: 'roomy' | 'tiny';
  readonly coordinatorHost?: CoordinatorHost;
};

export type RunResult = {
  readonly seed: number;
  readonly virtualMs: number;
  readonly operations: number;
  readonly transcript: readonly string[];
  /** How often each rare path was visited. */
  readonly counters: ReadonlyMap<string, number>;
  readonly broken?: InvariantBroken;
};

const KEY_NAMES = Array.from({ length: 6 }, (_, i) => `key${i}`);
/** Roomy: nothing of a run is ever truncated, so that false siblings and resurrections show. */
const LIMITS = {
  roomy: { vectorEntriesMax: 256, seenPutsMax: 256 },
  tiny: { vectorEntriesMax: 2, seenPutsMax: 2 },
} as const;
const FAULTS_MS_MAX = 20_000;
const PHASE_MS_MAX = 60_000;

export const runSeed = (options: RunOptions): RunResult => {
  const { seed, digest } = options;
  const nodes = options.nodes ?? 3 + (seed % 3);
  const limits = options.limits ?? (seed % 5 === 0 ? 'tiny' : 'roomy');
  const record = LIMITS[limits];
  const config = { replica: { ...DEFAULT_CONFIG.replica, record }, exchangeIntervalMs: 1000 };
  const { coordinatorHost, watch } = options;
  const world = new World({
    ...{ seed, nodes, digest, config },
    ...(coordinatorHost === undefined ? {} : { coordinatorHost }),
    ...(watch === undefined ? {} : { watch }),
  });
  const workload = new Workload(world, {
    keys: KEY_NAMES.length,
    clients: 4,
    operations: options.operations ?? 120,
  });
  const faults = new Faults(world, options.faults ?? 'all');
  let broken: InvariantBroken | undefined;
  try {
    for (const host of world.hosts) world.start(host);
    world.clock.advance(3000);
    workload.start();
    faults.begin();
    // Under the harshest faults each operation takes seconds: what is left is done in calm.
    advanceWhile(world, FAULTS_MS_MAX, () => !workload.isDone);
    faults.end();
    advanceUntil(world, 'the workload ends', () => workload.isDone);
    calm(world);
    // Without a crash every owner has every write by hints alone, before anybody reads. (Truncated
    // records become equal only when replicas meet.)
    if (faults.crashes === 0 && limits === 'roomy') checkConvergence(world, KEY_NAMES);
    // And whatever was lost on the way, anti-entropy finds: still nobody has read.
    advanceUntil(world, 'owners become equal', () => rootsAreEqual(world));
    const values = readAll(world);
    const forgiven = (write: WriteFate): boolean => write.dw === 0 && faults.crashes > 0;
    checkHistory(workload.writes, values, forgiven, limits === 'tiny' ? 'no-loss' : 'all');
    checkConvergence(world, [...values.keys()]);
    checkIdle(world);
    checkTrees(world);
    const commits = world.commits;
    readAll(world);
    if (world.commits !== commits) {
      throw new InvariantBroken('idle', '', 'a read of a converged key wrote something');
    }
  } catch (error) {
    if (!(error instanceof InvariantBroken)) throw error;
    broken = error;
  }
  return {
    seed,
    virtualMs: world.clock.nowMs,
    operations: workload.writes.length,
    transcript: world.transcript,
    counters: new Map([...workload.counters, ['crashes', faults.crashes]]),
    ...(broken === undefined ? {} : { broken }),
  };
};

/** Every node alive and healthy, hints drained, nothing under way. */
const calm = (world: World): void => {
  world.say('calm');
  for (const host of world.hosts) if (host.node === undefined) world.start(host);
  advanceUntil(world, 'hints drain and partitions are complete', () =>
    world.hosts.every(({ node }) => {
      const status = node?.status();
      return (
        status?.incomplete === 0 &&
        status.nodes.every(({ health, hints }) => health === 'healthy' && hints === 0)
      );
    }),
  );
  world.clock.advance(3000);
};

/** Reads each key once with R = N at one node: read repair makes the replicas equal. */
const readAll = (world: World): ReadonlyMap<string, readonly string[]> => {
  const values = new Map<string, readonly string[]>();
  for (const [i, key] of KEY_NAMES.entries()) {
    let failure = 'no answer';
    world.ask(
      world.hosts[i % world.hosts.length]!,
      { type: 'get', key: keyOfText(key), r: 3, strict: true, timeoutMs: 5000 },
      (reply) => {
        if (reply.type === 'value') {
          values.set(
            key,
            reply.values.map((value) => new TextDecoder().decode(value)),
          );
        } else if (reply.type === 'failed') failure = reply.message;
      },
    );
    world.clock.advance(3000);
    if (!values.has(key)) throw new InvariantBroken('calm reads succeed', key, failure);
    world.say(`final ${key} = ${values.get(key)!.join()}`);
  }
  return values;
};

const advanceWhile = (world: World, msMax: number, goesOn: () => boolean): void => {
  const end = world.clock.nowMs + msMax;
  while (goesOn() && world.clock.nowMs < end) world.clock.advance(20);
};

const advanceUntil = (world: World, what: string, met: () => boolean | undefined): void => {
  const end = world.clock.nowMs + PHASE_MS_MAX;
  while (met() !== true) {
    if (world.clock.nowMs > end)
      throw new InvariantBroken('progress', '', `waited in vain: ${what}`);
    world.clock.advance(20);
  }
};

type Strike = 'crash' | 'cut' | 'reset' | 'pause' | 'skew' | 'slowDisk';

/** Faults of one run, each kind with a chance of its own drawn from the seed, some exactly zero. */
class Faults {
  crashes = 0;
  readonly #world: World;
  readonly #random: Random;
  readonly #chances: Readonly<Record<Strike, number>>;
  #active = false;

  constructor(world: World, which: 'all' | 'none') {
    this.#world = world;
    const random = world.random('faults');
    this.#random = random;
    const chance = (most: number): number =>
      which === 'none' || random.fraction() < 0.4 ? 0 : random.fraction() * most;
    this.#chances = {
      crash: chance(0.12),
      cut: chance(0.15),
      reset: chance(0.3),
      pause: chance(0.1),
      skew: chance(0.1),
      slowDisk: chance(0.1),
    };
    world.network.faults.loss = chance(0.1);
    world.network.faults.duplication = chance(0.1);
    world.network.faults.reordering = chance(0.2);
  }

  begin(): void {
    this.#active = true;
    this.#tick();
  }

  end(): void {
    this.#active = false;
    const { network, hosts } = this.#world;
    network.heal();
    Object.assign(network.faults, { loss: 0, duplication: 0, reordering: 0 });
    for (const { disk, clock } of hosts) {
      disk.faults.commitMs = [0.2, 3];
      clock.skewMs = 0;
    }
  }

  #tick(): void {
    if (!this.#active) return;
    this.#strike();
    this.#world.clock.schedule(() => this.#tick(), 100);
  }

  #strike(): void {
    const { network, hosts, clock } = this.#world;
    const pick = () => hosts[this.#random.integer(hosts.length)]!;
    const strikes = (name: Strike): boolean => this.#random.fraction() < this.#chances[name];
    if (strikes('crash')) {
      const host = pick();
      if (host.node !== undefined) {
        this.crashes += 1;
        this.#world.crash(host, this.#random.fraction() < 0.5 ? 'kill' : 'power-loss');
        const lives = host.lives;
        clock.schedule(
          () => {
            if (host.lives === lives && host.node === undefined) this.#world.start(host);
          },
          50 + this.#random.fraction() * 4000,
        );
      }
    }
    if (strikes('cut')) {
      const [from, to] = [pick(), pick()];
      if (from !== to) {
        const how = this.#random.fraction() < 0.7 ? 'cut' : 'clog';
        this.#world.say(`${how} ${from.id} to ${to.id}`);
        network[how](from.address.slice(5), to.address.slice(5));
        if (this.#random.fraction() < 0.5) network[how](to.address.slice(5), from.address.slice(5));
        clock.schedule(() => network.heal(), this.#random.fraction() * 3000);
      }
    }
    if (strikes('reset')) network.resetOne();
    if (strikes('pause')) pick().clock.pause(this.#random.fraction() * 1500);
    if (strikes('skew')) pick().clock.skewMs = (this.#random.fraction() - 0.5) * 600_000;
    if (strikes('slowDisk')) pick().disk.faults.commitMs = [5, this.#random.fraction() * 600];
  }
}
