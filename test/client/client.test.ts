/** The client over fake sockets and a fake clock: what it repeats, when it ends, and what it says. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { createClient } from '../../src/client/client.ts';
import type { Client, ClientOptions } from '../../src/client/client.ts';
import { clientOver } from '../../src/client/index.ts';
import { Events } from '../../src/client/events.ts';
import type { ClientEvent } from '../../src/client/events.ts';
import { addWinsMap, counter } from '../../src/client/causal-types.ts';
import { json } from '../../src/client/codecs.ts';
import { socketTransport } from '../../src/client/socket-transport.ts';
import { CoterieError } from '../../src/core/errors.ts';
import type { ErrorCode, ErrorDetails } from '../../src/core/errors.ts';
import { keyOfText, nodeId } from '../../src/core/ids.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { ConnectionEvents } from '../../src/ports/links.ts';
import type { Random } from '../../src/ports/random.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { OPS } from '../../src/wire/client-messages.ts';
import type {
  ClientHandler,
  ClientRequest,
  HandledRequest,
  PutRequest,
  ServerReply,
} from '../../src/wire/client-messages.ts';
import { encodeServerReply } from '../../src/wire/reply-codec.ts';
import { decodeClientRequest } from '../../src/wire/request-codec.ts';

const client = suite('the client');

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const LIMITS = { valueBytesMax: 1024 * 1024, requestTimeoutMs: 5000 };

/** Time passes only by `advance`, from one due task to the next; promises run in between. */
class FakeClock implements Clock {
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
const promises = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};

/** Fractions of one half, and bytes that count up. */
const fakeRandom = (): Random => {
  let drawn = 0;
  return {
    integer: () => 0,
    fraction: () => 0.5,
    bytes: (length) => new Uint8Array(length).fill(++drawn),
  };
};

/** One connection as the node sees it. */
type NodeSide = {
  readonly address: string;
  /** All requests but HELLO, with their ids. */
  readonly heard: { readonly id: number; readonly request: ClientRequest }[];
  readonly events: ConnectionEvents;
  state: 'open' | 'closed';
  say(id: number, reply: ServerReply): void;
};

type Behaviour = 'welcome' | 'silent' | 'refuse';

