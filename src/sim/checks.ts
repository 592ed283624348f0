/** What must hold once a simulated cluster is calm, checked from outside (the invariants of DESIGN). */
import { keyOfText } from '../core/ids.ts';
import { sameRecord } from '../core/record.ts';
import type { WriteFate } from './workload.ts';
import type { World } from './world.ts';

export class InvariantBroken extends Error {
  override readonly name = 'InvariantBroken';
  readonly invariant: string;
  readonly key: string;

  constructor(invariant: string, key: string, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
    this.key = key;
  }
}

/** Values of one key, as a read of all its replicas returned them. */
export type FinalValues = ReadonlyMap<string, readonly string[]>;

/**
 * 1 no acknowledged write lost, 2 no false sibling, 3 no resurrection; after truncation only 1 is
 * promised (A6). `forgiven`: writes that the durability budget does not cover (dw = 0 and a crash).
 */
export const checkHistory = (
  writes: readonly WriteFate[],
  values: FinalValues,
  forgiven: (write: WriteFate) => boolean,
  promised: 'all' | 'no-loss',
): void => {
  for (const [key, shown] of values) {
    const ofKey = writes.filter((write) => write.key === key);
    const byName = new Map(ofKey.map((write) => [write.name, write]));
    if (promised === 'all' && new Set(shown).size !== shown.length) {
      throw new InvariantBroken('no false sibling', key, `a put appears twice in ${shown.join()}`);
    }
    const stranger = shown.find((name) => byName.get(name)?.kind !== 'put');
    if (stranger !== undefined) {
      throw new InvariantBroken('no invention', key, `${stranger} was never put`);
    }
    for (const write of ofKey) {
      if (write.outcome === 'refused' && shown.includes(write.name)) {
        throw new InvariantBroken(
          'refused is refused',
          key,
          `${write.name} was refused and is there`,
        );
      }
      if (write.outcome !== 'applied' || forgiven(write)) continue;
      if (write.kind === 'put' && !shown.includes(write.name) && !isCovered(write.name, ofKey)) {
        throw new InvariantBroken('no acknowledged write lost', key, `${write.name} is gone`);
      }
      if (promised === 'no-loss') continue;
      const back = write.saw.find((name) => shown.includes(name));
      if (back !== undefined) {
        throw new InvariantBroken(
          'no resurrection',
          key,
          `${back}, replaced by ${write.name}, is back`,
        );
      }
    }
    for (const name of promised === 'all' ? shown : []) {
      const past = byName.get(name)!.saw.find((other) => shown.includes(other));
      if (past !== undefined) {
        throw new InvariantBroken('no false sibling', key, `${past} lies in the past of ${name}`);
      }
    }
  }
};

/** Whether a write that may have happened had seen it: then it was rightly replaced. */
const isCovered = (name: string, ofKey: readonly WriteFate[]): boolean =>
  ofKey.some((write) => write.outcome !== 'refused' && write.saw.includes(name));

/** 5 convergence: every owner of a key holds the same record, no hints are left. */
export const checkConvergence = (world: World, keys: readonly string[]): void => {
  for (const { id, node } of world.hosts) {
    const hints = node?.status().nodes.find((each) => each.id === id)?.hints ?? 0;
    if (hints > 0) throw new InvariantBroken('hints drain', '', `${id} still keeps ${hints} hints`);
  }
  for (const key of keys) {
    const name = keyOfText(key);
    const records = world.hosts.flatMap(({ id, node }) =>
      node !== undefined && node.ownersOf(name).includes(id)
        ? [{ id, record: node.recordOf(name) }]
        : [],
    );
    const [first, ...others] = records;
    for (const other of others) {
      const same =
        first!.record === undefined || other.record === undefined
          ? first!.record === other.record
          : sameRecord(first!.record, other.record);
      if (!same)
        throw new InvariantBroken('convergence', key, `${first!.id} and ${other.id} differ`);
    }
  }
};

/** 9, 10 nothing is left running: no coordinator alive, nothing only in memory. */
export const checkIdle = (world: World): void => {
  for (const { id, node } of world.hosts) {
    const { coordinators, buffered } = node?.status() ?? { coordinators: 0, buffered: 0 };
    if (coordinators > 0) {
      throw new InvariantBroken(
        'the nursery empties',
        '',
        `${id} has ${coordinators} coordinators`,
      );
    }
    if (buffered > 0) {
      throw new InvariantBroken('idle', '', `${id} has ${buffered} unwritten changes`);
    }
  }
};

/** Whether all owners of each partition have the same Merkle root. */
export const rootsAreEqual = (world: World): boolean => {
  const roots = new Map<number, bigint>();
  return world.hosts.every(({ node }) =>
    (node?.merkleRoots() ?? []).every(({ kept, owned }, partition) => {
      if (!owned) return true;
      const other = roots.get(partition) ?? kept;
      roots.set(partition, other);
      return other === kept;
    }),
  );
};

/** 5 the Merkle trees equal a rebuild, and those of all owners of a partition are equal. */
export const checkTrees = (world: World): void => {
  if (!rootsAreEqual(world)) {
    throw new InvariantBroken('convergence', '', 'owners have different Merkle roots');
  }
  for (const { id, node } of world.hosts) {
    for (const [partition, { kept, rebuilt }] of (node?.merkleRoots() ?? []).entries()) {
      if (kept !== rebuilt) {
        throw new InvariantBroken('tree = rebuild', '', `${id}, partition ${partition}`);
      }
    }
  }
};
