/** What is counted and logged of requests, and what never is. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { systemClock } from '../../src/adapters/system-clock.ts';
import { Buckets } from '../../src/core/buckets.ts';
import { keyOfText, putId } from '../../src/core/ids.ts';
import { Meters, metered } from '../../src/node/operators/meters.ts';
import type { KeyDisplay } from '../../src/node/operators/meters.ts';
import type { TraceFacts } from '../../src/ports/trace.ts';
import type {
  ClientHandler,
  HandledReply,
  HandledRequest,
} from '../../src/wire/client-messages.ts';
import type { FailedReply } from '../../src/wire/peer-messages.ts';

const meters = suite('meters');

const put = (key: string): HandledRequest => ({
  ...{ type: 'put', key: keyOfText(key), value: new TextEncoder().encode('SECRET'), contexts: [] },
  ...{ putId: putId('0123456789abcdef'), writtenAt: 1, attempt: 1, mode: 'causal' },
  ...{ strict: false, timeoutMs: 1000 },
});

const failed: FailedReply = { type: 'failed', code: 'OVERLOADED', message: '', details: {} };

/** A handler that answers after `tookMs`, and what was logged. */
const world = (keys: KeyDisplay = 'escaped') => {
  let nowMs = 0;
  const logged: (TraceFacts & { readonly event: string })[] = [];
  const state = { tookMs: 0 };
  let held: (() => void)[] | undefined;
  const reply: HandledReply = {
    ...{ type: 'applied', acks: [], durable: [], context: new Uint8Array() },
  };
  const inner: ClientHandler = {
    welcome: () => assert.fail('nobody says hello'),
    handle: (_, answer) => {
      nowMs += state.tookMs;
      if (held === undefined) answer(reply);
      else held.push(() => answer(reply));
      return { cancel: () => undefined };
    },
  };
  const handler = metered(inner, {
    ...{ meters: new Meters(), digest: nodeDigest, keys, slowRequestMs: () => 100 },
    clock: { ...systemClock, monotonicMs: () => nowMs },
    trace: { log: (_, event, facts = {}) => logged.push({ event, ...facts }) },
  });
  const ask = (request: HandledRequest, tookMs: number): void => {
    state.tookMs = tookMs;
    handler.handle(request, () => undefined);
  };
  /** So many at once, all answered after `tookMs`. */
  const askAll = (count: number, request: HandledRequest, tookMs: number): void => {
    const answers: (() => void)[] = (held = []);
    for (let i = 0; i < count; i++) ask(request, 0);
    held = undefined;
    nowMs += tookMs;
    for (const answer of answers) answer();
  };
  return { ask, askAll, logged };
};

meters(
  'a slow request is logged with its key escaped, never with its value [bad input 10c]',
  () => {
    const { ask, logged } = world();
    ask(put('fast'), 99);
    ask(put('slow\n"\u0000'), 100);
    assert.equal(logged.length, 1);
    const { event, op, ms, outcome, key } = logged[0]!;
    assert.deepEqual([event, op, ms, outcome], ['request.slow', 'put', 100, 'ok']);
    assert.equal(key, 'slow\\n\\"\\u0000');
    assert.ok(!JSON.stringify(logged).includes('SECRET'));
  },
);

meters('one of many is counted as the put it is, and the whole when it is done', () => {
  const meters = new Meters();
  const whole: HandledRequest = {
    type: 'put-many',
    requests: [put('a'), put('b')] as (HandledRequest & { type: 'put' })[],
  };
  const answers: HandledReply[] = [
    {
      type: 'part',
      index: 1,
      answer: { type: 'applied', acks: [], durable: [], context: new Uint8Array() },
    },
    { type: 'part', index: 0, answer: failed },
    { type: 'done' },
  ];
  const handler = metered(
    {
      welcome: () => assert.fail('nobody says hello'),
      handle: (_, answer) => {
        for (const each of answers) answer(each);
        return { cancel: () => undefined };
      },
    },
    {
      ...{ meters, digest: nodeDigest, keys: 'escaped', slowRequestMs: () => 100 },
      clock: systemClock,
      trace: { log: () => undefined },
    },
  );
  const heard: HandledReply[] = [];
  handler.handle(whole, (reply) => heard.push(reply));
  assert.deepEqual(heard, answers, 'the client is told as ever');
  assert.deepEqual(
    meters.durations.map(({ labels }) => [labels['op'], labels['outcome']]),
    [
      ['put', 'ok'],
      ['put', 'OVERLOADED'],
      ['put-many', 'ok'],
    ],
  );
});

meters('a long key is cut; hashed keys are equal where the keys are', () => {
  const long = world();
  long.ask(put('k'.repeat(1000)), 100);
  assert.equal(String(logged(long)).length, 257);
  const hashed = world('hashed');
  for (const key of ['alice', 'bob', 'alice']) hashed.ask(put(key), 100);
  const [first, second, third] = hashed.logged.map(({ key }) => String(key));
  assert.match(first!, /^#[0-9a-f]{12}$/);
  assert.ok(first === third && first !== second);
});

const logged = ({ logged: all }: ReturnType<typeof world>): unknown => all[0]!['key'];

meters('slow requests do not flood the log: ten a second, then how many were left out', () => {
  const { askAll, ask, logged } = world();
  askAll(30, put('k'), 100);
  assert.equal(logged.length, 10);
  ask(put('k'), 2000);
  assert.deepEqual([logged.length, logged[10]!['unsaid']], [11, 20]);
});

meters('buckets hold what is at most their bound, and add up', () => {
  const buckets = new Buckets([1, 2, 4]);
  for (const value of [0, 1, 1.5, 4, 5]) buckets.record(value);
  assert.deepEqual([buckets.cumulative(), buckets.count, buckets.sum], [[2, 3, 4], 5, 11.5]);
});

meters.run();
