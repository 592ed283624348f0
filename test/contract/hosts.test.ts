/**
 * The light host and XState's own actor run one machine the same way: told the same story, they are
 * in the same states, do the same things in the same order, and end at the same moment.
 */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { assign, createActor, setup } from 'xstate';
import type { AnyActorLogic, AnyStateMachine } from 'xstate';
import { forwardMachine } from '../../actors/forward.ts';
import { getMachine } from '../../actors/get.ts';
import { putMachine } from '../../actors/put.ts';
import { writeBufferMachine } from '../../actors/write-buffer.ts';
import type { Waiting } from '../../actors/write-buffer.ts';
import { keyOfText, nodeId, putId } from '../../src/core/ids.ts';
import { planWrite, startWrite } from '../../src/core/quorum.ts';
import { startRead } from '../../src/core/read-tally.ts';
import { EMPTY_RECORD, RECORD_LIMITS } from '../../src/core/record.ts';
import { chartOf } from '../../src/host/chart.ts';
import { LightLife } from '../../src/host/light-host.ts';
import { translator } from '../../src/inspector/translate.ts';
import { lightly } from '../../src/host/light-logic.ts';
import { Timers } from '../../src/host/timers.ts';
import { xstateClock } from '../../src/node/requests/nursery.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';

const hosts = suite('the hosts of coordinators');

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((id) => nodeId(id)) as [
  ReturnType<typeof nodeId>,
  ...ReturnType<typeof nodeId>[],
] as ReturnType<typeof nodeId>[];
const NODES = [a!, b!, c!, d!];
const key = keyOfText('k');
const bytes = new Uint8Array([1]);

type Event = { readonly type: string };
/** What happens to a coordinator: mail, or time goes by. */
type Step = { readonly send: Event } | { readonly waitMs: number };
/** Mail that comes while the n-th effect is under way: an answer of the own replica, say. */
type Meanwhile = ReadonlyMap<number, Event>;
type Host = 'light' | 'stock' | 'light within stock';
/** Calls of ports, in order. */
type Effects = (name: string, ...facts: unknown[]) => void;
type Subject = { readonly machine: AnyStateMachine; readonly input: (effects: Effects) => unknown };

/** The diary of one life in `host`: effects with their time, the state after each step, the end. */
const diaryOf = (
  host: Host,
  { machine, input }: Subject,
  steps: readonly Step[],
  meanwhile: Meanwhile,
): readonly string[] => {
  const world = new WorldClock();
  const clock = new Timers(new LifeClock(world));
  const diary: string[] = [];
  const say = (text: string) => diary.push(`${world.nowMs} ${text}`);
  let effects = 0;
  const made = input((name, ...facts) => {
    say(`${name} ${JSON.stringify(facts)}`);
    const mail = meanwhile.get(effects++);
    if (mail !== undefined) life.send(mail);
  });
  const done = () => say('done');
  const crashed = (error: unknown) => say(`crashed: ${String(error)}`);
  const life =
    host === 'light'
      ? lightLife()
      : stockLife(host === 'stock' ? machine : lightly(machine, clock));
  life.start();
  say(`is ${life.at()}`);
  for (const step of steps) {
    if ('send' in step) life.send(step.send);
    else world.advance(step.waitMs);
    say(`is ${life.at()}`);
  }
  life.stop();
  const { length } = diary;
  world.advance(100_000);
  assert.equal(diary.length, length, 'nothing happens after the end');
  assert.equal(world.pending, 0, 'no timer is left');
  return diary;

  function lightLife() {
    const chart = chartOf(machine as AnyActorLogic);
    assert.ok(chart !== undefined, `the light host understands ${machine.id}`);
    const light = new LightLife(chart, made, clock, { done, crashed });
    return {
      start: () => light.start(),
      stop: () => light.stop(),
      send: (event: Event) => light.send(event),
      at: () => light.at,
    };
  }

  function stockLife(logic: AnyStateMachine) {
    const actor = createActor(logic, { input: made, clock: xstateClock(clock) });
    const subscription = actor.subscribe({ complete: done, error: crashed });
    return {
      start: () => void actor.start(),
      stop: () => {
        // It would call a stop its completion.
        subscription.unsubscribe();
        actor.stop();
      },
      send: (event: Event) => actor.send(event),
      at: () => [machine.id, ...pathOf(actor.getSnapshot().value)].join('.'),
    };
  }
};

