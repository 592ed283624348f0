/** What a benchmark's cluster of processes has cost, while some of them die and others come. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { Nodes } from '../../bench/cluster/nodes.ts';

const test = suite('nodes of a benchmark');

test('what a node spent counts on after it was killed and while it runs again', async () => {
  const nodes = await Nodes.start({ nodes: 1 });
  try {
    const before = nodes.cpu;
    assert.ok(before.loopSeconds > 0.1, 'a start costs more than that');
    nodes.kill(0);
    assert.ok(nodes.cpu.seconds >= before.seconds, 'dead');
    assert.ok(nodes.cpu.loopSeconds >= before.loopSeconds, 'dead');
    nodes.restart(0);
    await nodes.listening(0);
    assert.ok(nodes.cpu.loopSeconds > before.loopSeconds + 0.1, 'the second start too');
  } finally {
    await nodes.stop();
  }
});

test.run();
