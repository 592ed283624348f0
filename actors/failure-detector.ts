/**
 * Local failure detection (paper § 4.8): on every tick it looks at when each peer was last heard,
 * pings those that have been silent, or were not measured for a while, and publishes what this node
 * believes. A peer that comes back is announced at once to whoever waits for it.
 *
 *   watching ──tick: look, ping, publish──▶ watching
 */
import { assign, setup } from 'xstate';
import type { NodeId } from '../src/core/ids.ts';
import { healthOf, usualRoundTripMs } from '../src/core/suspicion.ts';
import type { Health, HealthTable, PeerSigns, SuspicionLimits } from '../src/core/suspicion.ts';

export type FailureDetectorEvent =
  /** A link opened or closed: look now. */
  { readonly type: 'links.changed' };

export type FailureDetectorPorts = {
  signs(): readonly PeerSigns[];
  monotonicMs(): number;
  ping(node: NodeId): void;
  publish(table: HealthTable): void;
  recovered(node: NodeId): void;
};

export type FailureDetectorInput = {
  readonly ports: FailureDetectorPorts;
  readonly tickMs: number;
  readonly limits: SuspicionLimits;
};

/** How often the round trip to a peer is measured, however much it says, ms. */
const MEASURE_MS = 1000;

type FailureDetectorContext = FailureDetectorInput & {
  readonly table: HealthTable;
  readonly previous: HealthTable;
  readonly signs: readonly PeerSigns[];
  readonly lookedAtMs: number;
};

export const failureDetectorMachine = setup({
  types: {
    context: {} as FailureDetectorContext,
    input: {} as FailureDetectorInput,
    events: {} as FailureDetectorEvent,
  },
  delays: {
    tick: ({ context }) => context.tickMs,
  },
  actions: {
    look: assign(({ context }) => {
      const { ports, tickMs, limits, lookedAtMs, table } = context;
      const nowMs = ports.monotonicMs();
      const ownLagMs = Math.max(0, nowMs - lookedAtMs - tickMs);
      const signs = ports.signs();
      const usualMs = usualRoundTripMs(signs);
      const health = signs.map((each): [NodeId, Health] => [
        each.node,
        healthOf(each, ownLagMs, limits, usualMs),
      ]);
      return { signs, lookedAtMs: nowMs, table: new Map(health), previous: table };
    }),
    pingSome: ({ context }) => {
      for (const { node, linked, silentMs, pingedMs } of context.signs) {
        const isDue = silentMs >= context.tickMs || pingedMs >= MEASURE_MS;
        if (linked && isDue) context.ports.ping(node);
      }
    },
    publish: ({ context }) => {
      const { ports, table, previous } = context;
      ports.publish(table);
      for (const [node, health] of table) {
        const before = previous.get(node) ?? 'down';
        if (health === 'healthy' && before === 'down') ports.recovered(node);
      }
    },
  },
}).createMachine({
  id: 'failure-detector',
  context: ({ input }) => ({
    ...input,
    table: new Map(),
    previous: new Map(),
    signs: [],
    lookedAtMs: input.ports.monotonicMs(),
  }),
  initial: 'watching',
  states: {
    watching: {
      entry: ['look', 'pingSome', 'publish'],
      on: { 'links.changed': { target: 'watching', reenter: true } },
      after: { tick: { target: 'watching', reenter: true } },
    },
  },
});