const pathOf = (value: unknown): string[] =>
  typeof value === 'string'
    ? [value]
    : Object.entries(value as object).flatMap(([name, inner]) => [name, ...pathOf(inner)]);

const put = {
  ...{ key, value: bytes, contexts: [], putId: putId('00000000000000aa'), writtenAt: 1 },
  ...{ attempt: 1, mode: 'causal', strict: false, timeoutMs: 300 },
};
const waits = { patienceMs: 40, lingerMs: 100 };
const failure = (code: string) => ({ type: 'failed', code, message: '', details: {} });
const applied = { type: 'applied', acks: [a, b], durable: [], context: bytes };

const putSubject = (w: number, dw: number, reachable: readonly boolean[]): Subject => ({
  machine: putMachine,
  input: (effects) => ({
    ...{ request: 1, self: a, put, ...waits },
    tally: startWrite(
      planWrite(
        [a!, b!, c!].map((node, at) => ({ node, reachable: reachable[at] ?? true })),
        [d!],
      ),
      { w, dw, counting: 'anyone' },
    ),
    ports: {
      mint: () => effects('mint'),
      write: (_: number, _put: unknown, _record: unknown, to: object, durable: boolean) =>
        effects('write', to, durable),
      sync: (_: number, _put: unknown, to: string) => effects('sync', to),
      keepHint: (_put: unknown, owner: string) => effects('keepHint', owner),
      reply: (_: number, reply: unknown) => effects('reply', reply),
    },
  }),
});

const getSubject = (r: number): Subject => ({
  machine: getMachine,
  input: (effects) => ({
    ...{ request: 1, key, timeoutMs: 300, limits: RECORD_LIMITS, ...waits },
    tally: startRead(NODES, { r, counting: 'anyone' }),
    ports: {
      read: (_: number, _key: unknown, from: string, want: string) => effects('read', from, want),
      repair: (_key: unknown, record: unknown, to: string) => effects('repair', to, record),
      reply: (_: number, reply: unknown) => effects('reply', reply),
    },
  }),
});

const forwardSubject: Subject = {
  machine: forwardMachine,
  input: (effects) => ({
    ...{ request: 1, put, coordinators: [a, b, c], patienceMs: 40 },
    ports: {
      forward: (_: number, { attempt }: { attempt: number }, to: string) =>
        effects('forward', to, attempt),
      reply: (_: number, reply: unknown) => effects('reply', reply),
    },
  }),
};

/** `waiting`: what it is told when it asks, again and again. */
const writeBufferSubject = (waiting: readonly Waiting[]): Subject => ({
  machine: writeBufferMachine,
  input: (effects) => {
    let asked = 0;
    return {
      groupCommitMs: 3,
      ports: {
        waiting: () => waiting[asked++ % waiting.length],
        commit: () => effects('commit'),
        committed: () => effects('committed'),
        flushAfterMs: () => 90,
        restMs: () => 40,
      },
    };
  },
});

const RECORDS = [1, 2].map((n) => ({
  ...EMPTY_RECORD,
  vector: [{ actor: '00000000000000010000000000000001', n, time: n }],
  siblings: [
    {
      ...{ dot: { actor: '00000000000000010000000000000001', n }, value: bytes },
      ...{ writtenAt: 1, putId: putId('00000000000000aa') },
    },
  ],
}));
const withheld = RECORDS.map((record) => ({
  ...record,
  siblings: record.siblings.map((sibling) => ({ ...sibling, value: 'withheld' })),
}));

