/** Real nodes heal: one loses its disk under load, another's file is damaged. */
import * as assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { suite } from 'uvu';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import type { RepairStatus } from '../../src/node/healing/repair-commands.ts';
import { assertEqualOnDisk } from '../live/disks.ts';
import { LiveCluster, cli } from '../live/harness.ts';

const heal = suite('live nodes heal');

const KEYS = 20_000;
const WORKERS = 8;

const valueOf = (index: number): string => `${index}`.padEnd(100, '.');

/** Puts and gets over all keys until told to stop; how long each took, ms. */
class Load {
  readonly tookMs = { put: [] as number[], get: [] as number[] };
  readonly written = new Map<string, string>();
  /** Keys written since this was last cleared. */
  readonly rewritten = new Set<string>();
  readonly #client: Client;
  #phase = '';
  #running = true;
  readonly #workers: Promise<unknown>;

  constructor(client: Client) {
    this.#client = client;
    this.#workers = Promise.all(Array.from({ length: WORKERS }, (_, i) => this.#work(i)));
  }

  /** 99th percentiles since the last call, ms, and how many operations that were. */
  take(): { readonly put: number; readonly get: number; readonly count: number } {
    const { put, get } = this.tookMs;
    const result = { put: p99(put), get: p99(get), count: put.length + get.length };
    put.length = 0;
    get.length = 0;
    return result;
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#workers;
  }

  /** Each worker has keys of its own, so that what it wrote last is what must be there. */
  async #work(worker: number): Promise<void> {
    for (let i = 0; this.#running; i++) {
      const key = `key ${(worker + i * WORKERS) % KEYS}`;
      const value = `${i} ${worker} ${this.#phase}`.padEnd(100, '.');
      const begunMs = performance.now();
      const read = await this.#client.get(key);
      this.tookMs.get.push(performance.now() - begunMs);
      const readMs = performance.now();
      const { outcome } = await this.#client.put(key, value, { context: read.context });
      this.tookMs.put.push(performance.now() - readMs);
      assert.equal(outcome, 'applied');
      this.written.set(key, value);
      this.rewritten.add(key);
    }
  }
}

const p99 = (list: readonly number[]): number => {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
};

const seconds = (count: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, count * 1000));

const repairOf = async (url: string): Promise<RepairStatus> => {
  const client = connect(url);
  try {
    return (await client.admin('repair.status')) as unknown as RepairStatus;
  } finally {
    await client.close();
  }
};

heal(
  'a node whose directory is wiped under load is whole again, and missed by nobody',
  async () => {
    const cluster = await LiveCluster.start(3);
    try {
      const others = cluster.urls.slice(0, 2);
      const client = connect(others, { timeoutMs: 20_000 });
      const keys = Array.from({ length: KEYS }, (_, i) => i).values();
      const fill = async (): Promise<void> => {
        for (const i of keys) await client.put(`key ${i}`, valueOf(i));
      };
      await Promise.all(Array.from({ length: 32 }, fill));

      const load = new Load(client);
      await seconds(5);
      load.take();
      await seconds(10);
      const before = load.take();

      load.rewritten.clear();
      await cluster.kill('n3');
      rmSync(cluster.dataDir('n3'), { recursive: true });
      await cluster.startNode('n3');
      const down = load.take();
      const wipedMs = performance.now();
      const fresh = await repairOf(cluster.urlOf('n3'));
      assert.ok(fresh.incomplete > 0, 'it knows that it lacks everything');
      const refilled = await whenWhole(cluster.urlOf('n3'));
      const tookMs = performance.now() - wipedMs;
      const refill = load.take();
      const rewritten = load.rewritten.size;
      await seconds(10);
      const after = load.take();
      await load.stop();
      await client.close();

      const pulled = refilled.peers.reduce((sum, peer) => sum + peer.pulled, 0);
      // The others compare, too, and give what they find lacking.
      const given = await Promise.all(
        others.map(async (url) => pushedTo('n3', await repairOf(url))),
      );
      const refills = given.reduce((sum, count) => sum + count, pulled);
      // What was written again meanwhile came as a write, or as a hint.
      assert.ok(
        refills + rewritten >= KEYS,
        `${refills} of ${KEYS} records came back, ${rewritten} were written again`,
      );
      process.stdout.write(
        [
          `  refilled ${refills} records in ${(tookMs / 1000).toFixed(1)} s under load`,
          ...Object.entries({ before, down, refill, after }).map(
            ([when, { put, get, count }]) =>
              `  ${when.padEnd(6)} p99 put ${put.toFixed(1)} ms, get ${get.toFixed(1)} ms (${count} operations)`,
          ),
          '',
        ].join('\n'),
      );

      await cluster.until(({ nodes }) =>
        nodes.every(({ health, hints }) => health === 'healthy' && hints === 0),
      );
      const done = await cli(['repair', '--json'], cluster.urlOf('n3'));
      assert.equal(done.code, 0, done.stdout + done.stderr);
      // It answers alone, and knows the newest of every key.
      await cluster.kill('n1', 'n2');
      const alone = connect(cluster.urlOf('n3'), { timeoutMs: 20_000 });
      let wrong = 0;
      for (let i = 0; i < KEYS; i++) {
        const read = await alone.get(`key ${i}`, { r: 1 });
        const expected = load.written.get(`key ${i}`) ?? valueOf(i);
        if (read.texts().join() !== expected) wrong += 1;
      }
      assert.equal(wrong, 0);
      await alone.close();
      await cluster.startNode('n1');
      await cluster.startNode('n2');
      await cluster.until(
        ({ nodes, buffered }) => buffered === 0 && nodes.every(({ hints }) => hints === 0),
      );
      for (const id of cluster.ids) assert.equal(await cluster.stop(id), 0);
      await assertEqualOnDisk(cluster, KEYS);
    } finally {
      await cluster.end();
    }
  },
);

