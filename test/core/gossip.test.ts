/** Gossip of many nodes: how fast they agree, and what a quiet round says (paper § 4.8). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { digestOf, withBook } from '../../src/core/gossip.ts';
import { nodeId } from '../../src/core/ids.ts';
import { foldHistory } from '../../src/core/members.ts';
import { GossipTown, joinOf } from '../../bench/gossip/town.ts';

const gossip = suite('gossip of 300 nodes');

gossip('a change reaches everybody within rounds that grow with the logarithm', () => {
  for (const seed of [1, 2, 3]) {
    const town = new GossipTown(300, seed);
    town.books[17] = withBook(town.books[17]!, [joinOf(town.books[17]!, nodeId('late'))], []);
    const rounds = town.roundsUntilAgreed(40);
    assert.ok(rounds <= 2 * Math.log2(300), `${rounds} rounds`);
    assert.equal(foldHistory(town.books[0]!.history)!.members.length, 301);
  }
});

gossip('a round in which nobody knows anything new is one short message a node', () => {
  const town = new GossipTown(300, 5);
  const { messages, bytes } = town.round();
  assert.equal(messages, 300);
  assert.ok(bytes / 300 < 64, `${bytes / 300} bytes a node`);
});

gossip('two changes on two sides end as one history', () => {
  const town = new GossipTown(50, 7);
  for (const [at, id] of [
    [3, 'left'],
    [40, 'right'],
  ] as const) {
    town.books[at] = withBook(town.books[at]!, [joinOf(town.books[at]!, nodeId(id))], []);
  }
  town.roundsUntilAgreed(40);
  assert.equal(new Set(town.books.map(digestOf)).size, 1);
  assert.equal(foldHistory(town.books[0]!.history)!.members.length, 52);
});

gossip('any name may be a node, also one that objects have of themselves', () => {
  const names = ['constructor', '__proto__', 'toString'].map(nodeId);
  const town = new GossipTown(20, 9);
  for (const [at, id] of names.entries()) {
    town.books[at] = withBook(town.books[at]!, [joinOf(town.books[at]!, id)], []);
    town.roundsUntilAgreed(40);
  }
  const members = foldHistory(town.books[11]!.history)!.members.map(({ id }) => id);
  for (const id of names) assert.ok(members.includes(id), id);
});

gossip.run();
