/**
 * A whole cluster in one process: the very same nodes as in production on simulated clock, disk
 * and network, in one synchronous, deterministic loop.
 */
import { nodeId } from '../core/ids.ts';
import type { NodeId } from '../core/ids.ts';
import { DEFAULT_CONFIG } from '../node/config.ts';
import type { Config } from '../node/config.ts';
import { Node } from '../node/node.ts';
import type { NodeParts } from '../node/node-parts.ts';
import type { CoordinatorHost } from '../node/nursery.ts';
import type { PrefixDefaults } from '../node/prefix-defaults.ts';
import type { Digest } from '../ports/digest.ts';
import type { Random } from '../ports/random.ts';
import type { HandledReply, HandledRequest } from '../wire/client-messages.ts';
import { LifeClock, WorldClock } from './clock.ts';
import { SimDisk } from './disk.ts';
import { SimNetwork } from './network.ts';
import { randomStream } from './random.ts';

/** What watches one life of a node. */
export type WatchOf = (node: NodeId, nowMs: () => number) => NonNullable<NodeParts['watch']>;

export type WorldOptions = {
  readonly seed: number;
  readonly nodes: number;
  /** How many of them found the cluster; the others wait to be joined. Default: all. */
  readonly founders?: number;
  readonly partitions?: number;
  readonly config?: Partial<Config>;
  readonly prefixDefaults?: PrefixDefaults;
  readonly digest: Digest;
  /** Whoever records the run; told the time of the world. */
  readonly watch?: WatchOf;
  /** What coordinators run in; either must tell the same story. */
  readonly coordinatorHost?: CoordinatorHost;
};

/** A node's place in the world: it outlives the lives of its process. */
export type Host = {
  readonly id: NodeId;
  readonly address: string;
  readonly disk: SimDisk;
  clock: LifeClock;
  /** Undefined while the process is dead. */
  node: Node | undefined;
  lives: number;
};

export class World {
  readonly clock = new WorldClock();
  readonly network: SimNetwork;
  readonly hosts: readonly Host[];
  /** What happened, line by line: equal for equal seeds. */
  readonly transcript: string[] = [];
  readonly #options: WorldOptions;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.network = new SimNetwork(this.clock, this.random('network'));
    this.hosts = Array.from({ length: options.nodes }, (_, i) => ({
      id: nodeId(`n${i + 1}`),
      address: `ws://n${i + 1}:1`,
      disk: new SimDisk(),
      clock: new LifeClock(this.clock),
      node: undefined,
      lives: 0,
    }));
  }

  /** The stream of chance of this name. */
  random(name: string): Random {
    return randomStream(this.#options.seed, name);
  }

  get #founders(): number {
    return this.#options.founders ?? this.hosts.length;
  }

  get commits(): number {
    return this.hosts.reduce((sum, { disk }) => sum + disk.commits, 0);
  }

  say(line: string): void {
    this.transcript.push(`${this.clock.nowMs.toFixed(3)} ${line}`);
  }

  /** `newcomer`: without the founding list, so that it learns from its seeds who belongs together. */
  start(
    host: Host,
    as: 'founder' | 'newcomer' = this.hosts.indexOf(host) < this.#founders ? 'founder' : 'newcomer',
  ): void {
    const {
      digest,
      config,
      watch,
      partitions = 8,
      coordinatorHost,
      prefixDefaults = [],
    } = this.#options;
    const { skewMs } = host.clock;
    const life = ++host.lives;
    const clock = new LifeClock(this.clock, skewMs);
    host.clock = clock;
    const random = this.random(`${host.id} life ${life}`);
    this.say(`${host.id} starts, life ${life}`);
    host.node = new Node({
      self: host.id,
      config: { ...DEFAULT_CONFIG, ...config },
      clock,
      random,
      digest,
      prefixDefaults,
      storage: host.disk.open(clock, random),
      links: this.network.linksOf(host.address.slice(5)),
      trace: {
        log: (level, event, facts) =>
          this.say(`${host.id} ${level} ${event} ${JSON.stringify(facts ?? {})}`),
      },
      ...(coordinatorHost === undefined ? {} : { coordinatorHost }),
      advertise: host.address,
      ...(watch === undefined ? {} : { watch: watch(host.id, () => this.clock.nowMs) }),
      seeds: this.hosts.map(({ address }) => address),
      ...(as === 'newcomer'
        ? {}
        : {
            founding: {
              clusterName: 'sim',
              n: 3,
              partitions,
              founders: this.hosts
                .slice(0, this.#founders)
                .map(({ id }) => ({ id, zone: 'default', weight: 1 })),
            },
          }),
      failed: (reason) => {
        this.say(`${host.id} fails: ${reason}`);
        this.crash(host);
      },
    });
    host.node.start();
  }

  /**
   * The process dies and its memory is gone; `power-loss`: with it every commit that was not synced,
   * and nobody hears of it but by silence.
   */
  crash(host: Host, how: 'kill' | 'power-loss' = 'kill'): void {
    if (host.node === undefined) return;
    this.say(`${host.id} dies (${how})`);
    host.node = undefined;
    host.clock.end();
    if (how === 'power-loss') host.disk.powerLoss();
    else host.disk.crash(this.random(`${host.id} crash ${host.lives}`));
    this.network.dropHost(host.address.slice(5), how === 'kill' ? 'reset' : 'silent');
  }

  /** Hands a client's request to a node over a lossless client connection of some delay. */
  ask(host: Host, request: HandledRequest, reply: (reply: HandledReply) => void): void {
    const { lives } = host;
    const alive = (): boolean => host.node !== undefined && host.lives === lives;
    this.clock.schedule(() => {
      if (!alive()) return;
      host.node!.handler.handle(request, (answer) =>
        this.clock.schedule(() => {
          if (alive()) reply(answer);
        }, 0.3),
      );
    }, 0.3);
  }
}
