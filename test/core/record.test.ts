/** RULES A1–A8 of src/core/RULES.md, each with the history that breaks a store without it. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import type { PutId } from '../../src/core/ids.ts';
import { encodeRecord } from '../../src/core/record-bytes.ts';
import {
  BLIND,
  EMPTY_RECORD,
  contextAfter,
  contextOf,
  liveSiblings,
  merge,
  sameRecord,
  write,
} from '../../src/core/record.ts';
import type { CausalContext, RecordOfKey } from '../../src/core/record.ts';
import { NO_PUTS, hasSeen } from '../../src/core/seen-puts.ts';
import { covers } from '../../src/core/vector.ts';
import { LIMITS, actor, bytes, play, put, steps, wrote } from './histories.ts';

const records = suite('records (RULES A)');

const texts = (record: RecordOfKey): string[] =>
  liveSiblings(record)
    .map(({ value }) => (value instanceof Uint8Array ? new TextDecoder().decode(value) : value))
    .sort();

records('follow Fig. 3 of the paper', () => {
  const [x, y, z] = [1, 2, 3];
  const d1 = wrote(EMPTY_RECORD, BLIND, { by: x, id: 1, text: 'D1' });
  const d2 = wrote(d1, contextOf(d1), { by: x, id: 2, text: 'D2' });
  const d3 = wrote(d2, contextOf(d2), { by: y, id: 3, text: 'D3' });
  const d4 = wrote(d2, contextOf(d2), { by: z, id: 4, text: 'D4' });
  const counters = (record: RecordOfKey) => record.vector.map((dot) => [dot.actor, dot.n]);
  assert.deepEqual(counters(d2), [[actor(x), 2]]);
  assert.deepEqual(counters(d3), [
    [actor(x), 2],
    [actor(y), 1],
  ]);
  const both = merge(d3, d4);
  assert.deepEqual(texts(both), ['D3', 'D4']);
  const d5 = wrote(both, contextOf(both), { by: x, id: 5, text: 'D5' });
  assert.deepEqual(texts(d5), ['D5']);
  assert.deepEqual(counters(d5), [
    [actor(x), 3],
    [actor(y), 1],
    [actor(z), 1],
  ]);
  assert.deepEqual(texts(merge(merge(d3, d5), d4)), ['D5']);
});

records('A1: a sibling survives unless the other side knows it to be overwritten', () => {
  const old = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'old' });
  const next = wrote(old, contextOf(old), { by: 2, id: 2, text: 'next' });
  assert.deepEqual(texts(merge(old, next)), ['next']);
  assert.deepEqual(texts(merge(next, old)), ['next']);
});

records('A1: two dots of one put collapse to one sibling', () => {
  const here = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 7, text: 'cart' });
  const there = wrote(EMPTY_RECORD, BLIND, { by: 2, id: 7, text: 'cart' });
  const merged = merge(there, here);
  assert.equal(merged.siblings.length, 1);
  assert.equal(merged.siblings[0]?.dot.actor, actor(1));
  assert.ok(sameRecord(merged, merge(here, there)));
  assert.ok(sameRecord(merge(merged, there), merged));
});

records('A2: a retry mints nothing', () => {
  const record = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'v' });
  const again = write(record, BLIND, {
    actor: actor(9),
    putId: put(1),
    value: bytes('v'),
    writtenAt: 1000,
    nowMs: 2000,
    mode: 'causal',
  });
  assert.equal(again.type, 'known');
  assert.equal(again.type === 'known' && again.record, record);
});

records('A2: a retry after an overwrite does not come back as a sibling', () => {
  const first = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'first' });
  const second = wrote(first, contextOf(first), { by: 1, id: 2, text: 'second' });
  // The retry of put 1 reaches a replica that has nothing.
  const late = wrote(EMPTY_RECORD, BLIND, { by: 2, id: 1, text: 'first' });
  assert.deepEqual(texts(merge(second, late)), ['second']);
  assert.deepEqual(texts(wrote(second, BLIND, { by: 3, id: 1, text: 'first' })), ['second']);
});

records('A2, A3: an owner without a record learns the seen puts from the context', () => {
  const first = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'first' });
  const empty = wrote(EMPTY_RECORD, contextOf(first), { by: 2, id: 2, text: 'second' });
  assert.deepEqual(texts(wrote(empty, BLIND, { by: 2, id: 1, text: 'first' })), ['second']);
});

records('A7: a put id with other bytes is refused', () => {
  const record = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'a' });
  assert.throws(() => wrote(record, BLIND, { by: 1, id: 1, text: 'b' }), /reused/);
  assert.throws(() => wrote(record, BLIND, { by: 1, id: 1 }), /reused/);
});

records('a blind write overwrites nothing', () => {
  const one = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'one' });
  const two = wrote(one, BLIND, { by: 1, id: 2, text: 'two' });
  assert.deepEqual(texts(two), ['one', 'two']);
});

records("a put's context covers its own write and not an unseen one of the same actor", () => {
  const one = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'unseen' });
  const two = wrote(one, BLIND, { by: 1, id: 2, text: 'mine' });
  const after = contextAfter(BLIND, put(2), 1001);
  const three = wrote(two, after, { by: 1, id: 3, text: 'mine again' });
  assert.deepEqual(texts(three), ['mine again', 'unseen']);
  const elsewhere = wrote(EMPTY_RECORD, after, { by: 2, id: 4, text: 'elsewhere' });
  assert.deepEqual(texts(merge(two, elsewhere)), ['elsewhere', 'unseen']);
});

records('A5: a dot is later than all it knows, whatever the clocks say', () => {
  const ahead = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'a', at: 5_000_000 });
  const next = wrote(ahead, contextOf(ahead), { by: 2, id: 2, text: 'b', at: 1 });
  assert.ok(next.siblings[0]!.dot.time > ahead.siblings[0]!.dot.time);
});

records('A6: the newest K entries stay, and one that a sibling needs is lowered to it', () => {
  const limits = { vectorEntriesMax: 2, seenPutsMax: 2 };
  let record = wrote(EMPTY_RECORD, BLIND, { by: 0, id: 100, text: 'kept' }, limits);
  // Actor 0 writes once more; that second write is then overwritten, the first one never was.
  record = wrote(record, BLIND, { by: 0, id: 101, text: 'gone' }, limits);
  const onlySecond: CausalContext = { vector: [], seen: NO_PUTS, shown: [put(101)] };
  record = wrote(record, onlySecond, { by: 1, id: 102, text: 'b' }, limits);
  for (let i = 2; i < 6; i++) {
    const shown = record.siblings.filter(({ putId: id }) => id !== put(100)).map((s) => s.putId);
    record = wrote(
      record,
      { vector: [], seen: NO_PUTS, shown },
      { by: i, id: 102 + i, text: 'c' },
      limits,
    );
  }
  const lowered = record.vector.find((dot) => dot.actor === actor(0));
  assert.equal(lowered?.n, 1);
  assert.equal(record.vector.length, 3);
  assert.equal(record.seen.count, 2);
  assert.ok(texts(record).includes('kept'));
});

records('A6: what comes from where more is kept is cut, also where nothing lay', () => {
  const limits = { vectorEntriesMax: 2, seenPutsMax: 2 };
  let roomy = wrote(EMPTY_RECORD, BLIND, { by: 0, id: 0 });
  for (let i = 1; i < 6; i++) roomy = wrote(roomy, contextOf(roomy), { by: i, id: i });
  assert.deepEqual([roomy.vector.length, roomy.seen.count], [6, 5]);
  for (const record of [merge(EMPTY_RECORD, roomy, limits), merge(roomy, EMPTY_RECORD, limits)]) {
    assert.deepEqual([record.vector.length, record.seen.count], [2, 2]);
  }
});

// Seed 434000005 with the faults old-backup, kill, power-loss, cut, network, pause, reset, disk-wipe.
records('A8: a retry that the record may have forgotten takes nothing along when it goes', () => {
  const limits = { vectorEntriesMax: 8, seenPutsMax: 1 };
  const first = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'p', at: 100, lww: true }, limits);
  // Its writer had seen it, by a clock that is behind.
  const held = wrote(first, contextOf(first), { by: 2, id: 2, text: 'x', at: 50 }, limits);
  const other = wrote(held, BLIND, { by: 3, id: 3, text: 'y', at: 200 }, limits);
  const shown = { ...contextAfter(BLIND, put(3), 0), vector: other.vector.slice(-1) };
  const evicted = wrote(other, shown, { by: 3, id: 4, text: 'z', at: 300 }, limits);
  assert.ok(!hasSeen(evicted.seen, put(1)), 'forgotten here');
  const retry = { by: 4, id: 1, text: 'p', at: 100, lww: true, isRetry: true };
  const back = wrote(evicted, BLIND, retry, limits);
  for (const record of [merge(back, held, limits), merge(held, back, limits)]) {
    assert.ok(
      texts(record).includes('x'),
      `acknowledged, and only ${texts(record).join()} is left`,
    );
  }
});

records('A8: last-write-wins keeps the newest, also when two puts are retried elsewhere', () => {
  const a = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'older', at: 10, lww: true });
  const both = wrote(a, BLIND, { by: 1, id: 2, text: 'newer', at: 20, lww: true });
  assert.deepEqual(texts(both), ['newer']);
  // The older one's retry lands on another replica, the newer one's retry on a third.
  const retryOld = wrote(EMPTY_RECORD, BLIND, { by: 2, id: 1, text: 'older', at: 10, lww: true });
  const retryNew = wrote(EMPTY_RECORD, BLIND, { by: 3, id: 2, text: 'newer', at: 20, lww: true });
  assert.deepEqual(texts([retryOld, retryNew].reduce((x, y) => merge(x, y), both)), ['newer']);
});

records('a delete hides what it saw and nothing else', () => {
  const one = wrote(EMPTY_RECORD, BLIND, { by: 1, id: 1, text: 'one' });
  const gone = wrote(one, contextOf(one), { by: 2, id: 2 });
  assert.deepEqual(texts(gone), []);
  const other = wrote(one, BLIND, { by: 3, id: 3, text: 'concurrent' });
  assert.deepEqual(texts(merge(gone, other)), ['concurrent']);
});

for (const [name, limits] of LIMITS) {
  records(`A1, A6: merge is commutative and idempotent, ${name}`, () => {
    fc.assert(
      fc.property(steps, (history) => {
        const [a, b] = play(history, limits).replicas;
        const ab = merge(a, b, limits);
        assert.ok(sameRecord(ab, merge(b, a, limits)));
        assert.ok(sameRecord(merge(ab, ab, limits), ab));
        assert.deepEqual(
          encodeRecord(ab, 'with-values'),
          encodeRecord(merge(b, a, limits), 'with-values'),
        );
      }),
      { numRuns: 2000 },
    );
  });

  records(`A6: replicas that keep meeting become equal, ${name}`, () => {
    fc.assert(
      fc.property(steps, (history) => {
        let { replicas } = play(history, limits);
        for (let round = 0; round < 6; round++) {
          const [a, b, c] = replicas;
          const ab = merge(a, b, limits);
          const bc = merge(ab, c, limits);
          replicas = [merge(bc, ab, limits), bc, merge(c, bc, limits)];
        }
        assert.ok(sameRecord(replicas[0], replicas[1]) && sameRecord(replicas[1], replicas[2]));
      }),
      { numRuns: 2000 },
    );
  });

  records(`nothing written is lost: it is held, or a write that saw it is, ${name}`, () => {
    fc.assert(
      fc.property(steps, (history) => {
        const { replicas, writes } = play(history, limits);
        const all = merge(merge(replicas[0], replicas[1], limits), replicas[2], limits);
        const held = new Set(all.siblings.map((sibling) => sibling.putId));
        for (const { id } of writes) {
          const kept = held.has(put(id)) || overwrittenBy(put(id), writes, held);
          assert.ok(kept, `w${id} is gone`);
        }
      }),
      { numRuns: 2000 },
    );
  });
}

/** Whether some chain of writes that saw `lost` (by dot or by put id) ends in a held one. */
const overwrittenBy = (
  lost: PutId,
  writes: readonly { id: number; context: CausalContext }[],
  held: ReadonlySet<PutId>,
): boolean =>
  writes.some(({ id, context }) => {
    const saw = context.shown.includes(lost) || hasSeen(context.seen, lost);
    return saw && put(id) !== lost && (held.has(put(id)) || overwrittenBy(put(id), writes, held));
  });

