/** Closing a client, and the events it tells. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { ClientEvent } from '../../src/client/events.ts';
import { world, answer, value, APPLIED, failed, errorOf } from './world.ts';

const closing = suite('closing, and what is told');

closing('ends what is under way when it is closed, and does nothing afterwards', async () => {
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

closing('drains on close: what is under way is heard out, nothing new is taken', async () => {
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

closing(
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

closing('waits no longer than drainMs on close', async () => {
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

closing('goes on when a listener throws, and lets the process know', async () => {
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

closing('iterates over its events until it is closed', async () => {
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

closing.run();
