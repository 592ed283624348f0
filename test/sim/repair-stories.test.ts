/** How replicas heal without anybody asking (paper § 4.7; RULES C4, C7). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText } from '../../src/core/ids.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import type { Config } from '../../src/node/config.ts';
import type { RepairStatus } from '../../src/node/healing/repair-commands.ts';
import { checkTrees, rootsAreEqual } from '../../src/sim/checks.ts';
import type { Host, World } from '../../src/sim/world.ts';
import { NO_LOG, cluster, codeOf } from './cluster.ts';

const repair = suite('replicas heal');

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`);

const putAll = (c: ReturnType<typeof cluster>, texts = 'value', w = 2, keys = KEYS): void => {
  const answers: string[] = [];
  for (const key of keys) {
    const put = c.putOf(0, `${texts} of ${key}`, { key: keyOfText(key), w });
    c.world.ask(c.world.hosts[0]!, put, (reply) => answers.push(codeOf(reply)));
  }
  c.world.clock.advance(3000);
  assert.deepEqual(
    answers,
    keys.map(() => 'applied'),
  );
};

const until = (world: World, what: string, met: () => boolean): void => {
  for (let ms = 0; !met(); ms += 100) {
    assert.ok(ms < 60_000, `waited in vain: ${what}`);
    world.clock.advance(100);
  }
};

const repairOf = ({ node }: Host, peer: Host) =>
  node!.status().repair.find((report) => report.peer === peer.id);

repair('a replica that lost writes nobody remembers becomes equal without a read', () => {
  const c = cluster();
  const [a, b, stale] = c.world.hosts as [Host, Host, Host];
  putAll(c, 'old', 3);
  c.world.clock.advance(1000);
  const backup = stale.disk.snapshot();
  putAll(c, 'new', 3);
  c.world.clock.advance(1000);
  c.world.crash(stale);
  backup();
  c.world.start(stale);
  assert.ok(!rootsAreEqual(c.world), 'it begins behind');
  until(c.world, 'equal roots', () => rootsAreEqual(c.world));
  checkTrees(c.world);
  for (const key of KEYS) {
    const texts = stale
      .node!.recordOf(keyOfText(key))!
      .siblings.map(({ value }) => new TextDecoder().decode(value as Uint8Array));
    assert.ok(texts.includes(`new of ${key}`), `${key} has ${texts.join()}`);
  }
  const moved = [a, b].map((peer) => repairOf(stale, peer)?.pulled ?? 0);
  const given = [a, b].map((peer) => repairOf(peer, stale)?.pushed ?? 0);
  assert.ok(moved[0]! + moved[1]! + given[0]! + given[1]! >= KEYS.length);
});

repair('once converged, exchanges go on and write nothing', () => {
  const c = cluster(3, 1, { exchangeIntervalMs: 500 });
  putAll(c);
  until(c.world, 'equal roots', () => rootsAreEqual(c.world));
  c.world.clock.advance(5000);
  const { commits } = c.world;
  const rounds = repairOf(c.world.hosts[0]!, c.world.hosts[1]!)!.exchanges;
  c.world.clock.advance(20_000);
  assert.equal(c.world.commits, commits);
  assert.ok(repairOf(c.world.hosts[0]!, c.world.hosts[1]!)!.exchanges > rounds + 5);
});

repair('a node that is not whole is no list of a scan: another owner may lack the key, too', () => {
  const c = cluster();
  const [whole, late, wiped] = c.world.hosts as [Host, Host, Host];
  c.world.crash(late);
  assert.equal(codeOf(c.put(0, 'value', { w: 2, dw: 2, strict: true }, 500)), 'applied');
  c.world.crash(wiped);
  wiped.disk.wipe();
  // Only the first node has the key, and it says nothing for a while.
  whole.clock.pause(8000);
  c.world.start(late);
  c.world.start(wiped);
  c.world.clock.advance(2000);
  const partition = c.world.partitionOf('k');
  const scan = { type: 'scan', partition, limit: 10, timeoutMs: 1500 } as const;
  for (const at of [1, 2]) {
    const reply = c.ask(at, scan, 2000);
    assert.equal(codeOf(reply), 'QUORUM_NOT_MET', JSON.stringify(reply));
  }
  c.world.clock.advance(5000);
  const reply = c.ask(2, scan, 2000);
  assert.ok(reply.type === 'keys' && reply.keys.length === 1, JSON.stringify(reply));
});

repair('a wiped node answers NOT_READY, never "not found", until it is refilled', () => {
  const c = cluster();
  putAll(c, 'kept', 3);
  c.world.clock.advance(1000);
  const [, , wiped] = c.world.hosts as [Host, Host, Host];
  c.world.crash(wiped);
  wiped.disk.wipe();
  // Alone, so that there is nobody to refill it from.
  for (const other of c.world.hosts) if (other !== wiped) c.world.crash(other);
  c.world.start(wiped);
  c.world.clock.advance(3000);
  assert.ok(wiped.node!.status().incomplete > 0);
  const alone = c.ask(2, {
    type: 'get',
    key: keyOfText('k1'),
    r: 1,
    strict: false,
    timeoutMs: 2000,
  });
  assert.equal(codeOf(alone), 'QUORUM_NOT_MET');
  for (const other of c.world.hosts) if (other !== wiped) c.world.start(other);
  until(c.world, 'refilled', () => wiped.node!.status().incomplete === 0);
  assert.ok(rootsAreEqual(c.world));
  for (const other of c.world.hosts) if (other !== wiped) c.world.crash(other);
  c.world.clock.advance(3000);
  for (const key of KEYS) assert.deepEqual(c.get(2, 1, key, 300).texts, [`kept of ${key}`]);
});

repair('a wiped node is complete only after a majority of snapshots, not after one (C4)', () => {
  const c = cluster(3, 1, { exchangeIntervalMs: 500 });
  const [a, b, wiped] = c.world.hosts as [Host, Host, Host];
  // Acknowledged by b and the node that will lose its disk; a never hears of it.
  c.world.crash(a);
  c.world.clock.advance(2000);
  assert.equal(codeOf(c.put(1, 'only at b', { w: 2 })), 'applied');
  c.world.clock.advance(1000);
  c.world.crash(wiped);
  c.world.crash(b);
  wiped.disk.wipe();
  c.world.start(a);
  c.world.start(wiped);
  c.world.clock.advance(10_000);
  assert.ok((repairOf(wiped, a)?.exchanges ?? 0) > 0, 'it has compared itself with a');
  assert.ok(wiped.node!.status().incomplete > 0, 'one snapshot of two is not enough');
  c.world.start(b);
  until(c.world, 'refilled', () => wiped.node!.status().incomplete === 0);
  assert.deepEqual(c.get(2, 2).texts, ['only at b']);
});

repair('a damaged row is given up, refilled from the others and never read as nothing', () => {
  const c = cluster(3, 1, {}, 3, 1, NO_LOG);
  putAll(c, 'sound', 3);
  c.world.clock.advance(1000);
  const [, , hurt] = c.world.hosts as [Host, Host, Host];
  const name = keyOfText('k7');
  c.world.crash(hurt);
  hurt.disk.damage('records', (key) => Buffer.from(key).toString('latin1').endsWith('k7'));
  c.world.start(hurt);
  c.world.clock.advance(3000);
  // It asks itself first, and one answer is enough.
  assert.deepEqual(c.get(2, 1, 'k7').texts, ['sound of k7']);
  until(c.world, 'repaired', () => {
    const record = hurt.node!.recordOf(name);
    return record !== undefined && hurt.node!.status().incomplete === 0;
  });
  assert.equal(hurt.node!.status().damaged, 1);
  checkTrees(c.world);
});

repair('a source that finds a row of its own damaged is no complete source (C4, C7)', () => {
  // With W = N one complete other owner is enough for a refill.
  const c = cluster(3, 1, { defaultW: 3 }, 3, 1, NO_LOG);
  putAll(c, 'acked', 3);
  c.world.clock.advance(1000);
  const [a, b, wiped] = c.world.hosts as [Host, Host, Host];
  for (const host of [a, b, wiped]) c.world.crash(host);
  wiped.disk.wipe();
  b.disk.damage('records', (key) => Buffer.from(key).toString('latin1').endsWith('k7'));
  c.world.start(b);
  c.world.start(wiped);
  c.world.clock.advance(10_000);
  const alone = { key: keyOfText('k7'), r: 1, strict: false, timeoutMs: 2000 } as const;
  assert.equal(codeOf(c.ask(2, { type: 'get', ...alone })), 'QUORUM_NOT_MET');
  assert.equal(wiped.node!.status().incomplete, 1, 'all but that partition can be read');
  c.world.start(a);
  until(c.world, 'refilled', () => wiped.node!.status().incomplete === 0);
  assert.deepEqual(c.get(2, 1, 'k7').texts, ['acked of k7']);
});

repair('a node takes no delivery before it knows where keys lie', () => {
  const c = cluster(3, 1, { gossipIntervalMs: 3000 });
  const [, , wiped] = c.world.hosts as [Host, Host, Host];
  c.world.crash(wiped);
  c.world.clock.advance(2000);
  putAll(c, 'hinted', 2, KEYS.slice(0, 8));
  wiped.disk.wipe();
  // Its hints are offered as soon as it is linked, its ring comes by gossip a moment later.
  c.world.start(wiped, 'newcomer');
  until(c.world, 'the ring is known', () => wiped.node!.state === 'serving');
  until(c.world, 'refilled', () => wiped.node!.status().incomplete === 0);
  until(c.world, 'hints drained', () =>
    c.world.hosts.every(({ node }) => node!.status().nodes.every(({ hints }) => hints === 0)),
  );
  until(c.world, 'equal roots', () => rootsAreEqual(c.world));
  checkTrees(c.world);
});

repair('writes in flight are not repaired, however often replicas are compared', () => {
  const c = cluster(3, 1, { exchangeIntervalMs: 100 });
  until(c.world, 'the new cluster is complete', () =>
    c.world.hosts.every(({ node }) => node!.status().incomplete === 0),
  );
  // A key is written again before its last write has reached everybody.
  c.world.network.faults.delayMs = [1, 60];
  let answers = 0;
  for (let i = 0; i < 1000; i++) {
    const key = keyOfText(`k${i % 4}`);
    const text = `${i}`;
    const host = c.world.hosts[i % 3]!;
    c.world.ask(host, c.putOf(i % 3, text, { key, mode: 'last-write-wins' }), (reply) => {
      if (reply.type === 'applied') answers += 1;
    });
    c.world.clock.advance(10);
  }
  c.world.clock.advance(3000);
  assert.equal(answers, 1000);
  const reports = c.world.hosts.flatMap(({ node }) => node!.status().repair);
  const sum = (of: (report: (typeof reports)[number]) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  assert.ok(sum(({ exchanges }) => exchanges) > 50, 'replicas were compared all the time');
  assert.equal(
    sum(({ pulled, pushed }) => pulled + pushed),
    0,
  );
  until(c.world, 'equal roots', () => rootsAreEqual(c.world));
});

repair('an operator makes one partition equal, then all, without waiting for a turn', () => {
  const hintless = { ...DEFAULT_CONFIG.replica, hintsMax: 0 };
  const c = cluster(3, 1, { exchangeIntervalMs: 86_400_000, replica: hintless });
  const [, , stale] = c.world.hosts as [Host, Host, Host];
  // Mail is lost here and there, nobody is doubted for it, and nobody keeps a hint.
  c.world.network.faults.loss = 0.1;
  for (const key of KEYS) {
    c.world.ask(c.world.hosts[0]!, c.putOf(0, key, { key: keyOfText(key) }), () => undefined);
    c.world.clock.advance(10);
  }
  c.world.network.faults.loss = 0;
  c.world.clock.advance(60_000);
  const lacking = () => KEYS.filter((key) => stale.node!.recordOf(keyOfText(key)) === undefined);
  const partitionOf = (key: string) => stale.node!.ringView.placeOf(keyOfText(key)).partition;
  const lacked = lacking();
  const partition = partitionOf(lacked[0]!);
  const elsewhere = lacked.filter((key) => partitionOf(key) !== partition);
  assert.ok(elsewhere.length > 0, 'it is behind in more than one partition, and nobody hurries');

  const run = (args: Readonly<Record<string, unknown>>): RepairStatus => {
    const command = (name: string, given = {}): RepairStatus => {
      const request = { type: 'admin', command: name, args: given, timeoutMs: 1000 } as const;
      const reply = c.ask(2, request, 100);
      assert.ok(reply.type === 'admin-is', JSON.stringify(reply));
      return reply.result as RepairStatus;
    };
    let status = command('repair.start', args);
    until(c.world, 'the run is done', () => {
      status = command('repair.status');
      return status.run!.state === 'done';
    });
    return status;
  };
  const one = run({ partition });
  assert.ok(one.run!.peers.every(({ state }) => state === 'equal'));
  assert.deepEqual(lacking(), elsewhere);
  const pulled = (status: RepairStatus): number =>
    status.run!.peers.reduce((sum, peer) => sum + peer.pulled, 0);
  assert.equal(pulled(one), lacked.length - elsewhere.length);
  const all = run({});
  assert.equal(pulled(all), elsewhere.length);
  assert.deepEqual(lacking(), []);
  const none = run({ sinceMs: 3_600_000 });
  assert.deepEqual([none.run!.state, pulled(none)], ['done', 0]);
  checkTrees(c.world);
});

repair('an operator who names a partition this node has no part in is told whom to ask', () => {
  const c = cluster(4, 1);
  const [first] = c.world.hosts as [Host];
  const partition = first.node!.merkleRoots().findIndex(({ owned }) => !owned);
  const ask = (args: Readonly<Record<string, unknown>>) =>
    c.ask(0, { type: 'admin', command: 'repair.start', args, timeoutMs: 1000 });
  const refused = ask({ partition });
  assert.equal(codeOf(refused), 'BAD_ARGUMENT');
  assert.match(JSON.stringify(refused), /n1 does not own partition .*ask n[234]/);
  assert.equal(codeOf(ask({ partition: 8 })), 'BAD_ARGUMENT');
  assert.equal(codeOf(ask({ sinceMs: -1 })), 'BAD_ARGUMENT');
});

/** A cluster in which mail was lost while nobody kept hints or compares: reads alone can mend it. */
const onlyReads = (config: Partial<Config> = {}) => {
  const replica = { ...DEFAULT_CONFIG.replica, hintsMax: 0 };
  const c = cluster(3, 1, { exchangeIntervalMs: 86_400_000, replica, ...config });
  c.world.network.faults.loss = 0.1;
  for (const key of KEYS) {
    c.world.ask(c.world.hosts[0]!, c.putOf(0, key, { key: keyOfText(key) }), () => undefined);
    c.world.clock.advance(10);
  }
  c.world.network.faults.loss = 0;
  c.world.clock.advance(10_000);
  return c;
};

