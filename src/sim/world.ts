/**
 * A whole cluster in one process: the very same nodes as in production on simulated clock, disk
 * and network, in one synchronous, deterministic loop.
 */
import { bytesOfKey, keyOfText, nodeId } from '../core/ids.ts';
import type { NodeId, PartitionId } from '../core/ids.ts';
import { partitionOf } from '../core/ring.ts';
import { DEFAULT_CONFIG } from '../node/config.ts';
import type { Config } from '../node/config.ts';
import type { NodeParts } from '../node/node-parts.ts';
import { Node } from '../node/node.ts';
import type { ActorHost } from '../node/requests/nursery.ts';
import type { PrefixDefaults } from '../node/requests/prefix-defaults.ts';
import { withWriteLog } from '../node/store/write-log.ts';
import type { WriteLogLimits } from '../node/store/write-log.ts';
import type { Digest } from '../ports/digest.ts';
import type { Random } from '../ports/random.ts';
import type { CommitResult, Storage, StorageOp } from '../ports/storage.ts';
import type { HandledReply, HandledRequest } from '../wire/client-messages.ts';
import { LifeClock, WorldClock } from './clock.ts';
import { SimDisk } from './disk.ts';
import type { Loss } from './history.ts';
import { CALM_NETWORK, SimNetwork } from './network.ts';
import type { FrameFate, NetworkFaults } from './network.ts';
import { randomStream } from './random.ts';

/** What watches one life of a node. */
export type WatchOf = (node: NodeId, nowMs: () => number) => NonNullable<NodeParts['watch']>;

export type WorldOptions = {
  readonly seed: number;
  readonly nodes: number;
  /** How many of them found the cluster; the others wait to be joined. Default: all. */
  readonly founders?: number;
  /** Nodes lie in so many zones, in turn. */
  readonly zones?: number;
  readonly partitions?: number;
  readonly config?: Partial<Config>;
  readonly prefixDefaults?: PrefixDefaults;
  readonly digest: Digest;
  /** Whoever records the run; told the time of the world. */
  readonly watch?: WatchOf;
  /** What coordinators run in; either must tell the same story. */
  readonly actorHost?: ActorHost;
  /** Default: HASTY_LOG. */
  readonly writeLog?: WriteLogLimits;
};

/** A node's place in the world: it outlives the lives of its process. */
export type Host = {
  readonly id: NodeId;
  /** As the network knows it. */
  readonly name: string;
  readonly address: string;
  readonly disk: SimDisk;
  clock: LifeClock;
  /** Undefined while the process is dead. */
  node: Node | undefined;
  lives: number;
  /** It died for good. */
  gone: boolean;
  /** Its disk is of another day, which nothing on it shows: it has to be told. */
  isRolledBack: boolean;
};

/** Everything that can be seen from outside as it happens; bytes are lent for the call. */
export type SimEvent =
  /** A line of the transcript. */
  | { readonly type: 'said'; readonly text: string }
  /** One frame between nodes: `decodePeerFrame` has its messages. Clients have no frames here. */
  | {
      readonly type: 'frame';
      readonly from: NodeId;
      readonly to: NodeId;
      readonly frame: Uint8Array;
      readonly fate: FrameFate;
    }
  /** What came to the disk with a commit: below the write log. */
  | { readonly type: 'written'; readonly host: Host; readonly ops: readonly StorageOp[] }
  /** A commit begins. */
  | { readonly type: 'committing'; readonly host: Host; readonly ops: readonly StorageOp[] }
  /** A commit came to its end. */
  | {
      readonly type: 'committed';
      readonly host: Host;
      readonly ops: readonly StorageOp[];
      readonly result: CommitResult;
    }
  | { readonly type: 'asked'; readonly host: Host; readonly request: HandledRequest }
  | {
      readonly type: 'answered';
      readonly host: Host;
      readonly request: HandledRequest;
      readonly reply: HandledReply;
    }
  | { readonly type: 'started'; readonly host: Host }
  /** With so many changes only in memory, and commits not synced. */
  | {
      readonly type: 'died';
      readonly host: Host;
      readonly buffered: number;
      readonly unsynced: number;
    }
  | ({ readonly type: 'lost' } & Loss);

/** Hears every event with the virtual time at which it happened. */
export type Observer = (event: SimEvent, atMs: number) => void;

/** Of the simulated clusters, unless a story wants another number. */
export const PARTITIONS = 8;

/** Room for a dozen small rows: some are found in memory, and some were driven out. */
const ROW_CACHE_BYTES = 2048;

