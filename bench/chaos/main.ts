/**
 * `npm run chaos -- --minutes 10 [--seed 7] [--nodes 5] [--only "thin line"]`: real processes in network namespaces of
 * their own, under a workload, while one fault after another is done to them: kill -9 of one, two or
 * all, SIGSTOP, an orderly restart, a pulled plug, a one-way black hole, a line too thin for its
 * traffic, a full disk. Then all is mended, and the oracle looks at what is there.
 * Prints one JSON line; exit 1 if an invariant is broken.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from '../../src/client/index.ts';
import type { Status } from '../../src/index.ts';
import { randomStream } from '../../src/sim/random.ts';
import { whenInterrupted } from '../support/processes.ts';
import { Network } from './network.ts';
import { Nodes } from './nodes.ts';
import { judge } from './oracle.ts';
import { Workload } from './workload.ts';

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    nodes: { type: 'string', default: '5' },
    only: { type: 'string' },
  },
});
const seed = Number(flags.seed);
const stream = randomStream(seed, 'chaos');
const random = (): number => stream.fraction();
const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const CLIENTS = 12;
const CALM_MS = 120_000;
const DISK_MIB = 96;

const ids = Array.from({ length: Number(flags.nodes) }, (_, i) => `n${i + 1}`);
const dir = mkdtempSync(join(tmpdir(), 'coterie-chaos-'));
const network = new Network(ids);
if (network.missing !== undefined) say(`no network faults: ${network.missing}`);
const nodes = new Nodes(network, dir);

/** The last node has a small disk of its own, if the system lets us mount one. */
const small = ids.at(-1)!;
const hasSmallDisk = ((): boolean => {
  mkdirSync(nodes.dataDir(small), { recursive: true });
  try {
    const size = `size=${DISK_MIB}m`;
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', nodes.dataDir(small)]);
    return true;
  } catch (error) {
    say(`no full disk: ${(error as Error).message.split('\n')[0]}`);
    return false;
  }
})();

const serving = async (url: string): Promise<void> => {
  const client = connect(url, { addresses: 'given' });
  try {
    await client.status({ timeoutMs: CALM_MS });
  } finally {
    await client.close('now');
  }
};

type Fault = { readonly name: string; run(): Promise<void> };

const pause = (): Promise<void> => sleep(2000 + random() * 5000);

const killSome = async (victims: readonly string[]): Promise<void> => {
  await Promise.all(victims.map((id) => nodes.end(id, 'SIGKILL')));
  await sleep(500 + random() * 4000);
  for (const id of victims) nodes.start(id);
  await pause();
};

const others = (id: string): readonly string[] => ids.filter((other) => other !== id);

const FAULTS: readonly Fault[] = [
  { name: 'kill one', run: () => killSome([pick(ids)]) },
  {
    name: 'kill two',
    run: () => {
      const first = pick(ids);
      return killSome([first, pick(others(first))]);
    },
  },
  { name: 'kill all', run: () => killSome(ids) },
  {
    name: 'pause',
    run: async () => {
      const id = pick(ids);
      nodes.signal(id, 'SIGSTOP');
      await pause();
      nodes.signal(id, 'SIGCONT');
    },
  },
  {
    name: 'restart',
    run: async () => {
      const id = pick(ids);
      // One that a fault before this one had killed may not be there yet: only what serves can drain.
      await serving(nodes.urlOf(id));
      const code = await nodes.end(id, 'SIGTERM');
      if (code !== 0) nodes.surprises.push(`${id} drained and ended with ${code}`);
      nodes.start(id);
      await pause();
    },
  },
  ...(network.missing !== undefined
    ? []
    : [
        {
          name: 'unplug',
          run: async () => {
            const id = pick(ids);
            network.unplug(id);
            await pause();
            network.plugIn(id);
          },
        },
        {
          name: 'one-way black hole',
          run: async () => {
            const from = pick(ids);
            const to = pick(others(from));
            network.blackhole(from, to);
            await pause();
            network.open(from, to);
          },
        },
        {
          name: 'thin line',
          run: async () => {
            const id = pick(ids);
            network.thin(id);
            await pause();
            network.widen(id);
          },
        },
      ]),
  ...(!hasSmallDisk
    ? []
    : [
        {
          name: 'full disk',
          run: async () => {
            const filler = join(nodes.dataDir(small), 'filler');
            const { bavail, bsize } = statfsSync(nodes.dataDir(small));
            // Below the floor of 16 MiB, and not to the last byte.
            writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - 8 * 1024 * 1024)));
            await pause();
            rmSync(filler, { force: true });
          },
        },
      ]),
];

