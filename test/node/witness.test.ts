/** What peers remember of a node's disk, and when it learns from them that its own is behind (C7). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId, startId } from '../../src/core/ids.ts';
import { Witness } from '../../src/node/store/witness.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { SimDisk } from '../../src/sim/disk.ts';
import { randomStream } from '../../src/sim/random.ts';
import type { Testimony } from '../../src/wire/peer-messages.ts';

const witnesses = suite('a witness');

const [A, B] = [nodeId('a'), nodeId('b')];
let starts = 0;

/** A node as far as its witness goes: its disk, and the lives on it. */
class Life {
  readonly disk = new SimDisk();
  readonly #clock = new WorldClock();
  alarms = 0;
  witness!: Witness;
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
    });
  }

  commit(times = 1, carries: 'records' | 'none' = 'records'): void {
    for (let i = 0; i < times; i++) {
      const ops = this.witness.commitOps(carries);
      const { commits } = this.witness;
      this.#storage.commit(ops, () => this.witness.committed(commits));
      this.#clock.advance(100);
    }
  }
}

const tell = (from: Life, to: Life): Testimony | undefined => {
  const progress = from.witness.progress();
  return progress && to.witness.hear(A, progress);
};

/** What `peer` remembers of node A is the first word to A's present life. */
const greet = (peer: Life, node: Life): void => {
  for (const word of peer.witness.greetingOf(A)) node.witness.hear(B, word);
};

witnesses('a disk that peers have seen farther is behind; the newest one is not', () => {
  const [node, peer] = [new Life(), new Life()];
  node.commit(10);
  const restore = node.disk.snapshot();
  node.commit(20);
  tell(node, peer);
  node.begin();
  greet(peer, node);
  assert.equal(node.alarms, 0);
  restore();
  node.begin();
  greet(peer, node);
  greet(peer, node);
  assert.equal(node.alarms, 1);
  // The commit that clears its marks puts it ahead of what anybody remembers.
  node.commit(1, 'none');
  assert.equal(tell(node, peer), undefined);
  node.begin();
  greet(peer, node);
  assert.equal(node.alarms, 0);
});

witnesses('the peer remembers after its own restart, once it has committed anything', () => {
  const [node, peer] = [new Life(), new Life()];
  const restore = node.disk.snapshot();
  node.commit(5);
  tell(node, peer);
  peer.commit();
  peer.begin();
  restore();
  node.begin();
  greet(peer, node);
  assert.equal(node.alarms, 1);
});

witnesses('where the first word was lost, less progress than remembered is contradicted', () => {
  const [node, peer] = [new Life(), new Life()];
  const restore = node.disk.snapshot();
  node.commit(5);
  tell(node, peer);
  restore();
  node.begin();
  node.commit();
  const answer = tell(node, peer);
  assert.equal(answer?.type, 'remembered');
  node.witness.hear(B, answer!);
  assert.equal(node.alarms, 1);
});

witnesses(
  'only durable commits are told, each count once, and none for what carries no records',
  () => {
    const node = new Life();
    assert.equal(node.witness.progress(), undefined);
    node.commit(3, 'none');
    assert.equal(node.witness.progress(), undefined);
    node.witness.commitOps('records');
    assert.equal(node.witness.progress(), undefined, 'not durable yet');
    node.commit();
    assert.equal(node.witness.progress()?.commits, 2);
    assert.equal(node.witness.progress(), undefined);
  },
);

witnesses.run();
