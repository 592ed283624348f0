/** The mergeable values: their algebra by properties, and what each promises about concurrency. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { addWinsMap, counter, observedRemoveSet } from '../../src/client/causal-types.ts';
import {
  lastWriteWins,
  maximum,
  mergedState,
  minimum,
  seenIn,
  unionOfSets,
} from '../../src/client/mergeable.ts';
import type { Mergeable, Own, Stamp } from '../../src/client/mergeable.ts';
import { CoterieError } from '../../src/core/errors.ts';

const mergeable = suite('mergeable values');

type AnyMergeable = Mergeable<unknown, unknown, unknown>;

/** One step of a history: who (a client), on what it has read, does which edit; or merges another's. */
type Step =
  | { readonly do: 'edit'; readonly at: number; readonly what: number; readonly by: number }
  | { readonly do: 'merge'; readonly at: number; readonly from: number };

const REPLICAS = 3;
const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('edit' as const),
      at: fc.nat(REPLICAS - 1),
      what: fc.nat(2),
      by: fc.integer({ min: -3, max: 3 }),
    }),
    fc.record({
      do: fc.constant('merge' as const),
      at: fc.nat(REPLICAS - 1),
      from: fc.nat(REPLICAS - 1),
    }),
  ),
  { maxLength: 14 },
);

type Kind = {
  readonly type: AnyMergeable;
  readonly edit: (face: never, what: number, by: number) => unknown;
  readonly look: (face: never) => unknown;
};
const kind = <S, F, M>(
  type: Mergeable<S, F, M>,
  edit: (face: F, what: number, by: number) => M,
  look: (face: F) => unknown,
): Kind => ({ type, edit, look }) as unknown as Kind;

const KINDS: Readonly<Record<string, Kind>> = {
  lastWriteWins: kind(
    lastWriteWins<number>(),
    (_, what) => what,
    (face) => face,
  ),
  unionOfSets: kind(
    unionOfSets<number>(),
    (face, what) => void face.add(what),
    (face) => [...face].sort(),
  ),
  maximum: kind(
    maximum(),
    (_, what, by) => what * by,
    (face) => face,
  ),
  minimum: kind(
    minimum(),
    (_, what, by) => what * by,
    (face) => face,
  ),
  observedRemoveSet: kind(
    observedRemoveSet(),
    (face, what, by) => void (by > 0 ? face.add(`e${what}`) : face.delete(`e${what}`)),
    (face) => [...face],
  ),
  addWinsMap: kind(
    addWinsMap<number>(),
    (face, what, by) => void (by > 0 ? face.set(`k${what}`, by) : face.delete(`k${what}`)),
    (face) => face.toObject(),
  ),
  counter: kind(
    counter(),
    (face, _, by) => void face.add(by),
    (face) => face.value,
  ),
};

/** Plays a history on replicas that each have a client of their own; all states that ever were. */
const play = ({ type, edit }: Kind, history: readonly Step[]): unknown[] => {
  const replicas: unknown[] = Array(REPLICAS).fill(type.empty);
  const own: (Own | undefined)[] = [];
  const states: unknown[] = [type.empty];
  let [nowMs, tags] = [1000, 0];
  for (const step of history) {
    if (step.do === 'merge') replicas[step.at] = type.merge(replicas[step.at], replicas[step.from]);
    else {
      const stamp: Stamp = { nowMs: nowMs++, tag: () => `t${tags++}`, own: own[step.at] };
      const { face, finish } = type.edit(replicas[step.at], stamp);
      replicas[step.at] = finish(edit(face as never, step.what, step.by));
      own[step.at] = stamp.leaves;
    }
    states.push(replicas[step.at]);
  }
  return states;
};

const hex = (type: AnyMergeable, state: unknown): string =>
  Buffer.from(type.codec.encode(state)).toString('hex');

for (const [name, each] of Object.entries(KINDS)) {
  const { type } = each;
  const equal = (a: unknown, b: unknown): void => assert.equal(hex(type, a), hex(type, b));
  const three = fc.tuple(steps, fc.nat(), fc.nat(), fc.nat()).map(([history, i, j, k]) => {
    const states = play(each, history);
    return [i, j, k].map((at) => states[at % states.length]) as [unknown, unknown, unknown];
  });

  mergeable(
    `${name}: merge is commutative, associative and idempotent, with empty as its unit`,
    () => {
      fc.assert(
        fc.property(three, ([a, b, c]) => {
          equal(type.merge(a, b), type.merge(b, a));
          equal(type.merge(type.merge(a, b), c), type.merge(a, type.merge(b, c)));
          equal(type.merge(a, a), a);
          equal(type.merge(a, type.empty), a);
        }),
        { numRuns: 500 },
      );
    },
  );

  mergeable(
    `${name}: an edit only goes up: merged with what it was made of it stays itself`,
    () => {
      fc.assert(
        fc.property(steps, fc.nat(2), fc.integer({ min: -3, max: 3 }), (history, what, by) => {
          const before = play(each, history).at(-1);
          const stamp: Stamp = { nowMs: 1, tag: () => 'fresh', own: undefined };
          const { face, finish } = type.edit(before, stamp);
          const after = finish(each.edit(face as never, what, by));
          equal(type.merge(before, after), after);
        }),
      );
    },
  );

  mergeable(`${name}: survives its codec`, () => {
    fc.assert(
      fc.property(steps, (history) => {
        const state = play(each, history).at(-1);
        const again = type.codec.decode(type.codec.encode(state));
        equal(again, state);
        const look = (s: unknown) =>
          each.look(seenIn(type as never, [type.codec.encode(s)]) as never);
        assert.deepEqual(look(again), look(state));
      }),
    );
  });
}

