/** What a plan says of the bytes that move, against what lies there. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { partitionId } from '../../src/core/ids.ts';
import type { PartitionId } from '../../src/core/ids.ts';
import { encodeRecord } from '../../src/core/record-bytes.ts';
import { EMPTY_RECORD } from '../../src/core/record.ts';
import { bytesPerPartition } from '../../src/node/membership/partition-bytes.ts';
import { randomStream } from '../../src/sim/random.ts';

const plans = suite('bytes of a partition');

const PARTITIONS = 256;
const EACH = encodeRecord(EMPTY_RECORD, 'with-values').length;
const HELD = Array.from({ length: 192 }, (_, i) => partitionId(i));

/** Partitions of `records` records each, at random positions in them. */
const storeOf = (records: number, looked: PartitionId[] = []) => ({
  recordsFrom: (partition: PartitionId, _: unknown, limit: number) => {
    looked.push(partition);
    const random = randomStream(partition, 'positions');
    const places = Array.from({ length: records }, () => random.fraction())
      .sort((a, b) => a - b)
      .map((fraction) => {
        const place = new Uint8Array(16);
        new DataView(place.buffer).setBigUint64(
          0,
          BigInt(Math.floor(((partition + fraction) / PARTITIONS) * 2 ** 48)) << 16n,
        );
        return place;
      });
    const entries = places.slice(0, limit).map((place) => ({ place, record: EMPTY_RECORD }));
    return records > limit ? { entries, next: entries.at(-1)!.place } : { entries };
  },
});

plans('are counted where there are few, and estimated within a tenth where there are many', () => {
  assert.equal(bytesPerPartition(storeOf(0), HELD, PARTITIONS), undefined);
  assert.equal(bytesPerPartition(storeOf(0), [], PARTITIONS), undefined);
  assert.equal(bytesPerPartition(storeOf(20), HELD, PARTITIONS), 20 * EACH);
  for (const records of [400, 5000, 40_000]) {
    const looked: PartitionId[] = [];
    const found = bytesPerPartition(storeOf(records, looked), HELD, PARTITIONS)!;
    assert.ok(Math.abs(found / (records * EACH) - 1) < 0.1, `${found} of ${records * EACH}`);
    assert.equal(looked.length, 8);
  }
});

plans.run();
