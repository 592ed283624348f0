/** What peers remember of a node's disk, and when it learns from them that its own is behind (C7). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId, startId } from '../../src/core/ids.ts';
import { META } from '../../src/node/store/meta-rows.ts';
import { Witness } from '../../src/node/store/witness.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';

const witnesses = suite('a witness');

const [A, B] = [nodeId('a'), nodeId('b')];
let starts = 0;

/** A node as far as its witness goes: its disk, and the lives on it. */
class Life {
  readonly disk = new SimDisk();
  readonly #clock = new WorldClock();
  alarms = 0;
  witness!: Witness;
  /** Whether the witness has something to write. */
  isWanted = false;
  #storage!: ReturnType<SimDisk['open']>;

  constructor() {
    this.begin();
  }

  begin(): void {
    this.alarms = 0;
    this.#storage = this.disk.open(new LifeClock(this.#clock), randomStream(1, 'disk'));
    this.witness = new Witness({
      start: startId((++starts).toString(16).padStart(16, '0')),
      storage: this.#storage,
      trace: { log: () => undefined },
      behind: () => (this.alarms += 1),
      wantsCommit: () => (this.isWanted = true),
    });
  }

  /** Back to an older state of its disk, in a new life. */
  beginAfter(restore: () => void): void {
    restore();
    this.begin();
  }

  commit(times = 1, carries: 'records' | 'none' = 'records'): void {
    for (let i = 0; i < times; i++) {
      this.isWanted = false;
      const { ops, durable } = this.witness.commit(carries);
      this.#storage.commit(ops, durable);
      this.#clock.advance(100);
    }
  }

  /** The next flush. */
  flush(): void {
    if (this.isWanted) this.commit(1, 'none');
  }
}

/** One gossip round from node A to B, and B's answer; how many words there were. */
const tell = (node: Life, peer: Life): number => {
  // A life is told of once it is on disk that there is one.
  if (node.witness.progressFor(B).length === 0) node.flush();
  const words = node.witness.progressFor(B);
  for (const word of words) {
    const answer = peer.witness.hear(A, word);
    if (answer !== undefined) node.witness.hear(B, answer);
  }
  return words.length;
};

/** What `peer` remembers of node A is among the first words to A's present life. */
const greet = (peer: Life, node: Life): void => {
  node.witness.met(B);
  for (const word of peer.witness.greetingOf(A)) {
    if (word.type === 'remembered') node.witness.hear(B, word);
  }
};

/** A node with so many commits, and a peer that has heard of them and written it down. */
const pair = (commits: number) => {
  const [node, peer] = [new Life(), new Life()];
  const restore = node.disk.snapshot();
  if (commits > 0) node.commit(commits);
  tell(node, peer);
  peer.flush();
  return { node, peer, restore };
};

witnesses('a disk that peers have seen farther is behind; the newest one is not', () => {
  const { node, peer } = pair(10);
  const restore = node.disk.snapshot();
  node.commit(20);
  tell(node, peer);
  node.begin();
  greet(peer, node);
  assert.equal(node.alarms, 0);
  node.beginAfter(restore);
  greet(peer, node);
  greet(peer, node);
  assert.equal(node.alarms, 1);
  // With the commit that clears its marks it has made up for what it lacks.
  node.commit(1, 'none');
  node.begin();
  greet(peer, node);
  assert.equal(node.alarms, 0);
});

witnesses('progress is told again until the peer has it on disk, and then not any more', () => {
  const [node, peer] = [new Life(), new Life()];
  node.commit(5);
  assert.equal(node.witness.progressFor(B).length, 1, 'this one is lost');
  assert.equal(tell(node, peer), 1);
  assert.equal(tell(node, peer), 1, 'the peer has it in memory only');
  peer.flush();
  assert.equal(tell(node, peer), 1, 'and now it says that it is on disk');
  assert.equal(tell(node, peer), 0);
  node.commit();
  assert.equal(tell(node, peer), 1);
});

witnesses('on a new link it is told anew: the peer may have lost its own disk', () => {
  const { node, peer, restore } = pair(5);
  tell(node, peer);
  assert.equal(tell(node, peer), 0);
  const successor = new Life();
  node.witness.met(B);
  assert.equal(node.witness.greetingOf(B).filter(({ type }) => type === 'progress').length, 1);
  tell(node, successor);
  node.beginAfter(restore);
  greet(successor, node);
  assert.equal(node.alarms, 1);
});

