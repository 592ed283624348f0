/**
 * A statechart made ready to be stepped through cheaply. It is read once from the XState machine
 * itself, which stays the only description of what a coordinator does; what is prepared here is the
 * outcome of questions whose answers never change: which transitions a state offers to an event,
 * which states a transition leaves and enters, and what is to be done on the way.
 *
 *   machine ──compiled once──▶ chart ──per request──▶ context, place, timers   (light-host.ts)
 *
 * Understood is what coordinators are made of: one active state at a time, nested or not, with
 * `entry`, `on`, `always`, `after`, guards, and actions that are functions or `assign`. Of a machine
 * with anything else `chartOf` makes nothing, and it runs as a stock actor.
 */
import type { AnyActorLogic } from 'xstate';

type Arguments = { readonly context: object; readonly event: { readonly type: string } };
type Call = (args: Arguments, params: unknown) => unknown;
/** ms, or what computes them. */
export type Delay = number | Call;

export type Step =
  | { readonly type: 'run'; readonly call: Call; readonly params: unknown }
  | { readonly type: 'assign'; readonly call: Call; readonly params: unknown }
  | {
      readonly type: 'wait';
      readonly delay: Delay;
      readonly event: { readonly type: string };
    }
  | { readonly type: 'stop-waiting'; readonly event: string };

/** A transition, seen from one place. */
export type Way = {
  readonly guard: Call | undefined;
  readonly guardParams: unknown;
  readonly steps: readonly Step[];
  /** Where it leads; undefined: it stays. */
  readonly to: Place | undefined;
};

/** One innermost state with all that it and those around it offer. */
export type Place = {
  readonly name: string;
  /** By event type, the innermost state's first. */
  readonly on: Map<string, readonly Way[]>;
  readonly always: readonly Way[];
  readonly isFinal: boolean;
};

export type Chart = {
  readonly contextOf: (args: { readonly input: unknown }) => object;
  readonly start: { readonly steps: readonly Step[]; readonly place: Place };
};

// What is read of XState's state nodes and definitions, all of it public.
type StateNode = {
  readonly id: string;
  readonly type: string;
  readonly parent?: StateNode;
  readonly initial: { readonly target: readonly StateNode[]; readonly actions: readonly unknown[] };
  readonly states: Readonly<Record<string, StateNode>>;
  readonly entry: readonly unknown[];
  readonly exit: readonly unknown[];
  readonly always?: readonly Transition[];
  readonly transitions: ReadonlyMap<string, readonly Transition[]>;
  readonly invoke: readonly unknown[];
};
type Transition = {
  readonly source: StateNode;
  readonly target: readonly StateNode[] | undefined;
  readonly actions: readonly unknown[];
  readonly guard?: unknown;
  readonly reenter: boolean;
};
type Machine = {
  readonly root: StateNode;
  readonly config: { readonly context?: unknown; readonly output?: unknown };
  readonly implementations: Readonly<
    Record<'actions' | 'guards' | 'delays', Readonly<Record<string, unknown>>>
  >;
};

const charts = new WeakMap<AnyActorLogic, Chart | 'not understood'>();

export const chartOf = (logic: AnyActorLogic): Chart | undefined => {
  let chart = charts.get(logic);
  if (chart === undefined) {
    chart = compiled(logic as unknown as Machine);
    charts.set(logic, chart);
  }
  return chart === 'not understood' ? undefined : chart;
};

/** Says no more: nobody is told which machine runs as a stock actor for what. */
class NotUnderstood extends Error {}

const compiled = (machine: Machine): Chart | 'not understood' => {
  try {
    return new Compiler(machine).chart();
  } catch (error) {
    if (error instanceof NotUnderstood) return 'not understood';
    throw error;
  }
};

class Compiler {
  readonly #machine: Machine;
  readonly #places = new Map<StateNode, Place>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  chart(): Chart {
    const { root, config } = this.#machine;
    const { context } = config ?? {};
    if (root === undefined || typeof context !== 'function' || config.output !== undefined) {
      throw new NotUnderstood();
    }
    const entered = [root, ...descent(root)];
    return {
      contextOf: context as Chart['contextOf'],
      start: {
        steps: entered.flatMap((state) => this.#steps(state.entry)),
        place: this.#placeOf(entered.at(-1)!),
      },
    };
  }

