/** The whole life of one put coordinator, alone: born, three acks, buried. `npm run bench`. */
import { Bench } from 'tinybench';
import { putMachine } from '../../actors/put.ts';
import { systemClock } from '../../src/adapters/system-clock.ts';
import { keyOfText, nodeId, putId } from '../../src/core/ids.ts';
import { startWrite } from '../../src/core/quorum.ts';
import { Nursery } from '../../src/node/nursery.ts';

const [a, b, c] = ['a', 'b', 'c'].map((id) => nodeId(id));
const put = {
  key: keyOfText('key'),
  value: new Uint8Array(100),
  contexts: [],
  putId: putId('00000000000000aa'),
  writtenAt: 1,
  attempt: 1,
  mode: 'causal',
  strict: false,
  timeoutMs: 5000,
} as const;
const nothing = (): void => undefined;
const ports = { mint: nothing, write: nothing, sync: nothing, keepHint: nothing, reply: nothing };
const nursery = new Nursery(systemClock, { log: nothing }, 100_000, 0);

const born = (): number => {
  const request = nursery.nextRequest();
  const owners = [a, b, c].map((node) => ({ node: node!, reachable: true }));
  nursery.bear(request, {
    logic: putMachine,
    input: {
      request,
      self: a!,
      put,
      ports,
      tally: startWrite(owners, [], { w: 2, dw: 1, counting: 'anyone' }),
      patienceMs: 60_000,
      lingerMs: 60_000,
    },
    onCrash: nothing,
  });
  return request;
};

const life = (): void => {
  const request = born();
  const record = new Uint8Array(150);
  nursery.deliver(request, { type: 'replica.minted', record, context: record });
  nursery.deliver(request, { type: 'replica.acked', node: b!, durable: false });
  nursery.deliver(request, { type: 'replica.acked', node: a!, durable: true });
  nursery.deliver(request, { type: 'replica.acked', node: c!, durable: false });
};

for (const alive of [0, 1000, 5000]) {
  while (nursery.alive < alive) born();
  const bench = new Bench({
    name: `coordinator of a put, ${alive} alive`,
    time: 2000,
    warmupTime: 1000,
  });
  bench.add(`life beside ${alive}`, life);
  await bench.run();
  console.table(bench.table());
}
nursery.stop();
