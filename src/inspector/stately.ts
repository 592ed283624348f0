/**
 * What this node records, as the events of `@statelyai/inspect` (0.7): a program that connects its
 * WebSocket receiver to `/inspector/stately` sees the actors, their events and their states. Like a
 * page it has a lease and a window, and is told less when it takes less.
 */
import type { NodeId } from '../core/ids.ts';
import type { AdminSocket, AdminSocketEvents } from '../ports/admin.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Desk } from './desk.ts';
import { machineOf } from './machines.ts';
import type { InspectionRecord, Tell } from './records.ts';

export type StatelyParts = {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly desk: Desk;
};

/** The part of an event that all kinds share. */
type Base = {
  readonly sessionId: string;
  readonly rootId: string;
  readonly createdAt: string;
  readonly id: string;
  readonly _version: string;
};

export type StatelyEvent = Base &
  (
    | {
        readonly type: '@xstate.actor';
        readonly name: string;
        readonly parentId: string | undefined;
        /** The machine's config as JSON. */
        readonly definition: string | undefined;
        readonly snapshot: object;
      }
    | {
        readonly type: '@xstate.event';
        readonly sourceId: string | undefined;
        readonly event: { readonly type: string };
      }
    | {
        readonly type: '@xstate.snapshot';
        readonly event: { readonly type: string };
        readonly snapshot: object;
      }
  );

const VERSION = '0.7.2';
const SAMPLE_EVERY = 100;
const RECORDS_PER_LEASE = 2000;
const LEASE_RENEWAL_MS = 1000;
const SOCKET_BYTES_MAX = 1024 * 1024;
const VIEWERS_MAX = 4;
const definitions = new Map<string, string | undefined>();

export class StatelyFeed {
  readonly #parts: StatelyParts;
  readonly #timers = new Map<string, Timer>();
  #named = 0;

  constructor(parts: StatelyParts) {
    this.#parts = parts;
  }

  /** A receiver opened its socket; whatever it says is ignored. */
  readonly accept = (socket: AdminSocket): AdminSocketEvents => {
    const { self, clock, desk } = this.#parts;
    if (this.#timers.size >= VIEWERS_MAX) {
      socket.close(1013, `${VIEWERS_MAX} receivers are connected already`);
      return { received: () => undefined, closed: () => undefined };
    }
    const name = `${self} stately ${clock.wallMs()} ${++this.#named}`;
    const translate = statelyTranslator();
    const hear = (tell: Tell): void => {
      if (tell.type !== 'records') return;
      for (const record of tell.records) {
        for (const event of translate(record)) socket.send(JSON.stringify(event));
      }
    };
    const renew = (): void => {
      const full = socket.bufferedBytes() > SOCKET_BYTES_MAX;
      const recordsMax = full ? 0 : RECORDS_PER_LEASE;
      desk.ask(name, { type: 'lease', sampleEvery: SAMPLE_EVERY, recordsMax }, hear);
      this.#timers.set(name, clock.setTimeout(renew, LEASE_RENEWAL_MS));
    };
    renew();
    return {
      received: () => undefined,
      closed: () => {
        clock.clearTimeout(this.#timers.get(name)!);
        this.#timers.delete(name);
        desk.ask(name, { type: 'leave' }, () => undefined);
      },
    };
  };

  close(): void {
    for (const timer of this.#timers.values()) this.#parts.clock.clearTimeout(timer);
    this.#timers.clear();
  }
}

/** Turns records into events; an actor is told of before anything it does. */
export const statelyTranslator = (): ((record: InspectionRecord) => readonly StatelyEvent[]) => {
  /** The event that each actor received last: snapshots name what led to them. */
  const last = new Map<string, string>();
  return (record) => {
    const { type, node, actor, what, facts, state, seq, atMs, peer } = record;
    if (type === 'log' || actor === 'replica' || actor === 'router') return [];
    const sessionId = `${node}:${actor}`;
    const base: Base = {
      sessionId,
      rootId: actor.includes(' ') ? sessionId : `${node}:node`,
      createdAt: String(Math.floor(atMs)),
      id: `${node}.${seq}`,
      _version: VERSION,
    };
    const event = { type: last.get(sessionId) ?? 'xstate.init' };
    const known = last.has(sessionId);
    if (!known) last.set(sessionId, 'xstate.init');
    const born: readonly StatelyEvent[] = known ? [] : [actorEvent(base, record)];
    switch (type) {
      case 'event':
        last.set(sessionId, what);
        return [
          ...born,
          {
            ...base,
            type: '@xstate.event',
            sourceId: typeof facts?.['node'] === 'string' ? facts['node'] : peer,
            event: { ...facts, type: what },
          },
        ];
      case 'state': {
        const value = valueOf(state ?? what);
        const snapshot = {
          status: value === 'done' ? 'done' : 'active',
          value,
          context: facts ?? {},
        };
        return [...born, { ...base, type: '@xstate.snapshot', event, snapshot }];
      }
      case 'ended':
        last.delete(sessionId);
        return born;
      default:
        return born;
    }
  };
};

const actorEvent = (base: Base, { node, actor, facts }: InspectionRecord): StatelyEvent => ({
  ...base,
  type: '@xstate.actor',
  name: actor,
  parentId: base.rootId === base.sessionId ? undefined : `${node}:node`,
  definition: definitionOf(actor),
  snapshot: { status: 'active', context: facts ?? {} },
});

const definitionOf = (actor: string): string | undefined => {
  const name = actor.split(' ')[0]!;
  if (!definitions.has(name)) {
    const machine = machineOf(actor);
    definitions.set(name, machine === undefined ? undefined : JSON.stringify(machine.config));
  }
  return definitions.get(name);
};

/** `a.b, c.d.e` as XState writes it: `{a: 'b', c: {d: 'e'}}`. */
const valueOf = (text: string): unknown => {
  if (!text.includes('.')) return text;
  const value: Record<string, unknown> = {};
  for (const region of text.split(', ')) {
    const [first = '', ...rest] = region.split('.');
    value[first] = valueOf(rest.join('.'));
  }
  return value;
};
