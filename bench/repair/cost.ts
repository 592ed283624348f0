/**
 * What it costs to make two replicas equal that differ in ten keys, beside how many keys they have;
 * and what keeping the Merkle trees adds to a put. `npm run bench:repair`.
 *
 * Two whole nodes in this process, on LMDB and WebSockets. Ten newer records are laid on one of
 * them, one repair is asked for; what goes over their links is counted, and the CPU of the process.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStorage } from '../../src/storage.ts';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { actorId, keyOfText, nodeId, startId } from '../../src/core/ids.ts';
import type { PutId } from '../../src/core/ids.ts';
import { encodeRecord } from '../../src/core/record-bytes.ts';
import { BLIND, EMPTY_RECORD, write } from '../../src/core/record.ts';
import type { RecordOfKey } from '../../src/core/record.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import type { Node } from '../../src/node/node.ts';
import { RecordStore } from '../../src/node/store/record-store.ts';
import type { RepairStatus } from '../../src/node/healing/repair-commands.ts';
import { NO_RING, RingView } from '../../src/node/membership/ring-view.ts';
import type { Storage } from '../../src/ports/storage.ts';
import { startHere, until } from '../support/node-here.ts';

const PARTITIONS = 256;
const DIFFERENT = 10;
const BATCH = 5000;
const FRAME_MAX = 32 * 1024 * 1024;
const CONFIG = {
  ...DEFAULT_CONFIG,
  ...{ exchangeIntervalMs: 86_400_000, lookAgainMs: 100 },
  links: { ...DEFAULT_CONFIG.links, frameBytesMax: { client: FRAME_MAX, peer: FRAME_MAX } },
};
const [A, B] = [nodeId('a'), nodeId('b')];
const ACTOR = actorId(startId('00000000000000aa'), 1);

const recordOf = (n: number): RecordOfKey => {
  const putId = n.toString(16).padStart(16, '0') as PutId;
  const value = new Uint8Array(100).fill(n & 255);
  const mint = { actor: ACTOR, putId, value, writtenAt: n, nowMs: n, mode: 'causal' } as const;
  const written = write(EMPTY_RECORD, BLIND, mint);
  if (written.type !== 'minted') throw new Error('a first write is always minted');
  return written.record;
};

const storeOn = (storage: Storage): RecordStore => {
  const table = Array.from({ length: PARTITIONS }, () => [A, B]);
  const ring = { ...NO_RING, table, target: table, partitions: PARTITIONS, n: 2 };
  return new RecordStore({
    storage,
    digest: nodeDigest,
    trace: { log: () => undefined },
    ring: new RingView(A, nodeDigest, ring),
    limits: DEFAULT_CONFIG.replica,
    changed: () => undefined,
    tellBuffer: () => undefined,
  });
};

const committed = (store: RecordStore): Promise<void> =>
  new Promise((resolve, reject) =>
    store.commit((failure) => (failure === undefined ? resolve() : reject(new Error(failure)))),
  );

const putBatch = async (store: RecordStore, from: number, to: number, shift = 0): Promise<void> => {
  store.change(() => {
    for (let i = from; i < to; i++) {
      store.put(store.open(keyOfText(`key ${i}`)), { record: recordOf(i + shift + 1) });
    }
  });
  await committed(store);
};

const closed = (storage: Storage): Promise<void> => new Promise((done) => storage.close(done));

const fill = async (dir: string, keys: number): Promise<void> => {
  mkdirSync(dir);
  const storage = openStorage(dir);
  const store = storeOn(storage);
  for (let i = 0; i < keys; i += BATCH) await putBatch(store, i, Math.min(keys, i + BATCH));
  await closed(storage);
};

/** One of two nodes; what it sends is counted. */
const startOn = (dir: string, self: typeof A, seeds: readonly string[], traffic: Traffic) =>
  startHere({
    ...{ dir, self, seeds, founders: [A, B], partitions: PARTITIONS, config: CONFIG },
    send: (frame, connection) => {
      traffic.frames += 1;
      traffic.bytes += frame.length;
      connection.send(frame);
    },
  });
type Traffic = { frames: number; bytes: number };

const command = (node: Node, name: string): RepairStatus => {
  let result: unknown;
  const request = { type: 'admin', command: name, args: {}, timeoutMs: 1000 } as const;
  node.handler.handle(request, (reply) => {
    if (reply.type !== 'admin-is') throw new Error(JSON.stringify(reply));
    result = reply.result;
  });
  return result as RepairStatus;
};

type Cost = {
  readonly frames: number;
  readonly bytes: number;
  readonly cpuMs: number;
  readonly ms: number;
};

/** What `task` takes: frames and bytes of both nodes, CPU of the process. */
const costOf = async (traffic: Traffic, task: () => Promise<void>): Promise<Cost> => {
  const before = { ...traffic };
  const cpu = process.cpuUsage();
  const begunMs = performance.now();
  await task();
  const { user, system } = process.cpuUsage(cpu);
  return {
    frames: traffic.frames - before.frames,
    bytes: traffic.bytes - before.bytes,
    cpuMs: (user + system) / 1000,
    ms: performance.now() - begunMs,
  };
};

