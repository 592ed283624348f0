/** What the tests of the client share: fake sockets, a fake clock, and nodes that answer as told. */
import * as assert from 'node:assert/strict';
import { createClient } from '../../src/client/client.ts';
import type { Client, ClientOptions } from '../../src/client/client.ts';
import { clientOver } from '../../src/client/index.ts';
import { Events } from '../../src/client/events.ts';
import { socketTransport } from '../../src/client/socket-transport.ts';
import type { SocketTransportOptions } from '../../src/client/socket-transport.ts';
import type { Transport } from '../../src/client/transport.ts';
import { CoterieError } from '../../src/core/errors.ts';
import type { ErrorCode, ErrorDetails } from '../../src/core/errors.ts';
import { nodeId } from '../../src/core/ids.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { ConnectionEvents } from '../../src/ports/links.ts';
import type { Random } from '../../src/ports/random.ts';
import type {
  ClientHandler,
  ClientRequest,
  HandledRequest,
  PutRequest,
  ServerReply,
} from '../../src/wire/client-messages.ts';
import { encodeServerReply } from '../../src/wire/reply-codec.ts';
import { decodeClientRequest } from '../../src/wire/request-codec.ts';

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const LIMITS = { valueBytesMax: 1024 * 1024, requestTimeoutMs: 5000 };

/** Time passes only by `advance`, from one due task to the next; promises run in between. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #last = 0;
  readonly #timers = new Map<number, { dueMs: number; task: () => void }>();

  wallMs = (): number => 1_760_000_000_000 + this.#nowMs;
  monotonicMs = (): number => this.#nowMs;
  setTimeout(task: () => void, delayMs: number): number {
    this.#timers.set(++this.#last, { dueMs: this.#nowMs + delayMs, task });
    return this.#last;
  }
  clearTimeout(timer: object | number): void {
    this.#timers.delete(timer as number);
  }
  endOfTurn(task: () => void): void {
    this.setTimeout(task, 0);
  }
  get pending(): number {
    return this.#timers.size;
  }
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await promises();
      const due = [...this.#timers].filter(([, { dueMs }]) => dueMs <= untilMs);
      const next = due.sort(([a, x], [b, y]) => x.dueMs - y.dueMs || a - b)[0];
      if (next === undefined) break;
      this.#timers.delete(next[0]);
      this.#nowMs = Math.max(this.#nowMs, next[1].dueMs);
      next[1].task();
    }
    this.#nowMs = untilMs;
    await promises();
  }
}

/** Long enough for every chain of promises in the client. */
export const promises = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};

/** Fractions of one half, and bytes that count up. */
export const fakeRandom = (): Random => {
  let drawn = 0;
  return {
    integer: () => 0,
    fraction: () => 0.5,
    bytes: (length) => new Uint8Array(length).fill(++drawn),
  };
};

/** One connection as the node sees it. */
export type NodeSide = {
  readonly address: string;
  /** All requests but HELLO, with their ids. */
  readonly heard: { readonly id: number; readonly request: ClientRequest }[];
  readonly events: ConnectionEvents;
  state: 'open' | 'closed';
  say(id: number, reply: ServerReply): void;
};

export type Behaviour = 'welcome' | 'silent' | 'refuse';

