/** Tries of one operation: what is repeated, when it ends, and what is said of its outcome. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { OPS } from '../../src/wire/client-messages.ts';
import type { ServerReply } from '../../src/wire/client-messages.ts';
import {
  bytes,
  promises,
  world,
  answer,
  putsHeard,
  value,
  APPLIED,
  failed,
  errorOf,
} from './world.ts';

const operation = suite('one operation');

operation(
  'repeats a put whose connection broke, at the next node, as the very same put',
  async () => {
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
  },
);

operation(
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

operation('waits as long as an overloaded node asks it to', async () => {
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

operation('does not repeat what can never succeed', async () => {
  const { client: store, clock, dialled } = world();
  const error = errorOf(store.put('cart', 'milk', { w: 9 }));
  await clock.advance(0);
  answer(dialled[0], failed('BAD_QUORUM', { n: 3 }));
  const { code, outcome, retryable, details } = await error;
  assert.deepEqual([code, outcome, retryable], ['BAD_QUORUM', 'refused', false]);
  assert.equal(details['n'], 3);
  assert.equal(clock.pending, 0);
});

operation('believes a newer node about codes it does not know', async () => {
  const { client: store, clock, dialled } = world();
  const error = errorOf(store.put('cart', 'milk'));
  await clock.advance(0);
  const { id } = dialled[0]!.heard[0]!;
  const marks = { retryable: false, outcome: 'refused' };
  dialled[0]!.events.received(encodeCbor([OPS.failed, id, 'NEW_CODE', 'no', marks, {}]));
  const { code, outcome, details } = await error;
  assert.deepEqual([code, outcome, details['code']], ['INTERNAL', 'refused', 'NEW_CODE']);
});

operation('gives up after its retries with what the node said last', async () => {
  const { client: store, clock, dialled } = world(['ws://a:1'], { retriesMax: 2 });
  const error = errorOf(store.put('cart', 'milk'));
  for (let i = 0; i < 3; i++) {
    await clock.advance(200);
    answer(dialled[0], failed('QUORUM_NOT_MET', { outcome: 'refused', wanted: 2, got: 1 }));
  }
  const { code, outcome, details } = await error;
  assert.deepEqual([code, outcome, details['got']], ['QUORUM_NOT_MET', 'refused', 1]);
});

operation('never calls a write refused once one try of it may have been applied', async () => {
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

operation('ends with TIMEOUT, outcome unknown, when the deadline passes after a send', async () => {
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

operation(
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

operation('cancels by signal: refused before anything was sent, unknown after', async () => {
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

operation('has one deadline for all of an update', async () => {
  const { client: store, clock, dialled } = world();
  const error = errorOf(store.update('cart', () => 'x', { timeoutMs: 1000 }));
  await clock.advance(900);
  answer(dialled[0], value());
  await clock.advance(100);
  assert.equal((await error).code, 'TIMEOUT');
});

operation('retries within a budget: beyond it a retry waits, and nothing fails early', async () => {
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

operation(
  'comes back to a node that says when, until the deadline and not so many times',
  async () => {
    const { client: store, clock, dialled } = world(['ws://a:1'], { retriesMax: 2 });
    const refuse = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        await clock.advance(700);
        answer(dialled[0], failed('OVERLOADED', { retryAfterMs: 100 }));
      }
    };
    const writing = store.put('cart', 'milk', { timeoutMs: 20_000 });
    await refuse(12);
    await clock.advance(700);
    assert.equal(dialled[0]!.heard.length, 13);
    answer(dialled[0], APPLIED);
    assert.equal((await writing).outcome, 'applied');

    const inVain = errorOf(store.get('cart', { timeoutMs: 20_000 }));
    await refuse(28);
    await clock.advance(400);
    const { code, details } = await inVain;
    assert.deepEqual([code, details['retryAfterMs']], ['OVERLOADED', 100]);
    assert.equal(clock.pending, 0);
  },
);

operation('does not come back where nothing is to be tried again', async () => {
  const { client: store, clock, dialled } = world(['ws://a:1'], { retriesMax: 0 });
  const reading = errorOf(store.get('cart'));
  await clock.advance(0);
  answer(dialled[0], failed('OVERLOADED', { retryAfterMs: 100 }));
  assert.equal((await reading).code, 'OVERLOADED');
  assert.equal(clock.pending, 0);
});

operation(
  'gets all of many from a node with room for few, which it leaves in peace meanwhile',
  async () => {
    const { client: store, clock, dialled } = world(['ws://a:1'], { timeoutMs: 20_000 });
    const [keys, room, takesMs, retryAfterMs] = [100, 4, 20, 400];
    let [waiting, refused] = [0, 0];
    let served: number | undefined;
    const results = (async () => {
      const all = [];
      for await (const one of store.getMany(Array.from({ length: keys }, (_, i) => `k${i}`)))
        all.push(one);
      served = clock.monotonicMs();
      return all;
    })();
    /** A node of that room; told at once, or after a time. */
    const take = (say: (reply: ServerReply) => void): void => {
      if (waiting === room) {
        refused += 1;
        return say(failed('OVERLOADED', { retryAfterMs }));
      }
      waiting += 1;
      clock.setTimeout(() => {
        waiting -= 1;
        say(value('x'));
      }, takesMs);
    };
    const alone: number[] = [];
    for (let ms = 0; ms < 20_000 && served === undefined; ms += 5) {
      await clock.advance(5);
      for (const { id, request } of dialled[0]!.heard.splice(0)) {
        if (request.type === 'get') {
          alone.push(ms);
          take((reply) => dialled[0]!.say(id, reply));
        } else if (request.type === 'get-many') {
          let left = keys;
          request.requests.forEach((_, index) =>
            take((reply) => {
              assert.ok(reply.type === 'value' || reply.type === 'failed');
              dialled[0]!.say(id, { type: 'part', index, answer: reply });
              if (--left === 0) dialled[0]!.say(id, { type: 'done' });
            }),
          );
        }
      }
    }
    assert.ok((await results).every(({ error }) => error === undefined));
    // Without giving back what served retries took from the budget it takes 10.4 s.
    assert.ok(served! < 6000, `done after ${served} ms, ${refused} refused`);
    assert.ok(alone[0]! >= retryAfterMs, `the first asks again after ${alone[0]} ms`);
  },
);

operation('tells a refused quorum after as many looks as it is told to make', async () => {
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

operation.run();