const pushedTo = (node: string, { peers }: RepairStatus): number =>
  peers.find(({ peer }) => peer === node)?.pushed ?? 0;

/** The first status after the wipe that lacks nothing; fails after five minutes. */
const whenWhole = async (url: string): Promise<RepairStatus> => {
  const deadlineMs = performance.now() + 300_000;
  const client = connect(url);
  try {
    for (;;) {
      const status = (await client.admin('repair.status')) as unknown as RepairStatus;
      if (status.incomplete === 0) return status;
      assert.ok(performance.now() < deadlineMs, `${status.incomplete} partitions still lacking`);
      await seconds(0.1);
    }
  } finally {
    await client.close();
  }
};

heal(
  'bytes flipped in the file of a node that is down are found when it is back, and healed',
  async () => {
    const cluster = await LiveCluster.start(3);
    try {
      const client = connect(cluster.urls);
      for (let i = 0; i < 200; i++)
        await client.put(`key ${i}`, `needle ${i} in the hay`, { dw: 3 });
      await client.close();
      await cluster.until(({ buffered }) => buffered === 0);

      // A running node would write from memory what it has only logged so far.
      await cluster.kill('n2');
      const file = join(cluster.dataDir('n2'), 'coterie.mdb');
      const flipped = flip(file, 'needle 77 in the hay') + flip(file, 'needle 123 in the hay');
      assert.ok(flipped >= 2, `${flipped} places hold the values`);
      await cluster.startNode('n2');
      const url = cluster.urlOf('n2');
      const scrub = await cli(['repair', 'scrub', '--json'], url);
      assert.equal(scrub.code, 0, scrub.stderr);
      const found = JSON.parse(scrub.stdout) as RepairStatus['scrub'];
      assert.deepEqual([found.misplaced, found.miscounted], [0, 0]);
      // Whoever came across them first: the scrub, or a comparison with a co-owner.
      const { damaged } = await repairOf(url);
      assert.ok(damaged >= 2, `${damaged} rows found damaged`);
      await whenWhole(url);
      await cluster.kill('n1', 'n3');
      const alone = connect(url, { timeoutMs: 20_000 });
      for (let i = 0; i < 200; i++) {
        const read = await alone.get(`key ${i}`, { r: 1 });
        assert.deepEqual(read.texts(), [`needle ${i} in the hay`]);
      }
      await alone.close();
    } finally {
      await cluster.end();
    }
  },
);

/** Flips a bit in the middle of `text` wherever it stands in the file, old pages included. */
const flip = (file: string, text: string): number => {
  const bytes = readFileSync(file);
  const handle = openSync(file, 'r+');
  let places = 0;
  try {
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
      const middle = at + (text.length >> 1);
      writeSync(handle, new Uint8Array([bytes[middle]! ^ 1]), 0, 1, middle);
      places += 1;
    }
  } finally {
    closeSync(handle);
  }
  return places;
};

heal.run();