const readRepairs = (c: ReturnType<typeof cluster>) => c.world.hosts[0]!.node!.status().readRepairs;

const lackedBy = (c: ReturnType<typeof cluster>): number =>
  c.world.hosts.reduce(
    (sum, { node }) => sum + KEYS.filter((key) => !node!.recordOf(keyOfText(key))).length,
    0,
  );

repair('a read of all owners mends those behind, once; then reads write nothing', () => {
  const c = onlyReads();
  const lacked = lackedBy(c);
  assert.ok(lacked > 3, `${lacked} copies are lacking`);
  for (const key of KEYS) assert.deepEqual(c.get(0, 3, key, 300).texts, [key]);
  assert.equal(lackedBy(c), 0);
  assert.deepEqual(readRepairs(c), { sent: lacked, skipped: 0 });
  c.world.clock.advance(3000);
  const { commits } = c.world;
  for (const key of KEYS) assert.deepEqual(c.get(0, 3, key, 300).texts, [key]);
  assert.deepEqual(readRepairs(c), { sent: lacked, skipped: 0 });
  assert.equal(c.world.commits, commits);
});

repair('a burst of reads repairs at a bounded rate and leaves the rest', () => {
  const c = onlyReads({ readRepairsPerSecondMax: 2 });
  const lacked = lackedBy(c);
  for (const key of KEYS) {
    const get = { type: 'get', key: keyOfText(key), r: 3, strict: false, timeoutMs: 3000 } as const;
    c.world.ask(c.world.hosts[0]!, get, (reply) => assert.equal(codeOf(reply), 'value'));
  }
  c.world.clock.advance(300);
  assert.deepEqual(readRepairs(c), { sent: 2, skipped: lacked - 2 });
  assert.equal(lackedBy(c), lacked - 2);
  c.world.clock.advance(3000);
  for (const key of KEYS) c.get(0, 3, key, 700);
  assert.equal(lackedBy(c), 0, 'slower reads mend them all');
});

repair.run();
