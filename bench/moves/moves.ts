/** Changes of a cluster of processes while it is under load, each followed until nothing moves. */
import { setTimeout as pause } from 'node:timers/promises';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { partitionOf } from '../../src/core/ring.ts';
import type {
  ChangeResult,
  TransferStatus,
} from '../../src/node/membership/membership-commands.ts';
import type { RepairStatus } from '../../src/node/healing/repair-commands.ts';
import type { Status } from '../../src/node/status.ts';
import { keyOf } from '../cluster/jobs.ts';
import type { Nodes } from '../cluster/nodes.ts';

/** Records that nodes took from one another, and their bytes; what clients write is not counted. */
export type Load = { readonly records: number; readonly bytes: number };

export type Moved = {
  readonly carried: Load;
  /** Keys of the partitions that get a new place, each time they get one. */
  readonly minimum: number;
  /** What the plan said beforehand. */
  readonly planned: number | undefined;
};

export type Killed = Moved & {
  /** Partitions that the newcomer still filled, and records carried, when each was killed. */
  readonly kills: readonly {
    readonly node: string;
    readonly victim: 'source' | 'newcomer';
    readonly filling: number;
    readonly carried: Load;
  }[];
};

const PAUSE_MS = 250;
const DOWN_MS = 1000;
/** However the changes ended: the keys are looked for no longer than this. */
const LOOKING_MS = 5 * 60_000;

const NOTHING: Load = { records: 0, bytes: 0 };
const plus = (a: Load, b: Load): Load => ({
  records: a.records + b.records,
  bytes: a.bytes + b.bytes,
});
const minus = (a: Load, b: Load): Load => ({
  records: a.records - b.records,
  bytes: a.bytes - b.bytes,
});

const idOf = (index: number): string => `n${index + 1}`;
const indexOf = (id: string): number => Number(id.slice(1)) - 1;

const statusOf = async (client: Client): Promise<Status> =>
  (await client.status({ timeoutMs: 2000 })) as unknown as Status;

const transfersOf = async (client: Client): Promise<TransferStatus> =>
  (await client.admin('transfers.status')) as unknown as TransferStatus;

const repairOf = async (client: Client): Promise<RepairStatus> =>
  (await client.admin('repair.status')) as unknown as RepairStatus;

export class Moves {
  readonly #nodes: Nodes;
  readonly #keys: number;
  readonly #deadlineMs: number;
  readonly #tell: (line: string) => void;
  /** Indexes of the processes that run and belong to the cluster, or are about to. */
  readonly #up: Set<number>;
  readonly #lastCarried = new Map<number, Load>();
  /** How many keys lie in each partition, as far as somebody asked. */
  #keysIn: readonly number[] = [];

  /** Whatever takes longer than to `deadlineMs` of `performance.now()` is given up. */
  constructor(nodes: Nodes, keys: number, deadlineMs: number, tell: (line: string) => void) {
    this.#tell = tell;
    this.#nodes = nodes;
    this.#keys = keys;
    this.#deadlineMs = deadlineMs;
    this.#up = new Set(nodes.addresses.keys());
  }

