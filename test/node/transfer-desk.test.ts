/** Which part of what a node is not meant to hold it offers next. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { TransferEvent } from '../../actors/transfer.ts';
import { keyOfText, nodeId, partitionId } from '../../src/core/ids.ts';
import type { NodeId, PartitionId } from '../../src/core/ids.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import { TransferDesk } from '../../src/node/membership/transfer-desk.ts';
import type { TransferDeskParts } from '../../src/node/membership/transfer-desk.ts';

const desks = suite('the transfer desk');

const OWNERS = [nodeId('n1'), nodeId('n2')];
const KEY = keyOfText('k');

/** A desk that has something of so many partitions, and in those of `full` something to offer. */
const deskOf = (many: number, full: readonly number[], health = (_: NodeId) => 'healthy') => {
  const held = Array.from({ length: many }, (_, at) => partitionId(at));
  const looked: PartitionId[] = [];
  const told: TransferEvent[] = [];
  const stored = { hash: 1n, gone: new Set<PartitionId>() };
  const desk = new TransferDesk(
    {
      ring: {
        ring: { table: held.map(() => OWNERS) },
        healthOf: health,
        isHolder: () => false,
        versionOf: () => 1,
      },
      store: {
        partitionsHeld: () => new Set(held),
        someOf: (partition: PartitionId) => {
          looked.push(partition);
          return full.includes(partition) ? [{ key: KEY, hash: 1n }] : [];
        },
        hints: { find: () => undefined, forgetAll: () => undefined },
        change: (make: () => void) => make(),
        open: () => ({ held: {} }),
        hashOf: () => stored.hash,
        put: () => undefined,
      },
      config: DEFAULT_CONFIG,
      admission: { begin: () => undefined },
      send: () => undefined,
      tell: (event: TransferEvent) => told.push(event),
    } as unknown as TransferDeskParts,
    0,
  );
  /** What one offer looked through, and of which partition it is. */
  const offer = () => {
    looked.length = told.length = 0;
    desk.offerBatch();
    const [event] = told;
    const isFound = event?.type === 'batch.offered';
    return { looked: [...looked], found: isFound ? looked.at(-1) : undefined, event };
  };
  /** All owners say that they have what was offered just now. */
  const confirm = (batch: number): void => {
    for (const owner of OWNERS) {
      desk.answered(owner, { type: 'offer.answered', batch, wanted: [] });
    }
    desk.deleteBatch(batch);
  };
  return { desk, offer, confirm, stored };
};

const batchOf = ({ event }: { readonly event: TransferEvent | undefined }): number => {
  assert.ok(event?.type === 'batch.offered');
  return event.batch;
};

desks('where there is nothing to offer it looks a little each round, and at all in the end', () => {
  const { offer } = deskOf(40, [35]);
  const [first, second, third] = [offer(), offer(), offer()];
  assert.equal(first.looked.length, 16);
  assert.equal(first.found, undefined);
  assert.deepEqual([...first.looked, ...second.looked], [...Array(32).keys()]);
  assert.equal(third.found, 35);
  assert.deepEqual(third.looked, [32, 33, 34, 35], 'where it left off');
});

desks('once it has been through all it begins anew', () => {
  const { offer } = deskOf(10, []);
  for (let round = 0; round < 3; round++) assert.equal(offer().looked.length, 10);
});

desks('what an owner that is down would have to confirm is not even looked at', () => {
  const { offer } = deskOf(10, [3], (node) => (node === OWNERS[1] ? 'down' : 'healthy'));
  assert.deepEqual(offer().looked, []);
  assert.equal(deskOf(10, [3], () => 'suspect').offer().found, 3);
});

desks('of a partition of which nothing could be deleted it does not offer the same at once', () => {
  const { offer, confirm, stored } = deskOf(10, [3, 7]);
  stored.hash = 2n;
  const first = offer();
  assert.equal(first.found, 3);
  confirm(batchOf(first));
  assert.equal(offer().found, 7);
  const well = deskOf(10, [3, 7]);
  const before = well.offer();
  well.confirm(batchOf(before));
  assert.equal(well.desk.given, 1);
  assert.equal(well.offer().found, 3, 'there may be more of it');
});

desks.run();