witnesses('what says that something is durable carries how far the disk is, in its frame', () => {
  const [node, peer] = [new Life(), new Life()];
  const restore = node.disk.snapshot();
  node.commit(5);
  const ack = { type: 'written', request: 1, durable: true } as const;
  assert.deepEqual(node.witness.besides(B, [{ ...ack, durable: false }, { type: 'ping' }]), []);
  for (const claim of [
    ack,
    { type: 'delivered', batch: 1 } as const,
    { type: 'surrendered', batch: 1 } as const,
    { type: 'offer.answered', batch: 1, wanted: [] } as const,
    { type: 'fence.up', batch: 1, agreed: [] } as const,
  ]) {
    assert.equal(node.witness.besides(B, [{ type: 'ping' }, claim])[0]?.commits, 5, claim.type);
  }
  for (const word of node.witness.besides(B, [ack])) peer.witness.hear(A, word);
  node.beginAfter(restore);
  greet(peer, node);
  assert.equal(node.alarms, 1);
});

witnesses('the peer remembers after its own restart', () => {
  const { node, peer, restore } = pair(5);
  peer.begin();
  node.beginAfter(restore);
  greet(peer, node);
  assert.equal(node.alarms, 1);
});

witnesses('where the first word was lost, a life that it is not of is contradicted', () => {
  const { node, peer, restore } = pair(5);
  node.beginAfter(restore);
  // Farther than the peer remembers; the commits are others.
  node.commit(9);
  tell(node, peer);
  assert.equal(node.alarms, 1);
  // A crash before its marks are cleared: it has to hear it again.
  tell(node, peer);
  node.begin();
  tell(node, peer);
  assert.equal(node.alarms, 1);
  node.flush();
  tell(node, peer);
  node.begin();
  greet(peer, node);
  assert.equal(node.alarms, 0, 'made up for, and heard by the peer');
});

witnesses(
  'what it lacks is called made up for only once that is on disk, whatever comes first',
  () => {
    const { node, peer, restore } = pair(5);
    node.beginAfter(restore);
    // This life is named on disk, and has something to tell.
    node.commit(9);
    greet(peer, node);
    assert.equal(node.alarms, 1);
    // The marks are being cleared; the peer says it again, for it has not been answered.
    const { durable } = node.witness.commit('records');
    greet(peer, node);
    assert.ok(
      node.witness.progressFor(B).every((word) => !('after' in word)),
      'not on disk yet',
    );
    durable();
    assert.ok(node.witness.progressFor(B).every((word) => 'after' in word));
  },
);

witnesses('lives without a peer do not hide that their directory is behind', () => {
  const { node, peer, restore } = pair(5);
  node.beginAfter(restore);
  node.commit(9);
  node.begin();
  node.commit();
  node.begin();
  greet(peer, node);
  assert.equal(node.alarms, 1);
});

witnesses('a life that committed nothing is still one of the directory', () => {
  const { node, peer } = pair(5);
  for (let i = 0; i < 3; i++) {
    node.begin();
    greet(peer, node);
    tell(node, peer);
    tell(node, peer);
    peer.flush();
    tell(node, peer);
    assert.equal(node.alarms, 0, `life ${i}`);
  }
});

witnesses('of many lives a directory knows the names of the last, and how far all came', () => {
  const { node, peer, restore } = pair(5);
  for (let life = 0; life < 200; life++) {
    node.begin();
    node.commit();
  }
  node.begin();
  greet(peer, node);
  assert.equal(node.alarms, 0);
  assert.ok(node.disk.platter.get('meta', META.lives)!.length < 2000);
  node.beginAfter(restore);
  greet(peer, node);
  assert.equal(node.alarms, 1);
});

witnesses('only durable commits are told, and none for what carries no records', () => {
  const node = new Life();
  const told = () => node.witness.progressFor(B)[0]?.commits;
  assert.equal(told(), undefined);
  node.commit(3, 'none');
  assert.equal(told(), undefined);
  node.witness.commit('records');
  assert.equal(told(), undefined, 'not durable yet');
  node.commit();
  assert.equal(told(), 2);
});

witnesses.run();