/** Nodes that greet as told and answer only when the test says so. */
export const world = (
  seeds: readonly string[] = ['ws://a:1', 'ws://b:1'],
  options: ClientOptions = {},
  transportTo: (
    seeds: readonly string[],
    options: SocketTransportOptions,
  ) => Transport = socketTransport,
) => {
  const clock = new FakeClock();
  const random = fakeRandom();
  const dialled: NodeSide[] = [];
  const behaviour = new Map<string, Behaviour>();
  const learn: string[] = [];
  let inFlightMax = 128;
  const welcome = (address: string): ServerReply => ({
    type: 'welcome',
    version: 1,
    // The node at ws://a:1 is a.
    node: nodeId(new URL(address).hostname),
    cluster: 'c1',
    limits: { inFlightMax },
    ringVersion: 1,
    addresses: learn,
  });
  const events = new Events();
  const transport = transportTo(seeds, {
    clock,
    random,
    events,
    queueMax: 5,
    sockets: {
      dial: (address, events) => {
        const side: NodeSide = {
          address,
          heard: [],
          events,
          state: 'open',
          say: (id, reply) => events.received(encodeServerReply(id, reply)),
        };
        dialled.push(side);
        const manner = behaviour.get(address) ?? 'welcome';
        const arrive = (): void =>
          manner === 'refuse' ? events.closed(1006, 'ECONNREFUSED') : events.opened();
        clock.setTimeout(arrive, 0);
        return {
          remote: address,
          send: (frame) => {
            const decoded = decodeClientRequest(frame, LIMITS);
            assert.ok(decoded.type === 'request', 'the client sent what no node accepts');
            const { id, request } = decoded;
            if (request.type !== 'hello') side.heard.push({ id, request });
            else if (manner === 'welcome') side.say(id, welcome(address));
          },
          bufferedBytes: () => 0,
          close: () => (side.state = 'closed'),
          terminate: () => (side.state = 'closed'),
        };
      },
    },
  });
  return {
    clock,
    dialled,
    behaviour,
    learn,
    welcome,
    limitInFlight: (max: number) => (inFlightMax = max),
    client: createClient(transport, { clock, random, events }, options),
  };
};

export type World = ReturnType<typeof world>;

/** The newest request heard by anybody, answered with `reply`. */
export const answer = (side: NodeSide | undefined, reply: ServerReply): void => {
  const last = side?.heard.at(-1);
  assert.ok(side !== undefined && last !== undefined, 'nothing was asked');
  side.say(last.id, reply);
};

export const putsHeard = ({ dialled }: World): PutRequest[] =>
  dialled.flatMap(({ heard }) =>
    heard.flatMap(({ request }) => (request.type === 'put' ? [request] : [])),
  );

export const value = (...texts: string[]): ServerReply => ({
  type: 'value',
  state: texts.length > 0 ? 'found' : 'never-seen',
  values: texts.map(bytes),
  context: bytes(`seen ${texts.join()}`),
});

export const found = (values: readonly Uint8Array[]): ServerReply => ({
  type: 'value',
  state: values.length > 0 ? 'found' : 'never-seen',
  values,
  context: bytes('seen'),
});

export const APPLIED: ServerReply = {
  type: 'applied',
  acks: [nodeId('n1'), nodeId('n2')],
  durable: [nodeId('n1')],
  context: bytes('after'),
};

export const failed = (code: ErrorCode, details: ErrorDetails = {}): ServerReply => ({
  type: 'failed',
  code,
  message: 'as the test wants',
  details,
});

/** The error a promise ends with; the promise is watched from now on. */
export const errorOf = (promise: Promise<unknown>): Promise<CoterieError> =>
  promise.then(
    (result) => assert.fail(`it succeeded: ${JSON.stringify(result)}`),
    (error: unknown) => {
      assert.ok(error instanceof CoterieError, String(error));
      return error;
    },
  );

/** A handler of this process that answers each request with the next of `replies`. */
export const handlerOf = (
  replies: readonly ServerReply[],
): { handler: ClientHandler; heard: HandledRequest[] } => {
  const heard: HandledRequest[] = [];
  const handler: ClientHandler = {
    welcome: () => assert.fail('nobody says hello in one process'),
    handle: (request, reply) => {
      const next = replies[heard.push(request) - 1];
      if (next !== undefined) reply(next as Parameters<typeof reply>[0]);
      return { cancel: () => undefined };
    },
  };
  return { handler, heard };
};

export const inProcess = (replies: readonly ServerReply[]) => {
  const clock = new FakeClock();
  const { handler, heard } = handlerOf(replies);
  const store: Client = clientOver(handler, { clock, random: fakeRandom() });
  return { clock, heard, store };
};
