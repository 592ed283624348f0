/** `coterie cluster`: several nodes as child processes on this machine, with one readable log. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { connect } from '../client/index.ts';
import { CommandFailure, EXIT, usage } from './exit.ts';
import { integer } from './start.ts';

type ClusterFlags = {
  readonly nodes: number;
  readonly data: string;
  readonly port: number;
  readonly json?: boolean;
  readonly logLevel: string;
};

type Child = {
  readonly id: string;
  readonly url: string;
  readonly process: ChildProcess;
  /** The address of its inspector, once it listens. */
  inspector: string | undefined;
};

const HOST = '127.0.0.1';
const READY_TIMEOUT_MS = 30_000;

export const addClusterCommand = (program: Command): void => {
  program
    .command('cluster')
    .description('run a cluster of real processes on this machine until Ctrl-C')
    .option('--nodes <count>', 'how many nodes', integer, 3)
    .option('--data <dir>', 'data directory; each node gets a folder in it', 'data')
    .option('--port <port>', 'client port of the first node; 0 picks free ones', integer, 7400)
    .option('--log-level <level>', 'debug, info, warn, error, silent', 'info')
    .option('--json', 'print one line of JSON when all nodes serve, and no log')
    .addHelpText('after', '\nExample:\n  coterie cluster --nodes 3 --data ./data\n')
    .action(runCluster);
};

const runCluster = async (flags: ClusterFlags): Promise<void> => {
  if (flags.nodes < 1 || flags.nodes > 64) throw usage(`--nodes is 1-64, found ${flags.nodes}`);
  if (flags.port < 0 || flags.port + flags.nodes > 65536) {
    throw usage(`--port is 0-65535 with room for ${flags.nodes} nodes, found ${flags.port}`);
  }
  const ids = Array.from({ length: flags.nodes }, (_, i) => `n${i + 1}`);
  const ports = flags.port === 0 ? await freePorts(ids.length) : ids.map((_, i) => flags.port + i);
  const urls = ports.map((port) => `ws://${HOST}:${port}`);
  const admins = flags.port === 0 ? ids.map(() => 0) : ids.map((_, i) => adminPort(flags.port, i));
  const children = ids.map((id, i) => spawnNode(id, urls, i, ids, admins[i]!, flags));
  const ended = Promise.all(children.map(exitOf));
  let leaving = false;
  const leave = (): void => {
    if (leaving) for (const { process: child } of children) child.kill('SIGKILL');
    leaving = true;
    for (const { process: child } of children) child.kill('SIGTERM');
  };
  process.on('SIGINT', leave);
  process.on('SIGTERM', leave);
  try {
    await Promise.race([allServe(urls), anyExit(children)]);
  } catch (error) {
    leave();
    await ended;
    throw error;
  }
  announce(children, flags);
  await ended;
};

const spawnNode = (
  id: string,
  urls: readonly string[],
  index: number,
  ids: readonly string[],
  admin: number,
  flags: ClusterFlags,
): Child => {
  const url = urls[index]!;
  const args = ['start', '--id', id, '--data', join(flags.data, id), '--listen', url.slice(5)];
  args.push('--bootstrap', ids.join(','), '--log-level', flags.logLevel);
  args.push('--admin', `${HOST}:${admin}`);
  for (const seed of urls) if (seed !== url) args.push('--seed', seed);
  const child = fork(fileURLToPath(new URL('./main.js', import.meta.url)), args, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // In a group of its own: Ctrl-C reaches us, and we let the nodes drain.
    detached: true,
  });
  const started: Child = { id, url, process: child, inspector: undefined };
  child.once('message', (message: { readonly inspector?: string }) => {
    started.inspector = message.inspector;
  });
  createInterface({ input: child.stderr! }).on('line', (line) => {
    if (flags.json !== true || !line.startsWith('{'))
      process.stderr.write(`${readable(id, line)}\n`);
  });
  return started;
};

/** Admin ports stand a hundred above client ports, where there is room. */
const adminPort = (clientPort: number, index: number): number =>
  clientPort + 100 + index > 65535 ? 0 : clientPort + 100 + index;

/** One JSON log line as people read it: node, level, event, facts. */
const readable = (id: string, line: string): string => {
  try {
    const { level, event, ...facts } = JSON.parse(line) as Record<string, unknown>;
    const shown = Object.entries(facts)
      .filter(
        ([name]) =>
          !['time', 'node', 'pid', 'hostname'].includes(name) ||
          (name === 'node' && facts[name] !== id),
      )
      .map(
        ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
    const word = ({ 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' } as Record<string, string>)[
      String(level)
    ];
    return [id.padEnd(4), (word ?? '').padEnd(5), String(event), ...shown].join(' ');
  } catch {
    return `${id.padEnd(4)} ${line}`;
  }
};

const allServe = async (urls: readonly string[]): Promise<void> => {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  for (const url of urls) {
    const client = connect(url);
    try {
      while (!everyoneServes(await client.status(), urls.length)) {
        if (Date.now() > deadlineMs) throw new CommandFailure('not all nodes serve', EXIT.refused);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      await client.close();
    }
  }
};

const everyoneServes = (status: unknown, count: number): boolean => {
  const { nodes, incomplete } = status as {
    readonly nodes: readonly { state: string; health: string }[];
    readonly incomplete: number;
  };
  const serving = nodes.filter(({ state, health }) => state === 'serving' && health === 'healthy');
  return serving.length >= count && incomplete === 0;
};

const anyExit = (children: readonly Child[]): Promise<never> =>
  Promise.race(
    children.map(async (child) => {
      const code = await exitOf(child);
      throw new CommandFailure(`node ${child.id} ended with exit code ${code}`, EXIT.refused);
    }),
  );

const exitOf = ({ process: child }: Child): Promise<number> =>
  new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else child.once('exit', (code) => resolve(code ?? 1));
  });

const announce = (children: readonly Child[], { json }: ClusterFlags): void => {
  const nodes = children.map(({ id, url, inspector, process: child }) => ({
    id,
    pid: child.pid,
    url,
    inspector,
  }));
  if (json === true) {
    process.stdout.write(`${JSON.stringify({ ready: true, nodes })}\n`);
    return;
  }
  const me = `node ${relative(process.cwd(), process.argv[1] ?? 'coterie')}`;
  const url = nodes[0]!.url;
  process.stdout.write(
    [
      '',
      'The cluster is ready. Nodes:',
      ...nodes.map((node) => `  ${node.id}  ${node.url}  (process ${node.pid})`),
      `Watch it think: ${nodes[0]!.inspector}`,
      'Try, in another terminal:',
      `  ${me} put cart:alice milk --url ${url}`,
      `  ${me} get cart:alice --url ${nodes.at(-1)!.url}`,
      `  ${me} status --url ${url}`,
      'Ctrl-C stops it; the data stays.',
      '',
    ].join('\n'),
  );
};

/** Ports that were free a moment ago. */
const freePorts = async (count: number): Promise<readonly number[]> => {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) =>
          server.listen(0, HOST, () => resolve((server.address() as AddressInfo).port)),
        ),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
};
