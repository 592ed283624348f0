/** An upgrade as clients see it: one node after the other is stopped and started, under load. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { LiveCluster } from './harness.ts';

const rolling = suite('a rolling restart');

const WORKERS = 8;

type Load = {
  /** By key, what its acknowledged put wrote. */
  readonly written: Map<string, string>;
  readonly failures: string[];
  operations: number;
};

/** Puts of fresh keys and gets of earlier ones, until `signal`; each failure is kept in words. */
const work = async (client: Client, load: Load, worker: number, signal: AbortSignal) => {
  for (let i = 0; !signal.aborted; i++) {
    const key = `w${worker}:${i}`;
    const value = `value ${i} of ${worker}`;
    try {
      await client.put(key, value);
      load.written.set(key, value);
      const earlier = `w${worker}:${i >> 1}`;
      const { values } = await client.get(earlier);
      if (Buffer.from(values[0] ?? []).toString() !== load.written.get(earlier)) {
        load.failures.push(`${earlier} was read as ${values.length} values`);
      }
      load.operations += 2;
    } catch (error) {
      load.failures.push(`${key}: ${String(error)}`);
    }
  }
};

rolling('of three nodes under load loses nothing and fails nothing', async () => {
  const cluster = await LiveCluster.start(3);
  const client = connect(cluster.urls);
  const load: Load = { written: new Map(), failures: [], operations: 0 };
  const end = new AbortController();
  try {
    const workers = Array.from({ length: WORKERS }, (_, worker) =>
      work(client, load, worker, end.signal),
    );
    for (const id of cluster.ids) {
      const before = load.operations;
      assert.equal(await cluster.stop(id), 0, `${id} drained and went`);
      await cluster.startNode(id);
      await cluster.until(
        ({ nodes, incomplete }) =>
          incomplete === 0 && nodes.every(({ health }) => health === 'healthy'),
      );
      assert.ok(load.operations > before, 'clients went on meanwhile');
    }
    end.abort();
    await Promise.all(workers);
    assert.deepEqual(load.failures, []);
    assert.ok(load.written.size > 100, `only ${load.written.size} keys were written`);
    const lost: string[] = [];
    await Promise.all(
      [...load.written].map(async ([key, value]) => {
        const { values } = await client.get(key, { r: 2, timeoutMs: 20_000 });
        if (values.length !== 1 || Buffer.from(values[0]!).toString() !== value) lost.push(key);
      }),
    );
    assert.deepEqual(lost, []);
  } finally {
    end.abort();
    await client.close('now');
    await cluster.end();
  }
});

rolling.run();
