/** Three real processes, real files, real sockets, and kill -9. */
import * as assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { startNode } from '../../src/index.ts';
import { assertEqualOnDisk } from './disks.ts';
import { LiveCluster, cli } from './harness.ts';

const live = suite('three live nodes');
const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));

/** Every file of node_modules below 1 MiB, by its path. */
const files = (): Map<string, Uint8Array> => {
  const found = new Map<string, Uint8Array>();
  const walk = (dir: string): void => {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const path = join(dir, entry.name);
      if (entry.name.startsWith('.')) continue;
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && statSync(path).size < 1024 * 1024) {
        found.set(relative(MODULES, path), readFileSync(path));
      }
    }
  };
  walk(MODULES);
  return found;
};

/** Runs `task` on every item, sixteen at a time. */
const each = async <T>(items: Iterable<T>, task: (item: T, index: number) => Promise<void>) => {
  const queue = [...items].entries();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const [index, item] of queue) await task(item, index);
    }),
  );
};

const readBack = async (client: Client, values: Map<string, Uint8Array>, r: number) => {
  let wrong = 0;
  await each(values, async ([key, value]) => {
    const read = await client.get(key, { r, timeoutMs: 20_000 });
    if (read.values.length !== 1 || !Buffer.from(value).equals(read.values[0]!)) wrong += 1;
  });
  return wrong;
};

live('a node is killed and restarted under load, and no acknowledged file is lost', async () => {
  const cluster = await LiveCluster.start(3);
  try {
    const values = files();
    assert.ok(values.size > 1000, `only ${values.size} files to write`);
    const client = connect(cluster.urls, { timeoutMs: 20_000 });
    const third = Math.floor(values.size / 3);
    let changing: Promise<void> = Promise.resolve();
    await each(values, async ([key, value], index) => {
      if (index === third) changing = cluster.kill('n3');
      if (index === 2 * third) changing = changing.then(() => cluster.startNode('n3'));
      const { outcome } = await client.put(key, value);
      assert.equal(outcome, 'applied');
    });
    await changing;
    await client.close();

    await cluster.until(({ nodes }) =>
      nodes.every(({ health, hints }) => health === 'healthy' && hints === 0),
    );
    for (const id of cluster.ids) {
      await cluster.stop(id);
      const others = cluster.urls.filter((url) => url !== cluster.urlOf(id));
      const reader = connect(others, { timeoutMs: 20_000 });
      assert.equal(await readBack(reader, values, 2), 0, `with ${id} stopped`);
      await reader.close();
      await cluster.startNode(id);
      await cluster.until(({ nodes }) => nodes.every(({ health }) => health === 'healthy'));
    }
    const reader = connect(cluster.urls, { timeoutMs: 20_000 });
    assert.equal(await readBack(reader, values, 3), 0, 'from all three');
    await reader.close();
    await cluster.until((status) => status.coordinators === 0 && status.buffered === 0);
    for (const id of cluster.ids) assert.equal(await cluster.stop(id), 0, `${id} drains and exits`);
    await assertEqualOnDisk(cluster, values.size);
  } finally {
    await cluster.end();
  }
});

live(
  'dw = 1: all nodes are killed right after an acknowledgement, and the write is there',
  async () => {
    const cluster = await LiveCluster.start(3);
    try {
      for (let round = 0; round < 3; round++) {
        const client = connect(cluster.urls[round]!);
        await client.put(`round ${round}`, `value ${round}`, { dw: 1 });
        await cluster.kill(...cluster.ids);
        await client.close();
        await Promise.all(cluster.ids.map((id) => cluster.startNode(id)));
        await cluster.until(({ nodes }) => nodes.every(({ health }) => health === 'healthy'));
        for (const url of cluster.urls) {
          const reader = connect(url);
          // R = 3: one durable copy is promised, wherever it is.
          const read = await reader.get(`round ${round}`, { r: 3 });
          assert.deepEqual(read.texts(), [`value ${round}`]);
          await reader.close();
        }
      }
    } finally {
      await cluster.end();
    }
  },
);

live(
  'with two of three down W = 2 is refused, W = 1 is applied with hints, and hints drain [bad input 16]',
  async () => {
    const cluster = await LiveCluster.start(3);
    try {
      await cluster.kill('n2', 'n3');
      const url = cluster.urlOf('n1');
      const two = await cli(['put', 'cart', 'milk', '--json', '--timeout', '3000'], url);
      const refused = JSON.parse(two.stdout) as { outcome: string };
      assert.ok(['refused', 'unknown'].includes(refused.outcome), two.stdout);
      assert.equal(two.code, refused.outcome === 'refused' ? 3 : 4);

      await cluster.until(
        ({ nodes }) => nodes.filter(({ health }) => health === 'down').length === 2,
      );
      const one = await cli(['put', 'cart', 'eggs', '--json', '--w', '1'], url);
      assert.equal(one.code, 0, one.stdout + one.stderr);
      const { outcome, acks, durable } = JSON.parse(one.stdout) as Record<string, unknown>;
      assert.deepEqual([outcome, acks, durable], ['applied', ['n1'], ['n1']]);
      await cluster.until(({ nodes }) => nodes.find(({ id }) => id === 'n1')!.hints >= 2);

      await Promise.all(['n2', 'n3'].map((id) => cluster.startNode(id)));
      // n2 and n3 must have met too: without n1 each is the other's only partner for R = 2.
      await cluster.until(
        ({ nodes, incomplete }) =>
          incomplete === 0 &&
          nodes.every(({ hints, health }) => hints === 0 && health === 'healthy'),
      );
      await cluster.kill('n1');
      const read = await cli(['get', 'cart', '--json'], cluster.urlOf('n3'));
      assert.equal(read.code, 0, read.stdout + read.stderr);
      const { values } = JSON.parse(read.stdout) as { values: string[] };
      assert.ok(values.includes('eggs'), read.stdout);
    } finally {
      await cluster.end();
    }
  },
);