const node = fc.constantFrom(...NODES);
const SILENCED = fc.constantFrom('replica.refused', 'replica.lost');
const EVENTS = {
  put: fc.oneof(
    fc.constant({ type: 'replica.minted', record: bytes, context: bytes }),
    fc.constant({ type: 'mint.refused', failure: failure('PUT_ID_REUSED') }),
    fc.record({ type: fc.constant('replica.acked'), node, durable: fc.boolean() }),
    fc.record({ type: SILENCED, node }),
    fc.constant({ type: 'unheard.of' }),
  ),
  get: fc.oneof(
    fc.record({
      type: fc.constant('replica.answered'),
      node,
      role: fc.constantFrom('owner', 'fallback'),
      record: fc.constantFrom(undefined, ...RECORDS, ...withheld),
    }),
    fc.record({ type: SILENCED, node }),
  ),
  forward: fc.oneof(
    fc.record({
      type: fc.constant('put.answered'),
      node,
      reply: fc.constantFrom(applied, failure('OVERLOADED'), failure('INTERNAL')),
    }),
    fc.record({ type: SILENCED, node }),
  ),
  writeBuffer: fc
    .constantFrom('buffer.filled', 'buffer.full', 'sync.wanted', 'commit.done', 'commit.failed')
    .map((type) => ({ type })),
};

const sameStory = (subject: Subject, steps: readonly Step[], meanwhile: Meanwhile): void => {
  const stock = diaryOf('stock', subject, steps, meanwhile);
  assert.deepEqual(diaryOf('light', subject, steps, meanwhile), stock);
  assert.deepEqual(diaryOf('light within stock', subject, steps, meanwhile), stock);
};

const storiesOf = (events: fc.Arbitrary<Event>) => {
  const step = fc.oneof(
    { arbitrary: fc.record({ send: events }), weight: 3 },
    { arbitrary: fc.record({ waitMs: fc.constantFrom(1, 39, 40, 100, 260) }), weight: 1 },
  );
  const meanwhile = fc.array(fc.tuple(fc.nat(6), events), { maxLength: 2 });
  return [fc.array(step, { maxLength: 14 }), meanwhile.map((pairs) => new Map(pairs))] as const;
};

hosts('tell the same story of every put', () => {
  const wish = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 3 }));
  const reachable = fc.array(fc.boolean(), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(wish, reachable, ...storiesOf(EVENTS.put), ([w, dw], up, steps, meanwhile) =>
      sameStory(putSubject(w, dw, up), steps, meanwhile),
    ),
    { numRuns: 400 },
  );
});

hosts('tell the same story of every get', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), ...storiesOf(EVENTS.get), (r, steps, meanwhile) =>
      sameStory(getSubject(r), steps, meanwhile),
    ),
    { numRuns: 400 },
  );
});

hosts('tell the same story of every forwarded put', () => {
  fc.assert(
    fc.property(...storiesOf(EVENTS.forward), (steps, meanwhile) =>
      sameStory(forwardSubject, steps, meanwhile),
    ),
    { numRuns: 400 },
  );
});

hosts('tell the same story of every write buffer', () => {
  const waiting = fc.array(fc.constantFrom<Waiting>('nothing', 'writes', 'hurry', 'full'), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(waiting, ...storiesOf(EVENTS.writeBuffer), (told, steps, meanwhile) =>
      sameStory(writeBufferSubject(told), steps, meanwhile),
    ),
    { numRuns: 400 },
  );
});

hosts('show whoever watches a write buffer the same', () => {
  const shownIn = (host: 'stock' | 'light within stock', events: readonly Event[]): unknown => {
    const world = new WorldClock();
    const clock = new LifeClock(world);
    const shown: unknown[] = [];
    const { machine, input } = writeBufferSubject(['writes', 'hurry', 'nothing']);
    const actor = createActor(host === 'stock' ? machine : lightly(machine, clock), {
      input: input(() => undefined),
      clock: xstateClock(clock),
      inspect: translator(({ type, what }) => shown.push(`${world.nowMs} ${type} ${what}`)),
    });
    actor.start();
    for (const event of events) {
      actor.send(event);
      world.advance(100);
    }
    actor.stop();
    return shown;
  };
  fc.assert(
    fc.property(fc.array(EVENTS.writeBuffer, { maxLength: 8 }), (events) => {
      assert.deepEqual(shownIn('light within stock', events), shownIn('stock', events));
    }),
    { numRuns: 200 },
  );
});

