/**
 * Three data directories for each number of keys, used by whatever measures nodes with many: written
 * by nodes that founded their cluster, filled (fill.ts), read whole (`coterie verify`), and compared by
 * the nodes, who must find equal trees.
 */
import { mkdirSync, statSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from '../../src/client/index.ts';
import type { RepairStatus } from '../../src/node/healing/repair-commands.ts';
import { verifyDataDirectory } from '../../src/offline.ts';
import { Nodes } from '../cluster/nodes.ts';
import { rounded } from '../support/processes.ts';
import { fill } from './fill.ts';

export type Filled = {
  readonly keys: number;
  /** Holds one for each node. */
  readonly dir: string;
  readonly fillSeconds: number;
  readonly verifySeconds: number;
  readonly fileMb: number;
};

const IDS = ['n1', 'n2', 'n3'];
export const DATA_FILE = 'coterie.mdb';
/** Of three copies: some four times what keys and values of few bytes take at first. */
const DISK_BYTES_A_KEY = 2000;
const LOOK_MS = 250;
const LOOKING_MS_MAX = 120_000;

export const cluster = (dir: string): Promise<Nodes> => Nodes.start({ nodes: IDS.length, dir });

/** Throws Error if what was written is not what nodes would leave. */
export const filled = async (root: string, keys: number, valueBytes: number): Promise<Filled> => {
  const dir = join(root, String(keys));
  mkdirSync(dir);
  const { bavail, bsize } = statfsSync(dir);
  if (bavail * bsize < keys * DISK_BYTES_A_KEY) throw new Error(`too little disk for ${keys} keys`);
  await (await cluster(dir)).stop();
  const dirs = IDS.map((id) => join(dir, id));
  const fillSeconds = await seconds(() => fill(dirs, keys, valueBytes));
  const verifySeconds = await seconds(() => verified(dirs[0]!, keys));
  const nodes = await cluster(dir);
  try {
    await equal(nodes.addresses[0]!);
  } finally {
    await nodes.stop();
  }
  const fileMb = Math.round(statSync(join(dirs[0]!, DATA_FILE)).size / 2 ** 20);
  return { keys, dir, fillSeconds, verifySeconds, fileMb };
};

const seconds = async (task: () => Promise<void>): Promise<number> => {
  const beganMs = performance.now();
  await task();
  return rounded((performance.now() - beganMs) / 1000, 1);
};

/** The same rows went into all three. */
const verified = async (dir: string, keys: number): Promise<void> => {
  const { damaged, findings, records } = await verifyDataDirectory(dir);
  if (damaged > 0) throw new Error(`${dir} is not sound: ${findings[0]}`);
  if (records !== keys) throw new Error(`${dir} holds ${records} records of ${keys}`);
};

/** A node compares itself with both others, and nothing has to be carried. */
const equal = async (address: string): Promise<void> => {
  const client = connect(address);
  const deadlineMs = performance.now() + LOOKING_MS_MAX;
  try {
    await client.admin('repair.start', {});
    for (;;) {
      const { run } = (await client.admin('repair.status')) as unknown as RepairStatus;
      if (run?.state === 'done') {
        const unequal = run.peers.filter(
          ({ state, pulled, pushed }) => state !== 'equal' || pulled + pushed > 0,
        );
        if (unequal.length === 0 && run.peers.length === IDS.length - 1) return;
        throw new Error(`the copies differ: ${JSON.stringify(run.peers)}`);
      }
      if (performance.now() > deadlineMs) throw new Error('the copies were not compared in time');
      await pause(LOOK_MS);
    }
  } finally {
    await client.close();
  }
};
