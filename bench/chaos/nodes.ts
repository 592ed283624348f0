/** The processes of a cluster in their namespaces: started, signalled, looked at, and gone at the end. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { handles } from '../support/processes.ts';
import type { Network } from './network.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const PORT = 7400;

export class Nodes {
  readonly #network: Network;
  readonly #dir: string;
  readonly #running = new Map<string, ChildProcess>();
  #isOver = false;
  /** Ends that nobody asked for, in words. */
  readonly surprises: string[] = [];

  constructor(network: Network, dir: string) {
    this.#network = network;
    this.#dir = dir;
  }

  get urls(): readonly string[] {
    return this.#network.hosts.map(({ id }) => this.urlOf(id));
  }

  urlOf(id: string): string {
    const index = this.#network.hosts.findIndex((host) => host.id === id);
    const shared = this.#network.missing !== undefined;
    return `ws://${this.#network.hosts[index]!.ip}:${shared ? PORT + 400 + index : PORT}`;
  }

  dataDir(id: string): string {
    return join(this.#dir, id);
  }

  start(id: string): void {
    if (this.#isOver) return;
    mkdirSync(this.dataDir(id), { recursive: true });
    const url = this.urlOf(id);
    const args = ['start', '--id', id, '--data', this.dataDir(id), '--listen', url.slice(5)];
    args.push('--insecure', '--admin', 'off', '--log-level', 'info');
    args.push('--bootstrap', this.#network.hosts.map((host) => host.id).join(','));
    for (const seed of this.urls) if (seed !== url) args.push('--seed', seed);
    // Vectors long enough never to be cut short: then the oracle may demand everything.
    args.push('--replica-record-vector-entries-max', '1024');
    args.push('--replica-record-seen-puts-max', '1024', '--replica-free-bytes-min', '16MiB');
    const [command, ...rest] = this.#network.within(id, [process.execPath, MAIN, ...args]);
    const child = spawn(command!, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr!.pipe(createWriteStream(join(this.#dir, `${id}.log`), { flags: 'a' }));
    this.#running.set(id, child);
    child.once('exit', (code, signal) => {
      if (this.#running.get(id) !== child) return;
      this.#running.delete(id);
      this.surprises.push(`${id} ended by itself: ${code ?? signal}`);
    });
  }

  isRunning(id: string): boolean {
    return this.#running.has(id);
  }

  signal(id: string, signal: NodeJS.Signals): void {
    this.#running.get(id)?.kill(signal);
  }

  /** Ends it and waits; its exit code. */
  async end(id: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#running.get(id);
    if (child === undefined) return null;
    this.#running.delete(id);
    const gone = new Promise<number | null>((resolve) =>
      child.once('exit', (code) => resolve(code)),
    );
    child.kill(signal);
    return gone;
  }

  async endAll(): Promise<void> {
    this.#isOver = true;
    for (const id of this.#running.keys()) this.signal(id, 'SIGCONT');
    await Promise.all([...this.#running.keys()].map((id) => this.end(id, 'SIGKILL')));
  }

  /** Resident memory and open handles of a process. */
  footprint(id: string): { readonly residentMiB: number; readonly handles: number } {
    const pid = this.#running.get(id)?.pid;
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const residentKiB = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
    return { residentMiB: Math.round(residentKiB / 1024), handles: handles(pid!) };
  }
}
