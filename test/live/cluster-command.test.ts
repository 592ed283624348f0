/** `coterie cluster` where it cannot start: it says so, and nothing is left running. */
import * as assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { freePorts } from '../../src/cli/free-ports.ts';
import { connect } from '../../src/client/index.ts';
import { cli, startCli } from './harness.ts';

const command = suite('coterie cluster');
const NODES = 3;
const TRIES_MAX = 50;

const listening = async (port: number): Promise<Server> => {
  const server = createServer((socket) => socket.destroy());
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
};

const closed = async (servers: readonly Server[]): Promise<void> => {
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
};

/** The first of ports that lie side by side, those of the admin listeners free too. */
const freeBase = async (): Promise<number> => {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const [base] = await freePorts(1);
    const wanted = Array.from({ length: NODES }, (_, i) => [base! + i, base! + 100 + i]).flat();
    const found = await Promise.allSettled(wanted.map((port) => listening(port)));
    await closed(found.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
    if (found.every(({ status }) => status === 'fulfilled')) return base!;
  }
  throw new Error('no free ports side by side');
};

const argsOf = (data: string, port: number): readonly string[] => {
  const sizes = ['--nodes', String(NODES), '--port', String(port)];
  return ['cluster', '--data', data, ...sizes, '--log-level', 'error', '--json'];
};

command(
  'a second one on the same data and ports fails, naming the node and the holder',
  async () => {
    const data = mkdtempSync(join(tmpdir(), 'coterie-twice-'));
    const port = await freeBase();
    const first = startCli(argsOf(data, port));
    const gone = once(first, 'close');
    first.stderr!.resume();
    try {
      const [line] = (await Promise.race([once(first.stdout!, 'data'), gone])) as [Buffer];
      const { ready, nodes } = JSON.parse(line.toString()) as {
        readonly ready: boolean;
        readonly nodes: readonly { readonly pid: number; readonly url: string }[];
      };
      assert.ok(ready);

      const { code, stdout, stderr } = await cli(argsOf(data, port));
      assert.equal(code, 3, stderr);
      assert.equal(stdout, '', 'it is not said to be ready');
      const [, node, holder] = /node n(\d) ended with exit code 3: .*is in use by .*?(\d+)/.exec(
        stderr.trimEnd().split('\n').at(-1)!,
      )!;
      assert.equal(Number(holder), nodes[Number(node) - 1]!.pid);

      const client = connect(nodes.map(({ url }) => url));
      try {
        await client.put('cart:alice', 'milk');
      } finally {
        await client.close();
      }
    } finally {
      first.kill('SIGTERM');
      await gone;
      rmSync(data, { recursive: true, force: true });
    }
  },
);

command(
  'where one port is taken it fails, naming node and port, and stops the others',
  async () => {
    const data = mkdtempSync(join(tmpdir(), 'coterie-taken-'));
    const port = await freeBase();
    const stranger = await listening(port + 1);
    try {
      const { code, stdout, stderr } = await cli(argsOf(data, port));
      assert.equal(code, 3, stderr);
      assert.equal(stdout, '');
      const said = new RegExp(`node n2 ended with exit code 3: .*EADDRINUSE.*${port + 1}$`);
      assert.match(stderr.trimEnd(), said);
      await closed([await listening(port), await listening(port + 2)]);
    } finally {
      await closed([stranger]);
      rmSync(data, { recursive: true, force: true });
    }
  },
);

command.run();
