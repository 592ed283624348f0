/** Clients that know the owners (paper § 6.4), on real nodes: no hop, and nothing lost when nodes die. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { partitionOf } from '../../src/core/ring.ts';
import { LiveCluster } from './harness.ts';

const coordination = suite('clients that know the owners');

/** A client that has the ring and is connected to every node. */
const coordinating = async (cluster: LiveCluster): Promise<Client> => {
  await cluster.until(({ nodes }) => nodes.every(({ address }) => address !== ''));
  const client = connect(cluster.urls, { coordination: 'client', timeoutMs: 20_000 });
  await client.put('probe', 'x');
  const deadlineMs = Date.now() + 20_000;
  for (;;) {
    assert.ok(Date.now() < deadlineMs, 'reads its replicas in time');
    // A node that coordinates names itself; replicas that answer a client are many.
    const nodes = new Set<string | undefined>();
    for (let i = 0; i < 40; i++) nodes.add((await client.get('probe')).node);
    if (nodes.size > 1) return client;
  }
};

coordination('values, siblings and contexts are what a node would have answered', async () => {
  const cluster = await LiveCluster.start(3);
  try {
    const client = await coordinating(cluster);
    const plain = connect(cluster.urls[1]!);
    for (let i = 0; i < 20; i++) {
      const key = `cart:${i}`;
      assert.equal((await client.get(key)).state, 'never-seen');
      await client.put(key, 'milk');
      await plain.put(key, 'eggs');
      const read = await client.get(key, { r: 3 });
      assert.deepEqual([...read.texts()].sort(), ['eggs', 'milk']);
      await client.put(key, 'both', { context: read.context });
      assert.deepEqual((await plain.get(key)).texts(), ['both']);
      await client.delete(key);
      const gone = await client.get(key);
      assert.deepEqual([gone.state, gone.values.length], ['deleted', 0]);
      await plain.put(key, 'again', { context: gone.context });
      assert.deepEqual((await client.get(key, { r: 2 })).texts(), ['again']);
    }
    await client.put('mortal', 'v', { ttlMs: 1 });
    const deadlineMs = Date.now() + 5000;
    while ((await client.get('mortal')).state !== 'deleted') assert.ok(Date.now() < deadlineMs);
    await Promise.all([client.close(), plain.close()]);
  } finally {
    await cluster.end();
  }
});

coordination('an owner is asked, and none but owners, once the ring is known', async () => {
  const cluster = await LiveCluster.start(5);
  try {
    await cluster.until(({ nodes }) => nodes.every(({ address }) => address !== ''));
    const client = connect(cluster.urls, { coordination: 'owner', timeoutMs: 20_000 });
    const { partitions, owners, nodes } = await client.ring();
    const ownersOf = (key: string): readonly string[] => {
      const partition = partitionOf(nodeDigest.md5(new TextEncoder().encode(key)), partitions);
      return owners[partition]!.map((place) => nodes[place]!.id);
    };
    const keys = Array.from({ length: 40 }, (_, i) => `key:${i}`);
    /** Which of the keys a node coordinated that has no copy of them. */
    const strays = async (): Promise<readonly string[]> => {
      const found: string[] = [];
      for (const key of keys) {
        const { context } = await client.get(key);
        await client.put(key, 'x', { context });
        const { node } = await client.get(key);
        if (node === undefined || !ownersOf(key).includes(node)) found.push(key);
      }
      return found;
    };
    const deadlineMs = Date.now() + 20_000;
    while ((await strays()).length > 0) assert.ok(Date.now() < deadlineMs, 'asks owners in time');
    assert.deepEqual(await strays(), []);
    const read = new Set<string | undefined>();
    for (let i = 0; i < 30; i++) read.add((await client.get(keys[0]!)).node);
    assert.deepEqual([...read].sort(), [...ownersOf(keys[0]!)].sort(), 'reads of one key spread');
    await client.close();
  } finally {
    await cluster.end();
  }
});

