/**
 * The machine of a long-lived actor in the light host, inside a stock actor of XState: mailbox,
 * snapshots, supervision and inspection are XState's own, also of what `after` sends; only the steps
 * through the chart are the light host's. For actors that take hundreds of events a second: too many
 * for XState's own steps to cost nothing, too few for the engine ever to make them quick.
 */
import type { ActorLogic, AnyActorLogic, AnyEventObject, AnyStateMachine, Snapshot } from 'xstate';
import type { Clock } from '../ports/clock.ts';
import { chartOf } from './chart.ts';
import type { Chart, Step, Way } from './chart.ts';
import { LightLife } from './light-host.ts';
import type { LifeEnds } from './light-host.ts';

/** What is seen of such an actor from outside: `value` as XState writes it, of a nested state its path. */
type LightSnapshot = Snapshot<undefined> & {
  readonly value: string;
  readonly context: object;
  readonly life: LifeWithin;
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

  const snapshotOf = (life: LifeWithin, status: 'active' | 'stopped' = 'active') => ({
    status: life.isDone ? 'done' : status,
    ...{ output: undefined, error: undefined, life },
    value: life.at.slice(id.length + 1),
    context: life.context,
  });

  const logic = {
    id,
    getInitialSnapshot: ({ self }, input) => {
      const begun = prepared(chart, input);
      return snapshotOf(new LifeWithin(begun, clock, (event) => self.send(event)));
    },
    // XState shows the first snapshot only after this.
    start: (snapshot) => {
      snapshot.life.start();
      Object.assign(snapshot, snapshotOf(snapshot.life));
    },
    transition: ({ life }, event) => {
      if (event.type === 'xstate.stop') {
        life.stop();
        return snapshotOf(life, 'stopped');
      }
      life.take(event);
      return snapshotOf(life);
    },
    getPersistedSnapshot: (snapshot) => snapshot,
  } as ActorLogic<LightSnapshot, AnyEventObject, object>;
  return logic as unknown as Machine;
};

/** A life whose mail, that of its waits too, goes to the actor around it first. */
class LifeWithin extends LightLife {
  readonly context: object;
  readonly #mail: (event: AnyEventObject) => void;
  readonly #ends: { isDone: boolean } & LifeEnds;
  readonly #beginning: { isOver: boolean };

  constructor(
    { chart, context, beginning }: Prepared,
    clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>,
    mail: (event: AnyEventObject) => void,
  ) {
    const ends = {
      isDone: false,
      done: () => {
        ends.isDone = true;
      },
      // The actor around it fails of what is thrown, and its supervisor hears of it.
      crashed: (error: unknown) => {
        throw error;
      },
    };
    super(chart, undefined, clock, ends);
    this.context = context;
    this.#beginning = beginning;
    this.#mail = mail;
    this.#ends = ends;
  }

  get isDone(): boolean {
    return this.#ends.isDone;
  }

  override start(): void {
    super.start();
    this.#beginning.isOver = true;
  }

  override send(event: AnyEventObject): void {
    this.#mail(event);
  }

  /** What the actor around it was sent. */
  take(event: AnyEventObject): void {
    super.send(event);
  }
}

type Prepared = {
  readonly chart: Chart;
  readonly context: object;
  /** Over once what is done first has been done. */
  readonly beginning: { isOver: boolean };
};

const INIT = { type: 'xstate.init' };

/**
 * Where a life begins, worked out as XState does when an actor is made: guards see what is there
 * before anything is done, and what is to be done waits for the start.
 */
const prepared = ({ contextOf, start }: Chart, input: unknown): Prepared => {
  let context = { ...contextOf({ input }) };
  let { place } = start;
  const steps: Step[] = [];
  const pass = (some: readonly Step[]): void => {
    for (const step of some) {
      const seen = { context, event: INIT };
      if (step.type === 'assign') {
        context = { ...context, ...(step.call(seen, step.params) as object) };
      } else if (step.type === 'run') {
        steps.push({ ...step, call: (_, params) => step.call(seen, params) });
      } else if (step.type === 'wait' && typeof step.delay === 'function') {
        const { delay } = step;
        steps.push({ ...step, delay: () => delay(seen, undefined) });
      } else steps.push(step);
    }
  };
  pass(start.steps);
  while (!place.isFinal) {
    const way = place.always.find(
      ({ guard, guardParams }) =>
        guard === undefined || Boolean(guard({ context, event: INIT }, guardParams)),
    );
    if (way === undefined) break;
    pass(way.steps);
    place = way.to ?? place;
  }
  // A life asks once more after its first effects; XState does not.
  const beginning = { isOver: false };
  const later = ({ guard, ...way }: Way): Way => ({
    ...way,
    guard: (seen, params) =>
      beginning.isOver && (guard === undefined || Boolean(guard(seen, params))),
  });
  const resting = { ...place, always: place.always.map(later) };
  const begun = context;
  const chart = { contextOf: () => begun, start: { steps, place: resting } };
  return { context, chart, beginning };
};
