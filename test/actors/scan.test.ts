/** The coordinator of a page of a scan on fake ports: whom it asks, and when it gives up. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { createActor } from 'xstate';
import { scanMachine } from '../../actors/scan.ts';
import type { ScanReply } from '../../actors/scan.ts';
import { nodeId, partitionId } from '../../src/core/ids.ts';
import { xstateClock } from '../../src/node/requests/nursery.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';

const scans = suite('the coordinator of a page of a scan');
const [a, b, c] = [nodeId('a'), nodeId('b'), nodeId('c')] as const;

const coordinator = () => {
  const log: string[] = [];
  const replies: ScanReply[] = [];
  const actor = createActor(scanMachine, {
    clock: xstateClock(new LifeClock(new WorldClock())),
    input: {
      ...{ request: 1, partition: partitionId(0), after: undefined, limit: 10, r: 2 },
      ...{ candidates: [a, b, c], timeoutMs: 5000, patienceMs: 200 },
      ports: {
        list: (_scan, from) => log.push(from),
        reply: (_request, reply) => replies.push(reply),
      },
    },
  });
  actor.start();
  const list = (node: typeof a) => actor.send({ type: 'replica.listed', node, page: { keys: [] } });
  const lose = (node: typeof a) => actor.send({ type: 'replica.lost', node });
  return { log, list, lose, said: () => replies.map(({ type }) => type) };
};

scans('asks the next owner at once when the link to one is lost', () => {
  const { log, list, lose, said } = coordinator();
  assert.deepEqual(log, ['a', 'b']);
  lose(b);
  assert.deepEqual(log, ['a', 'b', 'c']);
  list(a);
  list(c);
  assert.deepEqual(said(), ['page']);
});

scans('a list that came stays one, whatever becomes of its owner', () => {
  const { list, lose, said } = coordinator();
  list(a);
  lose(a);
  lose(c);
  assert.deepEqual(said(), [], 'b may still answer');
  list(b);
  assert.deepEqual(said(), ['page']);
});

scans('gives up as soon as too few are left', () => {
  const { lose, said } = coordinator();
  lose(b);
  lose(c);
  assert.deepEqual(said(), ['failed']);
});

scans.run();
