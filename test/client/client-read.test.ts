/** A read that the client itself coordinates: what it asks of replicas, and what it leaves alone. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { readFromReplicas } from '../../src/client/client-read.ts';
import type { ClientRead } from '../../src/client/client-read.ts';
import { actorId, keyOfText, nodeId, putId, startId } from '../../src/core/ids.ts';
import { encodeRecord } from '../../src/core/record-bytes.ts';
import { EMPTY_RECORD, RECORD_LIMITS, UNLIMITED, contextOf, write } from '../../src/core/record.ts';
import type { RecordOfKey } from '../../src/core/record.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import type { HandledRequest } from '../../src/wire/client-messages.ts';

const reads = suite('reads that a client coordinates');

const NODES = [nodeId('n1'), nodeId('n2')];
const GET = { type: 'get', key: keyOfText('k'), r: 2, strict: false, timeoutMs: 1000 } as const;

/** Written by so many actors, one after the other. */
const writtenBy = (actors: number): RecordOfKey => {
  let record = EMPTY_RECORD;
  for (let i = 1; i <= actors; i++) {
    const mint = {
      ...{ actor: actorId(startId('00000000000000aa'), i), value: new Uint8Array([i]) },
      ...{ putId: putId(i.toString(16).padStart(16, '0')), writtenAt: i, nowMs: i },
    };
    const written = write(record, contextOf(record), { ...mint, mode: 'causal' }, UNLIMITED);
    if (written.type !== 'minted') throw new Error('each put is a new one');
    ({ record } = written);
  }
  return record;
};

/** What a read of two replicas asks, and its value, if the n-th of them holds the n-th record. */
const read = (records: readonly RecordOfKey[]) => {
  const world = new WorldClock();
  const asked: HandledRequest['type'][] = [];
  let result: ClientRead | undefined;
  const parts = {
    clock: new LifeClock(world),
    mayHedge: () => false,
    patienceMs: 100,
    ask: (node: string, request: HandledRequest, answered: (answer: never) => void) => {
      asked.push(request.type);
      if (request.type !== 'replica-get') return 'sent' as const;
      const held = records[NODES.findIndex((id) => id === node)]!;
      const record = encodeRecord(held, request.want);
      const reply = { type: 'replica-is', role: 'owner', record, context: new Uint8Array([1]) };
      world.schedule(() => answered({ type: 'replied', reply } as never), 1);
      return 'sent' as const;
    },
  };
  readFromReplicas(parts, GET, NODES, (done) => (result = done));
  world.advance(2000);
  return { asked, result };
};

reads('replicas that agree are not repaired, however much of a record they keep', () => {
  for (const actors of [1, RECORD_LIMITS.vectorEntriesMax + 10]) {
    const record = writtenBy(actors);
    const { asked, result } = read([record, record]);
    assert.deepEqual(asked, ['replica-get', 'replica-get']);
    assert.deepEqual(result?.value.values, [new Uint8Array([actors])]);
  }
});

reads('one that is behind is repaired', () => {
  const { asked, result } = read([writtenBy(2), writtenBy(1)]);
  assert.deepEqual(asked, ['replica-get', 'replica-get', 'repair']);
  assert.deepEqual(result?.value.values, [new Uint8Array([2])]);
});

reads('what is newer at the second is fetched from there', () => {
  const { asked, result } = read([writtenBy(1), writtenBy(2)]);
  assert.deepEqual(asked, ['replica-get', 'replica-get', 'replica-get', 'repair']);
  assert.deepEqual(result?.value.values, [new Uint8Array([2])]);
});

/** A read of nodes that say nothing, but for those that cannot be asked. */
const silentRead = (unsent: readonly string[]) => {
  const world = new WorldClock();
  const results: (ClientRead | undefined)[] = [];
  const parts = {
    clock: new LifeClock(world),
    mayHedge: () => false,
    patienceMs: 100,
    ask: (node: string) => (unsent.includes(node) ? 'unsent' : 'sent') as 'unsent' | 'sent',
  };
  const { cancel } = readFromReplicas(parts, GET, NODES, (result) => void results.push(result));
  return { world, results, cancel };
};

reads('with too few that can be asked it fails at once', () => {
  const { world, results } = silentRead(['n1']);
  world.advance(1);
  assert.deepEqual(results, [undefined]);
});

reads('one that is called off says nothing more', () => {
  const { world, results, cancel } = silentRead([]);
  cancel();
  world.advance(2 * GET.timeoutMs);
  assert.deepEqual(results, []);
});

reads('one that nobody answers fails at its deadline', () => {
  const { world, results } = silentRead([]);
  world.advance(GET.timeoutMs - 1);
  assert.deepEqual(results, []);
  world.advance(1);
  assert.deepEqual(results, [undefined]);
});

reads.run();
