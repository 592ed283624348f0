/** Connections: which node a client speaks to, when it leaves it, and how much waits. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { ClientEvent } from '../../src/client/events.ts';
import { world, answer, value, failed, errorOf } from './world.ts';

const connections = suite('connections');

connections(
  'ends with UNREACHABLE, refused, when nothing was ever sent, and says why',
  async () => {
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
  },
);

connections('dials the next node beside one that accepts and does not welcome', async () => {
  const { client: store, clock, dialled, behaviour } = world();
  behaviour.set('ws://a:1', 'silent');
  const told: ClientEvent[] = [];
  store.on((event) => told.push(event));
  const reading = store.get('cart');
  await clock.advance(499);
  assert.equal(dialled.length, 1);
  await clock.advance(1);
  // The first that welcomes is kept, and no other.
  assert.deepEqual(
    dialled.map(({ address, state }) => [address, state]),
    [
      ['ws://a:1', 'closed'],
      ['ws://b:1', 'open'],
    ],
  );
  answer(dialled[1], value('x'));
  assert.equal((await reading).text(), 'x');
  const connected = told.filter(({ type }) => type === 'connected');
  assert.deepEqual(connected, [{ type: 'connected', address: 'ws://b:1', node: 'b' }]);
  await clock.advance(60_000);
  assert.equal(dialled.length, 2);
});

connections('keeps the first node it dialled if that one welcomes late, but first', async () => {
  const { client: store, clock, dialled, behaviour, welcome } = world();
  for (const address of ['ws://a:1', 'ws://b:1']) behaviour.set(address, 'silent');
  const reading = store.get('cart');
  await clock.advance(600);
  assert.equal(dialled.length, 2);
  dialled[0]!.say(1, welcome('ws://a:1'));
  assert.equal(dialled[1]!.state, 'closed');
  answer(dialled[0], value('x'));
  assert.equal((await reading).text(), 'x');
});

connections('dials no node twice at once, and leaves those that never welcome', async () => {
  const { client: store, clock, dialled, behaviour } = world();
  for (const address of ['ws://a:1', 'ws://b:1']) behaviour.set(address, 'silent');
  const reading = store.get('cart', { timeoutMs: 10_000 });
  for (let ms = 0; ms < 5000; ms += 50) {
    await clock.advance(50);
    const open = dialled.filter(({ state }) => state === 'open').map(({ address }) => address);
    assert.equal(new Set(open).size, open.length, `${ms} ms: ${open.join()}`);
  }
  assert.equal(dialled[0]!.state, 'closed');
  behaviour.set('ws://b:1', 'welcome');
  await clock.advance(3000);
  answer(dialled.at(-1), value('x'));
  assert.equal((await reading).text(), 'x');
});

connections('leaves a node that refuses its HELLO or talks nonsense', async () => {
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

connections('goes to a node it learnt of when its only seed is gone', async () => {
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

connections('moves when its node goes away, and hears out what is in flight there', async () => {
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

connections('asks another node when one is not ready', async () => {
  const { client: store, clock, dialled } = world();
  const reading = store.get('cart');
  await clock.advance(0);
  answer(dialled[0], failed('NOT_READY'));
  await clock.advance(200);
  assert.equal(dialled[0]!.state, 'closed');
  answer(dialled[1], value('x'));
  assert.equal((await reading).text(), 'x');
});

connections('keeps within the in-flight limit of the node', async () => {
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

connections('multiplexes: answers find their requests in any order', async () => {
  const { client: store, clock, dialled } = world();
  const [first, second] = [store.get('a'), store.get('b')];
  await clock.advance(0);
  const [one, two] = dialled[0]!.heard;
  dialled[0]!.say(two!.id, value('2'));
  dialled[0]!.say(one!.id, value('1'));
  assert.deepEqual([(await first).text(), (await second).text()], ['1', '2']);
});

connections(
  'bounds what waits while no node can be reached, and sends it once one can',
  async () => {
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
  },
);

connections('leaves a node that fails one request after the other for another', async () => {
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

connections(
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

connections.run();
