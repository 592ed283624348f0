/** One replica on a simulated disk: what it makes of a write of what it holds already. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { keyOfText, nodeId, startId } from '../../src/core/ids.ts';
import { encodeRecord } from '../../src/core/record-bytes.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import { Replica } from '../../src/node/store/replica.ts';
import type { ReplicaParts } from '../../src/node/store/replica.ts';
import { FormedRecord } from '../../src/node/store/stored.ts';
import type { ReplicaReply } from '../../src/wire/peer-messages.ts';
import { SELF, StoreBench, recordOf } from './store-bench.ts';

const replicas = suite('a replica');
const key = keyOfText('k');

const replicaOf = ({ store, ring }: StoreBench): Replica =>
  new Replica({
    ...{ self: SELF, start: startId('00000000000000bb'), store, ring, digest: nodeDigest },
    clock: { wallMs: () => 0 },
    rounds: { floor: 0, current: 0 },
    limits: DEFAULT_CONFIG.replica,
  } as unknown as ReplicaParts);

/** What a replica that holds version 1 on disk has after version 2, said to be made of `over`. */
const afterWrite = (over: (ofHeld: bigint) => bigint | undefined, committed = true) => {
  const bench = new StoreBench();
  const { store } = bench;
  bench.put(key, recordOf(1));
  if (committed) bench.commit();
  const replies: ReplicaReply[] = [];
  const said = over(store.hashOf(store.open(key)));
  const record = encodeRecord(recordOf(2), 'with-values');
  const message = { type: 'write', request: 1, key, record, durable: false, round: 0 } as const;
  replicaOf(bench).receive(said === undefined ? message : { ...message, over: said }, (reply) =>
    replies.push(reply),
  );
  assert.deepEqual(replies, [{ type: 'written', request: 1, durable: false }]);
  const { held } = store.open(key);
  assert.ok(held !== 'nothing' && held !== 'corrupt');
  return { held, store: bench };
};

replicas('takes over what was made of the very record it holds, without looking into it', () => {
  const { held, store } = afterWrite((ofHeld) => ofHeld);
  assert.ok(held instanceof FormedRecord);
  assert.deepEqual(held.record, recordOf(2));
  store.commit();
  assert.deepEqual(store.roots(), store.rebuiltRoots());
});

replicas('merges what was made of another record, or of nobody says what', () => {
  for (const over of [(ofHeld: bigint) => ofHeld ^ 1n, () => undefined, () => 0n]) {
    const { held } = afterWrite(over);
    assert.ok(!(held instanceof FormedRecord));
  }
});

replicas('merges while what it holds has no hash of its own yet', () => {
  assert.ok(!(afterWrite((ofHeld) => ofHeld, false).held instanceof FormedRecord));
});

replicas('keeps a hint by reference to its copy, and none once that is gone', () => {
  const bench = new StoreBench();
  const owner = nodeId('away');
  replicaOf(bench).keepHint(key, owner);
  assert.equal(bench.store.hints.total, 0, 'there is nothing it could refer to');
  bench.put(key, recordOf(1));
  replicaOf(bench).keepHint(key, owner);
  assert.equal(bench.store.hints.total, 1);
});

replicas.run();