coordination('owners and nodes that die and return under load cost no operation', async () => {
  const cluster = await LiveCluster.start(3);
  try {
    const client = await coordinating(cluster);
    const changing = (async () => {
      await cluster.kill('n2');
      await cluster.until(({ nodes }) => nodes.some(({ health }) => health === 'down'));
      await cluster.startNode('n2');
      await cluster.until(({ nodes }) => nodes.every(({ health }) => health === 'healthy'));
    })();
    let [state, rounds]: ['changing' | 'calm', number] = ['changing', 0];
    void changing.finally(() => (state = 'calm'));
    while (state === 'changing') {
      await Promise.all(
        Array.from({ length: 8 }, async (_, i) => {
          const key = `k:${i}`;
          const { context } = await client.get(key);
          await client.put(key, `round ${rounds}`, { context });
          assert.deepEqual((await client.get(key)).texts(), [`round ${rounds}`]);
        }),
      );
      rounds += 1;
    }
    await changing;
    assert.ok(rounds > 5, `${rounds} rounds`);
    await client.close();
  } finally {
    await cluster.end();
  }
});

coordination(
  'clients with default options meet no error while each node dies and returns',
  async () => {
    const cluster = await LiveCluster.start(3);
    try {
      const ways = ['server', 'owner', 'client'] as const;
      const clients = ways.map((each) => connect(cluster.urls, { coordination: each }));
      let state: 'changing' | 'calm' = 'changing';
      const changing = (async () => {
        for (const id of cluster.ids) {
          await cluster.kill(id);
          await cluster.until(({ nodes }) => nodes.some(({ health }) => health === 'down'));
          await cluster.startNode(id);
          await cluster.until(
            ({ nodes, incomplete }) =>
              incomplete === 0 && nodes.every(({ health }) => health === 'healthy'),
          );
        }
      })().finally(() => (state = 'calm'));
      const worstMs = ways.map(() => 0);
      const timed = async <T>(at: number, task: Promise<T>): Promise<T> => {
        const startMs = performance.now();
        const result = await task;
        worstMs[at] = Math.max(worstMs[at]!, performance.now() - startMs);
        return result;
      };
      const work = async (at: number, lane: number): Promise<number> => {
        const [client, key] = [clients[at]!, `${ways[at]}:${lane}`];
        let rounds = 0;
        for (; state === 'changing'; rounds++) {
          const { context } = await timed(at, client.get(key));
          await timed(at, client.put(key, `${rounds}`, { context }));
        }
        assert.deepEqual((await client.get(key, { r: 3 })).texts(), [`${rounds - 1}`]);
        return rounds;
      };
      const lanes = Array.from({ length: 9 }, (_, lane) => work(lane % ways.length, lane));
      const rounds = await Promise.all(lanes);
      await changing;
      const worst = ways.map((way, at) => `${way} ${Math.round(worstMs[at]!)} ms`).join(', ');
      const all = rounds.reduce((sum, each) => sum + each, 0);
      process.stdout.write(`  slowest of ${2 * all} operations by who coordinates: ${worst}\n`);
      await Promise.all(clients.map((client) => client.close()));
    } finally {
      await cluster.end();
    }
  },
);

coordination('keys of a prefix with defaults of its own go by way of a node', async () => {
  const cluster = await LiveCluster.start(3, ['--defaults', 'session:=lww']);
  try {
    const client = await coordinating(cluster);
    const plain = connect(cluster.urls[1]!);
    await plain.put('session:a', 'old', { lastWriteWins: false });
    await plain.put('session:a', 'new', { lastWriteWins: false });
    const newest = (await plain.get('session:a')).texts();
    assert.equal(newest.length, 1);
    for (let i = 0; i < 5; i++) assert.deepEqual((await client.get('session:a')).texts(), newest);
    await Promise.all([client.close(), plain.close()]);
  } finally {
    await cluster.end();
  }
});

coordination.run();
