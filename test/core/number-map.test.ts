/** A map for numbers: what Map says of the same steps, whatever collides. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { NumberMap } from '../../src/core/number-map.ts';

const map = suite('number map');

map('says what a Map says, through collisions, growth and holes', () => {
  // Multiples of the capacity share a home; request numbers are beyond 32 bits.
  const key = fc.oneof(
    fc.nat(40),
    fc.nat(20).map((n) => n * 16),
    fc.nat(20).map((n) => 2 ** 40 + n * 64),
  );
  const step = fc.record({ key, what: fc.constantFrom('set', 'set', 'delete') });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const ours = new NumberMap<{ n: number }>();
      const theirs = new Map<number, { n: number }>();
      steps.forEach(({ key: at, what }, n) => {
        if (what === 'set') {
          const value = { n };
          ours.set(at, value);
          theirs.set(at, value);
        } else assert.equal(ours.delete(at), theirs.delete(at));
        assert.equal(ours.size, theirs.size);
        for (const [each, value] of theirs) assert.equal(ours.get(each), value);
        assert.equal(ours.has(at), theirs.has(at));
      });
      assert.deepEqual(new Set(ours.values()), new Set(theirs.values()));
    }),
  );
});

map.run();
