/**
 * Runs one actor, mostly a coordinator, through its chart: the same transitions in the same order as
 * XState's own actor, without what nobody looks at in a request that is not watched (snapshots,
 * inspection, observers), at a fraction of the cost. `test/contract/hosts.test.ts` tells both the
 * same stories.
 *
 * An event that arrives while another is handled waits until that has come to rest; so does what
 * the first actions cause. Effects run at once, in the order of the chart.
 */
import type { Clock, Timer } from '../ports/clock.ts';
import type { Chart, Delay, Place, Step, Way } from './chart.ts';

type Event = { readonly type: string };
type View = { context: object; event: Event };
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
  readonly #elapsed: ((event: Event) => void) | undefined;
  readonly #waits: { event: string; timer: Timer }[] = [];
  readonly #mail: Event[] = [];
  /** What guards and actions are handed: they look at it within their call, and keep nothing of it. */
  readonly #view: View = { context: {}, event: INIT };
  #place: Place;
  /** What it does first, once it is prepared and until it starts. */
  #first: (() => void)[] | undefined;
  #state: 'busy' | 'at rest' | 'over' = 'busy';

  /** `elapsed` hears the event of a wait that is over in the place of this life, and sends it on. */
  constructor(
    chart: Chart,
    input: unknown,
    clock: WaitingClock,
    ends: LifeEnds,
    elapsed?: (event: Event) => void,
  ) {
    this.#chart = chart;
    this.#input = input;
    this.#clock = clock;
    this.#ends = ends;
    this.#elapsed = elapsed;
    this.#place = chart.start.place;
  }

  /** The state it is in, as XState names it: `put.minting`. */
  get at(): string {
    return this.#place.name;
  }

  get isDone(): boolean {
    return this.#place.isFinal;
  }

  get context(): object {
    return this.#view.context;
  }

  /**
   * Works out where it begins, as an actor of XState does when it is made: what there is to be done on
   * the way waits for `start`. Throws what the chart throws.
   */
  prepare(): void {
    this.#first = [];
    this.#enter();
  }

  /** Does what its chart does first. */
  start(): void {
    try {
      // Guards come before any effect; where there are none, nobody can tell.
      const isGuarded = this.#chart.start.place.always.length > 0;
      if (isGuarded && this.#first === undefined) this.prepare();
      const first = this.#first;
      this.#first = undefined;
      if (first === undefined) this.#enter();
      else for (const act of first) act();
      this.#endIfFinal();
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
        this.#follow();
        this.#endIfFinal();
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

  #enter(): void {
    this.#view.context = this.#chart.contextOf({ input: this.#input });
    this.#do(this.#chart.start.steps);
    this.#follow();
  }

  /** Follows what needs no event, as far as it leads. */
  #follow(): void {
    while (!this.#place.isFinal && this.#take(this.#place.always) === 'taken');
  }

  #endIfFinal(): void {
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
      if (step.type === 'assign') {
        const change = step.call(view, step.params);
        // What waits for the start is to see what was there when its turn came.
        if (this.#first !== undefined) view.context = { ...view.context };
        assignTo(view.context as Record<string, unknown>, change as Record<string, unknown>);
      } else if (this.#first === undefined) {
        this.#act(step, view);
      } else {
        const seen = { ...view };
        this.#first.push(() => this.#act(step, seen));
      }
    }
  }

  #act(step: Exclude<Step, { type: 'assign' }>, view: View): void {
    switch (step.type) {
      case 'run':
        step.call(view, step.params);
        return;
      case 'wait':
        this.#wait(step.event, step.delay, view);
        return;
      case 'stop-waiting': {
        const timer = this.#takeWait(step.event);
        if (timer !== undefined) this.#clock.clearTimeout(timer);
        return;
      }
    }
  }

  #wait(event: Event, delay: Delay, view: View): void {
    const delayMs = typeof delay === 'number' ? delay : (delay(view, undefined) as number);
    const elapsed = (): void => {
      this.#takeWait(event.type);
      if (this.#elapsed === undefined) this.send(event);
      else this.#elapsed(event);
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
