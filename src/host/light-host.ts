/**
 * Runs one coordinator through its chart: the same transitions in the same order as XState's own
 * actor, without what nobody looks at in a request that is not watched (snapshots, inspection,
 * observers), at a fraction of the cost. `test/contract/hosts.test.ts` tells both the same stories.
 *
 * An event that arrives while another is handled waits until that has come to rest; so does what
 * the first actions cause. Effects run at once, in the order of the chart.
 */
import type { Clock, Timer } from '../ports/clock.ts';
import type { Chart, Delay, Place, Step, Way } from './chart.ts';

type Event = { readonly type: string };
type WaitingClock = Pick<Clock, 'setTimeout' | 'clearTimeout'>;

export type LifeEnds = {
  readonly done: () => void;
  readonly crashed: (error: unknown) => void;
};

const INIT: Event = { type: 'xstate.init' };

export class LightLife {
  readonly #chart: Chart;
  readonly #input: unknown;
  readonly #clock: WaitingClock;
  readonly #ends: LifeEnds;
  readonly #waits: { event: string; timer: Timer }[] = [];
  readonly #mail: Event[] = [];
  /** What guards and actions are handed: they look at it within their call, and keep nothing of it. */
  readonly #view: { context: object; event: Event } = { context: {}, event: INIT };
  #place: Place;
  #state: 'busy' | 'at rest' | 'over' = 'busy';

  constructor(chart: Chart, input: unknown, clock: WaitingClock, ends: LifeEnds) {
    this.#chart = chart;
    this.#input = input;
    this.#clock = clock;
    this.#ends = ends;
    this.#place = chart.start.place;
  }

  /** The state it is in, as XState names it: `put.minting`. */
  get at(): string {
    return this.#place.name;
  }

  /** Does what its chart does first. */
  start(): void {
    try {
      this.#view.context = this.#chart.contextOf({ input: this.#input });
      this.#do(this.#chart.start.steps);
      this.#settle();
    } catch (error) {
      this.#crash(error);
    }
    this.#rest();
  }

  send(event: Event): void {
    if (this.#state === 'over') return;
    this.#mail.push(event);
    if (this.#state === 'at rest') this.#rest();
  }

  /** Ends where it stands, without a word. */
  stop(): void {
    this.#state = 'over';
    for (let wait = this.#waits.pop(); wait !== undefined; wait = this.#waits.pop()) {
      this.#clock.clearTimeout(wait.timer);
    }
    // To set the length of an array costs a call of the engine, also where it changes nothing.
    if (this.#mail.length > 0) this.#mail.length = 0;
  }

  /** Handles the mail, and what comes meanwhile. */
  #rest(): void {
    if (this.#state === 'over') return;
    this.#state = 'busy';
    for (let event = this.#mail.shift(); event !== undefined; event = this.#mail.shift()) {
      try {
        this.#view.event = event;
        this.#take(this.#place.on.get(event.type));
        this.#settle();
      } catch (error) {
        this.#crash(error);
      }
      if (this.#isOver()) return;
    }
    this.#state = 'at rest';
  }

  #isOver(): boolean {
    return this.#state === 'over';
  }

  /** Follows what needs no event, as far as it leads. */
  #settle(): void {
    while (!this.#place.isFinal && this.#take(this.#place.always) === 'taken');
    if (!this.#place.isFinal) return;
    this.stop();
    this.#ends.done();
  }

  #take(ways: readonly Way[] | undefined): 'taken' | 'none' {
    if (ways === undefined) return 'none';
    for (const { guard, guardParams, steps, to } of ways) {
      if (guard !== undefined && !guard(this.#view, guardParams)) continue;
      this.#do(steps);
      if (to !== undefined) this.#place = to;
      return 'taken';
    }
    return 'none';
  }

  #do(steps: readonly Step[]): void {
    const view = this.#view;
    for (const step of steps) {
      switch (step.type) {
        case 'run':
          step.call(view, step.params);
          break;
        case 'assign': {
          const change = step.call(view, step.params);
          assignTo(view.context as Record<string, unknown>, change as Record<string, unknown>);
          break;
        }
        case 'wait':
          this.#wait(step.event, step.delay);
          break;
        case 'stop-waiting': {
          const timer = this.#takeWait(step.event);
          if (timer !== undefined) this.#clock.clearTimeout(timer);
          break;
        }
      }
    }
  }

  #wait(event: Event, delay: Delay): void {
    const delayMs = typeof delay === 'number' ? delay : (delay(this.#view, undefined) as number);
    const elapsed = (): void => {
      this.#takeWait(event.type);
      this.send(event);
    };
    this.#waits.push({ event: event.type, timer: this.#clock.setTimeout(elapsed, delayMs) });
  }

  #takeWait(event: string): Timer | undefined {
    const waits = this.#waits;
    for (let at = 0; at < waits.length; at++) {
      const { event: awaited, timer } = waits[at]!;
      if (awaited !== event) continue;
      // Their order means nothing.
      waits[at] = waits.at(-1)!;
      waits.pop();
      return timer;
    }
    return undefined;
  }

  #crash(error: unknown): void {
    this.stop();
    this.#ends.crashed(error);
  }
}

/** In place, where XState makes a new context each time: here nobody keeps the old one. */
const assignTo = (context: Record<string, unknown>, change: Record<string, unknown>): void => {
  for (const name in change) context[name] = change[name];
};
