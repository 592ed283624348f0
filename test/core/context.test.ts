/** Contexts: what is sealed is taken back, however much there was to say. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { CONTEXT_BYTES_MAX, openContext, sealContext } from '../../src/core/context.ts';
import { nodeId } from '../../src/core/ids.ts';
import type { ActorId, PutId } from '../../src/core/ids.ts';
import type { CausalContext } from '../../src/core/record.ts';
import { listed, seenPuts } from '../../src/core/seen-puts.ts';

const contexts = suite('contexts');

const SECRET = new Uint8Array(32).fill(9);
const seal = {
  keyTag: () => new Uint8Array(16).fill(5),
  sign: (bytes: Uint8Array, end?: number) => nodeDigest.keyed(SECRET, bytes, end),
};
const actorOf = (n: number): ActorId => n.toString(16).padStart(28, '0') as ActorId;
const putOf = (n: number): PutId => n.toString(16).padStart(16, '0') as PutId;
/** About now, in ms: six bytes. */
const NOW = 1_795_000_000_000;

/** Later numbers are newer. */
const contextOf = (vector: number, seen: number, shown: number): CausalContext => ({
  vector: Array.from({ length: vector }, (_, i) => ({
    ...{ actor: actorOf(i), n: i + 1, time: NOW + i },
  })),
  seen: seenPuts(Array.from({ length: seen }, (_, i) => ({ putId: putOf(i), time: NOW + i }))),
  shown: Array.from({ length: shown }, (_, i) => putOf(1_000_000 + i)),
});

const opened = (bytes: Uint8Array): CausalContext => {
  const found = openContext(bytes, seal);
  assert.equal(found.type, 'context');
  return (found as { context: CausalContext }).context;
};

contexts('what is sealed is opened as it was, if it is not too long', () => {
  for (const context of [contextOf(0, 0, 0), contextOf(64, 32, 64), contextOf(8, 500, 20)]) {
    assert.deepEqual(opened(sealContext(context, nodeId('n1'), seal)), context);
  }
});

contexts('of what is too long some is left out, and the rest is taken back', () => {
  fc.assert(
    fc.property(fc.nat(1200), fc.nat(1200), fc.nat(3000), (vector, seen, shown) => {
      const whole = contextOf(vector, seen, shown);
      const bytes = sealContext(whole, nodeId('n1'), seal);
      assert.ok(bytes.length <= CONTEXT_BYTES_MAX, `${bytes.length} bytes`);
      const part = opened(bytes);
      // The newest of what it says, in order, and nothing else.
      const newest = <T>(all: readonly T[], many: number): readonly T[] =>
        many === 0 ? [] : all.slice(-many);
      assert.deepEqual(part.vector, newest(whole.vector, part.vector.length));
      assert.deepEqual(listed(part.seen), newest(listed(whole.seen), part.seen.count));
      assert.deepEqual(part.shown, whole.shown.slice(0, part.shown.length));
      if (shown <= 1000) assert.deepEqual(part.shown, whole.shown, 'what was shown is said');
      assert.ok(part.shown.length >= Math.min(shown, 500));
    }),
    { numRuns: 300 },
  );
});

contexts('the least is left out first: puts that were overwritten, then what others wrote', () => {
  const bare = ({ vector, seen, shown }: CausalContext) => [
    ...[vector.length, seen.count, shown.length],
  ];
  const partOf = (context: CausalContext) => bare(opened(sealContext(context, nodeId('n1'), seal)));
  assert.deepEqual(partOf(contextOf(64, 1000, 64)), [64, 250, 64]);
  assert.deepEqual(partOf(contextOf(400, 100, 64)), [200, 0, 64]);
  assert.deepEqual(partOf(contextOf(64, 32, 2000)), [0, 0, 1000]);
});

contexts.run();