const wanted = FAULTS.filter(({ name }) => flags.only === undefined || name === flags.only);
if (wanted.length === 0) {
  say(`--only is one of ${FAULTS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const calm = async (): Promise<void> => {
  const deadlineMs = performance.now() + CALM_MS;
  for (const url of nodes.urls) {
    const client = connect(url, { addresses: 'given' });
    try {
      for (;;) {
        const status = (await client.status({ timeoutMs: 30_000 })) as unknown as Status;
        const { nodes: seen, incomplete } = status;
        const isCalm = seen.every(({ health, hints }) => health === 'healthy' && hints === 0);
        if (isCalm && incomplete === 0) break;
        if (performance.now() > deadlineMs) throw new Error(`not calm: ${JSON.stringify(seen)}`);
        await sleep(100);
      }
    } finally {
      await client.close('now');
    }
  }
};

/** What was got done beside each fault: times struck, seconds it took with its aftermath, operations. */
const faults: Record<string, { times: number; seconds: number; operations: number }> = {};
const end = new AbortController();
let exitCode = 0;
const cleanUp = async (): Promise<void> => {
  end.abort();
  await nodes.endAll();
  network.remove(ids);
  if (hasSmallDisk) execFileSync('umount', [nodes.dataDir(small)]);
  if (exitCode === 0) rmSync(dir, { recursive: true, force: true });
};
const uninterrupted = whenInterrupted(cleanUp);
try {
  for (const id of ids) nodes.start(id);
  await calm();
  const before = ids.map((id) => nodes.footprint(id));
  say(`seed ${seed}: ${ids.length} nodes in ${dir}`);
  const workload = new Workload(random);
  const clients = Array.from({ length: 4 }, () => connect(nodes.urls));
  const work = Array.from({ length: CLIENTS }, (_, i) =>
    workload.run(clients[i % clients.length]!, `c${i}`, end.signal),
  );
  const untilMs = performance.now() + Number(flags.minutes) * 60_000;
  while (performance.now() < untilMs) {
    const fault = pick(wanted);
    say(`${new Date().toISOString()} ${fault.name}`);
    const ledger = (faults[fault.name] ??= { times: 0, seconds: 0, operations: 0 });
    const [beganMs, doneBefore] = [performance.now(), workload.done];
    await fault.run();
    await sleep(random() * 3000);
    ledger.times += 1;
    ledger.seconds += Math.round((performance.now() - beganMs) / 1000);
    ledger.operations += workload.done - doneBefore;
    if (nodes.surprises.length > 0) break;
  }
  end.abort();
  await Promise.all(work);
  await calm();
  const values = await workload.finalValues(clients[0]!);
  await Promise.all(clients.map((client) => client.close()));
  const broken = [...judge(workload.writes, values), ...nodes.surprises];
  if (broken.length > 0) throw new Error(broken.join('\n'));
  const after = ids.map((id) => nodes.footprint(id));
  const report = {
    ...{ seed, minutes: Number(flags.minutes), nodes: ids.length, faults },
    ...workload.counts,
    errors: Object.fromEntries(workload.errors),
    p50Ms: Math.round(workload.percentileMs(0.5) * 10) / 10,
    p99Ms: Math.round(workload.percentileMs(0.99) * 10) / 10,
    lost: 0,
    residentMiB: {
      before: before.map((f) => f.residentMiB),
      after: after.map((f) => f.residentMiB),
    },
    handles: { before: before.map((f) => f.handles), after: after.map((f) => f.handles) },
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
} catch (error) {
  exitCode = 1;
  say(`seed ${seed}: ${(error as Error).stack}`);
  say(`what is on disk stays in ${dir}`);
} finally {
  uninterrupted();
  await cleanUp();
}
process.exit(exitCode);
