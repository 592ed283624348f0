/** Where members are, as the cluster map keeps it: a node put back to an old life speaks up. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { digestOf, hear, withBook } from '../../src/core/gossip.ts';
import type { Book } from '../../src/core/gossip.ts';
import { nodeId, partitionId, startId } from '../../src/core/ids.ts';
import type { Announcement } from '../../src/core/members.ts';
import { foundingBook } from '../../src/node/store/book-store.ts';
import type { Founding } from '../../src/node/store/book-store.ts';
import { ClusterMap } from '../../src/node/membership/cluster-map.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';

const maps = suite('the cluster map');

const [A, B] = [nodeId('a'), nodeId('b')];
const founding: Founding = {
  clusterName: 'map',
  n: 2,
  partitions: 8,
  founders: [A, B].map((id) => ({ id, zone: 'default', weight: 1 })),
};
const at = (incarnation: number, address: string): Announcement => ({
  ...{ node: A, incarnation, address },
});

/** Node a after a start: where it says it is, and what it had to say since. */
const started = (announcement: Announcement) => {
  const world = new WorldClock();
  const clock = new LifeClock(world);
  const said: Announcement[] = [];
  const rings: number[] = [];
  const map: ClusterMap = new ClusterMap({
    self: A,
    start: startId('00000000000000aa'),
    storage: new SimDisk().open(clock, randomStream(1, 'disk')),
    digest: nodeDigest,
    clock,
    trace: { log: () => undefined },
    founding,
    announcement,
    outlived: (now) => said.push(now),
    ignored: (what) => assert.fail(what),
    changed: () => rings.push(map.registers.registers.size),
    broadcast: () => undefined,
    failed: (reason) => assert.fail(reason),
  });
  return { map, said, rings, world };
};

const knowing = (...announcements: readonly Announcement[]): Book =>
  withBook(foundingBook(founding), [], announcements);

maps('a wiped node outbids what others know of its former life', () => {
  const { map, said } = started(at(1, 'ws://new:1'));
  map.publish(withBook(map.book, [], [at(7, 'ws://old:1')]));
  assert.deepEqual(said, [at(8, 'ws://new:1')]);
  map.publish(withBook(map.book, [], said));
  assert.deepEqual(said.length, 1, 'once');
});

maps('a node of the newest life has nothing to say', () => {
  const { map, said } = started(at(8, 'ws://new:1'));
  map.publish(withBook(map.book, [], [at(7, 'ws://old:1'), at(8, 'ws://new:1')]));
  assert.deepEqual(said, []);
});

maps('registers that change within a moment make two rings, not one each', () => {
  const { map, rings, world } = started(at(1, 'ws://new:1'));
  for (let partition = 0; partition < 8; partition++) {
    const register = { version: 1, owners: [A] };
    assert.ok(map.registers.adopt(new Map([[partitionId(partition), register]])));
    assert.ok(!map.registers.adopt(new Map([[partitionId(partition), register]])), 'known already');
  }
  assert.deepEqual(rings, [], 'not before they are durable');
  world.advance(100);
  assert.deepEqual(rings, [1, 8]);
  assert.ok(map.ring.ring.table.every((owners) => owners.join() === 'a'));
});

maps(
  'two lives of one incarnation: all agree on one of them, and the living one outbids it',
  () => {
    const [one, other] = [at(3, 'ws://old:1'), at(3, 'ws://new:1')];
    const books = [knowing(one, other), knowing(other, one)];
    assert.equal(digestOf(books[0]!), digestOf(books[1]!));
    assert.notEqual(digestOf(knowing(one)), digestOf(knowing(other)), 'gossip sees the difference');
    const peer = knowing(one);
    const { map, said } = started(other);
    const heard = hear(map.book, {
      ...{ type: 'gossip.known', known: {}, announcements: peer.announcements, answer: false },
    });
    map.publish(heard.book);
    assert.deepEqual(said, [at(4, 'ws://new:1')]);
  },
);

maps.run();
