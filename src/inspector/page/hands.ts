/** What the page does to the cluster, where it may: requests of its own, and faults. */
import { signal } from '@preact/signals';
import type { Fault, Operation, ProcessState } from '../records.ts';
import { ask, memberIds, nodes, welcome } from './store.ts';

/** Why the last fault was refused. */
export const trouble = signal<string | undefined>(undefined);

export const serving = (): string => welcome.value?.node ?? '';

/** n4 after n1, n2, n3; a node that left keeps its number. */
export const nextId = (): string => {
  const known = [...memberIds.value, ...processes().map(({ id }) => id)];
  const numbers = known.map((id) => Number(/\d+$/.exec(id)?.[0] ?? 0));
  return `n${Math.max(0, ...numbers) + 1}`;
};

/** What a request made from the page came to. */
export type Written = {
  readonly cause: string;
  readonly type: string;
  readonly code?: string;
  readonly message?: string;
  readonly context?: string;
  readonly siblings?: number;
  readonly values?: readonly string[];
};

export const operate = (node: string, operation: Operation): Promise<Written> =>
  ask<Written>(node, { type: 'operate', operation });

/** A fault of a process is for whoever serves this page to pass on; others the node takes itself. */
export const breakIt = async (node: string, fault: Fault): Promise<void> => {
  trouble.value = undefined;
  try {
    await ask(node, { type: 'fault', fault });
  } catch (error) {
    trouble.value = `${node}: ${(error as Error).message}`;
    throw error;
  }
};

export const processes = (): readonly ProcessState[] =>
  nodes.value.get(welcome.value?.node ?? '')?.gauges.faults?.processes ?? [];
