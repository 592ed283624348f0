/** Where members are, as the cluster map keeps it: a node put back to an old life speaks up. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { digestOf, hear, withBook } from '../../src/core/gossip.ts';
import type { Book } from '../../src/core/gossip.ts';
import { nodeId, startId } from '../../src/core/ids.ts';
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
  const clock = new LifeClock(new WorldClock());
  const said: Announcement[] = [];
  const map = new ClusterMap({
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
    changed: () => undefined,
    broadcast: () => undefined,
    failed: (reason) => assert.fail(reason),
  });
  return { map, said };
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
