/** A repair an operator asked for: when it is done with a co-owner, and what it says meanwhile. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId, partitionId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/ids.ts';
import { RepairRun } from '../../src/node/healing/repair-run.ts';
import type { ExchangeEnd, RepairState } from '../../src/node/healing/repair-run.ts';

const run = suite('a repair run');

const [a, b] = ['a', 'b'].map(nodeId) as [NodeId, NodeId];
const LOOK_AGAIN_MS = 1000;

const runWith = (states: readonly (readonly [NodeId, RepairState])[]) =>
  new RepairRun(1, undefined, new Map(states), LOOK_AGAIN_MS);

const end = (change: Partial<ExchangeEnd> = {}): ExchangeEnd => ({
  ...{ how: 'finished', begunAtMs: 0, endedAtMs: 100, pending: 0, pulled: 0, pushed: 0 },
  ...change,
});

const stateOf = (repair: RepairRun, peer = a) =>
  repair.progress().peers.find((each) => each.peer === peer)?.state;

run('one exchange without differences is enough', () => {
  const repair = runWith([[a, 'waiting']]);
  assert.equal(repair.progress().state, 'running');
  repair.ended(a, end());
  assert.equal(stateOf(repair), 'equal');
  assert.equal(repair.progress().state, 'done');
  assert.ok(!repair.concerns(a));
});

run('differences are looked at again, and only a look that is late enough counts', () => {
  const repair = runWith([[a, 'waiting']]);
  repair.ended(a, end({ pending: 3, endedAtMs: 100 }));
  assert.equal(stateOf(repair), 'looking again');
  repair.ended(a, end({ pending: 1, begunAtMs: 1000, endedAtMs: 1010, pulled: 2, pushed: 1 }));
  assert.equal(stateOf(repair), 'looking again');
  // What still differs now is being written: it was repaired as far as it was stable.
  repair.ended(a, end({ pending: 1, begunAtMs: 1100, endedAtMs: 1110, pulled: 1 }));
  assert.deepEqual(repair.progress().peers, [{ peer: a, state: 'equal', pulled: 3, pushed: 1 }]);
});

run('a peer that falls silent three times is given up, one that answers is not', () => {
  const repair = runWith([
    [a, 'waiting'],
    [b, 'waiting'],
  ]);
  const silent = end({ how: 'abandoned' });
  assert.equal(repair.ended(a, silent), 'again');
  assert.equal(repair.ended(a, silent), 'again');
  assert.equal(repair.ended(b, silent), 'again');
  assert.equal(repair.ended(a, silent), 'nothing more');
  repair.ended(b, end());
  assert.deepEqual([stateOf(repair, a), stateOf(repair, b)], ['gave up', 'equal']);
  assert.ok(repair.isDone);
});

run('whoever waits and lost its link is unreachable, what is equal stays so', () => {
  const repair = runWith([
    [a, 'waiting'],
    [b, 'equal'],
  ]);
  repair.reachable([]);
  assert.deepEqual([stateOf(repair, a), stateOf(repair, b)], ['unreachable', 'equal']);
});

run('a run over one partition says so', () => {
  const repair = new RepairRun(7, partitionId(5), new Map(), LOOK_AGAIN_MS);
  assert.deepEqual(repair.progress(), { run: 7, state: 'done', partition: 5, peers: [] });
});

run.run();