records('A1: untruncated, what is written over a record says all that the record did', () => {
  fc.assert(
    fc.property(steps, fc.boolean(), fc.boolean(), (history, sees, lww) => {
      const limits = { vectorEntriesMax: 64, seenPutsMax: 64 };
      const [a, b] = play(history, limits).replicas;
      const context = sees ? contextOf(b) : BLIND;
      const written = wrote(a, context, { by: 99, id: 999, text: 'new', at: 1003, lww }, limits);
      assert.deepEqual(
        encodeRecord(merge(a, written, limits), 'with-values'),
        encodeRecord(written, 'with-values'),
      );
    }),
    { numRuns: 2000 },
  );
});

records('A1: untruncated, merge is associative', () => {
  fc.assert(
    fc.property(steps, (history) => {
      const [a, b, c] = play(history, { vectorEntriesMax: 64, seenPutsMax: 64 }).replicas;
      assert.ok(sameRecord(merge(merge(a, b), c), merge(a, merge(b, c))));
    }),
    { numRuns: 2000 },
  );
});

records('no false sibling: none lies in the past of another, untruncated', () => {
  fc.assert(
    fc.property(steps, (history) => {
      const { replicas, writes } = play(history, { vectorEntriesMax: 64, seenPutsMax: 64 });
      const all = merge(merge(replicas[0], replicas[1]), replicas[2]);
      const ids = all.siblings.map((sibling) => sibling.putId);
      assert.equal(new Set(ids).size, ids.length, 'a retried put made two');
      for (const id of ids) {
        const context = writes.find((write) => put(write.id) === id)?.context ?? BLIND;
        for (const other of all.siblings) {
          if (other.putId === id) continue;
          assert.ok(!covers(context.vector, other.dot) && !context.shown.includes(other.putId));
        }
      }
    }),
    { numRuns: 2000 },
  );
});

records.run();
