/**
 * The processes of `coterie cluster`: started, watched, and, where the inspector may break things,
 * killed, paused, wiped and started again at a node's request.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ProcessFault, ProcessState } from '../inspector/records.ts';
import { freePorts } from './free-ports.ts';
import { NODE_FLAGS } from './node-flags.ts';

export type LocalClusterOptions = {
  /** How many found the cluster: n1, n2, … */
  readonly founders: number;
  readonly data: string;
  /** Client port of the first node; 0 picks free ones. Admin ports stand a hundred above. */
  readonly port: number;
  readonly logLevel: string;
  readonly faults: 'allowed' | 'refused';
  readonly values: 'shown' | 'hidden';
  readonly log: (node: string, line: string) => void;
};

export type Seat = {
  readonly id: string;
  readonly url: string;
  readonly admin: number;
  process: ChildProcess | undefined;
  state: ProcessState['state'];
  /** The address of its inspector, once it listens. */
  inspector: string | undefined;
  /** What to do as soon as the process is gone: it was killed on purpose. */
  next: 'nothing' | 'start' | undefined;
  /** The last line it wrote for people: why it ended, if it did. */
  said: string;
};

const HOST = '127.0.0.1';
const NODES_MAX = 64;

export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #seats: Seat[] = [];
  readonly #gone: (() => void)[] = [];
  #leaving = false;

  private constructor(options: LocalClusterOptions) {
    this.#options = options;
  }

  /** Starts the founders, and whoever joined them in an earlier run. */
  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster(options);
    for (let i = 1; i <= options.founders; i++) await cluster.#addSeat(`n${i}`);
    for (const id of joinedBefore(options)) await cluster.#addSeat(id);
    for (const seat of cluster.#seats) cluster.#spawn(seat);
    return cluster;
  }

  get seats(): readonly Seat[] {
    return this.#seats;
  }

  get isLeaving(): boolean {
    return this.#leaving;
  }

  /** Whether each of these processes listens itself, whoever else may answer at its address. */
  get isListening(): boolean {
    return this.#seats.every(({ state }) => state === 'running');
  }

  /** Lets every node drain; called again, kills what is left. */
  leave(): void {
    const signal = this.#leaving ? 'SIGKILL' : 'SIGTERM';
    this.#leaving = true;
    for (const { process: child, state } of this.#seats) {
      // A paused process hears of nothing else.
      if (state === 'paused') child?.kill('SIGCONT');
      child?.kill(signal);
    }
    this.#tellIfGone();
  }

  /** Resolves when no process is left that nobody killed on purpose. */
  ended(): Promise<void> {
    return new Promise((resolve) => {
      this.#gone.push(resolve);
      this.#tellIfGone();
    });
  }

  /** Rejects as soon as a node ends that nobody asked to, with what it said last. */
  failure(): Promise<never> {
    return new Promise((_, reject) => {
      for (const seat of this.#seats) {
        // Not 'exit': by then its last words may not have been read.
        seat.process!.once('close', (code, signal) => {
          if (this.#leaving) return;
          const end = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
          const said = seat.said === '' ? '' : `: ${seat.said}`;
          reject(new Error(`node ${seat.id} ${end}${said}`));
        });
      }
    });
  }

  async #addSeat(id: string): Promise<Seat> {
    const index = this.#seats.length;
    const { port } = this.#options;
    const own = port === 0 ? (await freePorts(1))[0]! : port + index;
    // A node keeps its ports when it is started again: whoever watched it finds it there.
    const admin = port === 0 || own + 100 > 65535 ? (await freePorts(1))[0]! : own + 100;
    const rest = { process: undefined, inspector: undefined, next: undefined, said: '' };
    const seat: Seat = { id, url: `ws://${HOST}:${own}`, admin, state: 'dead', ...rest };
    this.#seats.push(seat);
    return seat;
  }

  #spawn(seat: Seat): void {
    const { data, logLevel, founders, faults, values, log } = this.#options;
    const { id, url, admin } = seat;
    const args = ['start', '--id', id, '--data', join(data, id), '--listen', url.slice(5)];
    args.push('--log-level', logLevel, '--admin', `${HOST}:${admin}`);
    const ids = this.#seats.slice(0, founders).map((each) => each.id);
    if (ids.includes(id)) args.push('--bootstrap', ids.join(','));
    for (const each of this.#seats) if (each !== seat) args.push('--seed', each.url);
    if (faults === 'allowed') args.push('--allow-faults');
    if (values === 'shown') args.push('--show-values');
    const child = fork(fileURLToPath(new URL('./main.js', import.meta.url)), args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [...process.execArgv, ...NODE_FLAGS],
      // In a group of its own: Ctrl-C reaches us, and we let the nodes drain.
      detached: true,
    });
    seat.process = child;
    seat.next = undefined;
    this.#say(seat, 'starting');
    child.on('message', (message: Message) => {
      if (message.fault !== undefined) this.#apply(message.fault);
      else {
        seat.inspector = message.inspector;
        this.#say(seat, 'running');
      }
    });
    child.once('exit', () => {
      seat.process = undefined;
      this.#say(seat, 'dead');
      if (seat.next === 'start' && !this.#leaving) this.#spawn(seat);
      else this.#tellIfGone();
    });
    createInterface({ input: child.stderr! }).on('line', (line) => {
      if (!line.startsWith('{')) seat.said = line.replace(/^coterie: /, '');
      log(id, line);
    });
  }

  /** What a node's inspector asks for; what cannot be is left alone. */
  #apply({ type, node }: ProcessFault): void {
    if (this.#leaving || this.#options.faults === 'refused') return;
    const seat = this.#seats.find(({ id }) => id === node);
    if (type === 'add') return void this.#add(node, seat);
    if (seat === undefined) return;
    switch (type) {
      case 'kill':
        return this.#end(seat, 'nothing');
      case 'restart':
        return this.#end(seat, 'start');
      case 'wipe':
        seat.process?.once('exit', () =>
          rmSync(join(this.#options.data, seat.id), { recursive: true, force: true }),
        );
        return this.#end(seat, 'start');
      case 'pause':
        if (seat.state === 'running' && seat.process?.kill('SIGSTOP')) this.#say(seat, 'paused');
        return;
      case 'resume':
        if (seat.state === 'paused' && seat.process?.kill('SIGCONT')) this.#say(seat, 'running');
        return;
    }
  }

  async #add(id: string, known: Seat | undefined): Promise<void> {
    if (known?.process !== undefined || !/^n\d{1,3}$/.test(id)) return;
    if (known === undefined && this.#seats.length >= NODES_MAX) return;
    this.#spawn(known ?? (await this.#addSeat(id)));
  }

  #end(seat: Seat, next: 'nothing' | 'start'): void {
    if (seat.process === undefined) {
      if (next === 'start') this.#spawn(seat);
      return;
    }
    seat.next = next;
    seat.process.kill('SIGKILL');
  }

  #say(seat: Seat, state: ProcessState['state']): void {
    seat.state = state;
    const processes = this.#seats.map((each) => ({ id: each.id, state: each.state }));
    for (const { process: child } of this.#seats) {
      if (child?.connected === true) child.send({ processes }, () => undefined);
    }
  }

  #tellIfGone(): void {
    const alive = this.#seats.some(({ process: child }) => child !== undefined);
    const killed = this.#seats.some(({ next }) => next !== undefined);
    if (alive || (killed && !this.#leaving)) return;
    for (const tell of this.#gone) tell();
  }
}

type Message = { readonly inspector?: string; readonly fault?: ProcessFault };

/** Folders of nodes that no founder has: they joined, and hold data. */
const joinedBefore = ({ data, founders }: LocalClusterOptions): readonly string[] => {
  if (!existsSync(data)) return [];
  const numbers = readdirSync(data).flatMap((name) => /^n(\d{1,3})$/.exec(name)?.[1] ?? []);
  return numbers
    .map(Number)
    .filter((number) => number > founders)
    .sort((a, b) => a - b)
    .map((number) => `n${number}`);
};
