/** One session per client connection: greeting, caps, cancelling, slow readers, going away. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { CoterieError } from '../../src/core/errors.ts';
import { keyOfText, nodeId } from '../../src/core/ids.ts';
import { ClientPort } from '../../src/node/clients/client-port.ts';
import type { ClientPortParts } from '../../src/node/clients/client-port.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { ConnectionEvents } from '../../src/ports/links.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import type {
  ClientRequest,
  HandledReply,
  HandledRequest,
  ServerReply,
} from '../../src/wire/client-messages.ts';
import { decodeServerReply } from '../../src/wire/reply-codec.ts';
import { encodeClientRequest } from '../../src/wire/request-codec.ts';

const port = suite('the client port');

const CONFIG = {
  valueBytesMax: 1000,
  requestTimeoutMs: 5000,
  inFlightMax: 3,
  requestsPerSecondMax: 1000,
  clientBufferBytesMax: 1000,
  helloTimeoutMs: 5000,
};

/** Time passes only by `advance`. */
class FakeClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Map<object, { dueMs: number; task: () => void }>();

  wallMs = (): number => this.#nowMs;
  monotonicMs = (): number => this.#nowMs;
  setTimeout(task: () => void, delayMs: number): object {
    const timer = {};
    this.#timers.set(timer, { dueMs: this.#nowMs + delayMs, task });
    return timer;
  }
  clearTimeout(timer: object): void {
    this.#timers.delete(timer);
  }
  endOfTurn(task: () => void): void {
    this.setTimeout(task, 0);
  }
  get pending(): number {
    return this.#timers.size;
  }
  advance(ms: number): void {
    this.#nowMs += ms;
    for (const [timer, { dueMs, task }] of [...this.#timers]) {
      if (dueMs <= this.#nowMs && this.#timers.delete(timer)) task();
    }
  }
}

type Handled = {
  readonly request: HandledRequest;
  readonly reply: (reply: HandledReply) => void;
  cancelled: boolean;
};

/** A port with its handler and clock; `connect` makes one connection to it. */
const world = (parts: Partial<ClientPortParts> = {}) => {
  const clock = new FakeClock();
  const handled: Handled[] = [];
  const clientPort = new ClientPort({
    clock,
    config: CONFIG,
    handler: {
      welcome: () => ({
        node: nodeId('n1'),
        cluster: 'c1',
        limits: { inFlightMax: 3 },
        ringVersion: 4,
        addresses: [],
      }),
      handle: (request, reply) => {
        const entry: Handled = { request, reply, cancelled: false };
        handled.push(entry);
        return { cancel: () => (entry.cancelled = true) };
      },
    },
    ...parts,
  });
  const connect = () => {
    const inbox: (readonly [number, ServerReply])[] = [];
    const state = { end: 'open', bufferedBytes: 0 };
    const events: ConnectionEvents = clientPort.accept({
      remote: 'fake',
      send: (frame) => {
        const decoded = decodeServerReply(Uint8Array.from(frame));
        assert.ok(decoded.type === 'reply', JSON.stringify(decoded));
        inbox.push([decoded.id, decoded.reply]);
      },
      bufferedBytes: () => state.bufferedBytes,
      close: (code) => (state.end = `closed ${code}`),
      terminate: () => (state.end = 'terminated'),
    });
    const say = (id: number, request: ClientRequest): void =>
      events.received(encodeClientRequest(id, request));
    return { inbox, state, events, say };
  };
  const greeted = () => {
    const connection = connect();
    connection.say(1, HELLO);
    connection.inbox.length = 0;
    return connection;
  };
  return { clock, handled, clientPort, connect, greeted };
};

const HELLO: ClientRequest = { type: 'hello', versionMin: 1, versionMax: 1, client: 'test' };
const GET: ClientRequest = { type: 'get', key: keyOfText('k'), strict: false, timeoutMs: 100 };
const VALUE: HandledReply = {
  type: 'value',
  state: 'never-seen',
  values: [],
  context: new Uint8Array([1]),
};

/** What was answered: ids with the type, and with the code of failures. */
const short = (inbox: readonly (readonly [number, ServerReply])[]): string[] =>
  inbox.map(([id, reply]) => `${id} ${reply.type === 'failed' ? reply.code : reply.type}`);

port('welcomes whoever says HELLO in time', () => {
  const { connect, clock, clientPort } = world();
  const { say, inbox, state } = connect();
  say(7, HELLO);
  assert.deepEqual(inbox, [
    [
      7,
      {
        type: 'welcome',
        version: 1,
        node: 'n1',
        cluster: 'c1',
        limits: { inFlightMax: 3 },
        ringVersion: 4,
        addresses: [],
      },
    ],
  ]);
  clock.advance(10_000);
  assert.equal(state.end, 'open');
  assert.equal(clientPort.sessions, 1);
});

port(
  'closes with 4408 whoever stays silent for 5 s, or says anything but HELLO [bad input 4c]',
  () => {
    const { connect, clock } = world();
    const [silent, chatty] = [connect(), connect()];
    clock.advance(4000);
    chatty.say(1, GET);
    chatty.events.received(new Uint8Array([0xff]));
    assert.deepEqual(short(chatty.inbox), ['1 BAD_ARGUMENT', '0 BAD_FRAME']);
    clock.advance(999);
    assert.equal(silent.state.end, 'open');
    clock.advance(1);
    assert.equal(silent.state.end, 'closed 4408');
    assert.equal(chatty.state.end, 'closed 4408');
  },
);

port(
  'answers UNSUPPORTED_VERSION with the versions it speaks, and hears a second HELLO [bad input 9b]',
  () => {
    const { connect } = world();
    const { say, inbox } = connect();
    say(1, { type: 'hello', versionMin: 2, versionMax: 9, client: 'future' });
    say(2, { type: 'hello', versionMin: 1, versionMax: 9, client: 'future' });
    say(3, HELLO);
    assert.deepEqual(short(inbox), ['1 UNSUPPORTED_VERSION', '2 welcome', '3 BAD_ARGUMENT']);
    const [, refusal] = inbox[0]!;
    assert.ok(refusal.type === 'failed');
    assert.equal(refusal.details['versionMax'], 1);
  },
);

port('closes with 4401 whose token is wrong [bad input 3a]', () => {
  const admit = (token: string | undefined) =>
    token === 'right' ? { name: 'shop', refusalOf: () => undefined } : ('unauthorized' as const);
  const { connect } = world({ admit });
  const [right, wrong, none] = [connect(), connect(), connect()];
  right.say(1, { ...HELLO, token: 'right' } as ClientRequest);
  wrong.say(1, { ...HELLO, token: 'wrong' } as ClientRequest);
  none.say(1, HELLO);
  assert.deepEqual(short(right.inbox), ['1 welcome']);
  assert.deepEqual([wrong.state.end, none.state.end], ['closed 4401', 'closed 4401']);
  assert.deepEqual([...wrong.inbox, ...none.inbox], []);
});

port('refuses what a token does not grant, and closes with 4401 once it is taken back', () => {
  let refusal: CoterieError | 'unauthorized' = new CoterieError('FORBIDDEN', 'not this key');
  const admit = () => ({ name: 'shop', refusalOf: () => refusal });
  const { connect, handled } = world({ admit });
  const { say, inbox, state } = connect();
  say(1, HELLO);
  say(2, GET);
  assert.deepEqual(short(inbox), ['1 welcome', '2 FORBIDDEN']);
  refusal = 'unauthorized';
  say(3, GET);
  assert.deepEqual([state.end, handled.length], ['closed 4401', 0]);
});

port('answers OVERLOADED to more than its requests a second, and when to come back', () => {
  const { greeted, clock } = world({ config: { ...CONFIG, requestsPerSecondMax: 2 } });
  const { say, inbox } = greeted();
  for (const id of [2, 3, 4]) say(id, { type: 'ping' });
  assert.deepEqual(short(inbox), ['2 pong', '3 pong', '4 OVERLOADED']);
  clock.advance(500);
  say(5, { type: 'ping' });
  assert.equal(short(inbox).at(-1), '5 pong');
});

port('closes with 4403 on a frame of the protocol between nodes [bad input 18a]', () => {
  const { connect } = world();
  const { events, state } = connect();
  events.received(encodeCbor([[0, 1, 'cluster', 'n2', 'start']]));
  assert.equal(state.end, 'closed 4403');
});

port('hands requests on and answers by id, in any order', () => {
  const { greeted, handled } = world();
  const { say, inbox } = greeted();
  say(10, GET);
  say(11, { type: 'status' });
  say(12, { type: 'ping' });
  assert.deepEqual(
    handled.map(({ request }) => request),
    [GET, { type: 'status' }],
  );
  handled[1]!.reply({ type: 'status-is', status: {} });
  handled[0]!.reply(VALUE);
  assert.deepEqual(short(inbox), ['12 pong', '11 status-is', '10 value']);
});

port('hears a handler that answers within the call, and only its first answer', () => {
  const handler = {
    welcome: () => ({
      node: nodeId('n1'),
      cluster: 'c1',
      limits: {},
      ringVersion: 0,
      addresses: [],
    }),
    handle: (_request: HandledRequest, reply: (reply: HandledReply) => void) => {
      reply(VALUE);
      reply(VALUE);
      return { cancel: () => assert.fail('nothing is left to cancel') };
    },
  };
  const { greeted } = world({ handler });
  const { say, inbox, events } = greeted();
  say(5, GET);
  say(5, GET);
  events.closed(1000, '');
  assert.deepEqual(short(inbox), ['5 value', '5 value']);
});

port('answers INTERNAL when the handler crashes, logs it, and lives on', () => {
  const logged: string[] = [];
  const { greeted } = world({
    trace: { log: (_level, event) => logged.push(event) },
    handler: {
      welcome: () => ({
        node: nodeId('n1'),
        cluster: 'c1',
        limits: {},
        ringVersion: 0,
        addresses: [],
      }),
      handle: () => {
        throw new TypeError('a bug');
      },
    },
  });
  const { say, inbox, state } = greeted();
  say(5, GET);
  say(6, GET);
  assert.deepEqual(short(inbox), ['5 INTERNAL', '6 INTERNAL']);
  assert.equal(logged.length, 2);
  assert.equal(state.end, 'open');
});

port('refuses an id that is in flight, and the first request goes on [bad input 9d]', () => {
  const { greeted, handled } = world();
  const { say, inbox } = greeted();
  say(10, GET);
  say(10, GET);
  handled[0]!.reply(VALUE);
  say(10, GET);
  assert.deepEqual(short(inbox), ['10 DUPLICATE_REQUEST', '10 value']);
  assert.equal(handled.length, 2);
});

port('answers OVERLOADED with a time to wait beyond the in-flight cap [bad input 15a]', () => {
  const { greeted, handled } = world();
  const { say, inbox } = greeted();
  for (const id of [10, 11, 12, 13]) say(id, GET);
  assert.deepEqual(short(inbox), ['13 OVERLOADED']);
  const [, refusal] = inbox[0]!;
  assert.ok(refusal.type === 'failed' && Number(refusal.details['retryAfterMs']) > 0);
  handled[0]!.reply(VALUE);
  say(13, GET);
  assert.equal(handled.length, 4);
});

port('cancels by id: one CANCELLED, and a late answer is nobody’s', () => {
  const { greeted, handled } = world();
  const { say, inbox } = greeted();
  say(10, GET);
  say(10, { type: 'cancel' });
  assert.ok(handled[0]!.cancelled);
  say(10, GET);
  handled[0]!.reply(VALUE);
  say(99, { type: 'cancel' });
  assert.deepEqual(short(inbox), ['10 CANCELLED']);
  handled[1]!.reply(VALUE);
  assert.deepEqual(short(inbox), ['10 CANCELLED', '10 value']);
});

port(
  'refuses new requests of a reader that is behind, and cuts it at the cap [bad input 7b]',
  () => {
    const { greeted, handled } = world();
    const { say, inbox, state } = greeted();
    say(10, GET);
    state.bufferedBytes = 501;
    say(11, GET);
    assert.deepEqual(short(inbox), ['11 OVERLOADED']);
    state.bufferedBytes = 1001;
    handled[0]!.reply(VALUE);
    assert.equal(state.end, 'terminated');
    say(12, GET);
    assert.equal(handled.length, 1);
  },
);

port('cancels what is in flight when the connection closes, and forgets it', () => {
  const { greeted, handled, clientPort, clock } = world();
  const { say, inbox, events } = greeted();
  say(10, GET);
  say(11, GET);
  events.closed(1006, '');
  assert.deepEqual(
    handled.map(({ cancelled }) => cancelled),
    [true, true],
  );
  handled[0]!.reply(VALUE);
  assert.deepEqual(inbox, []);
  assert.equal(clientPort.sessions, 0);
  assert.equal(clock.pending, 0);
});

port('leaves no timer behind when a connection closes before HELLO', () => {
  const { connect, clock } = world();
  connect().events.closed(1006, '');
  assert.equal(clock.pending, 0);
});

port('tells everyone that it goes away, refuses what is new and answers what is in flight', () => {
  const { greeted, connect, handled, clientPort } = world();
  const [serving, waiting] = [greeted(), connect()];
  serving.say(10, GET);
  clientPort.announceGoingAway();
  serving.say(11, GET);
  serving.say(12, { type: 'status' });
  handled[0]!.reply(VALUE);
  assert.deepEqual(short(serving.inbox), ['0 going-away', '11 GOING_AWAY', '10 value']);
  assert.deepEqual(waiting.inbox, []);
  waiting.say(1, HELLO);
  assert.deepEqual(short(waiting.inbox), ['1 welcome', '0 going-away']);
});

port('tells the greeted of a new ring', () => {
  const { greeted, connect, clientPort } = world();
  const [serving, waiting] = [greeted(), connect()];
  clientPort.announceRing(5);
  assert.deepEqual(serving.inbox, [[0, { type: 'ring-changed', ringVersion: 5 }]]);
  assert.deepEqual(waiting.inbox, []);
});

port.run();