const stampOf = (nowMs: number, tag: string, own?: Own): Stamp => ({ nowMs, tag: () => tag, own });

const edited = <S, F, M>(
  type: Mergeable<S, F, M>,
  state: S,
  stamp: Stamp,
  change: (face: F) => M,
): S => {
  const { face, finish } = type.edit(state, stamp);
  return finish(change(face));
};

mergeable('a concurrent add wins over a remove; a remove of what was seen stays', () => {
  const set = observedRemoveSet();
  const look = (state: typeof set.empty) => [...seenIn(set, [set.codec.encode(state)])];
  const base = edited(set, set.empty, stampOf(1, 'a'), (face) => void face.add('milk').add('eggs'));
  const removed = edited(set, base, stampOf(2, 'b'), (face) => void face.delete('milk'));
  const added = edited(set, base, stampOf(2, 'c'), (face) => void face.add('milk'));
  assert.deepEqual(look(set.merge(removed, base)), ['eggs']);
  assert.deepEqual(look(set.merge(removed, added)), ['eggs', 'milk']);
});

mergeable('what was removed leaves nothing behind but a number', () => {
  const set = observedRemoveSet();
  let state = set.empty;
  let own: Own | undefined;
  for (let i = 0; i < 1000; i++) {
    const stamp = stampOf(i, `t${i}`, own);
    state = edited(set, state, stamp, (face) => void face.add(`e${i}`));
    own = stamp.leaves;
    state = edited(set, state, stampOf(i, 'x', own), (face) => void face.delete(`e${i}`));
  }
  assert.ok(set.codec.encode(state).length < 40, `${set.codec.encode(state).length} bytes`);
});

mergeable(
  'two sets of one name at once: the newer clock wins, and a later set beats any clock',
  () => {
    const map = addWinsMap<number>();
    const look = (state: typeof map.empty) => seenIn(map, [map.codec.encode(state)]).toObject();
    const early = edited(map, map.empty, stampOf(5, 'a'), (face) => void face.set('milk', 1));
    const late = edited(map, map.empty, stampOf(9, 'b'), (face) => void face.set('milk', 2));
    const both = map.merge(early, late);
    assert.deepEqual(look(both), { milk: 2 });
    const behind = edited(map, both, stampOf(0, 'c'), (face) => void face.set('milk', 3));
    assert.deepEqual(look(map.merge(both, behind)), { milk: 3 });
  },
);

mergeable('no count is lost, whoever counts at once and however often one client does', () => {
  fc.assert(
    fc.property(steps, (history) => {
      const each = KINDS['counter']!;
      const type = counter();
      const replicas = play(each, [...history]);
      const sum = history.reduce((total, step) => total + (step.do === 'edit' ? step.by : 0), 0);
      // Everything that ever was, merged: each edit is in it once.
      const all = replicas.map((state) => type.codec.encode(state as never));
      assert.equal(seenIn(type, all).value, sum);
    }),
    { numRuns: 500 },
  );
});

mergeable('a client whose last write is not in what it reads becomes a new writer', () => {
  const type = counter();
  const first = stampOf(1, 'a');
  const one = edited(type, type.empty, first, (face) => void face.add(1));
  assert.deepEqual(first.leaves, { writer: 'a', n: 1 });
  // It reads a replica that has not got it yet: going on as `a` would hide one of the two counts.
  const other = edited(type, type.empty, stampOf(2, 'b', first.leaves), (face) => void face.add(1));
  assert.equal(
    seenIn(
      type,
      [one, other].map((s) => type.codec.encode(s)),
    ).value,
    2,
  );
  const next = stampOf(3, 'c', first.leaves);
  const two = edited(type, one, next, (face) => void face.add(1));
  assert.deepEqual(Object.keys(two), ['a']);
});

mergeable('foreign bytes are refused, never taken for an empty value', () => {
  for (const type of [addWinsMap(), counter(), observedRemoveSet(), maximum(), unionOfSets()]) {
    for (const foreign of ['no json', '\u{1F95B}'.slice(0, 1)]) {
      assert.throws(
        () => mergedState(type as AnyMergeable, [Buffer.from(foreign)]),
        (error) => error instanceof CoterieError && error.code === 'BAD_ARGUMENT',
      );
    }
  }
  for (const foreign of ['null', '[]', '7', '{"v":1}']) {
    assert.throws(() => mergedState(addWinsMap(), [Buffer.from(foreign)]), CoterieError);
  }
  assert.throws(() => mergedState(counter(), [Buffer.from('{"a":1}')]), CoterieError);
});

mergeable.run();
