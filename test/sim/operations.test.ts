/** Conditions, time-to-live and defaults by prefix, on a simulated cluster. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { hexOf, keyOfText, putId } from '../../src/core/ids.ts';
import type { Key } from '../../src/core/ids.ts';
import type { Config } from '../../src/node/config.ts';
import { parsePrefixDefaults } from '../../src/node/requests/prefix-defaults.ts';
import { World } from '../../src/sim/world.ts';
import type {
  GetRequest,
  HandledReply,
  HandledRequest,
  PutRequest,
} from '../../src/wire/client-messages.ts';

const operations = suite('operations');
const DEFAULTS = parsePrefixDefaults([
  'session:=lww+ttl:5000',
  'session:long:=ttl:50000',
  'all:=r:3+w:3+dw:0',
]);
let lastPut = 0;

const cluster = (nodes = 3, config: Partial<Config> = {}) => {
  const world = new World({ seed: 1, nodes, digest: nodeDigest, prefixDefaults: DEFAULTS, config });
  for (const host of world.hosts) world.start(host);
  world.clock.advance(3000);
  const ask = (at: number, request: HandledRequest): HandledReply => {
    let answer: HandledReply | undefined;
    world.ask(world.hosts[at]!, request, (reply) => (answer = reply));
    for (let ms = 0; ms < 7000 && answer === undefined; ms += 10) world.clock.advance(10);
    assert.ok(answer !== undefined, 'an answer in time');
    return answer;
  };
  const putting = (at: number, text: string, change: Partial<PutRequest> = {}): PutRequest => ({
    type: 'put',
    key: keyOfText('k'),
    value: new TextEncoder().encode(text),
    contexts: [],
    putId: putId(hexOf(new Uint8Array([0, 0, 0, 0, 0, 0, ++lastPut >> 8, lastPut & 255]))),
    writtenAt: world.hosts[at]!.clock.wallMs(),
    attempt: 1,
    strict: false,
    timeoutMs: 3000,
    ...change,
  });
  const put = (at: number, text: string, change: Partial<PutRequest> = {}): HandledReply =>
    ask(at, putting(at, text, change));
  const get = (at: number, change: Partial<GetRequest> = {}) => {
    const key = keyOfText('k');
    const reply = ask(at, { type: 'get', key, r: 2, strict: false, timeoutMs: 3000, ...change });
    assert.ok(reply.type === 'value', JSON.stringify(reply));
    return { ...reply, texts: reply.values.map((value) => new TextDecoder().decode(value)).sort() };
  };
  /** A node comes back that missed everything, and is told nothing before `task` has run. */
  const missing = (at: number, meanwhile: () => void): void => {
    const [host, others] = [world.hosts[at]!, world.hosts.filter((_, i) => i !== at)];
    world.crash(host);
    world.clock.advance(2000);
    meanwhile();
    assert.ok(others.length > 0);
    world.start(host);
  };
  const recordAt = (at: number, key: Key = keyOfText('k')) => world.hosts[at]!.node!.recordOf(key);
  return { world, ask, put, putting, get, missing, recordAt };
};

const codeOf = (reply: HandledReply): string =>
  reply.type === 'failed' ? `${reply.code} ${reply.details['outcome'] ?? ''}`.trim() : reply.type;

operations('ifAbsent writes where nobody has a value, and again after a delete', () => {
  const { put, ask, putting, get } = cluster();
  const first = putting(0, 'first', { onlyIf: 'absent' });
  assert.equal(codeOf(ask(0, first)), 'applied');
  for (const at of [0, 1, 2]) {
    assert.equal(codeOf(put(at, 'second', { onlyIf: 'absent' })), 'CONDITION_NOT_MET');
  }
  assert.equal(codeOf(ask(1, { ...first, attempt: 2 })), 'applied', 'a retry of what was applied');
  assert.deepEqual(get(0).texts, ['first']);
  const { context } = get(1);
  assert.equal(codeOf(put(1, '', { value: 'tombstone', contexts: [context] })), 'applied');
  assert.equal(
    codeOf(put(2, 'third', { onlyIf: 'absent', contexts: [get(2).context] })),
    'applied',
  );
  assert.deepEqual(get(0, { r: 3 }).texts, ['third']);
});

