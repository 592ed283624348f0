/** A client that asks the owners of a key: which of them, and when it leaves one alone. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { ClientEvent } from '../../src/client/events.ts';
import { ringTransport } from '../../src/client/ring-transport.ts';
import { nodeId } from '../../src/core/ids.ts';
import { APPLIED, answer, errorOf, failed, value, world } from './world.ts';
import type { NodeSide } from './world.ts';

const owners = suite('clients that ask owners');

const NODES = ['a', 'b', 'c'];

/** Knows a ring in which b and c, in this order, own every key; connected to all three nodes. */
const acquainted = async () => {
  const made = world(['ws://a:1'], { retriesMax: 0 }, (seeds, options) =>
    ringTransport(seeds, { ...options, md5: () => new Uint8Array(16), gets: 'owner' }),
  );
  const { client: store, clock, dialled } = made;
  const told = new Set<object>();
  /** Whoever was asked for the ring tells it; whoever is in it is connected to. */
  const tellRing = async (): Promise<void> => {
    const nodes = NODES.map((id) => ({
      ...{ id: nodeId(id), address: `ws://${id}:1`, health: 'healthy' },
    }));
    const ring = { ringVersion: 1, partitions: 1, n: 2, nodes, prefixes: [], owners: [[1, 2]] };
    for (const side of dialled) {
      for (const each of side.heard) {
        if (each.request.type !== 'ring' || told.has(each)) continue;
        told.add(each);
        side.say(each.id, { type: 'ring-is', ...ring });
      }
    }
    await clock.advance(0);
  };
  const first = store.get('before the ring is known');
  await clock.advance(0);
  await tellRing();
  answer(dialled[0], value('x'));
  await first;
  const side = (id: string): NodeSide =>
    dialled.findLast(({ address, state }) => address === `ws://${id}:1` && state === 'open')!;
  /** How often each was asked. */
  const asked = (): readonly number[] => NODES.map((id) => side(id).heard.length);
  return { ...made, store, side, asked, tellRing };
};

owners('a put goes where the key was read, and elsewhere once it failed there', async () => {
  const { store, side, clock, tellRing } = await acquainted();
  side('b').events.closed(1006, 'gone');
  const reading = store.get('cart');
  answer(side('c'), value('milk'));
  await reading;
  await tellRing();
  const putting = store.put('cart', 'bread');
  answer(side('c'), APPLIED);
  await putting;
  const refused = errorOf(store.put('cart', 'butter'));
  answer(side('c'), failed('INSUFFICIENT_STORAGE'));
  await refused;
  const again = store.put('cart', 'butter');
  await clock.advance(0);
  answer(side('b'), APPLIED);
  await again;
});

owners('an owner that lets every request run out of time is left alone, and said so', async () => {
  const { store, side, asked } = await acquainted();
  const told: ClientEvent[] = [];
  store.on((event) => told.push(event));
  const before = asked();
  for (let i = 0; i < 5; i++) {
    const reading = errorOf(store.get('cart'));
    answer(side('b'), failed('TIMEOUT'));
    assert.equal((await reading).code, 'TIMEOUT');
  }
  const reading = store.get('cart');
  answer(side('c'), value('x'));
  assert.equal((await reading).text(), 'x');
  assert.deepEqual(
    asked().map((count, at) => count - before[at]!),
    [0, 5, 1],
  );
  assert.deepEqual(
    told.map((event) => [event.type, 'address' in event ? event.address : undefined]),
    [['breaker-opened', 'ws://b:1']],
  );
});

owners(
  'requests that ran out of time together open a breaker once, not for longer each',
  async () => {
    const { store, side, asked, clock } = await acquainted();
    const before = asked();
    const readings = Array.from({ length: 40 }, () => errorOf(store.get('cart')));
    for (const { id } of side('b').heard.slice(before[1])) side('b').say(id, failed('TIMEOUT'));
    await Promise.all(readings);
    const meanwhile = store.get('cart');
    answer(side('c'), value('x'));
    await meanwhile;
    await clock.advance(600);
    const after = store.get('cart');
    answer(side('b'), value('y'));
    assert.equal((await after).text(), 'y', 'half a second later');
  },
);

owners('what its caller gives up says nothing against the owner', async () => {
  const { store, side, asked } = await acquainted();
  const before = asked();
  for (let i = 0; i < 10; i++) {
    const abort = new AbortController();
    const reading = errorOf(store.get('cart', { signal: abort.signal }));
    abort.abort();
    assert.equal((await reading).code, 'CANCELLED');
  }
  const reading = store.get('cart');
  answer(side('b'), value('x'));
  assert.equal((await reading).text(), 'x');
  const counts = asked().map((count, at) => count - before[at]!);
  assert.equal(counts[2], 0, 'nobody else is asked');
});

owners.run();
