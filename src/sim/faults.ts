/**
 * What can befall a cluster: one row for each kind of fault, with how often it may strike and what
 * it does. A new kind is a new row here. Every fault ends by itself or with the phase of faults.
 */
import { CALM_NETWORK } from './network.ts';
import { MOVES, MOVE_NAMES } from './moves.ts';
import type { MoveName } from './moves.ts';
import type { Strike } from './scenario.ts';
import type { Host, World } from './world.ts';

export type Fault = {
  /** Strikes a second at most; each seed draws its own rate, two of five draw none. */
  readonly perSecondMax: number;
  strike(world: World, strike: Strike): void;
};

const HEALTHY_COMMIT_MS = [0.2, 3] as const;
const MINUTE_MS = 60_000;

/** The process or the machine of one node dies, and starts again after a while. */
const crash =
  (how: 'kill' | 'power-loss') =>
  (world: World, strike: Strike): void => {
    const host = hostAt(world, strike.where);
    world.crash(host, how);
    restartLater(world, host, strike);
  };

/** Frames of one direction, or of both, between two nodes vanish or get stuck for a while. */
const between =
  (how: 'cut' | 'clog', undo: 'mend' | 'unclog') =>
  (world: World, { where, other, size, chance }: Strike): void => {
    const [from, to] = [hostAt(world, where), hostAt(world, other)];
    if (from === to) return;
    const ways = chance < 0.5 ? [[from, to] as const] : [[from, to] as const, [to, from] as const];
    world.say(`${how} ${from.id} ${ways.length === 1 ? 'to' : 'and'} ${to.id}`);
    for (const [a, b] of ways) {
      world.network[how](a.name, b.name);
      world.during(size * 4000, () => world.network[undo](a.name, b.name));
    }
  };

