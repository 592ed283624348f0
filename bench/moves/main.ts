/**
 * A cluster that grows and shrinks under a steady open-loop load (paper § 6.2): 3 → 4 → 5 → 4 → 3
 * nodes, then a join in the middle of which a source and the newcomer are killed. Prints what clients
 * felt in each phase, what was carried against what had to move, and whether every key is still there.
 */
import { Command } from 'commander';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { integer } from '../../src/cli/start.ts';
import type { RepairStatus } from '../../src/node/healing/repair-commands.ts';
import type { Status } from '../../src/node/status.ts';
import { YCSB, failuresIn, percentileMs } from '../cluster/jobs.ts';
import type { Job, JobResult } from '../cluster/jobs.ts';
import { LoadGenerator } from '../cluster/load.ts';
import { Nodes } from '../cluster/nodes.ts';
import { rounded } from '../support/processes.ts';
import { settingNow, writeJson } from '../support/table.ts';

type Options = {
  readonly keys: number;
  readonly valueBytes: number;
  readonly rate: number;
  readonly json?: string;
};

type Phase = {
  readonly phase: string;
  readonly seconds: number;
  readonly operations: number;
  readonly failed: number;
  /** Of the runs of 10 s in it: the median one and the worst. */
  readonly p99Ms: number;
  readonly worstP99Ms: number;
  /** Records that newcomers fetched or were given, and those they own now. */
  readonly carried?: number;
  readonly needed?: number;
};

const RUN_SECONDS = 10;
const PAUSE_MS = 250;
const MOST_MS = 15 * 60_000;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class Moves {
  readonly #nodes: Nodes;
  readonly #generator: LoadGenerator;
  readonly #job: Job;
  readonly #keys: number;
  readonly phases: Phase[] = [];
  /** Indexes of the processes that run and belong to the cluster, or are about to. */
  readonly #up: Set<number>;
  #seed = 1;

  constructor(nodes: Nodes, generator: LoadGenerator, { keys, valueBytes, rate }: Options) {
    this.#nodes = nodes;
    this.#generator = generator;
    this.#keys = keys;
    this.#up = new Set(nodes.addresses.keys());
    this.#job = {
      ...{ type: 'run', seconds: RUN_SECONDS, ...YCSB['a']! },
      ...{ choice: 'uniform', keys, valueBytes, timeoutMs: 10_000, seed: 0 },
      pace: { type: 'open', perSecond: rate, arrivals: 'poisson', inFlightMax: 256 },
    };
  }

  /** Load goes on for as long as `act` takes, and at least for one run. */
  async phase(name: string, act: () => Promise<Pick<Phase, 'carried' | 'needed'>>): Promise<void> {
    const beganMs = performance.now();
    let done = false;
    const acting = act().finally(() => (done = true));
    const runs: JobResult[] = [];
    do runs.push(await this.#generator.run({ ...this.#job, seed: this.#seed++ }));
    while (!done);
    const moved = await acting;
    const p99s = runs.map(({ fromIntended }) => percentileMs(fromIntended, 99));
    p99s.sort((a, b) => a - b);
    const phase: Phase = {
      phase: name,
      seconds: Math.round((performance.now() - beganMs) / 1000),
      operations: runs.reduce((sum, { operations }) => sum + operations, 0),
      failed: runs.reduce((sum, run) => sum + failuresIn(run), 0),
      p99Ms: rounded(p99s[Math.floor(p99s.length / 2)]!, 1),
      worstP99Ms: rounded(p99s.at(-1)!, 1),
      ...moved,
    };
    this.phases.push(phase);
    process.stdout.write(`${JSON.stringify(phase)}\n`);
  }

  async join(): Promise<Pick<Phase, 'carried' | 'needed'>> {
    const index = await this.#spare();
    await this.#settled();
    return this.#tallyOf(index);
  }

  async leave(id: string): Promise<Pick<Phase, 'carried' | 'needed'>> {
    await this.#nodes.change({ type: 'leave', node: id });
    const index = Number(id.slice(1)) - 1;
    await this.#until(index, ({ notes }) => /has left/.test(notes.join()));
    this.#up.delete(index);
    await this.#settled();
    return {};
  }

  /** A join in which the first node, then the newcomer is killed and started again. */
  async crashingJoin(): Promise<Pick<Phase, 'carried' | 'needed'>> {
    const index = await this.#spare();
    const target = (await this.#ask(index, statusOf)).transfers.arriving;
    const arriving = (share: number) =>
      this.#until(index, ({ transfers }) => transfers.arriving <= target * share);
    await arriving(0.7);
    this.#nodes.kill(0);
    await pause(1000);
    this.#nodes.restart(0);
    await arriving(0.4);
    const { carried: before = 0 } = await this.#tallyOf(index);
    this.#nodes.kill(index);
    await pause(1000);
    this.#nodes.restart(index);
    await this.#settled();
    const { carried = 0, needed = 0 } = await this.#tallyOf(index);
    return { carried: before + carried, needed };
  }

  /** Keys that a read of all replicas does not find. */
  async missing(): Promise<number> {
    const client = connect(this.#nodes.addresses.slice(0, 3), { timeoutMs: 20_000 });
    let missing = 0;
    let next = 0;
    const read = async (): Promise<void> => {
      while (next < this.#keys) {
        const { state } = await client.get(`user${next++}`, { r: 3 });
        if (state !== 'found') missing += 1;
      }
    };
    await Promise.all(Array.from({ length: 32 }, read));
    await client.close();
    return missing;
  }

  async #spare(): Promise<number> {
    const node = await this.#nodes.spare();
    const index = Number(node.slice(1)) - 1;
    await this.#until(index, () => true);
    this.#up.add(index);
    await this.#nodes.change({ type: 'join', node, zone: 'default', weight: 1 });
    await this.#until(index, ({ transfers }) => transfers.arriving > 0);
    return index;
  }

  /** What the node at `index` took since its start, and what it had to. */
  async #tallyOf(index: number): Promise<Required<Pick<Phase, 'carried' | 'needed'>>> {
    const id = `n${index + 1}`;
    const own = await this.#ask(index, repairOf);
    const given = await Promise.all(
      [...this.#up].filter((i) => i !== index).map((i) => this.#ask(i, repairOf)),
    );
    const { nodes, partitions } = await this.#ask(index, statusOf);
    const owned = nodes.find((node) => node.id === id)?.partitions ?? 0;
    const carried =
      own.peers.reduce((sum, { pulled }) => sum + pulled, 0) +
      given
        .flatMap(({ peers }) => peers)
        .filter(({ peer }) => peer === id)
        .reduce((sum, { pushed }) => sum + pushed, 0);
    return { carried, needed: Math.round((owned / partitions) * this.#keys) };
  }

  async #settled(): Promise<void> {
    for (const index of this.#up) {
      await this.#until(
        index,
        ({ transfers: { moving, arriving, departing }, incomplete }) =>
          moving + arriving + departing + incomplete === 0,
      );
    }
  }

  async #until(index: number, met: (status: Status) => boolean): Promise<void> {
    const deadlineMs = performance.now() + MOST_MS;
    for (;;) {
      const status = await this.#ask(index, statusOf).catch(() => undefined);
      if (status !== undefined && met(status)) return;
      if (performance.now() > deadlineMs) {
        throw new Error(`n${index + 1} is still ${JSON.stringify(status?.transfers)}`);
      }
      await pause(PAUSE_MS);
    }
  }

  async #ask<T>(index: number, question: (client: Client) => Promise<T>): Promise<T> {
    const client = connect(this.#nodes.addresses[index]!);
    try {
      return await question(client);
    } finally {
      await client.close();
    }
  }
}

