/** Many keys at once, scans, the ring and repairs, on three real nodes. */
import * as assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import { connect } from '../../src/client/index.ts';
import type { Client, GotOne } from '../../src/client/index.ts';
import { LiveCluster } from './harness.ts';

const operations = suite('operations on live nodes');

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const keysOf = async (client: Client, prefix: string): Promise<string[]> =>
  (await collect(client.scan({ prefix }))).map(text).sort();

operations('many puts and gets take few messages, and a dead node loses none of them', async () => {
  const cluster = await LiveCluster.start(3);
  try {
    const client = connect(cluster.urls, { timeoutMs: 20_000 });
    const entries = Array.from({ length: 700 }, (_, i) => ({ key: `many:${i}`, value: `v${i}` }));
    const put = await collect(client.putMany(entries));
    assert.deepEqual(
      put.map(({ index }) => index).sort((a, b) => a - b),
      entries.map((_, i) => i),
    );
    assert.ok(put.every(({ error }) => error === undefined));

    const large = Array.from({ length: 6 }, (_, i) => ({
      key: `large:${i}`,
      value: new Uint8Array(900_000).fill(i),
    }));
    assert.ok((await collect(client.putMany(large))).every(({ error }) => error === undefined));

    const getting = collect(client.getMany(entries.map(({ key }) => key)));
    await cluster.kill('n2');
    const check = (got: readonly GotOne[]): void => {
      assert.equal(got.length, entries.length);
      for (const { index, values, error } of got) {
        assert.equal(error, undefined);
        assert.deepEqual(values?.texts(), [`v${index}`]);
      }
    };
    check(await getting);
    check(await collect(client.getMany(entries.map(({ key }) => key))));
    assert.deepEqual(await collect(client.getMany([])), []);
    assert.throws(() => client.getMany(['fine', '']), /a key is/);
    await client.close();
  } finally {
    await cluster.end();
  }
});

operations('a put of many that fails is a result, and the others are applied', async () => {
  const cluster = await LiveCluster.start(1);
  try {
    const client = connect(cluster.urls);
    await client.put('taken', 'by another');
    const entries = ['free', 'taken', 'also free'].map((key) => ({ key, value: 'mine' }));
    const results = await collect(client.putMany(entries, { ifAbsent: true }));
    const codes = results.sort((a, b) => a.index - b.index).map(({ error }) => error?.code);
    assert.deepEqual(codes, [undefined, 'CONDITION_NOT_MET', undefined]);
    assert.deepEqual((await client.get('taken')).texts(), ['by another']);
    await client.close();
  } finally {
    await cluster.end();
  }
});

operations(
  'a scan lists what is there, from memory and disk, on small pages, and stops when told',
  async () => {
    const cluster = await LiveCluster.start(3);
    try {
      const client = connect(cluster.urls);
      const names = Array.from({ length: 500 }, (_, i) => `s:${String(i).padStart(3, '0')}`);
      await collect(client.putMany(names.map((key) => ({ key, value: 'v' }))));
      await client.put('other', 'v');
      assert.deepEqual(await keysOf(client, 's:'), names);
      await client.delete('s:007');
      await client.put('s:mortal', 'v', { ttlMs: 1 });
      const expected = names.filter((name) => name !== 's:007');
      await cluster.until((status) => status.buffered === 0 && status.coordinators === 0);
      assert.deepEqual(await keysOf(client, 's:'), expected, 'from disk');
      const paged = await collect(client.scan({ pageSize: 1, prefix: 's:' }));
      assert.deepEqual(paged.map(text).sort(), expected);
      const { partitions } = await client.ring();
      const byPartition = await Promise.all(
        Array.from({ length: partitions }, (_, partition) => collect(client.scan({ partition }))),
      );
      assert.equal(byPartition.flat().length, expected.length + 1);
      let seen = 0;
      for await (const key of client.scan()) {
        assert.ok(key.length > 0);
        if (++seen === 10) break;
      }
      assert.equal(seen, 10);
      await cluster.kill('n3');
      await cluster.until(({ nodes }) => nodes.some(({ health }) => health === 'down'));
      assert.deepEqual(await keysOf(client, 's:'), expected, 'with a node down');
      await assert.rejects(collect(client.scan({ partition: partitions })), /a partition is 0-/);
      await client.close();
    } finally {
      await cluster.end();
    }
  },
);

operations('the ring tells the owners of a key, and a change of it is pushed', async () => {
  const cluster = await LiveCluster.start(3);
  try {
    await cluster.until(({ nodes }) => nodes.every(({ address }) => address !== ''));
    const client = connect(cluster.urls[0]!);
    const ring = await client.ring();
    const partition =
      createHash('md5').update('cart:alice').digest()[0]! >> (8 - Math.log2(ring.partitions));
    const owners = ring.owners[partition]!.map((place) => ring.nodes[place]!.id).sort();
    assert.deepEqual(owners, ['n1', 'n2', 'n3']);
    assert.deepEqual(ring.nodes.map(({ address }) => address).sort(), [...cluster.urls].sort());
    const changed = new Promise<number>((resolve) =>
      client.on((event) => {
        if (event.type === 'ring-changed') resolve(event.ringVersion);
      }),
    );
    await cluster.kill('n3');
    await cluster.startNode('n3');
    const version = await changed;
    assert.ok(version > ring.ringVersion, `${version} after ${ring.ringVersion}`);
    assert.ok((await client.ring()).ringVersion >= version);
    await client.close();
  } finally {
    await cluster.end();
  }
});

operations.run();