  /** Made before its ways are, for they may lead back. */
  #placeOf(leaf: StateNode): Place {
    const known = this.#places.get(leaf);
    if (known !== undefined) return known;
    const path = [leaf, ...ancestors(leaf)];
    if (path.some(({ type, invoke }) => type === 'parallel' || invoke.length > 0)) {
      throw new NotUnderstood();
    }
    const isFinal = leaf.type === 'final';
    if (isFinal && leaf.parent !== this.#machine.root) throw new NotUnderstood();
    const on = new Map<string, readonly Way[]>();
    const always: Way[] = [];
    const place: Place = { name: leaf.id, on, always, isFinal };
    this.#places.set(leaf, place);
    if (isFinal) return place;
    for (const state of path) {
      for (const transition of state.always ?? []) always.push(this.#way(leaf, transition));
      for (const [event, transitions] of state.transitions) {
        if (event === '' || event.includes('*')) throw new NotUnderstood();
        const ways = transitions.map((transition) => this.#way(leaf, transition));
        on.set(event, [...(on.get(event) ?? []), ...ways]);
      }
    }
    return place;
  }

  /** What taking `transition` does when `leaf` is active: leave, act, enter. */
  #way(leaf: StateNode, { source, target, actions, guard, reenter }: Transition): Way {
    const path = [leaf, ...ancestors(leaf)];
    const between = this.#steps(actions);
    const checked = { ...this.#guard(guard) };
    if (target === undefined) return { ...checked, steps: between, to: undefined };
    const [aim, ...others] = target;
    if (aim === undefined || others.length > 0) throw new NotUnderstood();
    const inside = aim === source || ancestors(aim).includes(source);
    const domain = !reenter && inside ? source : commonAncestor(source, aim);
    const left = path.slice(0, domain === undefined ? path.length : path.indexOf(domain));
    const down = [aim, ...ancestors(aim)];
    const around = down.slice(0, domain === undefined ? down.length : down.indexOf(domain));
    const entered = [...around.reverse(), ...descent(aim)];
    const to = entered.at(-1) ?? leaf;
    const steps = [
      ...left.flatMap((state) => this.#steps(state.exit)),
      ...between,
      ...entered.flatMap((state) => this.#steps(state.entry)),
    ];
    return { ...checked, steps, to: this.#placeOf(to) };
  }

  #guard(guard: unknown): Pick<Way, 'guard' | 'guardParams'> {
    if (guard === undefined) return { guard: undefined, guardParams: undefined };
    const { type, params } = named(guard);
    const call = this.#machine.implementations.guards[type];
    if (typeof call !== 'function' || 'check' in call) throw new NotUnderstood();
    return { guard: call as Call, guardParams: params };
  }

  #steps(actions: readonly unknown[]): Step[] {
    return actions.map((action) => this.#step(action));
  }

  #step(action: unknown): Step {
    if (typeof action === 'function') return this.#timing(action);
    const { type, params } = named(action);
    const call = this.#machine.implementations.actions[type];
    if (typeof call !== 'function') throw new NotUnderstood();
    if (!('resolve' in call)) return { type: 'run', call: call as Call, params };
    const { assignment } = call as { readonly assignment?: unknown };
    if (typeof assignment === 'function') {
      return { type: 'assign', call: assignment as Call, params };
    }
    if (typeof assignment !== 'object' || assignment === null) throw new NotUnderstood();
    return { type: 'assign', call: fieldwise(assignment), params };
  }

  /** `after` adds two actions of XState's own to a state: raise later, and cancel that. */
  #timing(action: object): Step {
    const { type, event, delay, sendId } = action as Readonly<Record<string, unknown>>;
    if (type === 'xstate.cancel' && typeof sendId === 'string') {
      return { type: 'stop-waiting', event: sendId };
    }
    if (type !== 'xstate.raise' || typeof event !== 'object' || delay === undefined) {
      throw new NotUnderstood();
    }
    const wait = typeof delay === 'string' ? this.#machine.implementations.delays[delay] : delay;
    if (typeof wait !== 'number' && typeof wait !== 'function') throw new NotUnderstood();
    return { type: 'wait', delay: wait as Delay, event: event as { type: string } };
  }
}

const named = (reference: unknown): { readonly type: string; readonly params: unknown } => {
  if (typeof reference === 'string') return { type: reference, params: undefined };
  const { type, params } = reference as { readonly type?: unknown; readonly params?: unknown };
  if (typeof type !== 'string' || typeof params === 'function') throw new NotUnderstood();
  return { type, params };
};

/** The form of assign that names fields: values, or functions of context and event. */
const fieldwise = (assignment: object): Call => {
  const fields = Object.entries(assignment);
  if (fields.every(([, value]) => typeof value !== 'function')) return () => assignment;
  return (args, params) =>
    Object.fromEntries(
      fields.map(([name, value]) => [
        name,
        typeof value === 'function' ? (value as Call)(args, params) : value,
      ]),
    );
};

/** From the parent up to the root. */
const ancestors = ({ parent }: StateNode): StateNode[] =>
  parent === undefined ? [] : [parent, ...ancestors(parent)];

/** The states entered with `state` by their `initial`, outermost first. */
const descent = (state: StateNode): StateNode[] => {
  if (Object.keys(state.states).length === 0) return [];
  const { target, actions } = state.initial;
  if (target.length !== 1 || actions.length > 0) throw new NotUnderstood();
  return [target[0]!, ...descent(target[0]!)];
};

const commonAncestor = (a: StateNode, b: StateNode): StateNode | undefined =>
  ancestors(a).find((state) => ancestors(b).includes(state));