/** Nodes that greet as told and answer only when the test says so. */
const world = (
  seeds: readonly string[] = ['ws://a:1', 'ws://b:1'],
  options: ClientOptions = {},
) => {
  const clock = new FakeClock();
  const random = fakeRandom();
  const dialled: NodeSide[] = [];
  const behaviour = new Map<string, Behaviour>();
  const learn: string[] = [];
  let inFlightMax = 128;
  const welcome = (): ServerReply => ({
    type: 'welcome',
    version: 1,
    node: nodeId('n1'),
    cluster: 'c1',
    limits: { inFlightMax },
    ringVersion: 1,
    addresses: learn,
  });
  const events = new Events();
  const transport = socketTransport(seeds, {
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
            else if (manner === 'welcome') side.say(id, welcome());
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
    limitInFlight: (max: number) => (inFlightMax = max),
    client: createClient(transport, { clock, random, events }, options),
  };
};

type World = ReturnType<typeof world>;

/** The newest request heard by anybody, answered with `reply`. */
const answer = (side: NodeSide | undefined, reply: ServerReply): void => {
  const last = side?.heard.at(-1);
  assert.ok(side !== undefined && last !== undefined, 'nothing was asked');
  side.say(last.id, reply);
};

const putsHeard = ({ dialled }: World): PutRequest[] =>
  dialled.flatMap(({ heard }) =>
    heard.flatMap(({ request }) => (request.type === 'put' ? [request] : [])),
  );

const value = (...texts: string[]): ServerReply => ({
  type: 'value',
  state: texts.length > 0 ? 'found' : 'never-seen',
  values: texts.map(bytes),
  context: bytes(`seen ${texts.join()}`),
});
const found = (values: readonly Uint8Array[]): ServerReply => ({
  type: 'value',
  state: values.length > 0 ? 'found' : 'never-seen',
  values,
  context: bytes('seen'),
});
const APPLIED: ServerReply = {
  type: 'applied',
  acks: [nodeId('n1'), nodeId('n2')],
  durable: [nodeId('n1')],
  context: bytes('after'),
};
const failed = (code: ErrorCode, details: ErrorDetails = {}): ServerReply => ({
  type: 'failed',
  code,
  message: 'as the test wants',
  details,
});

/** The error a promise ends with; the promise is watched from now on. */
const errorOf = (promise: Promise<unknown>): Promise<CoterieError> =>
  promise.then(
    (result) => assert.fail(`it succeeded: ${JSON.stringify(result)}`),
    (error: unknown) => {
      assert.ok(error instanceof CoterieError, String(error));
      return error;
    },
  );

client('gets the siblings, their context and their texts', async () => {
  const { client: store, clock, dialled } = world();
  const reading = store.get('cart', { r: 2, strict: true, timeoutMs: 800 });
  await clock.advance(0);
  assert.deepEqual(dialled[0]!.heard, [
    {
      id: 2,
      request: { type: 'get', key: keyOfText('cart'), r: 2, strict: true, timeoutMs: 750 },
    },
  ]);
  answer(dialled[0], value('1', '2'));
  const read = await reading;
  assert.equal(read.state, 'found');
  assert.deepEqual(read.texts(), ['1', '2']);
  assert.deepEqual(read.json(), [1, 2]);
  assert.deepEqual(read.context, bytes('seen 1,2'));
  assert.throws(() => read.text(), /2 siblings/);
  assert.equal(clock.pending, 0);
});

client('puts with the context given and tells who has it', async () => {
  const w = world();
  const writing = w.client.put('cart', 'milk', { context: bytes('c'), w: 2, dw: 0 });
  await w.clock.advance(0);
  const [put] = putsHeard(w);
  assert.deepEqual(put!.value, bytes('milk'));
  assert.deepEqual(put!.contexts, [bytes('c')]);
  assert.deepEqual([put!.w, put!.dw, put!.attempt, put!.mode], [2, 0, 1, undefined]);
  assert.equal(put!.writtenAt, 1_760_000_000_000);
  answer(w.dialled[0], APPLIED);
  assert.deepEqual(await writing, {
    outcome: 'applied',
    acks: ['n1', 'n2'],
    durable: ['n1'],
    context: bytes('after'),
  });
});

client('repeats a put whose connection broke, at the next node, as the very same put', async () => {
  const w = world();
  const buffer = bytes('milk');
  const writing = w.client.put('cart', buffer);
  await w.clock.advance(0);
  buffer.fill(0);
  w.dialled[0]!.events.closed(1006, 'gone');
  await w.clock.advance(100);
  assert.equal(w.dialled[1]!.address, 'ws://b:1');
  answer(w.dialled[1], APPLIED);
  assert.equal((await writing).outcome, 'applied');
  const [first, second] = putsHeard(w);
  assert.equal(first!.attempt, 1);
  assert.ok(second!.timeoutMs < first!.timeoutMs);
  assert.deepEqual({ ...second, timeoutMs: 0 }, { ...first, attempt: 2, timeoutMs: 0 });
  assert.equal(w.clock.pending, 0);
});

client(
  'repeats a retryable failure with put id and time kept, and draws new ones per put',
  async () => {
    const w = world();
    const writing = w.client.put('cart', 'milk');
    await w.clock.advance(0);
    for (const code of ['OVERLOADED', 'QUORUM_NOT_MET'] as const) {
      answer(w.dialled[0], failed(code));
      await w.clock.advance(100);
    }
    answer(w.dialled[0], APPLIED);
    await writing;
    const other = w.client.put('cart', 'eggs');
    await w.clock.advance(0);
    answer(w.dialled[0], APPLIED);
    await other;
    const puts = putsHeard(w);
    assert.deepEqual(
      puts.map(({ attempt }) => attempt),
      [1, 2, 3, 1],
    );
    assert.equal(new Set(puts.slice(0, 3).map(({ putId }) => putId)).size, 1);
    assert.equal(new Set(puts.slice(0, 3).map(({ writtenAt }) => writtenAt)).size, 1);
    assert.notEqual(puts[3]!.putId, puts[0]!.putId);
    assert.equal(w.dialled.length, 1);
  },
);

client('waits as long as an overloaded node asks it to', async () => {
  const { client: store, clock, dialled } = world();
  const reading = store.get('cart');
  await clock.advance(0);
  answer(dialled[0], failed('OVERLOADED', { retryAfterMs: 400 }));
  await clock.advance(399);
  assert.equal(dialled[0]!.heard.length, 1);
  await clock.advance(100);
  assert.equal(dialled[0]!.heard.length, 2);
  answer(dialled[0], value());
  assert.equal((await reading).state, 'never-seen');
});

client('does not repeat what can never succeed', async () => {
  const { client: store, clock, dialled } = world();
  const error = errorOf(store.put('cart', 'milk', { w: 9 }));
  await clock.advance(0);
  answer(dialled[0], failed('BAD_QUORUM', { n: 3 }));
  const { code, outcome, retryable, details } = await error;
  assert.deepEqual([code, outcome, retryable], ['BAD_QUORUM', 'refused', false]);
  assert.equal(details['n'], 3);
  assert.equal(clock.pending, 0);
});

client('believes a newer node about codes it does not know', async () => {
  const { client: store, clock, dialled } = world();
  const error = errorOf(store.put('cart', 'milk'));
  await clock.advance(0);
  const { id } = dialled[0]!.heard[0]!;
  const marks = { retryable: false, outcome: 'refused' };
  dialled[0]!.events.received(encodeCbor([OPS.failed, id, 'NEW_CODE', 'no', marks, {}]));
  const { code, outcome, details } = await error;
  assert.deepEqual([code, outcome, details['code']], ['INTERNAL', 'refused', 'NEW_CODE']);
});

client('gives up after its retries with what the node said last', async () => {
  const { client: store, clock, dialled } = world(['ws://a:1'], { retriesMax: 2 });
  const error = errorOf(store.put('cart', 'milk'));
  for (let i = 0; i < 3; i++) {
    await clock.advance(200);
    answer(dialled[0], failed('QUORUM_NOT_MET', { outcome: 'refused', wanted: 2, got: 1 }));
  }
  const { code, outcome, details } = await error;
  assert.deepEqual([code, outcome, details['got']], ['QUORUM_NOT_MET', 'refused', 1]);
});

client('never calls a write refused once one try of it may have been applied', async () => {
  const { client: store, clock, dialled } = world();
  const error = errorOf(store.put('cart', 'milk'));
  await clock.advance(0);
  answer(dialled[0], failed('QUORUM_NOT_MET', { outcome: 'unknown', acks: ['n1'] }));
  await clock.advance(100);
  answer(dialled[0], failed('BAD_CONTEXT'));
  const { code, outcome, details } = await error;
  assert.deepEqual([code, outcome], ['BAD_CONTEXT', 'unknown']);
  assert.deepEqual(details['acks'], ['n1']);
});

client('ends with TIMEOUT, outcome unknown, when the deadline passes after a send', async () => {
  const { client: store, clock, dialled } = world();
  const error = errorOf(store.put('cart', 'milk', { timeoutMs: 700 }));
  await clock.advance(699);
  assert.equal(dialled[0]!.heard.length, 1);
  await clock.advance(1);
  const { code, outcome, retryable } = await error;
  assert.deepEqual([code, outcome, retryable], ['TIMEOUT', 'unknown', true]);
  assert.equal(dialled[0]!.heard.at(-1)!.request.type, 'cancel');
  assert.equal(clock.pending, 0);
});

client(
  'ends with TIMEOUT after the default of 5 s when the connection broke for good',
  async () => {
    const { client: store, clock, dialled, behaviour } = world(['ws://a:1']);
    const error = errorOf(store.put('cart', 'milk'));
    await clock.advance(10);
    behaviour.set('ws://a:1', 'refuse');
    dialled[0]!.events.closed(1006, 'gone');
    await clock.advance(4989);
    let ended = false;
    void error.then(() => (ended = true));
    await promises();
    assert.ok(!ended);
    await clock.advance(1);
    const { code, outcome, details } = await error;
    assert.deepEqual(
      [code, outcome, details['lastCode']],
      ['TIMEOUT', 'unknown', 'CONNECTION_LOST'],
    );
    assert.ok(dialled.length > 3);
  },
);

client('ends with UNREACHABLE, refused, when nothing was ever sent, and says why', async () => {
  const { client: store, clock, dialled, behaviour } = world();
  for (const address of ['ws://a:1', 'ws://b:1']) behaviour.set(address, 'refuse');
  const error = errorOf(store.put('cart', 'milk', { timeoutMs: 1000 }));
  await clock.advance(1000);
  const { code, outcome, message } = await error;
  assert.deepEqual([code, outcome], ['UNREACHABLE', 'refused']);
  assert.match(message, /ws:\/\/[ab]:1: ECONNREFUSED/);
  assert.ok(dialled.length > 2 && dialled.length < 20, `${dialled.length} dials`);
  await clock.advance(60_000);
  assert.equal(clock.pending, 0);
});

client('leaves a node that accepts but never welcomes, well before the deadline', async () => {
  const { client: store, clock, dialled, behaviour } = world();
  behaviour.set('ws://a:1', 'silent');
  const reading = store.get('cart');
  await clock.advance(2100);
  assert.equal(dialled[0]!.state, 'closed');
  answer(dialled[1], value('x'));
  assert.equal((await reading).text(), 'x');
});

client('leaves a node that refuses its HELLO or talks nonsense', async () => {
  const w = world();
  w.behaviour.set('ws://a:1', 'silent');
  const reading = w.client.get('cart');
  await w.clock.advance(0);
  w.dialled[0]!.say(1, failed('UNSUPPORTED_VERSION'));
  await w.clock.advance(100);
  w.dialled[1]!.events.received(new Uint8Array([0xff]));
  assert.equal(w.dialled[1]!.state, 'closed');
  w.behaviour.set('ws://a:1', 'welcome');
  await w.clock.advance(200);
  answer(w.dialled[2], value('x'));
  assert.equal((await reading).text(), 'x');
});

client('goes to a node it learnt of when its only seed is gone', async () => {
  const { client: store, clock, dialled, learn } = world(['ws://a:1']);
  learn.push('ws://c:1', 'nonsense');
  const first = store.get('cart');
  await clock.advance(0);
  answer(dialled[0], value());
  await first;
  dialled[0]!.events.closed(1006, 'gone');
  const second = store.get('cart');
  await clock.advance(100);
  assert.deepEqual(
    dialled.map(({ address }) => address),
    ['ws://a:1', 'ws://c:1'],
  );
  answer(dialled[1], value('x'));
  assert.equal((await second).text(), 'x');
});

client('moves when its node goes away, and hears out what is in flight there', async () => {
  const { client: store, clock, dialled } = world();
  const old = store.get('cart');
  await clock.advance(0);
  dialled[0]!.say(0, { type: 'going-away' });
  const next = store.get('other');
  await clock.advance(100);
  answer(dialled[1], value('new'));
  assert.equal((await next).text(), 'new');
  assert.equal(dialled[0]!.state, 'open');
  answer(dialled[0], value('old'));
  assert.equal((await old).text(), 'old');
  assert.equal(dialled[0]!.state, 'closed');
});

client('asks another node when one is not ready', async () => {
  const { client: store, clock, dialled } = world();
  const reading = store.get('cart');
  await clock.advance(0);
  answer(dialled[0], failed('NOT_READY'));
  await clock.advance(200);
  assert.equal(dialled[0]!.state, 'closed');
  answer(dialled[1], value('x'));
  assert.equal((await reading).text(), 'x');
});

client('keeps within the in-flight limit of the node', async () => {
  const w = world();
  w.limitInFlight(2);
  const reads = ['a', 'b', 'c'].map((key) => w.client.get(key));
  await w.clock.advance(0);
  const [side] = w.dialled;
  assert.equal(side!.heard.length, 2);
  side!.say(side!.heard[0]!.id, value());
  assert.equal(side!.heard.length, 3);
  for (const { id } of side!.heard.slice(1)) side!.say(id, value());
  await Promise.all(reads);
});

client('multiplexes: answers find their requests in any order', async () => {
  const { client: store, clock, dialled } = world();
  const [first, second] = [store.get('a'), store.get('b')];
  await clock.advance(0);
  const [one, two] = dialled[0]!.heard;
  dialled[0]!.say(two!.id, value('2'));
  dialled[0]!.say(one!.id, value('1'));
  assert.deepEqual([(await first).text(), (await second).text()], ['1', '2']);
});

client('cancels by signal: refused before anything was sent, unknown after', async () => {
  const { client: store, clock, dialled } = world();
  const early = new AbortController();
  const unsent = errorOf(store.put('cart', 'milk', { signal: early.signal }));
  await promises();
  early.abort();
  assert.deepEqual([(await unsent).code, (await unsent).outcome], ['CANCELLED', 'refused']);
  const late = new AbortController();
  const sent = errorOf(store.put('cart', 'milk', { signal: late.signal }));
  await clock.advance(0);
  late.abort();
  assert.deepEqual([(await sent).code, (await sent).outcome], ['CANCELLED', 'unknown']);
  assert.equal(dialled[0]!.heard.at(-1)!.request.type, 'cancel');
  const aborted = errorOf(store.get('cart', { signal: AbortSignal.abort() }));
  assert.equal((await aborted).code, 'CANCELLED');
  assert.equal(clock.pending, 0);
});

client('deletes what its context has seen, and reads first without one', async () => {
  const w = world();
  const direct = w.client.delete('cart', { context: bytes('c') });
  await w.clock.advance(0);
  answer(w.dialled[0], APPLIED);
  await direct;
  const indirect = w.client.delete('cart', { w: 3 });
  await w.clock.advance(0);
  answer(w.dialled[0], value('milk'));
  await w.clock.advance(0);
  answer(w.dialled[0], APPLIED);
  await indirect;
  const [first, second] = putsHeard(w);
  assert.deepEqual([first!.value, first!.contexts], ['tombstone', [bytes('c')]]);
  assert.deepEqual([second!.value, second!.contexts], ['tombstone', [bytes('seen milk')]]);
  assert.equal(second!.w, 3);
});

client('updates: reads, merges siblings, changes, and writes with the context read', async () => {
  const w = world();
  const text = (value: Uint8Array | undefined): string => new TextDecoder().decode(value);
  const merge = (siblings: readonly Uint8Array[]): string => siblings.map(text).sort().join('+');
  const updating = w.client.update('cart', async (now) => `${text(now)}!`, { merge, dw: 2 });
  await w.clock.advance(0);
  answer(w.dialled[0], value('b', 'a'));
  await w.clock.advance(0);
  answer(w.dialled[0], APPLIED);
  assert.equal((await updating).outcome, 'applied');
  const [put] = putsHeard(w);
  assert.deepEqual(put!.value, bytes('a+b!'));
  assert.deepEqual(put!.contexts, [bytes('seen b,a')]);
  assert.equal(put!.dw, 2);
});

client('updates again from a fresh read when its context was refused, and only then', async () => {
  const w = world();
  let changes = 0;
  const change = (): string => `change ${++changes}`;
  const updating = w.client.update('cart', change);
  await w.clock.advance(0);
  answer(w.dialled[0], value());
  await w.clock.advance(0);
  answer(w.dialled[0], failed('OVERLOADED'));
  await w.clock.advance(100);
  answer(w.dialled[0], failed('BAD_CONTEXT'));
  await w.clock.advance(0);
  answer(w.dialled[0], value('x'));
  await w.clock.advance(0);
  answer(w.dialled[0], APPLIED);
  await updating;
  const puts = putsHeard(w).map(({ attempt, value: written }) => [attempt, written]);
  const [one, two] = [bytes('change 1'), bytes('change 2')];
  assert.deepEqual(puts, [
    [1, one],
    [2, one],
    [1, two],
  ]);

  const unknown = errorOf(w.client.update('cart', change));
  await w.clock.advance(0);
  answer(w.dialled[0], value());
  await w.clock.advance(0);
  answer(w.dialled[0], failed('QUORUM_NOT_MET', { outcome: 'unknown' }));
  await w.clock.advance(100);
  answer(w.dialled[0], failed('BAD_CONTEXT'));
  assert.equal((await unknown).outcome, 'unknown');
  assert.equal(changes, 3);
});

client(
  'updates without merge: the change sees all siblings, and none of an unseen key',
  async () => {
    const w = world();
    const seen: number[] = [];
    const change = (siblings: readonly Uint8Array[]): string => `${seen.push(siblings.length)}`;
    for (const reply of [value('a', 'b'), value()]) {
      const updating = w.client.update('cart', change);
      await w.clock.advance(0);
      answer(w.dialled[0], reply);
      await w.clock.advance(0);
      answer(w.dialled[0], APPLIED);
      await updating;
    }
    assert.deepEqual(seen, [2, 0]);
    const broken = w.client.update('cart', () => assert.fail('the change failed'));
    await w.clock.advance(0);
    answer(w.dialled[0], value());
    await assert.rejects(broken, /the change failed/);
    assert.equal(putsHeard(w).length, 2);
  },
);

client('has one deadline for all of an update', async () => {
  const { client: store, clock, dialled } = world();
  const error = errorOf(store.update('cart', () => 'x', { timeoutMs: 1000 }));
  await clock.advance(900);
  answer(dialled[0], value());
  await clock.advance(100);
  assert.equal((await error).code, 'TIMEOUT');
});

client('refuses what no node would accept before anything is sent [bad input 11c]', async () => {
  const { client: store, dialled } = world();
  const wrong = [
    [store.get(''), 'KEY_EMPTY'],
    [store.get('k'.repeat(1025)), 'KEY_TOO_LONG'],
    [store.get('é'.repeat(513)), 'KEY_TOO_LONG'],
    [store.get(7 as unknown as string), 'BAD_ARGUMENT'],
    [store.put('k', null as unknown as string), 'BAD_ARGUMENT'],
    [store.put('k', undefined as unknown as string), 'BAD_ARGUMENT'],
    [store.get('k', { timeoutMs: 0 }), 'BAD_TIMEOUT'],
    [store.get('k', { timeoutMs: Infinity }), 'BAD_TIMEOUT'],
    [store.get('k', { timeoutMs: 1.5 }), 'BAD_TIMEOUT'],
  ] as const;
  for (const [promise, code] of wrong) assert.equal((await errorOf(promise)).code, code);
  assert.deepEqual(dialled, []);
  for (const seeds of [[], ['http://a:1'], ['ws://a:1', '']]) {
    assert.throws(() => world(seeds), /expected ws:\/\/host:port/);
  }
});

client('ends what is under way when it is closed, and does nothing afterwards', async () => {
  const { client: store, clock, dialled } = world();
  const sent = errorOf(store.put('cart', 'milk'));
  await clock.advance(0);
  const unsent = errorOf(store.get('cart'));
  await store.close('now');
  assert.deepEqual([(await sent).code, (await sent).outcome], ['CANCELLED', 'unknown']);
  assert.equal((await unsent).code, 'CANCELLED');
  assert.equal(dialled[0]!.state, 'closed');
  const after = await errorOf(store.put('cart', 'milk'));
  assert.deepEqual([after.code, after.outcome], ['CANCELLED', 'refused']);
  await clock.advance(10_000);
  assert.equal(clock.pending, 0);
  assert.equal(dialled.length, 1);
});

client('drains on close: what is under way is heard out, nothing new is taken', async () => {
  const { client: store, clock, dialled } = world();
  const told: ClientEvent[] = [];
  store.on((event) => told.push(event));
  const reading = store.get('cart');
  await clock.advance(0);
  const closing = store[Symbol.asyncDispose]();
  const late = await errorOf(store.get('cart'));
  assert.deepEqual([late.code, late.outcome], ['CANCELLED', 'refused']);
  await clock.advance(100);
  assert.equal(dialled[0]!.state, 'open');
  answer(dialled[0], value('x'));
  assert.equal((await reading).text(), 'x');
  await closing;
  assert.equal(dialled[0]!.state, 'closed');
  assert.deepEqual(told.at(-1), { type: 'closed' });
  assert.equal(clock.pending, 0);
});

client(
  'drains an update to its end: between its read and its write nothing is in flight',
  async () => {
    const { client: store, clock, dialled } = world();
    const updating = store.update('cart', () => 'more');
    await clock.advance(0);
    const closing = store.close();
    answer(dialled[0], value('x'));
    await clock.advance(0);
    assert.equal(dialled[0]!.heard.at(-1)!.request.type, 'put');
    answer(dialled[0], APPLIED);
    assert.equal((await updating).outcome, 'applied');
    await closing;
    assert.equal(dialled[0]!.state, 'closed');
    assert.equal(clock.pending, 0);
  },
);

client('waits no longer than drainMs on close', async () => {
  const { client: store, clock } = world(undefined, { drainMs: 300 });
  const reading = errorOf(store.get('cart'));
  await clock.advance(0);
  const closing = store.close();
  await clock.advance(299);
  let state = 'closing';
  void closing.then(() => (state = 'closed'));
  await clock.advance(0);
  assert.equal(state, 'closing');
  await clock.advance(1);
  await closing;
  assert.equal((await reading).code, 'CANCELLED');
  assert.equal(clock.pending, 0);
});

client('bounds what waits while no node can be reached, and sends it once one can', async () => {
  const { client: store, clock, behaviour, dialled } = world(['ws://a:1']);
  behaviour.set('ws://a:1', 'refuse');
  const waiting = Array.from({ length: 5 }, (_, i) => store.get(`k${i}`));
  const full = await errorOf(store.get('one more'));
  assert.deepEqual([full.code, full.outcome, full.retryable], ['OVERLOADED', 'refused', true]);
  await clock.advance(100);
  behaviour.set('ws://a:1', 'welcome');
  await clock.advance(1000);
  const side = dialled.at(-1)!;
  for (const { id } of [...side.heard]) side.say(id, value('x'));
  for (const reading of waiting) assert.equal((await reading).text(), 'x');
});

client('leaves a node that fails one request after the other for another', async () => {
  const { client: store, clock, dialled } = world(undefined, { retriesMax: 0 });
  const told: ClientEvent[] = [];
  store.on((event) => told.push(event));
  for (let i = 0; i < 5; i++) {
    const reading = errorOf(store.get('cart'));
    await clock.advance(0);
    assert.equal(dialled.length, 1);
    answer(dialled[0], failed('INTERNAL'));
    assert.equal((await reading).code, 'INTERNAL');
  }
  const reading = store.get('cart');
  await clock.advance(100);
  assert.equal(dialled[1]!.address, 'ws://b:1');
  answer(dialled[1], value('x'));
  assert.equal((await reading).text(), 'x');
  assert.deepEqual(
    told.map(({ type }) => type),
    ['connected', 'breaker-opened', 'disconnected', 'connected'],
  );
});

client(
  'passes over a node that cannot be reached, until its breaker lets one try pass',
  async () => {
    const { client: store, clock, dialled, behaviour } = world();
    behaviour.set('ws://a:1', 'refuse');
    for (let i = 0; i < 30; i++) {
      const reading = store.get('cart');
      await clock.advance(1000);
      answer(dialled.at(-1), value('x'));
      assert.equal((await reading).text(), 'x');
      dialled.at(-1)!.events.closed(1006, 'gone');
    }
    const toA = dialled.filter(({ address }) => address === 'ws://a:1').length;
    assert.ok(toA >= 6 && toA <= 12, `${toA} dials of the dead node, 30 of the other`);
  },
);

client('retries within a budget: beyond it a retry waits, and nothing fails early', async () => {
  const { client: store, clock, dialled } = world(undefined, { retriesMax: 1000 });
  let answered = 0;
  let heldBack = 0;
  store.on(({ type }) => (heldBack += type === 'retry-held-back' ? 1 : 0));
  const failAll = (): void => {
    for (const side of dialled) {
      for (const { id } of side.heard.splice(0)) {
        answered += 1;
        side.say(id, failed('OVERLOADED'));
      }
    }
  };
  const read = () => errorOf(store.get('cart', { timeoutMs: 300_000 }));
  const reading = [read()];
  // Before there is a connection only a few may wait for one.
  await clock.advance(50);
  for (let i = 1; i < 20; i++) reading.push(read());
  const halves = [0, 0];
  for (let ms = 0; ms < 290_000; ms += 50) {
    await clock.advance(50);
    failAll();
    halves[ms < 145_000 ? 0 : 1] = answered;
  }
  const perSecond = (halves[1]! - halves[0]!) / 145;
  // Unbudgeted, twenty operations with half-second pauses would ask forty times a second.
  assert.ok(perSecond <= 10.5, `${perSecond} retries a second`);
  assert.ok(heldBack > 0, 'and the client says so');
  await clock.advance(10_000);
  for (const each of reading) assert.ok(['OVERLOADED', 'TIMEOUT'].includes((await each).code));
});

client('tells a refused quorum after as many looks as it is told to make', async () => {
  const { client: store, clock, dialled } = world(undefined, { quorumRetriesMax: 1 });
  const writing = errorOf(store.put('cart', 'milk'));
  await clock.advance(0);
  answer(dialled[0], failed('QUORUM_NOT_MET', { outcome: 'refused' }));
  await clock.advance(50);
  assert.equal(dialled[0]!.heard.length, 2);
  answer(dialled[0], failed('QUORUM_NOT_MET', { outcome: 'refused' }));
  const error = await writing;
  assert.deepEqual([error.code, error.outcome], ['QUORUM_NOT_MET', 'refused']);
});

client('goes on when a listener throws, and lets the process know', async () => {
  const { client: store, clock, dialled } = world();
  const unhandled = new Promise((resolve) => process.once('unhandledRejection', resolve));
  store.on(() => {
    throw new Error('of the application');
  });
  const reading = store.get('cart');
  await clock.advance(0);
  answer(dialled[0], value('x'));
  assert.equal((await reading).text(), 'x');
  assert.match(String(await unhandled), /of the application/);
});

client('iterates over its events until it is closed', async () => {
  const { client: store, clock, dialled } = world();
  const types: string[] = [];
  const iterating = (async () => {
    for await (const { type } of store.events()) types.push(type);
  })();
  const reading = store.get('cart');
  await clock.advance(0);
  answer(dialled[0], failed('NOT_READY'));
  await clock.advance(100);
  dialled[1]!.say(0, { type: 'ring-changed', ringVersion: 9 });
  answer(dialled[1], value());
  await reading;
  await store.close();
  await iterating;
  assert.deepEqual(types, [
    'connected',
    'disconnected',
    'retrying',
    'connected',
    'ring-changed',
    'disconnected',
    'closed',
  ]);
});

client(
  'updates a mergeable: siblings merged, its face edited, the same writer each time',
  async () => {
    const { client: store, clock, dialled } = world();
    const carts = addWinsMap<number>();
    const written: Uint8Array[] = [];
    const update = async (
      siblings: readonly Uint8Array[],
      change: (cart: { set(k: string, v: number): unknown }) => void,
    ) => {
      const updating = store.update('cart', (cart) => change(cart), { merge: carts });
      await clock.advance(0);
      answer(dialled[0], {
        ...(value() as object),
        state: 'found',
        values: siblings,
      } as ServerReply);
      await clock.advance(0);
      answer(dialled[0], APPLIED);
      await updating;
      const put = putsHeard({ dialled } as World).at(-1)!;
      assert.ok(put.value instanceof Uint8Array);
      written.push(put.value);
      return put.value;
    };
    const milk = await update([], (cart) => void cart.set('milk', 2));
    const eggs = await update([milk], (cart) => void cart.set('eggs', 6));
    const bread = await update([], (cart) => void cart.set('bread', 1));
    const all = await update([eggs, bread], (cart) => void cart.set('milk', 3));
    const state = carts.codec.decode(all);
    assert.equal(
      Object.keys(state.seen).length,
      2,
      'milk and eggs by one writer, bread by another',
    );
    const reading = store.get('cart');
    await clock.advance(0);
    answer(dialled[0], found([all]));
    assert.deepEqual((await reading).as(carts).toObject(), { bread: 1, eggs: 6, milk: 3 });
  },
);

client('is a new writer of a mergeable after an outcome it does not know', async () => {
  const { client: store, clock, dialled } = world(undefined, { retriesMax: 0 });
  const count = counter();
  const update = async (sibling: Uint8Array | undefined, reply: ServerReply) => {
    const updating = store.update('hits', (hits) => void hits.add(1), { merge: count });
    const settled = updating.catch(() => undefined);
    await clock.advance(0);
    const values = sibling === undefined ? [] : [sibling];
    answer(dialled[0], found(values));
    await clock.advance(0);
    answer(dialled[0], reply);
    await settled;
    return putsHeard({ dialled } as World).at(-1)!.value as Uint8Array;
  };
  const one = await update(undefined, APPLIED);
  const lost = await update(one, failed('TIMEOUT'));
  const three = await update(one, APPLIED);
  const all = [lost, three].map((each) => count.codec.decode(each)).reduce(count.merge);
  const total = Object.values(all).reduce((sum, [, up]) => sum + up, 0);
  assert.equal(total, 3, 'the write of unknown outcome and the one after it are both counted');
});

client('speaks through a codec', async () => {
  const { client: store, clock, dialled } = world();
  const typed = store.as(json<{ milk: number }>());
  const writing = typed.put('cart', { milk: 2 });
  await clock.advance(0);
  answer(dialled[0], APPLIED);
  await writing;
  assert.deepEqual(putsHeard({ dialled } as World)[0]!.value, bytes('{"milk":2}'));
  const reading = typed.get('cart');
  await clock.advance(0);
  answer(dialled[0], value('{"milk":2}', '{"milk":3}'));
  assert.deepEqual((await reading).values, [{ milk: 2 }, { milk: 3 }]);
  const wrong = errorOf(typed.get('cart'));
  await clock.advance(0);
  answer(dialled[0], value('{'));
  assert.equal((await wrong).code, 'BAD_ARGUMENT');
});

/** A handler of this process that answers each request with the next of `replies`. */
const handlerOf = (
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

const inProcess = (replies: readonly ServerReply[]) => {
  const clock = new FakeClock();
  const { handler, heard } = handlerOf(replies);
  const store: Client = clientOver(handler, { clock, random: fakeRandom() });
  return { clock, heard, store };
};

client('runs over a handler in the same process with the same retries', async () => {
  const { store, clock, heard } = inProcess([failed('OVERLOADED'), APPLIED, value('{"a":1}')]);
  const writing = store.putJson('cart', { a: 1 });
  await clock.advance(100);
  assert.equal((await writing).outcome, 'applied');
  const puts = heard as PutRequest[];
  assert.equal(puts[0]!.putId, puts[1]!.putId);
  assert.deepEqual([puts[0]!.attempt, puts[1]!.attempt], [1, 2]);
  assert.deepEqual((await store.getJson('cart')).values, [{ a: 1 }]);
  assert.equal(clock.pending, 0);
});

client('shares no bytes with a handler in the same process', async () => {
  const held = bytes('milk');
  const reply = { ...value(), state: 'found', values: [held] } as ServerReply;
  const { store, heard } = inProcess([APPLIED, reply]);
  const written = bytes('eggs');
  await store.put('cart', written);
  written.fill(0);
  assert.deepEqual((heard[0] as PutRequest).value, bytes('eggs'));
  const read = await store.get('cart');
  held.fill(0);
  assert.equal(read.text(), 'milk');
});

client('ends at its deadline when a handler in the same process stays silent', async () => {
  const { store, clock } = inProcess([]);
  const error = errorOf(store.put('cart', 'milk', { timeoutMs: 100 }));
  await clock.advance(100);
  assert.deepEqual([(await error).code, (await error).outcome], ['TIMEOUT', 'unknown']);
});

client('asks for the status', async () => {
  const { store } = inProcess([{ type: 'status-is', status: { state: 'serving' } }]);
  assert.deepEqual(await store.status(), { state: 'serving' });
});

client.run();