const ROWS = {
  kill: { perSecondMax: 0.8, strike: crash('kill') },
  'power-loss': { perSecondMax: 0.8, strike: crash('power-loss') },
  /** Every node loses power at once, at the very moment of the next acknowledgement. */
  blackout: {
    perSecondMax: 0.2,
    strike: (world, strike) =>
      world.atNextAck(() => {
        for (const host of world.hosts) {
          world.crash(host, 'power-loss');
          restartLater(world, host, strike);
        }
      }),
  },
  cut: { perSecondMax: 1.2, strike: between('cut', 'mend') },
  clog: { perSecondMax: 0.6, strike: between('clog', 'unclog') },
  /** The cluster falls into two halves. */
  partition: {
    perSecondMax: 0.3,
    strike: (world, { where, size }) => {
      const half = world.hosts.filter((_, i) => ((i * 0.618 + where) % 1) * 2 < 1);
      const rest = world.hosts.filter((host) => !half.includes(host));
      if (half.length === 0 || rest.length === 0) return;
      world.say(
        `partition ${half.map(({ id }) => id).join()} | ${rest.map(({ id }) => id).join()}`,
      );
      for (const a of half) {
        for (const b of rest) {
          world.network.cut(a.name, b.name);
          world.network.cut(b.name, a.name);
          world.during(size * 6000, () => {
            world.network.mend(a.name, b.name);
            world.network.mend(b.name, a.name);
          });
        }
      }
    },
  },
  reset: { perSecondMax: 3, strike: (world) => world.network.resetOne() },
  /** Every frame takes long for a while. */
  congestion: {
    perSecondMax: 0.2,
    strike: (world, { size }) => {
      const { faults } = world.network;
      world.say('congestion');
      const usual = world.usualNetwork.delayMs;
      faults.delayMs = [5, 20 + size * 500];
      world.during(500 + size * 3000, () => (faults.delayMs = usual));
    },
  },
  /** The process stands still, as after SIGSTOP or in a long collection of garbage. */
  pause: {
    perSecondMax: 1,
    strike: (world, { where, size }) => {
      const host = hostAt(world, where);
      world.say(`${host.id} pauses`);
      host.clock.pause(size * size * 4000);
    },
  },
  /** The wall clock of a node jumps, now and then by hours. */
  'clock-jump': {
    perSecondMax: 0.5,
    strike: (world, { where, size, chance }) => {
      const host = hostAt(world, where);
      host.clock.skewMs = (size - 0.5) * (chance < 0.1 ? 600 : 10) * MINUTE_MS;
      world.say(`${host.id}'s clock jumps to ${Math.round(host.clock.skewMs)} ms`);
      world.during(10_000, () => (host.clock.skewMs = 0));
    },
  },
  /** The clock of a node runs fast or slow. */
  'clock-drift': {
    perSecondMax: 0.5,
    strike: (world, { where, size }) => {
      const host = hostAt(world, where);
      world.say(`${host.id}'s clock drifts`);
      host.clock.drift(0.8 + size * 0.4);
      world.during(10_000, () => host.clock.drift(1));
    },
  },
  'slow-disk': {
    perSecondMax: 0.4,
    strike: (world, { where, size }) => {
      const host = hostAt(world, where);
      world.say(`${host.id}'s disk is slow`);
      host.disk.faults.commitMs = [5, 10 + size * 900];
      world.during(3000, () => (host.disk.faults.commitMs = HEALTHY_COMMIT_MS));
    },
  },
  /** Below the free-space floor; now and then so full that a commit fails, which ends the node. */
  'full-disk': {
    perSecondMax: 0.3,
    strike: (world, strike) => {
      const { where, size, chance } = strike;
      const host = hostAt(world, where);
      world.say(`${host.id}'s disk is full`);
      const { faults } = host.disk;
      const before = faults.freeBytes;
      faults.freeBytes = chance < 0.3 ? 0 : Math.min(before, 1024 * 1024);
      world.during(500 + size * 4000, () => {
        faults.freeBytes = 2 ** 40;
        if (host.node === undefined) restartLater(world, host, strike);
      });
    },
  },
  /** The next commit fails, which ends the node; the disk is put right before it starts again. */
  'failing-disk': {
    perSecondMax: 0.2,
    strike: (world, strike) => {
      const host = hostAt(world, strike.where);
      world.say(`${host.id}'s disk fails`);
      host.disk.faults.failing = true;
      world.during(300 + strike.size * 2000, () => {
        host.disk.faults.failing = false;
        if (host.node === undefined) restartLater(world, host, strike);
      });
    },
  },
  /** The disk is replaced by an empty one. */
  'disk-wipe': {
    perSecondMax: 0.06,
    strike: (world, strike) => {
      const host = hostAt(world, strike.where);
      if (host.gone) return;
      world.crash(host, 'power-loss');
      world.say(`${host.id}'s disk is replaced by an empty one`);
      host.disk.wipe();
      world.lose(host, 'disk');
      restartLater(world, host, strike);
    },
  },
  /**
   * A copy of the disk is taken, and put back a while later: what was written since is gone. Mostly file
   * by file; or block by block, as whole volumes are put back.
   */
  'old-backup': {
    perSecondMax: 0.06,
    strike: (world, strike) => {
      const how = strike.chance < 0.7 ? 'copied' : 'in-place';
      const host = hostAt(world, strike.where);
      const restore = host.disk.snapshot();
      world.during(strike.size * 6000, () => {
        world.crash(host, 'power-loss');
        world.say(`${host.id} is restored from an old backup, ${how}`);
        restore(how);
        host.isRolledBack = how === 'in-place';
        world.lose(host, 'disk');
        restartLater(world, host, strike);
      });
    },
  },
} as const satisfies Readonly<Record<string, Fault>>;

export type FaultName = keyof typeof ROWS | MoveName;
export const FAULTS: Readonly<Record<FaultName, Fault>> = { ...ROWS, ...MOVES };
export const FAULT_NAMES: readonly FaultName[] = [
  ...(Object.keys(ROWS) as (keyof typeof ROWS)[]),
  ...MOVE_NAMES,
];

/** Ends what the seed's network does all the time; faults with an end of their own have ended. */
export const endFaults = (world: World): void => {
  world.endFaults();
  const { network, hosts } = world;
  network.heal();
  world.usualNetwork = CALM_NETWORK;
  for (const { disk } of hosts) {
    Object.assign(disk.faults, { commitMs: HEALTHY_COMMIT_MS, freeBytes: 2 ** 40, failing: false });
  }
};

const hostAt = ({ hosts }: World, fraction: number): Host =>
  hosts[Math.floor(fraction * hosts.length)]!;

const restartLater = (world: World, host: Host, { size, chance }: Strike): void => {
  const { lives } = host;
  const pauseMs = 50 + size * (chance < 0.3 ? 8000 : 1500);
  world.clock.schedule(() => {
    if (host.lives === lives && host.node === undefined) world.start(host);
  }, pauseMs);
};