  async join(): Promise<Moved> {
    const before = await this.#carried();
    const { minimum, planned } = await this.#joining();
    await this.#settled();
    return { carried: minus(await this.#carried(), before), minimum, planned };
  }

  async leave(id: string): Promise<Moved> {
    const before = await this.#carried();
    const due = await this.#change({ type: 'leave', node: id });
    const leaver = indexOf(id);
    await this.#until(leaver, async ({ node, notes }) => {
      await this.#carriedBy(leaver);
      // A node that has left sends clients elsewhere: then another one answers.
      return node !== id || /has left/.test(notes.join());
    });
    await this.#settled(leaver);
    const carried = minus(await this.#carried(), before);
    this.#up.delete(leaver);
    return { carried, ...due };
  }

  /** A join in which first the node that gives most, then the newcomer is killed and started again. */
  async crashingJoin(): Promise<Killed> {
    let base = await this.#carried();
    const { index, minimum, planned } = await this.#joining();
    const kills: Killed['kills'][number][] = [];
    let carried = NOTHING;
    for (const [victim, share] of [
      ['source', 0.2],
      ['newcomer', 0.45],
    ] as const) {
      // Partitions are complete late, and many at once: the records tell how far it is.
      await this.#until(index, async ({ transfers }) => {
        const now = plus(carried, minus(await this.#carried(), base)).records;
        return now >= share * minimum || (now > 0 && transfers.arriving === 0);
      });
      const killed = victim === 'newcomer' ? index : await this.#sourceOf(index);
      const { arriving: filling } = (await this.#ask(index, statusOf)).transfers;
      const [total, own] = [await this.#carried(), await this.#carriedBy(killed)];
      this.#nodes.kill(killed);
      carried = plus(carried, minus(total, base));
      // What a process has counted dies with it.
      base = minus(total, own);
      kills.push({ node: idOf(killed), victim, filling, carried });
      this.#tell(`killed: ${JSON.stringify(kills.at(-1))}`);
      await pause(DOWN_MS);
      this.#nodes.restart(killed);
      await this.#until(killed, () => true);
    }
    await this.#settled();
    const all = plus(carried, minus(await this.#carried(), base));
    return { carried: all, minimum, planned, kills };
  }

  /** Keys that a read of all replicas does not find, and such that could not be read. */
  async missing(): Promise<{ readonly missing: number; readonly unread: number }> {
    const deadlineMs = performance.now() + LOOKING_MS;
    const client = connect(this.#nodes.addresses.slice(0, 3), { timeoutMs: 20_000 });
    let [next, missing, unread] = [0, 0, 0];
    const read = async (): Promise<void> => {
      while (next < this.#keys && performance.now() < deadlineMs) {
        try {
          const { state } = await client.get(keyOf(next++), { r: 3 });
          if (state !== 'found') missing += 1;
        } catch {
          unread += 1;
        }
      }
    };
    await Promise.all(Array.from({ length: 32 }, read));
    await client.close();
    return { missing, unread: unread + this.#keys - next };
  }

  /** What still moves, a part for each node that answers. */
  async underWay(): Promise<string> {
    const parts = await Promise.all(
      [...this.#up].map(async (index) => {
        const status = await this.#ask(index, statusOf).catch(() => undefined);
        if (status === undefined) return `${idOf(index)} is silent`;
        const { transfers, incomplete, admission } = status;
        const { arriving, departing } = transfers;
        const { slices, pressure } = admission;
        const work = arriving + departing + incomplete;
        if (work === 0) return '';
        return `${idOf(index)} fills ${arriving + incomplete}, gives ${departing} (${pressure}, ${slices} slices)`;
      }),
    );
    return parts.filter((part) => part !== '').join('; ');
  }

  /** One more process, a member now, that has begun to fill itself. */
  async #joining(): Promise<Omit<Moved, 'carried'> & { readonly index: number }> {
    const node = await this.#nodes.spare();
    const index = indexOf(node);
    await this.#until(index, () => true);
    this.#up.add(index);
    const due = await this.#change({ type: 'join', node, zone: 'default', weight: 1 });
    await this.#until(index, ({ nodes }) => nodes.some(({ id }) => id === node));
    return { index, ...due };
  }

  /** What has to move for it. */
  async #change(change: Parameters<Nodes['change']>[0]): Promise<Omit<Moved, 'carried'>> {
    const { plan } = (await this.#nodes.change(change)) as ChangeResult;
    if (plan === undefined) throw new Error(`nothing to change: ${JSON.stringify(change)}`);
    const keysIn = this.#keysPer(plan.partitions);
    // It is in force a moment later, long before the first partition has moved.
    const nowMs = performance.now();
    for (;;) {
      const { moving } = await this.#ask(0, transfersOf);
      const places = moving.flatMap(({ partition, arriving }) => arriving.map(() => partition));
      if (places.length === plan.replicas) {
        const minimum = places.reduce((sum, partition) => sum + keysIn[partition]!, 0);
        return { minimum, planned: plan.bytes };
      }
      if (performance.now() - nowMs > 5000) {
        throw new Error(`${places.length} replicas move where the plan says ${plan.replicas}`);
      }
    }
  }

  #keysPer(partitions: number): readonly number[] {
    if (this.#keysIn.length === partitions) return this.#keysIn;
    const keysIn = Array.from({ length: partitions }, () => 0);
    for (let i = 0; i < this.#keys; i++) {
      const position = nodeDigest.md5(new TextEncoder().encode(keyOf(i)));
      keysIn[partitionOf(position, partitions)]! += 1;
    }
    return (this.#keysIn = keysIn);
  }

  /** Of whom the node at `index` has taken most. */
  async #sourceOf(index: number): Promise<number> {
    const { peers } = await this.#ask(index, repairOf);
    const [most] = [...peers].sort((a, b) => b.pulled - a.pulled);
    return most === undefined ? 0 : indexOf(most.peer);
  }

  /** Since the nodes started, all together: what they took, and what they gave unasked. */
  async #carried(): Promise<Load> {
    const each = await Promise.all([...this.#up].map((index) => this.#carriedBy(index)));
    return each.reduce(plus, NOTHING);
  }

  async #carriedBy(index: number): Promise<Load> {
    const { node, peers } = await this.#ask(index, repairOf);
    const { node: giver, sent } = await this.#ask(index, transfersOf);
    // Of a node that has left, what it said last.
    if (node !== idOf(index) || giver !== node) return this.#lastCarried.get(index) ?? NOTHING;
    const compared = peers.map(({ pulled, pushed, pulledBytes, pushedBytes }) => ({
      ...{ records: pulled + pushed, bytes: pulledBytes + pushedBytes },
    }));
    const carried = compared.reduce(plus, sent);
    this.#lastCarried.set(index, carried);
    return carried;
  }

  async #settled(but?: number): Promise<void> {
    for (const index of this.#up) {
      if (index === but) continue;
      await this.#until(
        index,
        ({ transfers: { moving, arriving, departing }, incomplete }) =>
          moving + arriving + departing + incomplete === 0,
      );
    }
  }

  async #until(index: number, met: (status: Status) => boolean | Promise<boolean>): Promise<void> {
    for (;;) {
      const status = await this.#ask(index, statusOf).catch(() => undefined);
      if (status !== undefined && (await met(status))) return;
      if (performance.now() > this.#deadlineMs) {
        throw new Error(`time is up; still under way: ${(await this.underWay()) || idOf(index)}`);
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
