/** A cluster of real node processes on this machine, for a benchmark: started, hurt, and removed. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { freePorts } from '../../src/cli/free-ports.ts';
import { NODE_FLAGS } from '../../src/cli/node-flags.ts';
import { cpuSoFar, cpuSum, ended, whenInterrupted } from '../support/processes.ts';
import type { Cpu } from '../support/processes.ts';

const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const HOST = '127.0.0.1';
const READY_MS = 60_000;

export type NodeOptions = {
  readonly nodes: number;
  /** Left there: one CPU profile of each process. */
  readonly profileDir?: string | undefined;
  /** Further settings of every node, by their names in the environment. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The folder in which each finds its data, left there; by default one that goes with the nodes. */
  readonly dir?: string;
  /** Where each founder stands, in their order; by default all in one zone. */
  readonly zones?: readonly string[];
  /** Every connection, of clients and between nodes, is this much slower each way. */
  readonly delayMs?: number;
};

/** `port` is where it listens, `door` where everybody finds it. */
type Running = {
  readonly id: string;
  readonly port: number;
  readonly door: number;
  child: ChildProcess;
};

export class Nodes {
  readonly #dir: string;
  readonly #options: NodeOptions;
  readonly #founders: readonly string[];
  readonly #running: Running[] = [];
  #inspector: string | undefined;
  /** Of those that were killed. */
  #spent: Cpu = { seconds: 0, loopSeconds: 0 };
  #delay: ChildProcess | undefined;
  readonly #uninterrupted = whenInterrupted(() => this.stop());

  private constructor(options: NodeOptions) {
    this.#options = options;
    this.#dir = options.dir ?? mkdtempSync(join(tmpdir(), 'coterie-bench-'));
    this.#founders = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}`);
  }

  static async start(options: NodeOptions): Promise<Nodes> {
    const nodes = new Nodes(options);
    const ports = await freePorts(options.nodes);
    const doors = options.delayMs === undefined ? ports : await freePorts(options.nodes);
    if (options.delayMs !== undefined) nodes.#delay = await slowed(options.delayMs, doors, ports);
    nodes.#founders.forEach((id, i) => nodes.#spawn(id, ports[i]!, doors[i]!, doors));
    try {
      await nodes.healthy();
    } catch (error) {
      await nodes.stop();
      throw error;
    }
    return nodes;
  }

  get addresses(): readonly string[] {
    return this.#running.map(({ door }) => `ws://${HOST}:${door}`);
  }

  get pids(): readonly number[] {
    return this.#running.map(({ child }) => child.pid!);
  }

