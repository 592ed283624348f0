/**
 * `npm run bench:memory`: anonymous memory of three node processes, empty and with 100,000 keys, at
 * rest; and bytes that one request in flight keeps, as garbage collection finds them: three whole
 * nodes in this process, of which the first hears nothing of the other two while thousands wait.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Command } from 'commander';
import { integer } from '../../src/cli/exit.ts';
import { keyOfText, nodeId, putId } from '../../src/core/ids.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import type { Node } from '../../src/node/node.ts';
import type { HandledRequest } from '../../src/wire/client-messages.ts';
import { LoadGenerator } from '../cluster/load.ts';
import { Nodes } from '../cluster/nodes.ts';
import { startHere, until } from '../support/node-here.ts';
import type { NodeHere } from '../support/node-here.ts';
import { anonymousMb, rounded } from '../support/processes.ts';
import { settingNow, writeJson } from '../support/table.ts';

const REST_MS = 30_000;
const BATCH = 50;
const BATCH_MS = 25;
const IDS = ['n1', 'n2', 'n3'].map((id) => nodeId(id));

const atRest = async (keys: number) => {
  const nodes = await Nodes.start({ nodes: IDS.length });
  const generator = new LoadGenerator();
  try {
    await rest(REST_MS);
    const empty = nodes.pids.map(anonymousMb);
    await generator.open(nodes.addresses, 8);
    await generator.fill(keys, 100);
    await rest(REST_MS);
    return { empty, filled: nodes.pids.map(anonymousMb) };
  } finally {
    await generator.close();
    await nodes.stop();
  }
};

const collected = (): number => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

const REQUESTS = {
  get: (key: string): HandledRequest => ({
    ...{ type: 'get', key: keyOfText(key), strict: false, timeoutMs: 60_000 },
  }),
  put: (key: string, i: number): HandledRequest => ({
    ...{ type: 'put', key: keyOfText(key), value: new Uint8Array(100), contexts: [] },
    ...{ putId: putId(i.toString(16).padStart(16, '0')), writtenAt: Date.now(), attempt: 1 },
    ...{ strict: false, timeoutMs: 60_000 },
  }),
} as const;

/** Bytes that each of `count` requests keeps while it waits for a second replica. */
const inFlight = async (node: Node, kind: keyof typeof REQUESTS, count: number) => {
  let waiting = 0;
  const before = collected();
  for (let i = 0; waiting < count; i++) {
    waiting += 1;
    node.handler.handle(REQUESTS[kind](`${kind} ${i}`, i), (reply) => {
      waiting -= 1;
      // The throttle lets more wait as it sees that the node keeps up.
      const mayComeAgain = reply.type === 'failed' && reply.code === 'OVERLOADED';
      if (!mayComeAgain) throw new Error(`answered, where nobody can: ${JSON.stringify(reply)}`);
    });
    if (i % BATCH === 0) await rest(BATCH_MS);
  }
  // Until the minted records of puts are on disk: those are kept whether anybody waits or not.
  await rest(300);
  return (collected() - before) / waiting;
};

const perRequest = async (kind: keyof typeof REQUESTS, count: number): Promise<number> => {
  const root = mkdtempSync(join(tmpdir(), 'coterie-memory-'));
  const started: NodeHere[] = [];
  let silent = false;
  try {
    const config = {
      ...DEFAULT_CONFIG,
      coordinatorsMax: 2 * count,
      throttle: { ...DEFAULT_CONFIG.throttle, lateMs: 10_000 },
      suspicion: {
        ...DEFAULT_CONFIG.suspicion,
        ...{ unansweredMs: 60_000, suspectAfterMs: 60_000, downAfterMs: 60_000 },
      },
      // Nobody is given up, nobody asked in another's stead: they wait.
      patienceMs: 60_000,
    };
    for (const self of IDS) {
      const dir = join(root, self);
      mkdirSync(dir);
      started.push(
        await startHere({
          ...{ dir, self, founders: IDS, partitions: 64, config },
          seeds: started.map(({ url }) => url),
          send: (frame, connection) => {
            if (!silent) connection.send(frame);
          },
        }),
      );
    }
    await until('all are healthy', () =>
      started.every(({ node }) => node.status().nodes.every(({ health }) => health === 'healthy')),
    );
    silent = true;
    return rounded(await inFlight(started[0]!.node, kind, count), 0);
  } finally {
    await Promise.all(started.map(({ node }) => new Promise<void>((done) => node.stop(done))));
    rmSync(root, { recursive: true, force: true });
  }
};

const options = new Command('bench:memory')
  .option('--keys <count>', 'written', integer, 100_000)
  .option('--requests <count>', 'in flight at once', integer, 2000)
  .option('--json <file>', 'the result, to be kept')
  .parse()
  .opts<{ readonly keys: number; readonly requests: number; readonly json?: string }>();

const bytes = {
  get: await perRequest('get', options.requests),
  put: await perRequest('put', options.requests),
};
const { empty, filled } = await atRest(options.keys);
const result = { emptyMb: empty, filledMb: filled, bytesInFlight: bytes };
process.stdout.write(`${JSON.stringify({ ...settingNow(), ...options, ...result })}\n`);
if (options.json !== undefined) writeJson(options.json, { ...options, ...result });
