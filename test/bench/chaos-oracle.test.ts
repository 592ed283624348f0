/** The judge of a chaos run sees what it is there to see. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { judge } from '../../bench/chaos/oracle.ts';
import type { WriteFate } from '../../bench/chaos/oracle.ts';

const oracle = suite('the oracle of a chaos run');

const put = (name: string, saw: readonly string[], outcome: WriteFate['outcome']): WriteFate => ({
  ...{ name, key: 'k', kind: 'put', saw, outcome },
});
const broken = (writes: readonly WriteFate[], ...shown: readonly string[]) =>
  judge(writes, new Map([['k', shown]])).map((text) => text.replace(/^k: /, ''));

oracle('what was acknowledged is there, or was seen by a write that may have happened', () => {
  const a = put('a', [], 'applied');
  assert.deepEqual(broken([a], 'a'), []);
  assert.deepEqual(broken([a]), ['the acknowledged a is lost']);
  assert.deepEqual(broken([a, put('b', ['a'], 'applied')], 'b'), []);
  assert.deepEqual(broken([a, put('b', ['a'], 'unknown')], 'b'), []);
  assert.deepEqual(broken([a, put('b', ['a'], 'refused')]), ['the acknowledged a is lost']);
  assert.deepEqual(broken([a, { ...put('x', ['a'], 'applied'), kind: 'delete' }]), []);
});

oracle('nothing is invented, doubled, refused and there, back, or beside its own past', () => {
  const a = put('a', [], 'applied');
  assert.deepEqual(broken([a], 'a', 'z'), ['z was never put']);
  assert.deepEqual(broken([a], 'a', 'a'), ['a put is there twice']);
  assert.deepEqual(broken([put('b', [], 'refused')], 'b'), ['b was refused and is there']);
  const gone: WriteFate = { ...put('x', ['a'], 'applied'), kind: 'delete' };
  assert.deepEqual(broken([a, gone], 'a'), ['a, which an applied write had replaced, is back']);
  const unsure = put('b', ['a'], 'unknown');
  assert.deepEqual(broken([a, unsure], 'a'), [], 'it never happened');
  assert.deepEqual(broken([a, unsure], 'a', 'b'), ['a lies in the past of its sibling']);
});

oracle.run();
