/** The client over fake sockets and a fake clock: what its operations ask for, and what they give. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { json } from '../../src/client/codecs.ts';
import { keyOfText } from '../../src/core/ids.ts';
import type { PutRequest, ServerReply } from '../../src/wire/client-messages.ts';
import {
  bytes,
  world,
  answer,
  putsHeard,
  value,
  APPLIED,
  failed,
  errorOf,
  inProcess,
} from './world.ts';
import type { World } from './world.ts';

const client = suite('the client');

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
