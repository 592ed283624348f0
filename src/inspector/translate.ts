/** From what XState shows and what coordinators ask of their ports to inspection records. */
import type { InspectionEvent } from 'xstate';
import { showKey } from '../core/ids.ts';
import type { Key } from '../core/ids.ts';
import type { Facts, InspectionRecord } from './records.ts';

/** A record before the recorder numbers it. */
export type Happening = Omit<InspectionRecord, 'seq' | 'atMs' | 'node' | 'actor'>;

/** `{a: 'b', c: {d: 'e'}}` as `a.b, c.d.e`. */
export const stateText = (value: unknown): string => {
  if (typeof value === 'string') return value;
  return Object.entries(value as Record<string, unknown>)
    .map(([name, inner]) => `${name}.${stateText(inner)}`)
    .join(', ');
};

/** Turns the inspection events of one actor into happenings, each change of state once. */
export const translator = (tell: (happening: Happening) => void) => {
  let told = '';
  return (event: InspectionEvent): void => {
    if (event.type === '@xstate.event') {
      const { type } = event.event;
      if (type === 'xstate.init' || type === 'xstate.stop') return;
      const facts = factsOf(event.event as unknown as Record<string, unknown>);
      tell({ type: 'event', what: eventName(type), ...(facts === undefined ? {} : { facts }) });
    } else if (event.type === '@xstate.microstep' || event.type === '@xstate.snapshot') {
      const { value, context } = event.snapshot as { value?: unknown; context?: object };
      if (value === undefined) return;
      const state = stateText(value);
      const facts = tallyFacts(context);
      const line = `${state} ${JSON.stringify(facts)}`;
      if (line === told) return;
      told = line;
      tell({ type: 'state', what: state, state, ...(facts === undefined ? {} : { facts }) });
    }
  };
};

/** `xstate.after.patience.put.writing` is a timer: `after patience`. */
export const eventName = (type: string): string => {
  const timer = /^xstate\.after\.([^.]+)\./.exec(type);
  if (timer !== null) return `after ${timer[1]}`;
  return type.replace(/^xstate\./, '');
};

/** The plain fields of an event, kept short; keys escaped, bytes as their length. */
const factsOf = (event: Record<string, unknown>): Facts | undefined => {
  const facts: Record<string, Facts[string]> = {};
  for (const [name, value] of Object.entries(event)) {
    if (name === 'type') continue;
    if (typeof value === 'string') facts[name] = value.slice(0, 120);
    else if (typeof value === 'number' || typeof value === 'boolean') facts[name] = value;
    else if (value instanceof Uint8Array) facts[`${name}Bytes`] = value.length;
    else if (name === 'record') Object.assign(facts, recordFacts(value));
    else if (name === 'reply' || name === 'failure') Object.assign(facts, replyFacts(value));
    else if (name === 'message') facts['message'] = String((value as { type?: unknown }).type);
  }
  return Object.keys(facts).length === 0 ? undefined : facts;
};

const recordFacts = (record: unknown): Facts => {
  const siblings = (record as { siblings?: readonly unknown[] } | undefined)?.siblings;
  return siblings === undefined ? { holds: 'nothing' } : { siblings: siblings.length };
};

/** What a request was answered, in few words. */
export const replyFacts = (reply: unknown): Facts => {
  const { type, code, message, acks, durable, record } = reply as Record<string, unknown>;
  return {
    outcome: String(code ?? type),
    ...(message === undefined ? {} : { message: String(message) }),
    ...(Array.isArray(acks) ? { acks: acks as string[] } : {}),
    ...(Array.isArray(durable) ? { durable: durable as string[] } : {}),
    ...(record === undefined ? {} : recordFacts(record)),
  };
};

/** How far a quorum has come, from a coordinator's context. */
const tallyFacts = (context: object | undefined): Facts | undefined => {
  const tally = (context as { readonly tally?: Record<string, unknown> } | undefined)?.tally;
  if (tally === undefined) return undefined;
  const names = (value: unknown): readonly string[] | undefined =>
    Array.isArray(value)
      ? value.map((each) => (each as { node?: string }).node ?? String(each))
      : undefined;
  const facts: Record<string, Facts[string]> = {};
  for (const name of ['w', 'dw', 'r'] as const) {
    const value = tally[name];
    if (typeof value === 'number') facts[name] = value;
  }
  for (const name of ['acked', 'durable', 'refused', 'asked', 'answers'] as const) {
    const value = names(tally[name]);
    if (value !== undefined) facts[name] = value;
  }
  return facts;
};

type Ports = { readonly [name: string]: (...given: never[]) => void };

/** `ports` with every call told first and made within `within`. */
export const listenedPorts = (
  ports: object,
  self: string,
  tell: (happening: Happening) => void,
  within: (task: () => void) => void,
): object =>
  Object.fromEntries(
    Object.entries(ports as Ports).map(([name, port]) => [
      name,
      (...given: never[]) => {
        tell(callHappening(name, given, self));
        within(() => port(...given));
      },
    ]),
  );

/** A port call as a happening: to another node it was sent, else it was done here. */
const callHappening = (name: string, given: readonly unknown[], self: string): Happening => {
  const [what, peer, facts] = callParts(name, given);
  const shown = facts === undefined ? {} : { facts };
  if (peer === undefined || peer === self) return { type: 'did', what, ...shown };
  return { type: 'sent', what, peer, ...shown };
};

const callParts = (
  name: string,
  given: readonly unknown[],
): readonly [string, string | undefined, Facts | undefined] => {
  switch (name) {
    case 'write': {
      const to = given[3] as { readonly node: string; readonly hintFor?: string };
      const hint = to.hintFor === undefined ? {} : { hintFor: to.hintFor };
      return ['write', to.node, { durable: given[4] === true, ...hint }];
    }
    case 'sync':
    case 'forward':
      return [name, String(given[2]), undefined];
    case 'read':
      return ['read', String(given[2]), { want: String(given[3]) }];
    case 'list':
      return ['list', String(given[1]), undefined];
    case 'repair':
      return ['repair', String(given[2]), undefined];
    case 'keepHint':
      return ['keep hint', undefined, { hintFor: String(given[1]) }];
    case 'reply':
      return ['reply', undefined, replyFacts(given[1])];
    default:
      return [name, undefined, undefined];
  }
};

/** The key of a coordinator's input (of a scan: its partition), and what it was asked for. */
export const inputFacts = (input: unknown): { readonly key: string; readonly facts: Facts } => {
  const { key, partition, put, tally, coordinators } = input as {
    readonly key?: Key;
    /** Of a scan, which has no key. */
    readonly partition?: number;
    readonly put?: {
      readonly key: Key;
      readonly value: Uint8Array | string;
      readonly mode: string;
    };
    readonly tally?: Record<string, unknown>;
    readonly coordinators?: readonly string[];
  };
  const one = put?.key ?? key;
  const shown = one === undefined ? `partition ${partition}` : showKey(one);
  const slots = tally?.['slots'] as readonly { readonly owner: string }[] | undefined;
  const candidates = tally?.['candidates'] as readonly string[] | undefined;
  return {
    key: shown,
    facts: {
      key: shown,
      ...(put === undefined ? {} : { value: valueText(put.value) }),
      ...(slots === undefined ? {} : { owners: slots.map(({ owner }) => owner) }),
      ...(candidates === undefined ? {} : { candidates }),
      ...(coordinators === undefined ? {} : { coordinators }),
      ...tallyFacts(input as object),
    },
  };
};

const valueText = (value: Uint8Array | string): string =>
  value instanceof Uint8Array ? `${value.length} bytes` : value;
