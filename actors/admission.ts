/**
 * Admission control of background work (paper § 6.5): on every tick it looks at what clients had to
 * wait of late and publishes how many slices background tasks may share. It never slows a client.
 *
 *   looking ──nobody asks──▶ alone ────┐
 *    ▲  ├──p99 and strain low──▶ easy ─┤
 *    │  ├──one near its limit─▶ close ─┤
 *    │  └──one above──────▶ pressed ───┤
 *    └──────────────tick───────────────┘
 */
import { assign, setup } from 'xstate';
import { nextSlices, pressureOf } from '../src/core/admission.ts';
import type { AdmissionLimits, ForegroundLoad, Pressure } from '../src/core/admission.ts';

export type AdmissionPorts = {
  load(): ForegroundLoad;
  /** From now on this many slices are shared. */
  publish(slices: number, pressure: Pressure): void;
};

export type AdmissionInput = {
  readonly ports: AdmissionPorts;
  readonly tickMs: number;
  readonly limits: AdmissionLimits;
};

type AdmissionContext = AdmissionInput & {
  readonly slices: number;
  readonly pressure: Pressure;
};

export const admissionMachine = setup({
  types: {
    context: {} as AdmissionContext,
    input: {} as AdmissionInput,
  },
  delays: {
    tick: ({ context }) => context.tickMs,
  },
  guards: {
    is: ({ context }, pressure: Pressure) => context.pressure === pressure,
  },
  actions: {
    look: assign(({ context }) => {
      const { ports, limits, slices } = context;
      const load = ports.load();
      const pressure = pressureOf(load, limits);
      return { pressure, slices: nextSlices(slices, pressure, load.used, limits) };
    }),
    publish: ({ context }) => context.ports.publish(context.slices, context.pressure),
  },
}).createMachine({
  id: 'admission',
  context: ({ input }) => ({ ...input, slices: input.limits.slicesMin, pressure: 'alone' }),
  initial: 'looking',
  states: {
    looking: {
      entry: ['look', 'publish'],
      always: [
        { guard: { type: 'is', params: 'alone' }, target: 'alone' },
        { guard: { type: 'is', params: 'easy' }, target: 'easy' },
        { guard: { type: 'is', params: 'close' }, target: 'close' },
        { target: 'pressed' },
      ],
    },
    alone: { after: { tick: 'looking' } },
    easy: { after: { tick: 'looking' } },
    close: { after: { tick: 'looking' } },
    pressed: { after: { tick: 'looking' } },
  },
});