live('two carts written blindly are siblings until one write has seen both', async () => {
  const cluster = await LiveCluster.start(3);
  try {
    const [a, b] = [connect(cluster.urls[0]!), connect(cluster.urls[1]!)];
    await a.put('cart', '["milk"]');
    await b.put('cart', '["eggs"]');
    assert.deepEqual([...(await a.get('cart')).texts()].sort(), ['["eggs"]', '["milk"]']);
    await b.update('cart', (siblings) =>
      JSON.stringify(
        siblings.flatMap((s) => JSON.parse(Buffer.from(s).toString()) as string[]).sort(),
      ),
    );
    assert.deepEqual((await a.get('cart')).json(), [['eggs', 'milk']]);
    await a.delete('cart');
    const gone = await b.get('cart');
    assert.deepEqual([gone.state, gone.values.length], ['deleted', 0]);
    assert.equal((await b.get('other')).state, 'never-seen');
    await b.put('cart', 'new', { context: gone.context });
    assert.deepEqual((await a.get('cart')).texts(), ['new']);
    await Promise.all([a.close(), b.close()]);
  } finally {
    await cluster.end();
  }
});

live(
  'a data directory belongs to one process, and a file that is not ours stays untouched [bad input 23a, 23b, 23c]',
  async () => {
    const cluster = await LiveCluster.start(1);
    try {
      const again = await cli([
        'start',
        '--id',
        'n1',
        '--data',
        cluster.dataDir('n1'),
        '--listen',
        '127.0.0.1:0',
      ]);
      assert.equal(again.code, 3);
      assert.match(again.stderr, /in use by process/);
      await cluster.stop('n1');
      for (const flags of [
        ['--id', 'other'],
        ['--id', 'n1', '--bootstrap', 'n1,n2'],
        ['--id', 'n1', '--cluster', 'another'],
      ]) {
        const directory = ['--data', cluster.dataDir('n1'), '--listen', '127.0.0.1:0'];
        const foreign = await cli(['start', ...flags, ...directory]);
        assert.equal(foreign.code, 3, flags.join(' '));
        assert.match(foreign.stderr, /cannot be used: it (holds|belongs)/);
      }
      const path = join(cluster.dataDir('n1'), 'coterie.mdb');
      const damaged = Buffer.from(readFileSync(path));
      damaged.fill(0x55, 0, 64);
      writeFileSync(path, damaged);
      const refused = await cli([
        'start',
        '--id',
        'n1',
        '--data',
        cluster.dataDir('n1'),
        '--listen',
        '127.0.0.1:0',
      ]);
      assert.equal(refused.code, 3);
      assert.match(refused.stderr, /coterie\.mdb/);
      assert.ok(readFileSync(path).equals(damaged), 'the file was changed');
    } finally {
      await cluster.end();
    }
  },
);

live('bad flags end with exit code 2 and name the option [bad input 22b]', async () => {
  for (const args of [
    ['start', '--data', 'x', '--listen', '127.0.0.1:70000'],
    ['start', '--data', 'x', '--nonsense'],
    ['start', '--data', 'x', '--id', 'a', '--bootstrap', 'b,c'],
    ['start', '--data', 'x', '--listen', '0.0.0.0:0'],
    ['put', 'k', 'v', '--w', 'two'],
    ['put', 'k', 'v', '--url', 'http://127.0.0.1:1'],
    ['cluster', '--nodes', '0'],
  ]) {
    const { code, stderr } = await cli(args);
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
    assert.notEqual(stderr, '');
  }
});

live(
  'a single embedded node without peers is a useful store by itself [bad input 22d]',
  async () => {
    const cluster = await LiveCluster.start(1);
    await cluster.stop('n1');
    try {
      await using node = await startNode({
        dataDir: join(cluster.dir, 'alone'),
        logLevel: 'silent',
      });
      const client = node.client();
      await client.put('k', 'v');
      assert.deepEqual((await client.get('k')).texts(), ['v']);
      assert.match(node.status().notes.join(), /each key has 1 replica/);
      const remote = connect(node.url);
      assert.deepEqual((await remote.get('k')).texts(), ['v']);
      await remote.close();
    } finally {
      await cluster.end();
    }
  },
);

live.run();