operations('ifAbsent is refused by a coordinator that has not got the value itself', () => {
  const { put, missing, world, recordAt } = cluster(3);
  missing(2, () => assert.equal(codeOf(put(0, 'there')), 'applied'));
  for (let ms = 0; ms < 2000; ms += 10) {
    world.clock.advance(10);
    if (world.hosts[2]!.node!.state === 'serving') break;
  }
  assert.equal(recordAt(2), undefined, 'it has heard of nothing yet');
  assert.equal(codeOf(put(2, 'again', { onlyIf: 'absent' })), 'CONDITION_NOT_MET');
});

operations('a condition that cannot be checked refuses, and writes nothing', () => {
  const { world, put, recordAt } = cluster();
  world.crash(world.hosts[1]!);
  world.crash(world.hosts[2]!);
  world.clock.advance(3000);
  const reply = put(0, 'v', { onlyIf: 'absent', w: 1 });
  assert.equal(codeOf(reply), 'QUORUM_NOT_MET refused');
  assert.equal(recordAt(0), undefined);
});

operations('ifContext writes over what the context has seen and nothing else', () => {
  const { put, get } = cluster();
  put(0, 'one');
  const { context } = get(0);
  put(1, 'two');
  assert.equal(
    codeOf(put(0, 'merged', { contexts: [context], onlyIf: 'seen' })),
    'CONDITION_NOT_MET',
  );
  assert.deepEqual(get(2).texts, ['one', 'two']);
  const both = get(0).context;
  assert.equal(codeOf(put(2, 'merged', { contexts: [both], onlyIf: 'seen' })), 'applied');
  assert.deepEqual(get(1, { r: 3 }).texts, ['merged']);
});

operations('a value is gone when its time has come, on every node and with its bytes', () => {
  const { world, ask, putting, put, get, recordAt } = cluster();
  const expiresAt = world.hosts[0]!.clock.wallMs() + 5000;
  const mortal = putting(0, 'mortal', { expiresAt });
  assert.equal(codeOf(ask(0, mortal)), 'applied');
  assert.deepEqual(get(1).texts, ['mortal']);
  world.clock.advance(5000);
  const commits = world.commits;
  for (const at of [0, 1, 2]) {
    assert.equal(get(at, { r: 3 }).state, 'deleted');
    assert.deepEqual(
      recordAt(at)!.siblings.map(({ value }) => value),
      ['expired'],
    );
  }
  world.clock.advance(3000);
  assert.equal(world.commits, commits, 'reading what has expired writes nothing');
  assert.equal(codeOf(ask(2, { ...mortal, attempt: 2 })), 'applied', 'a retry finds its put id');
  assert.equal(get(1).state, 'deleted');
  assert.equal(codeOf(put(1, 'new', { onlyIf: 'absent', contexts: [get(1).context] })), 'applied');
  assert.deepEqual(get(0, { r: 3 }).texts, ['new']);
  assert.equal(recordAt(0)!.siblings.length, 1, 'the context covered what had expired');
});

operations('a replica that comes back with bytes of what has expired shows them to nobody', () => {
  const { world, put, get, recordAt } = cluster();
  put(0, 'mortal', { expiresAt: world.hosts[0]!.clock.wallMs() + 5000, w: 3, dw: 3 });
  world.crash(world.hosts[2]!);
  world.clock.advance(6000);
  world.start(world.hosts[2]!);
  world.clock.advance(3000);
  assert.equal(get(2, { r: 1 }).state, 'deleted');
  assert.equal(recordAt(2)!.siblings[0]!.value, 'expired');
});

operations(
  'last-write-wins looks before it writes: a coordinator that missed a write makes no sibling',
  () => {
    const { world, put, missing, get } = cluster();
    missing(2, () => assert.equal(codeOf(put(0, 'older', { mode: 'last-write-wins' })), 'applied'));
    for (let ms = 0; ms < 2000 && world.hosts[2]!.node!.state !== 'serving'; ms += 10) {
      world.clock.advance(10);
    }
    assert.equal(codeOf(put(2, 'newer', { mode: 'last-write-wins' })), 'applied');
    world.clock.advance(3000);
    assert.deepEqual(get(0, { r: 3 }).texts, ['newer']);
  },
);

