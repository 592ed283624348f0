/**
 * The machine of a long-lived actor in the light host, inside a stock actor of XState: mailbox,
 * snapshots, supervision and inspection are XState's own, also of what `after` sends; only the steps
 * through the chart are the light host's. For actors that take hundreds of events a second: too many
 * for XState's own steps to cost nothing, too few for the engine ever to make them quick.
 */
import type { ActorLogic, AnyActorLogic, AnyEventObject, AnyStateMachine, Snapshot } from 'xstate';
import type { Clock } from '../ports/clock.ts';
import { chartOf } from './chart.ts';
import { LightLife } from './light-host.ts';

/** What is seen of such an actor from outside: `value` as XState writes it, of a nested state its path. */
type LightSnapshot = Snapshot<undefined> & {
  readonly value: string;
  readonly context: object;
  readonly life: LightLife;
};

/**
 * `machine`, to be run like it. Its waits are on `clock`. Throws RangeError for a machine that the
 * light host does not understand.
 */
export const lightly = <Machine extends AnyStateMachine>(
  machine: Machine,
  clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>,
): Machine => {
  const { id } = machine;
  const chart = chartOf(machine as AnyActorLogic);
  if (chart === undefined) throw new RangeError(`the light host does not understand ${id}`);

  const snapshotOf = (life: LightLife, isStopped = false): LightSnapshot => ({
    status: life.isDone ? 'done' : isStopped ? 'stopped' : 'active',
    output: undefined,
    error: undefined,
    value: life.at.slice(id.length + 1),
    context: life.context,
    life,
  });

  const logic: ActorLogic<LightSnapshot, AnyEventObject, object> & { readonly id: string } = {
    id,
    getInitialSnapshot: ({ self }, input) => {
      const ends = { done: () => undefined, crashed: rethrow };
      const life = new LightLife(chart, input, clock, ends, (event) => self.send(event));
      life.prepare();
      return snapshotOf(life);
    },
    // XState shows the first snapshot only after this.
    start: (snapshot) => {
      snapshot.life.start();
      Object.assign(snapshot, snapshotOf(snapshot.life));
    },
    transition: ({ life }, event) => {
      const isStopped = event.type === 'xstate.stop';
      if (isStopped) life.stop();
      else life.send(event);
      return snapshotOf(life, isStopped);
    },
    getPersistedSnapshot: (snapshot) => snapshot,
  };
  return logic as unknown as Machine;
};

/** The actor around it fails of what is thrown, and its supervisor hears of it. */
const rethrow = (error: unknown): never => {
  throw error;
};