const statusOf = async (client: Client): Promise<Status> =>
  (await client.status({ timeoutMs: 2000 })) as unknown as Status;

const repairOf = async (client: Client): Promise<RepairStatus> =>
  (await client.admin('repair.status')) as unknown as RepairStatus;

const options: Options = new Command()
  .option('--keys <count>', 'keys before the first change', integer, 100_000)
  .option('--value-bytes <count>', 'of each value', integer, 1024)
  .option('--rate <count>', 'operations a second, half of them puts', integer, 500)
  .option('--json <file>', 'the result, to be kept')
  .parse()
  .opts();

const nodes = await Nodes.start({ nodes: 3 });
const generator = new LoadGenerator();
try {
  await generator.open(nodes.addresses, 8);
  await generator.fill(options.keys, options.valueBytes);
  process.stdout.write(`${JSON.stringify(settingNow())}\n`);
  const moves = new Moves(nodes, generator, options);
  await moves.phase('before', async () => pause(30_000).then(() => ({})));
  await moves.phase('3 → 4', () => moves.join());
  await moves.phase('4 → 5', () => moves.join());
  await moves.phase('5 → 4', () => moves.leave('n4'));
  await moves.phase('4 → 3', () => moves.leave('n5'));
  await moves.phase('after', async () => pause(30_000).then(() => ({})));
  await moves.phase('3 → 4, source and newcomer killed', () => moves.crashingJoin());
  const missing = await moves.missing();
  process.stdout.write(`${missing} of ${options.keys} keys missing\n`);
  if (options.json !== undefined)
    writeJson(options.json, { ...options, phases: moves.phases, missing });
  if (missing > 0) process.exitCode = 1;
} finally {
  await generator.close();
  await nodes.stop();
}