operations(
  'a reader in last-write-wins mode is shown the newest, and its context covers all',
  () => {
    const { world, put, get } = cluster();
    put(0, 'one');
    world.clock.advance(5);
    put(1, 'two');
    assert.deepEqual(get(0).texts, ['one', 'two']);
    const { texts, context } = get(0, { mode: 'last-write-wins' });
    assert.deepEqual(texts, ['two']);
    put(2, 'three', { contexts: [context] });
    assert.deepEqual(get(0).texts, ['three']);
  },
);

operations('the defaults of the longest prefix hold where a request does not say', () => {
  const { world, put, get, recordAt } = cluster();
  const session = keyOfText('session:a');
  put(0, 'one', { key: session });
  world.clock.advance(5);
  put(1, 'two', { key: session });
  assert.deepEqual(get(2, { key: session, r: 3 }).texts, ['two']);
  assert.equal(recordAt(0, session)!.siblings.length, 1, 'replaced, not beside');
  const kept = keyOfText('session:b');
  put(0, 'kept', { key: kept, expiresAt: 'never' });
  const long = keyOfText('session:long:c');
  put(0, 'long', { key: long });
  world.clock.advance(6000);
  assert.equal(get(0, { key: session }).state, 'deleted');
  assert.deepEqual(get(0, { key: kept }).texts, ['kept']);
  assert.deepEqual(get(0, { key: long }).texts, ['long']);
  const all = put(0, 'v', { key: keyOfText('all:d') });
  assert.ok(all.type === 'applied' && all.acks.length === 3, JSON.stringify(all));
  world.crash(world.hosts[2]!);
  world.clock.advance(3000);
  assert.equal(codeOf(put(0, 'v', { key: keyOfText('all:e') })), 'QUORUM_NOT_MET refused');
  assert.equal(codeOf(put(0, 'v', { key: keyOfText('all:e'), w: 2 })), 'applied');
});

operations(
  'every node tells the same ring, with the address of each and a version that grows',
  () => {
    const { world, ask } = cluster();
    const told = () =>
      world.hosts.map((_, at) => {
        const reply = ask(at, { type: 'ring' });
        assert.ok(reply.type === 'ring-is', JSON.stringify(reply));
        return reply;
      });
    const [first, ...others] = told();
    assert.deepEqual(
      first!.nodes.map(({ id, address }) => [id, address]),
      world.hosts.map(({ id, address }) => [id, address]),
    );
    for (const ring of others) assert.deepEqual(ring, first);
    world.crash(world.hosts[2]!);
    world.start(world.hosts[2]!);
    world.clock.advance(5000);
    for (const { ringVersion } of told()) assert.ok(ringVersion > first!.ringVersion);
  },
);

operations('the log names every slow request of one key or partition, and each by its own', () => {
  const { world, ask, put, get } = cluster(3, { slowRequestMs: 1, defaultR: 3 });
  Object.assign(world.network.faults, { delayMs: [1, 2] });
  put(0, 'v', { w: 3 });
  get(0, { r: 3 });
  ask(0, { type: 'scan', partition: 0, limit: 10, timeoutMs: 3000 });
  const logged = world.transcript
    .filter((line) => line.includes('n1 warn request.slow'))
    .map((line) => JSON.parse(line.slice(line.indexOf('{'))) as { op: string; request?: string });
  assert.deepEqual(
    logged.map(({ op }) => op),
    ['put', 'get', 'scan'],
  );
  const names = logged.map(({ request }) => request);
  for (const name of names) assert.match(String(name), /^n1\.\d+$/);
  assert.equal(new Set(names).size, 3);
});

operations('defaults that cannot be are refused by name', () => {
  for (const [text, found] of [
    ['session', /expected prefix=/],
    ['=lww', /expected prefix=/],
    ['s=fast', /found fast/],
    ['s=r:0', /r is 1-16, found 0/],
    ['s=ttl:1.5', /ttl is .* found 1.5/],
    ['s=w', /w is 1-16, found undefined/],
    ['s=', /expected r, w/],
  ] as const) {
    assert.throws(() => parsePrefixDefaults([text]), found);
  }
  const [longest] = parsePrefixDefaults(['a=lww', 'a=b=r:1+w:2+dw:0+ttl:7']);
  const prefix = keyOfText('a=b');
  assert.deepEqual(longest, { prefix, r: 1, w: 2, dw: 0, ttlMs: 7 });
});

operations.run();
