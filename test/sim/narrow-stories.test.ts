/** Narrow escapes: histories in which something that was promised could be broken after all. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId } from '../../src/core/ids.ts';
import { cluster, codeOf } from './cluster.ts';

const narrow = suite('narrow escapes');

narrow('two changes of membership in one breath are both made', () => {
  const { world } = cluster(5, 1, {}, 3);
  const { node } = world.hosts[0]!;
  for (const id of ['n4', 'n5']) {
    const join = { type: 'join', node: nodeId(id), zone: 'default', weight: 1 } as const;
    assert.equal(node!.changeMembership(join), undefined);
  }
  world.clock.advance(5000);
  const { members } = world.hosts[2]!.node!.ringView.ring;
  assert.deepEqual(members.map(({ id }) => id).sort(), ['n1', 'n2', 'n3', 'n4', 'n5']);
});

narrow('a plan that was only looked at is no change, and the change can be made after it', () => {
  const c = cluster(4, 1, {}, 3);
  const ask = (command: string, more: object = {}) => {
    const args = { type: 'join', node: 'n4', ...more };
    return codeOf(c.ask(0, { type: 'admin', command, args, timeoutMs: 1000 }, 1000));
  };
  assert.equal(ask('membership.plan'), 'admin-is');
  assert.equal(ask('membership.plan'), 'admin-is');
  assert.equal(ask('membership.change', { yes: true }), 'admin-is');
  c.world.clock.advance(3000);
  const { members } = c.world.hosts[2]!.node!.ringView.ring;
  assert.ok(members.some(({ id }) => id === 'n4'));
});

narrow.run();
