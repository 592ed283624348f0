/** Updates: reads, merges, changes, writes. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { addWinsMap, counter } from '../../src/client/causal-types.ts';
import type { ServerReply } from '../../src/wire/client-messages.ts';
import {
  bytes,
  world,
  answer,
  putsHeard,
  value,
  found,
  APPLIED,
  failed,
  errorOf,
} from './world.ts';
import type { World } from './world.ts';

const updates = suite('updates');

updates('deletes what its context has seen, and reads first without one', async () => {
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

updates('updates: reads, merges siblings, changes, and writes with the context read', async () => {
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

updates('updates again from a fresh read when its context was refused, and only then', async () => {
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

updates(
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

updates(
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

updates('is a new writer of a mergeable after an outcome it does not know', async () => {
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

updates.run();
