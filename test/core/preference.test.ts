/** Preference lists: owners, then whom a clockwise walk meets; and in which order a reader asks. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId, partitionId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/ids.ts';
import type { Member } from '../../src/core/members.ts';
import { preferenceList, readersIn, writesIn } from '../../src/core/preference.ts';
import type { Health } from '../../src/core/suspicion.ts';

const preference = suite('preference lists');

const named = (names: string): readonly NodeId[] => [...names].map(nodeId);
const table = ['abc', 'bcd', 'cde', 'eab'].map(named);
const members = named('fedcbag').map((id): Member => ({ id, zone: 'z', weight: 1, seat: id }));

const listAt = (partition: number, health: Readonly<Record<string, Health>> = {}) =>
  preferenceList(table, partitionId(partition), members, (node) => health[node] ?? 'healthy');
const namesIn = (list: readonly { readonly node: NodeId }[]): string =>
  list.map(({ node }) => node).join('');

preference('begin with the owners; fallbacks follow clockwise, those that own nothing last', () => {
  for (const [partition, expected] of [
    [0, 'abc defg'],
    [1, 'bcd eafg'],
    [2, 'cde abfg'],
    [3, 'eab cdfg'],
  ] as const) {
    const list = listAt(partition);
    const roles = ['owner', 'fallback'].map((role) =>
      namesIn(list.filter((entry) => entry.role === role)),
    );
    assert.equal(roles.join(' '), expected);
    assert.equal(namesIn(list), expected.replace(' ', ''), 'in that order');
  }
});

preference(
  'a reader asks owners first, then the healthy, then itself, and nobody who is down',
  () => {
    for (const [self, health, expected] of [
      ['a', {}, 'abcdefg'],
      ['c', {}, 'cabdefg'],
      ['e', {}, 'abcedfg'],
      ['c', { a: 'suspect' }, 'cbadefg'],
      ['b', { a: 'down', c: 'suspect', d: 'suspect' }, 'bcefgd'],
      ['g', { a: 'suspect', b: 'suspect', c: 'suspect', e: 'down' }, 'abcgdf'],
    ] as const) {
      assert.equal(namesIn(readersIn(listAt(0, health), nodeId(self))), expected, self);
    }
  },
);

preference(
  'a put goes to the owners, to who stands in for one that is down, and to newcomers',
  () => {
    for (const [self, health, newcomers, asked, spares, arriving] of [
      ['a', {}, '', 'a b c', 'defg', ''],
      ['a', { b: 'suspect', d: 'suspect' }, '', 'a b c', 'defg', ''],
      ['a', { b: 'down', d: 'down' }, '', 'a e c', 'fg', ''],
      ['e', {}, '', 'a b c', 'edfg', ''],
      ['e', { a: 'down', c: 'down' }, '', 'e b d', 'fg', ''],
      ['a', { c: 'down' }, 'de', 'a b f', 'g', 'de'],
      ['d', {}, 'de', 'a b c', 'dfg', 'e'],
    ] as const) {
      const plan = writesIn(listAt(0, health), named(newcomers), nodeId(self));
      assert.equal(plan.slots.map((slot) => slot.asked.join('')).join(' '), asked, self);
      assert.equal(plan.slots.map(({ owner }) => owner).join(''), 'abc');
      assert.equal(plan.spares.join(''), spares, self);
      assert.equal(plan.newcomers.join(''), arriving, self);
    }
  },
);

preference.run();
