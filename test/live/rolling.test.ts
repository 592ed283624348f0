/** An upgrade as clients see it: one node after the other is stopped and started, under load. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import type { Status } from '../../src/index.ts';
import { LiveCluster, cli } from './harness.ts';
import { greet, helloAs } from './stranger.ts';

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

/** Stops and starts each node in turn, under load, as often as there are `versions`. */
const roll = async (versions: readonly ('this-version' | 'next-minor')[]): Promise<void> => {
  const cluster = await LiveCluster.start(3);
  const client = connect(cluster.urls);
  const load: Load = { written: new Map(), failures: [], operations: 0 };
  const end = new AbortController();
  try {
    const workers = Array.from({ length: WORKERS }, (_, worker) =>
      work(client, load, worker, end.signal),
    );
    for (const speaks of versions) {
      for (const id of cluster.ids) {
        const before = load.operations;
        assert.equal(await cluster.stop(id), 0, `${id} drained and went`);
        await cluster.startNode(id, speaks);
        await cluster.until(
          ({ nodes, incomplete }) =>
            incomplete === 0 && nodes.every(({ health }) => health === 'healthy'),
        );
        assert.ok(load.operations > before, 'clients went on meanwhile');
      }
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
};

rolling('of three nodes under load loses nothing and fails nothing', () => roll(['this-version']));

rolling('to the next minor version of the protocols and back does neither', () =>
  roll(['next-minor', 'this-version']),
);

rolling('a node of the next minor version says what this one does not know', async () => {
  const cluster = await LiveCluster.start(1);
  try {
    await cluster.stop('n1');
    await cluster.startNode('n1', 'next-minor');
    const status = await statusOf(cluster.urls[0]!);
    const side = await greet(cluster.urls[0]!, helloAs('n9', status.cluster), []);
    assert.equal(side.answer?.type, 'hello', 'its hello is understood');
    assert.ok(side.unknown() > 0, 'and there was more than that');
    side.end();
  } finally {
    await cluster.end();
  }
});

rolling('a node that is to drain hands its hints over before it goes', async () => {
  // One hint a delivery: without --drain most of them would be left behind.
  const cluster = await LiveCluster.start(3, ['--drain', '--hint-batch-max', '1']);
  const client = connect(cluster.urls[0]!);
  try {
    await cluster.kill('n3');
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
    await Promise.all(keys.map((key) => client.put(key, 'v')));
    await until(client, ({ nodes }) => nodes.find(({ id }) => id === 'n1')!.hints > 0);
    await cluster.startNode('n3');
    await until(client, ({ nodes }) => nodes.every(({ health }) => health === 'healthy'));
    assert.equal(await cluster.stop('n1'), 0);
    const left = await cli(['verify', cluster.dataDir('n1'), '--json']);
    const { hints, damaged, end } = JSON.parse(left.stdout) as Record<string, unknown>;
    assert.deepEqual([hints, damaged, end], [0, 0, 'clean']);
  } finally {
    await client.close('now');
    await cluster.end();
  }
});

rolling('a second signal does not wait for what is in flight', async () => {
  const cluster = await LiveCluster.start(3);
  const client = connect(cluster.urls[0]!, { addresses: 'given' });
  try {
    // In flight for as long as the deadline says: one of its three replicas stands still.
    cluster.signal('n3', 'SIGSTOP');
    const strict = { w: 3, dw: 3, strict: true, timeoutMs: 60_000 };
    const put = client.put('k', 'v', strict).catch(() => undefined);
    await until(client, ({ coordinators }) => coordinators > 0);
    cluster.signal('n1', 'SIGTERM');
    // Going away, it welcomes nobody any more.
    await client.status().then(
      () => until(client, ({ nodes }) => nodes.some(({ state }) => state === 'draining')),
      () => undefined,
    );
    assert.equal(await cluster.stop('n1'), 1);
    await client.close('now');
    await put;
  } finally {
    await client.close('now');
    cluster.signal('n3', 'SIGCONT');
    await cluster.end();
  }
});

const statusOf = async (url: string): Promise<Status> => {
  const client = connect(url);
  try {
    return (await client.status()) as unknown as Status;
  } finally {
    await client.close();
  }
};

const DEADLINE_MS = 20_000;

/** Waits until the status of one node satisfies `met`. */
const until = async (client: Client, met: (status: Status) => boolean): Promise<void> => {
  const deadlineMs = performance.now() + DEADLINE_MS;
  for (;;) {
    const status = (await client.status()) as unknown as Status;
    if (met(status)) return;
    assert.ok(performance.now() < deadlineMs, JSON.stringify(status));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

rolling.run();
