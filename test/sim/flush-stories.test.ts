/** When replicas write what they hold in memory only (paper § 6.1). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText } from '../../src/core/ids.ts';
import { cluster, codeOf } from './cluster.ts';

const flushes = suite('unhurried writes are flushed');

const INTERVAL_MS = 100;
/** How long a commit takes at most, and what its layer waits for beside. */
const SLACK_MS = 20;

flushes('in time, and not by all replicas at once', () => {
  const { world, putOf } = cluster(3, 1, { flushIntervalMs: INTERVAL_MS });
  const atMs: number[][] = world.hosts.map(({ disk }) => {
    const ends: number[] = [];
    const { observe } = disk;
    disk.observe = (ops, result) => {
      observe?.(ops, result);
      if (ops.some(({ table }) => table === 'records')) ends.push(world.clock.nowMs);
    };
    return ends;
  });
  for (let put = 0; put < 4000; put++) {
    const key = keyOfText(`k${put}`);
    const request = putOf(put % 3, `${put}`, { key, dw: 0 });
    world.ask(world.hosts[put % 3]!, request, (reply) => assert.equal(codeOf(reply), 'applied'));
    world.clock.advance(5);
  }
  for (const [node, ends] of atMs.entries()) {
    const pauses = ends.slice(1).map((end, i) => end - ends[i]!);
    assert.ok(pauses.length > 150, `node ${node} flushed ${pauses.length} times`);
    const longest = Math.max(...pauses);
    assert.ok(longest <= INTERVAL_MS + SLACK_MS, `node ${node} waited ${longest} ms`);
  }
  // All three take every write. A quarter of the flushes meet those of another one by chance.
  const [ours, theirs] = atMs as [number[], number[]];
  const near = ours.filter((end) => theirs.some((other) => Math.abs(other - end) <= 10)).length;
  assert.ok(near < ours.length / 2, `${near} of ${ours.length} at the same time`);
});

flushes.run();
