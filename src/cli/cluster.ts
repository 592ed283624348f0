/** `coterie cluster`: several nodes as child processes on this machine, with one readable log. */
import { relative } from 'node:path';
import type { Command } from 'commander';
import { connect } from '../client/index.ts';
import { CommandFailure, EXIT, integer, usage } from './exit.ts';
import { LocalCluster } from './local-cluster.ts';
import type { Seat } from './local-cluster.ts';

type ClusterFlags = {
  readonly nodes: number;
  readonly data: string;
  readonly port: number;
  readonly json?: boolean;
  readonly allowFaults?: boolean;
  readonly showValues?: boolean;
  readonly logLevel: string;
};

const READY_TIMEOUT_MS = 30_000;

export const addClusterCommand = (program: Command): void => {
  program
    .command('cluster')
    .description('run a cluster of real processes on this machine until Ctrl-C')
    .option('--nodes <count>', 'how many nodes', integer, 3)
    .option('--data <dir>', 'data directory; each node gets a folder in it', 'data')
    .option('--port <port>', 'client port of the first node; 0 picks free ones', integer, 7400)
    .option('--log-level <level>', 'debug, info, warn, error, silent', 'info')
    .option('--allow-faults', 'let the inspector write, cut, slow, kill and start nodes')
    .option('--show-values', 'let the inspector show the bytes of values')
    .option('--json', 'print one line of JSON when all nodes serve, and no log')
    .addHelpText('after', '\nExample:\n  coterie cluster --nodes 3 --data ./data\n')
    .action(runCluster);
};

const runCluster = async (flags: ClusterFlags): Promise<void> => {
  if (flags.nodes < 1 || flags.nodes > 64) throw usage(`--nodes is 1-64, found ${flags.nodes}`);
  if (flags.port < 0 || flags.port + flags.nodes > 65536) {
    throw usage(`--port is 0-65535 with room for ${flags.nodes} nodes, found ${flags.port}`);
  }
  const cluster = await LocalCluster.start({
    founders: flags.nodes,
    data: flags.data,
    port: flags.port,
    logLevel: flags.logLevel,
    faults: flags.allowFaults === true ? 'allowed' : 'refused',
    values: flags.showValues === true ? 'shown' : 'hidden',
    log: (id, line) => {
      if (flags.json !== true || !line.startsWith('{')) {
        process.stderr.write(`${readable(id, line)}\n`);
      }
    },
  });
  const leave = (): void => cluster.leave();
  process.on('SIGINT', leave);
  process.on('SIGTERM', leave);
  try {
    await Promise.race([allServe(cluster), cluster.failure()]);
  } catch (error) {
    if (!cluster.isLeaving) {
      leave();
      await cluster.ended();
      throw new CommandFailure((error as Error).message, EXIT.refused);
    }
  }
  if (!cluster.isLeaving) announce(cluster.seats, flags);
  await cluster.ended();
};

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

/** Resolves when all serve, or are asked to end before. */
const allServe = async (cluster: LocalCluster): Promise<void> => {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  const seats = cluster.seats;
  const until = async (met: () => boolean | Promise<boolean>): Promise<void> => {
    while (!cluster.isLeaving && !(await met())) {
      if (Date.now() > deadlineMs) throw new Error('not all nodes serve');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  // Only then is it they who answer: another cluster may hold their ports.
  await until(() => cluster.isListening);
  for (const { url } of seats) {
    const client = connect(url);
    try {
      await until(async () => everyoneServes(await client.status(), seats.length));
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

const announce = (seats: readonly Seat[], { json }: ClusterFlags): void => {
  const nodes = seats.map(({ id, url, inspector, process: child }) => ({
    id,
    pid: child?.pid,
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
