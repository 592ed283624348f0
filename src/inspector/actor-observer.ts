/**
 * The long-lived actors of one node as XState shows them: their states, how many events each has
 * taken and how many wait, and, while somebody watches, what happens to them.
 */
import type { AnyActorRef, InspectionEvent } from 'xstate';
import type { Clock } from '../ports/clock.ts';
import { plain } from './facts.ts';
import type { ActorGauge } from './records.ts';
import { withoutValues } from './story.ts';
import { stateText, translator } from './translate.ts';
import type { Happening } from './translate.ts';

export type ActorObserverParts = {
  readonly clock: Clock;
  /** Of the epoch. */
  readonly nowMs: () => number;
  /** Records a second of one actor; what is beyond is counted only. */
  readonly recordsPerSecond: number;
  readonly tell: (actor: string, happening: Happening) => void;
};

/** Of one long-lived actor. */
type ActorCount = {
  events: number;
  bornAtMs: number;
  /** Sent to it and not yet worked off, the one it works at included; and the most since asked. */
  pending: number;
  pendingMost: number;
};

export class ActorObserver {
  readonly #parts: ActorObserverParts;
  readonly #counts = new Map<string, ActorCount>();
  readonly #budgets = new Map<string, { left: number; sinceMs: number }>();
  readonly #bornAtMs: number;
  #supervisor: AnyActorRef | undefined;
  #unobserve: (() => void) | undefined;

  constructor(parts: ActorObserverParts) {
    this.#parts = parts;
    this.#bornAtMs = parts.nowMs();
  }

  /** The actor that has all others for children, from now on. */
  supervises(supervisor: AnyActorRef): void {
    this.#supervisor = supervisor;
  }

  /** An actor failed and is begun anew. */
  crashed(actor: string): void {
    this.#countOf(actor).bornAtMs = this.#parts.nowMs();
  }

  /** Listens until `rest`; until then nothing is counted or told. */
  observe(): void {
    if (this.#supervisor === undefined || this.#unobserve !== undefined) return;
    const translators = new Map<string, (event: InspectionEvent) => void>();
    const subscription = this.#supervisor.system.inspect((event) => {
      const name = nameOf(event.actorRef as unknown as AnyActorRef, this.#supervisor!);
      this.#count(name, event);
      let translate = translators.get(name);
      if (translate === undefined) {
        translate = translator((happening) => {
          if (this.#mayTell(name)) this.#parts.tell(name, happening);
        });
        translators.set(name, translate);
      }
      translate(event);
    });
    this.#unobserve = () => subscription.unsubscribe();
  }

  rest(): void {
    this.#unobserve?.();
    this.#unobserve = undefined;
    // What they take meanwhile is not seen.
    for (const count of this.#counts.values()) count.pending = 0;
  }

  gauges(): readonly ActorGauge[] {
    const supervisor = this.#supervisor;
    if (supervisor === undefined) return [];
    const own = supervisor.getSnapshot() as {
      readonly value: unknown;
      readonly context: { readonly crashes: Readonly<Record<string, number>> };
    };
    const { crashes } = own.context;
    const of = (actor: string, value: unknown): ActorGauge => {
      const count = this.#countOf(actor);
      const { events, bornAtMs } = count;
      const mailbox = Math.max(0, count.pendingMost - 1);
      count.pendingMost = count.pending;
      const state = value === undefined ? 'backing off' : stateText(value);
      return { actor, state, events, mailbox, restarts: crashes[actor] ?? 0, bornAtMs };
    };
    const children = Object.keys(crashes).map((name) => {
      const ref = supervisor.system.get(name) as AnyActorRef | undefined;
      return of(name, (ref?.getSnapshot() as { value?: unknown } | undefined)?.value);
    });
    return [of('node', own.value), ...children];
  }

  /** The context of a long-lived actor as text; undefined if there is none of that name. */
  contextOf(actor: string): unknown {
    const ref = actor === 'node' ? this.#supervisor : this.#supervisor?.system.get(actor);
    const context = (ref?.getSnapshot() as { readonly context?: object } | undefined)?.context;
    return context === undefined ? undefined : plain(withoutValues(context), 0);
  }

  /** XState tells each event when it is sent, and one snapshot when it has been worked off. */
  #count(actor: string, told: InspectionEvent): void {
    if (told.type !== '@xstate.event' && told.type !== '@xstate.snapshot') return;
    const count = this.#countOf(actor);
    if (told.type === '@xstate.snapshot') {
      count.pending = Math.max(0, count.pending - 1);
      return;
    }
    count.events += 1;
    // What a life before this one left behind is gone with it.
    count.pending = told.event.type === 'xstate.init' ? 1 : count.pending + 1;
    count.pendingMost = Math.max(count.pendingMost, count.pending);
  }

  #countOf(actor: string): ActorCount {
    let count = this.#counts.get(actor);
    if (count === undefined) {
      count = { events: 0, bornAtMs: this.#bornAtMs, pending: 0, pendingMost: 0 };
      this.#counts.set(actor, count);
    }
    return count;
  }

  #mayTell(actor: string): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    let budget = this.#budgets.get(actor);
    if (budget === undefined || nowMs - budget.sinceMs > 1000) {
      budget = { left: this.#parts.recordsPerSecond, sinceMs: nowMs };
      this.#budgets.set(actor, budget);
    }
    return budget.left-- > 0;
  }
}

/** Long-lived actors by their system id, what they spawn by its machine. */
const nameOf = (ref: AnyActorRef, supervisor: AnyActorRef): string => {
  if (ref === supervisor) return 'node';
  const { systemId, logic } = ref as { systemId?: string; logic?: { readonly id?: string } };
  return systemId ?? logic?.id ?? 'child';
};
