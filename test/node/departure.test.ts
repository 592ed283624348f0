/** When a node that was told to go falls silent, speaks again, and says that it has left (RULES C8). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/ids.ts';
import { Departure } from '../../src/node/membership/departure.ts';

const departures = suite('a departure');

const SELF = nodeId('leaver');

/** A node that was told to go, and has given everything away. */
const leaver = () => {
  const said: string[] = [];
  const node = {
    ...{ isRetired: true, owns: false, isRemoved: false, hasLeft: false },
    ...{ isEmpty: true, hints: 0 },
    /** What waits for the last request, and for the last commit. */
    whenEmpty: [] as (() => void)[],
    whenDurable: [] as (() => void)[],
  };
  const self = (is: boolean): readonly NodeId[] => (is ? [SELF] : []);
  const departure = new Departure({
    self: SELF,
    ring: {
      get ring() {
        return { retired: self(node.isRetired) };
      },
      nodes: () => self(node.owns),
      hasLeft: () => node.hasLeft,
      isRemoved: () => node.isRemoved,
    },
    store: {
      get isEmpty() {
        return node.isEmpty;
      },
      hints: {
        get total() {
          return node.hints;
        },
      },
      whenAllDurable: (task) => void node.whenDurable.push(task),
    },
    nursery: { whenEmpty: (task) => void node.whenEmpty.push(task) },
    fellSilent: () => said.push('silent'),
    spokeAgain: () => said.push('speaks'),
    left: () => said.push('left'),
  });
  const finishRequests = (): void => node.whenEmpty.splice(0).forEach((task) => task());
  const commit = (): void => node.whenDurable.splice(0).forEach((task) => task());
  return { node, departure, said, finishRequests, commit };
};

departures('first it falls silent, then what is under way ends, then it has left', () => {
  const { departure, said, finishRequests, commit } = leaver();
  assert.equal(departure.isSilent, false);
  departure.step();
  assert.deepEqual([said, departure.isSilent], [['silent'], true]);
  departure.step();
  assert.deepEqual(said, ['silent'], 'once');
  finishRequests();
  assert.deepEqual(said, ['silent'], 'its last word is not durable yet');
  commit();
  assert.deepEqual([said, departure.isSilent], [['silent', 'left'], true]);
});

departures('nobody leaves who is a member, owns something, or keeps a record or a hint', () => {
  for (const change of [
    { isRetired: false },
    { owns: true },
    { isEmpty: false },
    { hints: 1 },
    { hasLeft: true },
  ]) {
    const { node, departure, said } = leaver();
    Object.assign(node, change);
    departure.step();
    assert.deepEqual([said, departure.isSilent], [[], false], JSON.stringify(change));
  }
});

departures('what came in with the last requests is given away first', () => {
  for (const change of [{ isEmpty: false }, { hints: 1 }]) {
    const { node, departure, said, finishRequests, commit } = leaver();
    departure.step();
    Object.assign(node, change);
    finishRequests();
    commit();
    assert.deepEqual([said, departure.isSilent], [['silent', 'speaks'], false]);
    Object.assign(node, { isEmpty: true, hints: 0 });
    departure.step();
    finishRequests();
    commit();
    assert.deepEqual(said, ['silent', 'speaks', 'silent', 'left']);
  }
});

departures('who was removed takes nothing either, whatever it still holds', () => {
  const { node, departure, said } = leaver();
  Object.assign(node, { isRemoved: true, isEmpty: false });
  departure.step();
  assert.deepEqual([said, departure.isSilent], [[], true]);
});

departures.run();
