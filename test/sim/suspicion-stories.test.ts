/** Dead, slow and paused peers, as the others see them (paper § 4.8). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText } from '../../src/core/ids.ts';
import type { Host } from '../../src/sim/world.ts';
import { cluster, codeOf } from './cluster.ts';

const suspicion = suite('what nodes believe of each other');

const hostOf = ({ address }: Host): string => address.slice(5);

const beliefOf = (host: Host, peer: Host): string =>
  host.node!.status().nodes.find(({ id }) => id === peer.id)!.health;

type Cluster = ReturnType<typeof cluster>;

/** Everything to and from `slow` waits up to `stepMs` for `forMs`. */
const slowDown = ({ world }: Cluster, slow: Host, stepMs: number, forMs: number): void => {
  const others = world.hosts.filter((host) => host !== slow);
  const each = (act: 'clog' | 'unclog'): void => {
    for (const other of others) {
      world.network[act](hostOf(slow), hostOf(other));
      world.network[act](hostOf(other), hostOf(slow));
    }
  };
  for (let ms = 0; ms < forMs; ms += stepMs) {
    each('clog');
    world.clock.advance(stepMs);
    each('unclog');
  }
};

suspicion('a slow peer is asked last, and used again within seconds of being quick', () => {
  const c = cluster(4, 3);
  const [a, , , slow] = c.world.hosts as [Host, Host, Host, Host];
  c.world.clock.advance(3000);
  assert.equal(beliefOf(a, slow), 'healthy');
  slowDown(c, slow, 100, 6000);
  assert.equal(beliefOf(a, slow), 'suspect');
  assert.equal(beliefOf(a, c.world.hosts[1]!), 'healthy', 'only the slow one');
  c.world.clock.advance(3000);
  assert.equal(beliefOf(a, slow), 'healthy');
});

suspicion('a peer that goes silent is asked last before half a second has passed', () => {
  const c = cluster(3, 1);
  const [a, , silent] = c.world.hosts as [Host, Host, Host];
  for (const other of c.world.hosts) {
    if (other !== silent) c.world.network.clog(hostOf(silent), hostOf(other));
  }
  const put = c.put(0, 'meanwhile', { w: 2 }, 500);
  assert.equal(codeOf(put), 'applied');
  assert.equal(beliefOf(a, silent), 'suspect');
  c.world.network.heal();
  c.world.clock.advance(500);
  assert.equal(beliefOf(a, silent), 'healthy');
});

suspicion('with three zones the loss of any one leaves every key readable and writable', () => {
  for (const lost of [0, 1, 2]) {
    const c = cluster(6, 5, {}, 6, 3);
    const zoneOf = (host: Host): number => c.world.hosts.indexOf(host) % 3;
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    const survivor = c.world.hosts.findIndex((host) => zoneOf(host) !== lost);
    for (const key of keys) {
      const put = c.put(survivor, `kept of ${key}`, { key: keyOfText(key), w: 2 }, 200);
      assert.equal(codeOf(put), 'applied');
    }
    c.world.clock.advance(2000);
    for (const host of c.world.hosts) if (zoneOf(host) === lost) c.world.crash(host);
    c.world.clock.advance(3000);
    for (const key of keys) {
      assert.deepEqual(c.get(survivor, 2, key, 200).texts, [`kept of ${key}`]);
      const again = c.put(survivor, 'again', { key: keyOfText(key), strict: true, w: 2 }, 2000);
      assert.equal(codeOf(again), 'applied', `${key} without zone ${lost}`);
    }
  }
});

suspicion('flapping moves no data and changes no owner', () => {
  const c = cluster(4, 3);
  assert.equal(codeOf(c.put(0, 'kept', { key: keyOfText('k'), w: 3 }, 300)), 'applied');
  const flapping = c.world.hosts[3]!;
  const before = JSON.stringify(c.world.hosts[0]!.node!.ringView.ring);
  for (let i = 0; i < 8; i++) {
    for (const other of c.world.hosts.slice(0, 3)) {
      c.world.network.cut(hostOf(flapping), hostOf(other));
      c.world.network.cut(hostOf(other), hostOf(flapping));
    }
    c.world.clock.advance(2500);
    c.world.network.heal();
    c.world.clock.advance(1500);
  }
  assert.equal(JSON.stringify(c.world.hosts[0]!.node!.ringView.ring), before);
  for (const { node } of c.world.hosts) {
    assert.equal(node!.status().transfers.recordsGiven, 0);
    assert.equal(node!.status().transfers.moving, 0);
  }
});

suspicion.run();