/** So small that a handful of records goes all the way. */
export const HASTY_LOG: WriteLogLimits = {
  heldRows: 4,
  heldBytes: 8000,
  logRows: 12,
  sliceRows: 2,
  rowBytesMax: 300,
  hotRowBytesMax: 600,
};

const CLIENT_DELAY_MS = 0.3;

export class World {
  readonly clock = new WorldClock();
  readonly network: SimNetwork;
  readonly hosts: readonly Host[];
  /** What happened, line by line: equal for equal seeds. */
  readonly transcript: string[] = [];
  /** Members that operators gave up, dead or not. */
  givenUp = 0;
  /** Whom operators told to leave, or declared dead. */
  readonly toldToGo = new Set<NodeId>();
  /** Whether anybody asked for a change of membership. */
  hasMoved = false;
  readonly #options: WorldOptions;
  readonly #observers: Observer[] = [];
  readonly #partitionOf = new Map<string, PartitionId>();
  readonly #ends = new Set<() => void>();
  #usualNetwork = CALM_NETWORK;
  #atNextAck: (() => void) | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.network = new SimNetwork(this.clock, this.random('network'));
    this.hosts = Array.from({ length: options.nodes }, (_, i) => ({
      id: nodeId(`n${i + 1}`),
      name: `n${i + 1}:1`,
      address: `ws://n${i + 1}:1`,
      disk: new SimDisk(),
      clock: new LifeClock(this.clock),
      node: undefined,
      lives: 0,
      gone: false,
      isRolledBack: false,
    }));
    const byName = new Map(this.hosts.map((host) => [host.name, host]));
    this.network.pausedForMs = (name) => byName.get(name)?.clock.pausedForMs ?? 0;
    this.network.observe = (from, to, frame, fate) => {
      const [sender, receiver] = [byName.get(from), byName.get(to)];
      if (sender === undefined || receiver === undefined) return;
      this.#tell({ type: 'frame', from: sender.id, to: receiver.id, frame, fate });
    };
    for (const host of this.hosts) {
      host.disk.observe = (ops) => this.#tell({ type: 'written', host, ops });
    }
  }

  /** What the network does to frames from now on, when nothing worse befalls it. */
  get usualNetwork(): NetworkFaults {
    return this.#usualNetwork;
  }

  set usualNetwork(faults: NetworkFaults) {
    this.#usualNetwork = faults;
    Object.assign(this.network.faults, faults);
  }

  /** From now on `observer` hears what happens; it must change nothing. */
  observe(observer: Observer): void {
    this.#observers.push(observer);
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
    this.#tell({ type: 'said', text: line });
  }

  /** `newcomer`: without the founding list, so that it learns from its seeds who belongs together. */
  start(
    host: Host,
    as: 'founder' | 'newcomer' = this.hosts.indexOf(host) < this.#founders ? 'founder' : 'newcomer',
  ): void {
    const { digest, config = {}, partitions = PARTITIONS } = this.#options;
    const { actorHost, watch, prefixDefaults = [] } = this.#options;
    if (host.gone) return;
    const { skewMs } = host.clock;
    const life = ++host.lives;
    const clock = new LifeClock(this.clock, skewMs);
    host.clock = clock;
    const random = this.random(`${host.id} life ${life}`);
    this.say(`${host.id} starts, life ${life}`);
    this.#tell({ type: 'started', host });
    const replica = {
      ...(config.replica ?? DEFAULT_CONFIG.replica),
      rowCacheBytes: ROW_CACHE_BYTES,
    };
    host.node = new Node({
      self: host.id,
      config: { ...DEFAULT_CONFIG, ...config, replica },
      clock,
      random,
      digest,
      prefixDefaults,
      ...(actorHost === undefined ? {} : { actorHost }),
      ...(watch === undefined ? {} : { watch: watch(host.id, () => this.clock.nowMs) }),
      storage: this.#storageOf(host, clock, random),
      links: this.network.linksOf(host.name),
      trace: {
        log: (level, event, facts) =>
          this.say(`${host.id} ${level} ${event} ${JSON.stringify(facts ?? {})}`),
      },
      advertise: host.address,
      seeds: this.hosts.map(({ address }) => address),
      ...(as === 'newcomer' ? {} : this.#founding(partitions)),
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
    const { buffered } = host.node.status();
    const { unsynced } = host.disk;
    host.node = undefined;
    host.clock.end();
    if (how === 'power-loss') host.disk.powerLoss();
    else host.disk.crash(this.random(`${host.id} crash ${host.lives}`));
    this.network.dropHost(host.name, how === 'kill' ? 'reset' : 'silent');
    this.#tell({ type: 'died', host, buffered, unsynced });
    this.lose(host, 'memory');
  }

  /** Says that a node lost its memory, or some of its disk: the durability budget counts it. */
  lose({ id: node }: Host, of: Loss['of'], since: 'now' | 'from now on' = 'now'): void {
    const atMs = since === 'from now on' ? Infinity : this.clock.nowMs;
    this.#tell({ type: 'lost', node, of, atMs });
  }

  /** Machine and disk are gone: nobody starts it again. */
  killForGood(host: Host): void {
    this.crash(host, 'power-loss');
    host.gone = true;
    this.say(`${host.id} is dead for good`);
    this.lose(host, 'disk');
  }

  /** Where a key lies. */
  partitionOf(key: string): PartitionId {
    let partition = this.#partitionOf.get(key);
    if (partition === undefined) {
      const { digest, partitions = PARTITIONS } = this.#options;
      partition = partitionOf(digest.md5(bytesOfKey(keyOfText(key))), partitions);
      this.#partitionOf.set(key, partition);
    }
    return partition;
  }

  /** Throws RangeError if there is no such node. */
  hostOf(id: NodeId): Host {
    const found = this.hosts.find((host) => host.id === id);
    if (found === undefined) throw new RangeError(`no node ${id} in this world`);
    return found;
  }

  /** Runs `end` after `ms`, or when the phase of faults ends. */
  during(ms: number, end: () => void): void {
    const once = (): void => {
      if (this.#ends.delete(once)) end();
    };
    this.#ends.add(once);
    this.clock.schedule(once, ms);
  }

  /** Runs `strike` in the very instant of the next acknowledgement of a write. */
  atNextAck(strike: () => void): void {
    this.#atNextAck = strike;
  }

  /** Where `host` lies, or would if it were joined. */
  zoneOf(host: Host): string {
    const { zones = 1 } = this.#options;
    return zones === 1 ? 'default' : `zone${this.hosts.indexOf(host) % zones}`;
  }

  /** The log, too, is under test: what is told is what the node commits to it. */
  #storageOf(host: Host, clock: LifeClock, random: Random): Storage {
    const { digest, writeLog = HASTY_LOG } = this.#options;
    const log = withWriteLog(host.disk.open(clock, random), digest, writeLog);
    return {
      ...log,
      commit: (ops, done) => {
        this.#tell({ type: 'committing', host, ops });
        log.commit(ops, (result) => {
          this.#tell({ type: 'committed', host, ops, result });
          done(result);
        });
      },
    };
  }

  #founding(partitions: number): Pick<NodeParts, 'founding'> {
    const first = this.hosts.slice(0, this.#founders);
    return {
      founding: {
        clusterName: 'sim',
        n: 3,
        partitions,
        founders: first.map((each) => ({ id: each.id, zone: this.zoneOf(each), weight: 1 })),
      },
    };
  }

  /** Ends every fault that is under way. */
  endFaults(): void {
    this.#atNextAck = undefined;
    for (const end of [...this.#ends]) end();
  }

  /**
   * Hands a client's request to a node over a lossless client connection of some delay. `answered`
   * is called within the node's own call, `reply` when the answer has travelled.
   */
  ask(
    host: Host,
    request: HandledRequest,
    reply: (reply: HandledReply) => void,
    answered: (reply: HandledReply) => void = () => undefined,
  ): void {
    const { lives } = host;
    this.clock.schedule(() => this.#handle(host, lives, request, reply, answered), CLIENT_DELAY_MS);
  }

  #handle(
    host: Host,
    lives: number,
    request: HandledRequest,
    reply: (reply: HandledReply) => void,
    answered: (reply: HandledReply) => void,
  ): void {
    if (host.node === undefined || host.lives !== lives) return;
    const { pausedForMs } = host.clock;
    if (pausedForMs > 0) {
      const again = (): void => this.#handle(host, lives, request, reply, answered);
      this.clock.schedule(again, pausedForMs);
      return;
    }
    this.#tell({ type: 'asked', host, request });
    host.node.handler.handle(request, (answer) => {
      this.#tell({ type: 'answered', host, request, reply: answer });
      answered(answer);
      if (answer.type === 'applied' && this.#atNextAck !== undefined) {
        // Not within the node's own call: the process dies between two of its turns.
        this.clock.schedule(this.#atNextAck, 0);
        this.#atNextAck = undefined;
      }
      // It has left the node: whether that lives on changes nothing.
      this.clock.schedule(() => reply(answer), CLIENT_DELAY_MS);
    });
  }

  #tell(event: SimEvent): void {
    for (const observer of this.#observers) observer(event, this.clock.nowMs);
  }
}
