/** Whole lives of coordinators, alone and beside many: born, answered, buried. */
import { getMachine } from '../../actors/get.ts';
import { putMachine } from '../../actors/put.ts';
import { systemClock } from '../../src/adapters/system-clock.ts';
import { actorId, keyOfText, nodeId, putId, startId } from '../../src/core/ids.ts';
import { planWrite, startWrite } from '../../src/core/quorum.ts';
import { startRead } from '../../src/core/read-tally.ts';
import { BLIND, EMPTY_RECORD, RECORD_LIMITS, write } from '../../src/core/record.ts';
import { Nursery } from '../../src/node/requests/nursery.ts';
import type { ActorHost } from '../../src/node/requests/nursery.ts';
import { VALUE } from './cases.ts';
import type { Case } from './cases.ts';

const [a, b, c] = [nodeId('a'), nodeId('b'), nodeId('c')];
const key = keyOfText('key');
const nothing = (): void => undefined;
const put = {
  ...{ key, value: VALUE, contexts: [], putId: putId('00000000000000aa'), writtenAt: 1 },
  ...{ attempt: 1, mode: 'causal', strict: false, timeoutMs: 5000 },
} as const;
const putPorts = {
  mint: nothing,
  write: nothing,
  sync: nothing,
  keepHint: nothing,
  reply: nothing,
};
const getPorts = { read: nothing, repair: nothing, reply: nothing };
const waits = { patienceMs: 60_000, lingerMs: 60_000 };
const owners = [a, b, c].map((node) => ({ node, reachable: true }));
const bytes = new Uint8Array(150);
const written = write(EMPTY_RECORD, BLIND, {
  ...{ actor: actorId(startId('0000000000000001'), 1), putId: put.putId, value: VALUE },
  ...{ writtenAt: 1, nowMs: 1, mode: 'causal' },
});
const record = written.type === 'minted' ? written.record : EMPTY_RECORD;

export type Cradle = { readonly cases: readonly Case[]; readonly close: () => void };

/** Lives in a nursery where `alive` puts wait all the time. */
export const cradle = (host: ActorHost, alive: number): Cradle => {
  const nursery = new Nursery(systemClock, { log: nothing }, 100_000, 0, undefined, host);
  const bearPut = (): number => {
    const request = nursery.nextRequest();
    const tally = startWrite(planWrite(owners, []), { w: 2, dw: 1, counting: 'anyone' });
    const input = { request, self: a, put, ports: putPorts, tally, ...waits };
    nursery.bear(request, { logic: putMachine, input, onCrash: nothing });
    return request;
  };
  while (nursery.alive < alive) bearPut();
  const lifeOfPut = (): void => {
    const request = bearPut();
    nursery.deliver(request, { type: 'replica.minted', record: bytes, context: bytes });
    nursery.deliver(request, { type: 'replica.acked', node: b, durable: false });
    nursery.deliver(request, { type: 'replica.acked', node: a, durable: true });
    nursery.deliver(request, { type: 'replica.acked', node: c, durable: false });
  };
  const lifeOfGet = (): void => {
    const request = nursery.nextRequest();
    const tally = startRead([a, b, c], { r: 2, counting: 'anyone' });
    const input = {
      request,
      key,
      tally,
      ports: getPorts,
      limits: RECORD_LIMITS,
      timeoutMs: 5000,
      ...waits,
    };
    nursery.bear(request, { logic: getMachine, input, onCrash: nothing });
    nursery.deliver(request, { type: 'replica.answered', node: a, role: 'owner', record });
    nursery.deliver(request, { type: 'replica.answered', node: b, role: 'owner', record });
  };
  const where = `${host} host, ${alive} alive`;
  const cases = [
    { name: `coordinator: put, ${where}`, call: lifeOfPut },
    { name: `coordinator: get, ${where}`, call: lifeOfGet },
  ];
  for (const { name, call } of cases) {
    call();
    if (nursery.alive !== alive) throw new Error(`${name}: the coordinator was not buried`);
  }
  return { cases, close: () => nursery.stop() };
};
