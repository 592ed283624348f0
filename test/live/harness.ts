/** Real node processes on loopback for the live tests: started, killed, restarted, and gone after. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../src/cli/free-ports.ts';
import { connect } from '../../src/client/index.ts';
import type { Status } from '../../src/index.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const NEXT_MINOR = new URL('./next-minor.js', import.meta.url).href;

export class LiveCluster {
  readonly dir = mkdtempSync(join(tmpdir(), 'coterie-live-'));
  readonly ids: string[];
  readonly urls: string[];
  readonly #founders: readonly string[];
  readonly #running = new Map<string, ChildProcess>();

  readonly #flags: readonly string[];

  private constructor(ids: readonly string[], urls: readonly string[], flags: readonly string[]) {
    this.ids = [...ids];
    this.urls = [...urls];
    this.#founders = ids;
    this.#flags = flags;
  }

  static async start(count: number, flags: readonly string[] = []): Promise<LiveCluster> {
    const ids = Array.from({ length: count }, (_, i) => `n${i + 1}`);
    const ports = await freePorts(count);
    const cluster = new LiveCluster(
      ids,
      ports.map((port) => `ws://127.0.0.1:${port}`),
      flags,
    );
    await Promise.all(ids.map((id) => cluster.startNode(id)));
    await cluster.until(
      ({ nodes, incomplete }) =>
        incomplete === 0 &&
        nodes.every(({ health, address }) => health === 'healthy' && address !== ''),
    );
    return cluster;
  }

  dataDir(id: string): string {
    return join(this.dir, id);
  }

  /** Resolves when the node listens. `next-minor`: as a later release of both protocols would speak. */
  async startNode(id: string, speaks: 'this-version' | 'next-minor' = 'this-version') {
    const url = this.urlOf(id);
    const args = ['start', '--id', id, '--data', this.dataDir(id), '--listen', url.slice(5)];
    args.push('--log-level', 'error', ...this.#flags);
    if (this.#founders.includes(id)) args.push('--bootstrap', this.#founders.join(','));
    for (const seed of this.urls) if (seed !== url) args.push('--seed', seed);
    const execArgv = speaks === 'next-minor' ? ['--import', NEXT_MINOR] : [];
    const child = fork(MAIN, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv });
    this.#running.set(id, child);
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', (code) =>
        reject(new Error(`${id} ended with ${code} before it listened`)),
      );
    });
  }

  /** A node that is no member: a newcomer for an operator to let in. */
  async startStranger(id: string): Promise<void> {
    const [port] = await freePorts(1);
    this.ids.push(id);
    this.urls.push(`ws://127.0.0.1:${port}`);
    await this.startNode(id);
  }

  /** SIGKILL: no goodbye, nothing flushed. */
  async kill(...ids: readonly string[]): Promise<void> {
    const gone = ids.map((id) => exitOf(this.#running.get(id)!));
    for (const id of ids) this.#running.get(id)!.kill('SIGKILL');
    await Promise.all(gone);
    for (const id of ids) this.#running.delete(id);
  }

  /** SIGTERM: drains; the exit code. */
  async stop(id: string): Promise<number | null> {
    const child = this.#running.get(id)!;
    const gone = exitOf(child);
    child.kill('SIGTERM');
    const code = await gone;
    this.#running.delete(id);
    return code;
  }

  /** Sends a signal and waits for nothing. */
  signal(id: string, signal: NodeJS.Signals): void {
    this.#running.get(id)!.kill(signal);
  }

  /** Waits until what every running node says of the cluster satisfies `met`; fails after 30 s. */
  async until(met: (status: Status) => boolean): Promise<void> {
    const deadlineMs = Date.now() + 30_000;
    for (const id of this.#running.keys()) {
      const client = connect(this.urlOf(id));
      try {
        for (;;) {
          const status = (await client.status()) as unknown as Status;
          if (met(status)) break;
          if (Date.now() > deadlineMs) throw new Error(`still ${JSON.stringify(status)}`);
          await new Promise((resolve) => setTimeout(resolve, 25));
        }
      } finally {
        await client.close();
      }
    }
  }

  async end(): Promise<void> {
    await this.kill(...this.#running.keys());
    rmSync(this.dir, { recursive: true, force: true });
  }

  urlOf(id: string): string {
    return this.urls[this.ids.indexOf(id)]!;
  }
}

const exitOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.once('exit', (code) => resolve(code));
  });

/** Begins one command of the CLI; whoever calls it ends it. */
export const startCli = (args: readonly string[], url?: string): ChildProcess => {
  const env = { ...process.env, ...(url === undefined ? {} : { COTERIE_URL: url }) };
  return fork(MAIN, [...args], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env });
};

/** Runs one command of the CLI as a user would: its exit code and output. */
export const cli = (
  args: readonly string[],
  url?: string,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    const child = startCli(args, url);
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (text: Buffer) => (stdout += text.toString()));
    child.stderr!.on('data', (text: Buffer) => (stderr += text.toString()));
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