  /** Address of the inspector's page, served by the node that was ready first. */
  get inspector(): string {
    if (this.#inspector === undefined) throw new Error('no node has told where its inspector is');
    return this.#inspector;
  }

  /** Of all since each began, of those that were killed and those that joined too. */
  get cpu(): Cpu {
    const alive = this.#running.filter(({ child }) => !child.killed);
    return cpuSum(this.#spent, cpuSoFar(alive.map(({ child }) => child.pid!)));
  }

  /** kill -9. */
  kill(index: number): void {
    const child = this.#running[index]?.child;
    if (child === undefined || child.killed) return;
    this.#spent = cpuSum(this.#spent, cpuSoFar([child.pid!]));
    child.kill('SIGKILL');
  }

  /** Lets a node drain and end. */
  end(index: number): Promise<void> {
    return ended(this.#running[index]!.child);
  }

  /** Until a node that was started just now says that it listens. */
  listening(index: number): Promise<void> {
    const { child } = this.#running[index]!;
    return new Promise((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', (code) => reject(new Error(`the node ended with ${code}`)));
    });
  }

  /** Starts a killed node again, on what its disk holds. */
  restart(index: number): void {
    const node = this.#running[index];
    if (node === undefined) return;
    node.child = this.#forked(node, this.#doors);
  }

  /** One more process, no member yet; on a wire without delay. Its id. */
  async spare(): Promise<string> {
    const [port] = await freePorts(1);
    const id = `n${this.#running.length + 1}`;
    this.#spawn(id, port!, port!, this.#doors);
    return id;
  }

  /** One more node, that an operator's change makes a member. */
  async join(): Promise<void> {
    const node = await this.spare();
    await this.change({ type: 'join', node, zone: 'default', weight: 1 });
  }

  /** What an operator asks of the first node, and its answer. */
  async change(change: Readonly<Record<string, string | number>>): Promise<unknown> {
    const operator = connect(this.addresses[0]!);
    try {
      return await operator.admin('membership.change', { ...change, yes: true });
    } finally {
      await operator.close();
    }
  }

  async stop(): Promise<void> {
    this.#uninterrupted();
    await Promise.all(this.#running.map(({ child }) => ended(child)));
    if (this.#delay !== undefined) await ended(this.#delay);
    if (this.#options.dir === undefined) rmSync(this.#dir, { recursive: true, force: true });
  }

  get #founding(): string {
    const { zones } = this.#options;
    if (zones === undefined) return this.#founders.join(',');
    return this.#founders.map((id, i) => `${id}@${zones[i]}`).join(',');
  }

  get #doors(): readonly number[] {
    return this.#running.map(({ door }) => door);
  }

  #spawn(id: string, port: number, door: number, doors: readonly number[]): void {
    const child = this.#forked({ id, port, door }, doors);
    this.#running.push({ id, port, door, child });
  }

  #forked({ id, port, door }: Omit<Running, 'child'>, doors: readonly number[]): ChildProcess {
    const args = ['start', '--id', id, '--data', join(this.#dir, id)];
    args.push('--listen', `${HOST}:${port}`, '--admin', `${HOST}:0`, '--log-level', 'error');
    if (this.#founders.includes(id)) args.push('--bootstrap', this.#founding);
    if (door !== port) args.push('--advertise', `ws://${HOST}:${door}`);
    for (const seed of doors) if (seed !== door) args.push('--seed', `ws://${HOST}:${seed}`);
    const { profileDir, settings } = this.#options;
    const child = fork(CLI, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, ...settings },
      execArgv: [
        ...NODE_FLAGS,
        ...(profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]),
      ],
    });
    child.once('message', ({ inspector }: { readonly inspector?: string }) => {
      this.#inspector ??= inspector;
    });
    return child;
  }

  /** Until every node finds all of them serving, healthy and whole. */
  async healthy(): Promise<void> {
    const deadlineMs = performance.now() + READY_MS;
    for (const address of this.addresses) {
      const client = connect(address);
      try {
        while (!serves(await statusOf(client), this.#running.length)) {
          if (performance.now() > deadlineMs) throw new Error('not all nodes serve in time');
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      } finally {
        await client.close();
      }
    }
  }
}

/** Undefined while the node does not answer: it may not listen yet. */
const statusOf = (client: Client): Promise<unknown> =>
  client.status({ timeoutMs: 1000 }).catch(() => undefined);

const serves = (status: unknown, count: number): boolean => {
  if (status === undefined) return false;
  const { nodes, incomplete } = status as {
    readonly nodes: readonly { state: string; health: string }[];
    readonly incomplete: number;
  };
  const serving = nodes.filter(({ state, health }) => state === 'serving' && health === 'healthy');
  return serving.length >= count && incomplete === 0;
};

/** A wire between each door and the port behind it. */
const slowed = async (
  delayMs: number,
  doors: readonly number[],
  ports: readonly number[],
): Promise<ChildProcess> => {
  const pairs = doors.map((door, i) => `${door}:${ports[i]}`);
  const script = fileURLToPath(new URL('./delay.js', import.meta.url));
  const child = fork(script, [String(delayMs), ...pairs]);
  await new Promise((resolve) => child.once('message', resolve));
  return child;
};