const compare = async (keys: number) => {
  const root = mkdtempSync(join(tmpdir(), 'coterie-repair-'));
  const [dirA, dirB] = [join(root, 'a'), join(root, 'b')];
  try {
    await fill(dirA, keys);
    mkdirSync(dirB);
    copyFileSync(join(dirA, 'coterie.mdb'), join(dirB, 'coterie.mdb'));
    const traffic = { frames: 0, bytes: 0 };
    const a = await startOn(dirA, A, [], traffic);
    const b = await startOn(dirB, B, [a.url], traffic);
    const whole = ({ node }: typeof a) => {
      const { incomplete, repair, nodes } = node.status();
      const linked = nodes.every(({ health }) => health === 'healthy');
      return linked && incomplete === 0 && repair.some((each) => each.equalSinceMs !== undefined);
    };
    await until('both are complete', () => whole(a) && whole(b));
    const rest = () => new Promise<void>((resolve) => setTimeout(resolve, 1000));
    await rest();
    const idle = await costOf(traffic, rest);
    for (let i = 0; i < DIFFERENT; i++) {
      const key = keyOfText(`key ${Math.floor((i * keys) / DIFFERENT)}`);
      const record = encodeRecord(recordOf(keys + i + 1), 'with-values');
      b.node.sendTo(A, { type: 'write', request: 0, round: 0, key, record, durable: true });
    }
    await rest();
    const equal = await costOf(traffic, async () => {
      command(b.node, 'repair.start');
      await until(
        'the repair is done',
        () => command(b.node, 'repair.status').run?.state === 'done',
      );
    });
    const { peers } = command(b.node, 'repair.status').run!;
    const roots = [a, b].map(({ node }) => node.merkleRoots().map(({ kept }) => kept));
    if (roots[0]!.join() !== roots[1]!.join()) throw new Error('they still differ');
    await Promise.all([a, b].map(({ node }) => new Promise<void>((done) => node.stop(done))));
    return { keys, pulled: peers[0]!.pulled, idle, equal };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
};

/** CPU of puts and their commits, with and without the trees, in turns. */
const costOfTrees = async (keys: number, rounds: number) => {
  const root = mkdtempSync(join(tmpdir(), 'coterie-trees-'));
  try {
    const storage = openStorage(root);
    const store = storeOn(storage);
    for (let i = 0; i < keys; i += BATCH) await putBatch(store, i, i + BATCH);
    const { replace, takeOps } = store.forest;
    const took = { with: [] as number[], without: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      for (const trees of ['with', 'without'] as const) {
        store.forest.replace = trees === 'with' ? replace : () => undefined;
        store.forest.takeOps = trees === 'with' ? takeOps : () => [];
        const { cpuMs } = await costOf({ frames: 0, bytes: 0 }, async () => {
          for (let i = 0; i < keys; i += PUTS_PER_COMMIT) {
            await putBatch(store, i, i + PUTS_PER_COMMIT, (round + 1) * keys);
          }
        });
        took[trees].push((cpuMs * 1000) / keys);
      }
    }
    await closed(storage);
    return { with: median(took.with), without: median(took.without) };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
};
/** A flush of the write buffer (paper § 6.1). */
const PUTS_PER_COMMIT = 1000;

const median = (list: readonly number[]): number =>
  [...list].sort((x, y) => x - y)[list.length >> 1]!;

const sizes = (process.argv.find((arg) => /^[0-9,]+$/.test(arg)) ?? '10000,100000,1000000')
  .split(',')
  .map(Number);
const results: unknown[] = [];
process.stdout.write(
  '| keys | made equal | frames | bytes | CPU ms | idle CPU ms | ms |\n|---|---|---|---|---|---|---|\n',
);
for (const keys of sizes) {
  const { pulled, idle, equal } = await compare(keys);
  results.push({ keys, pulled, idle, equal });
  const idleCpuMs = (idle.cpuMs * equal.ms) / idle.ms;
  const row = [keys, pulled, equal.frames, equal.bytes];
  const times = [equal.cpuMs, idleCpuMs, equal.ms].map((ms) => ms.toFixed(1));
  process.stdout.write(`| ${[...row, ...times].join(' | ')} |\n`);
}
const trees = await costOfTrees(20_000, 9);
results.push({ trees });
process.stdout.write(
  `\na put in a batch of ${PUTS_PER_COMMIT}: ${trees.with.toFixed(1)} µs of CPU with its tree, ` +
    `${trees.without.toFixed(1)} µs without\n`,
);
const json = process.argv.indexOf('--json');
if (json > 0) writeFileSync(process.argv[json + 1]!, `${JSON.stringify(results, undefined, 2)}\n`);