/** A machine with everything a coordinator may be made of, none of it sensible. */
const odd = (): Subject => ({
  machine: setup({
    types: { context: {} as { effects: Effects; n: number } },
    actions: {
      say: ({ context }, what: string) => context.effects(what, context.n),
      count: assign({ n: ({ context }) => context.n + 1 }),
      reset: assign({ n: 0 }),
      fail: () => {
        throw new Error('broken');
      },
    },
    guards: { few: ({ context }, most: number) => context.n <= most },
    delays: { soon: 10, later: ({ context }) => 20 + context.n },
  }).createMachine({
    id: 'odd',
    context: ({ input }) => ({ ...(input as { effects: Effects }), n: 0 }),
    initial: 'outer',
    entry: { type: 'say', params: 'root in' },
    on: {
      again: { target: '.outer', actions: 'count' },
      fail: { actions: ['count', 'fail'] },
      inner: { actions: { type: 'say', params: 'root heard' } },
    },
    states: {
      outer: {
        initial: 'first',
        entry: [{ type: 'say', params: 'outer in' }],
        exit: [{ type: 'say', params: 'outer out' }],
        after: { later: { target: 'other', actions: { type: 'say', params: 'later' } } },
        on: {
          inner: { guard: { type: 'few', params: 2 }, target: '.second' },
          self: { target: 'outer', actions: 'count' },
          anew: { target: 'outer', reenter: true, actions: 'count' },
        },
        states: {
          first: {
            exit: { type: 'say', params: 'first out' },
            after: { soon: { actions: ['count', { type: 'say', params: 'soon' }] } },
          },
          second: {
            entry: ['count', { type: 'say', params: 'second in' }],
            always: { guard: { type: 'few', params: 1 }, target: 'third' },
          },
          third: {
            on: { inner: [{ guard: { type: 'few', params: 0 } }, { target: '#odd.other' }] },
          },
        },
      },
      other: {
        entry: 'reset',
        on: { inner: 'outer', again: 'end' },
      },
      end: { type: 'final', entry: { type: 'say', params: 'end' } },
    },
  }) as unknown as AnyStateMachine,
  input: (effects) => ({ effects }),
});

hosts('tell the same story of a machine with everything they may be made of', () => {
  const events = fc.constantFrom('inner', 'again', 'self', 'anew').map((type) => ({ type }));
  fc.assert(
    fc.property(...storiesOf(events), (steps, meanwhile) => sameStory(odd(), steps, meanwhile)),
    { numRuns: 400 },
  );
});

hosts('bury a coordinator that breaks, and hear nothing after it', () => {
  const steps = ['self', 'fail', 'self'].map((type) => ({ send: { type } }));
  sameStory(odd(), steps, new Map());
  const diary = diaryOf('light', odd(), steps, new Map());
  assert.ok(diary.includes('0 crashed: Error: broken'), diary.join('\n'));
});

hosts('a machine that the light host does not understand runs in the stock actor', () => {
  const parallel = setup({}).createMachine({ type: 'parallel', states: { a: {}, b: {} } });
  const wild = setup({}).createMachine({ context: () => ({}), on: { '*': {} } });
  assert.equal(chartOf(parallel), undefined);
  assert.equal(chartOf(wild), undefined);
  assert.throws(() => lightly(wild, new LifeClock(new WorldClock())), RangeError);
});

hosts('ask no guard again after the first effects, but after each event', () => {
  const story = (host: 'stock' | 'light within stock'): readonly unknown[] => {
    let isOpen = false;
    const eager = setup({
      guards: { isOpen: () => isOpen },
      actions: {
        open: () => {
          isOpen = true;
        },
        look: () => undefined,
      },
    }).createMachine({
      id: 'eager',
      context: () => ({}),
      initial: 'a',
      states: {
        a: {
          entry: 'open',
          on: { look: { actions: 'look' } },
          always: { guard: 'isOpen', target: 'b' },
        },
        b: {},
      },
    });
    const clock = new LifeClock(new WorldClock());
    const actor = createActor(host === 'stock' ? eager : lightly(eager, clock)).start();
    const seen = [actor.getSnapshot().value];
    for (const type of ['none', 'look']) {
      actor.send({ type });
      seen.push(actor.getSnapshot().value);
    }
    return seen;
  };
  assert.deepEqual(story('stock').at(-1), 'b');
  assert.equal(story('stock')[0], 'a');
  assert.deepEqual(story('light within stock'), story('stock'));
});

hosts.run();
