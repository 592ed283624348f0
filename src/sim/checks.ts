/** What must hold once a simulated cluster is calm, checked from outside. */
import { keyOfText } from '../core/ids.ts';
import type { NodeId } from '../core/ids.ts';
import { EMPTY_RECORD, UNLIMITED, merge, sameRecord } from '../core/record.ts';
import type { RecordOfKey } from '../core/record.ts';
import type { History } from './history.ts';
import { demand } from './invariants.ts';
import type { Scenario } from './scenario.ts';
import type { Host, World } from './world.ts';

/** Values of one key, as a read of all its living owners returned them. */
export type FinalValues = ReadonlyMap<string, readonly string[]>;

/** 1 nothing lost or invented, 2 no false sibling, 3 no resurrection: of what the nodes hold now. */
export const checkHistory = (
  world: World,
  scenario: Scenario,
  history: History,
  values: FinalValues,
): void => {
  for (const key of scenario.keys) {
    const there = namesHeld(world, history, key);
    const past = history.pastOf(there);
    for (const name of values.get(key) ?? []) {
      demand(
        history.get(name)?.kind === 'put' && (there.includes(name) || scenario.limits === 'tiny'),
        'no invention',
        key,
        () => `${name} is shown, and no node holds it`,
      );
    }
    for (const write of history.ofKey(key)) {
      const { name, outcome } = write;
      demand(
        outcome !== 'refused' || !past.has(name),
        'refused is refused',
        key,
        () => `${name} was refused and is there`,
      );
      if (outcome !== 'applied' || history.isForgiven(write)) continue;
      demand(
        history.isAccountedFor(write, there),
        'no acknowledged write lost',
        key,
        () => `${name} is gone; there is ${there.join() || 'nothing'}`,
      );
      if (scenario.limits === 'tiny') continue;
      const back = there.find((other) => write.past.has(other));
      demand(
        back === undefined,
        'no resurrection',
        key,
        () => `${back}, replaced by ${name}, is back`,
      );
    }
  }
};

/** 5: every living owner of a key holds the same record. */
export const checkConvergence = (world: World, keys: readonly string[]): void => {
  for (const key of keys) {
    const name = keyOfText(key);
    const held = livingOwners(world, key).map(({ id, node }) => ({
      id,
      record: node!.recordOf(name) ?? EMPTY_RECORD,
    }));
    const [first, ...others] = held;
    for (const { id, record } of others) {
      demand(
        sameRecord(first!.record, record),
        'convergence',
        key,
        () => `${first!.id} and ${id} differ`,
      );
    }
  }
};

/** 5: no hint for a living node is left. */
export const checkHints = (world: World): void => {
  for (const { id, node } of servingHosts(world)) {
    for (const { id: target, hints } of node?.status().nodes ?? []) {
      const isLiving = world.hosts.some((host) => host.id === target && !host.gone);
      const kept = target === id || !isLiving ? 0 : hints;
      demand(kept === 0, 'hints drain', '', () => `${id} still keeps ${kept} hints for ${target}`);
    }
  }
};

/** 8: every node sees the same owners of each partition: those of the plan, min(N, members) of them. */
export const checkOwnership = (world: World): void => {
  const views = servingHosts(world).map(({ node }) => node!.ringView.ring);
  const [first] = views;
  for (const { table, target, members, n } of views) {
    demand(
      JSON.stringify(table) === JSON.stringify(first!.table),
      'ownership',
      '',
      () => 'nodes see different owners',
    );
    for (const [partition, owners] of table.entries()) {
      const wanted = target[partition]!;
      demand(
        owners.length === Math.min(n, members.length) &&
          new Set(owners).size === owners.length &&
          owners.every((owner) => wanted.includes(owner)),
        'ownership',
        '',
        () => `partition ${partition} has owners ${owners.join()}, planned are ${wanted.join()}`,
      );
    }
  }
};

/** 9, 10: no coordinator alive, nothing only in memory. */
export const checkIdle = (world: World): void => {
  for (const { id, node } of world.hosts) {
    const { coordinators, buffered } = node?.status() ?? { coordinators: 0, buffered: 0 };
    demand(
      coordinators === 0,
      'the nursery empties',
      '',
      () => `${id} has ${coordinators} coordinators`,
    );
    demand(buffered === 0, 'idle', '', () => `${id} has ${buffered} unwritten changes`);
  }
};

/** Whether all owners of each partition have the same Merkle root. */
export const rootsAreEqual = (world: World): boolean => {
  const roots = new Map<number, bigint>();
  return world.hosts.every(({ node }) =>
    (node?.merkleRoots() ?? []).every(({ kept, owned }, partition) => {
      if (!owned || node?.state === 'removed') return true;
      const other = roots.get(partition) ?? kept;
      roots.set(partition, other);
      return other === kept;
    }),
  );
};

/** 5 the Merkle trees equal a rebuild, and those of all owners of a partition are equal. */
export const checkTrees = (world: World): void => {
  demand(rootsAreEqual(world), 'convergence', '', () => 'owners have different Merkle roots');
  for (const { id, node } of world.hosts) {
    for (const [partition, { kept, rebuilt }] of (node?.merkleRoots() ?? []).entries()) {
      demand(kept === rebuilt, 'trees equal a rebuild', '', () => `${id}, partition ${partition}`);
    }
  }
};

/** Nodes that take part: alive, known to their cluster and not removed from it. */
export const servingHosts = (world: World): readonly Host[] =>
  world.hosts.filter(({ node }) => node?.state === 'serving');

export const ownersOf = (world: World, key: string): readonly NodeId[] =>
  servingHosts(world)[0]?.node?.ringView.ownersOf(keyOfText(key)) ?? [];

export const livingOwners = (world: World, key: string): readonly Host[] => {
  const owners = ownersOf(world, key);
  return servingHosts(world).filter(({ id }) => owners.includes(id));
};

/** Names of the siblings, deletes too, that all living nodes together hold of a key. */
const namesHeld = (world: World, history: History, key: string): readonly string[] => {
  const name = keyOfText(key);
  const records = servingHosts(world).map(({ node }) => node!.recordOf(name));
  return namesIn(records, history);
};

/** Names of the siblings, deletes too, of these records merged; truncation hides none. */
export const namesIn = (
  records: readonly (RecordOfKey | undefined)[],
  history: History,
): readonly string[] => {
  const all = records.reduce<RecordOfKey>(
    (sum, record) => (record === undefined ? sum : merge(sum, record, UNLIMITED)),
    EMPTY_RECORD,
  );
  return all.siblings.map(({ putId }) => history.ofPut(putId)?.name ?? `stranger ${putId}`);
};
