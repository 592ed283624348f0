/** Single stories on a simulated cluster: each refusal writes nothing, each rare path is walked once. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText, putId } from '../../src/core/ids.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import type { Node } from '../../src/node/node.ts';
import type { Host } from '../../src/sim/world.ts';
import type { HandledReply } from '../../src/wire/client-messages.ts';
import { cluster, codeOf } from './cluster.ts';

const stories = suite('stories');

/** A question has reached nodes by then, and no answer has come back. */
const WORD_MS = 1;

const hintsAt = (node: Node | undefined): number => {
  const status = node?.status();
  return status?.nodes.find(({ id }) => id === status.node)?.hints ?? 0;
};

stories('a replica that missed a write receives it from a hint', () => {
  const { world, put, get } = cluster();
  world.crash(world.hosts[2]!);
  world.clock.advance(100);
  assert.equal(codeOf(put(0, 'missed')), 'applied');
  world.start(world.hosts[2]!);
  world.clock.advance(5000);
  world.crash(world.hosts[0]!);
  world.crash(world.hosts[1]!);
  world.clock.advance(3000);
  assert.deepEqual(get(2, 1).texts, ['missed']);
});

stories('a fourth node stands in for a dead owner, and hands over what it kept', () => {
  const { world, put } = cluster(4);
  const owners = world.hosts[0]!.node!.ringView.ownersOf(keyOfText('k'));
  const dead = world.hosts.find(({ id }) => owners.includes(id))!;
  const standIn = world.hosts.find(({ id }) => !owners.includes(id))!;
  world.crash(dead);
  world.clock.advance(100);
  const reply = put(world.hosts.indexOf(standIn), 'sloppy', { w: 3 });
  assert.ok(reply.type === 'applied' && reply.acks.includes(standIn.id), JSON.stringify(reply));
  assert.ok(standIn.node!.recordOf(keyOfText('k')) !== undefined);
  world.start(dead);
  world.clock.advance(5000);
  assert.ok(dead.node!.recordOf(keyOfText('k')) !== undefined, 'the owner has it');
  assert.equal(standIn.node!.recordOf(keyOfText('k')), undefined, 'the stand-in forgot it');
});

stories('a node that dies holds up none of the requests that wait for it', () => {
  const { world, putOf } = cluster(4);
  const [asked, dying] = [world.hosts[0]!, world.hosts[1]!];
  const replies: string[] = [];
  for (let n = 0; n < 40; n++) {
    const key = keyOfText(`k${n}`);
    const hear = (reply: HandledReply): void => void replies.push(codeOf(reply));
    // Owners and others coordinate; with w = 3 every put needs somebody in the place of the dead one.
    world.ask(asked, putOf(0, 'any', { key, w: 3, dw: 0 }), hear);
    world.ask(asked, { type: 'get', key, r: 2, strict: false, timeoutMs: 3000 }, hear);
  }
  world.clock.advance(WORD_MS);
  world.crash(dying);
  world.clock.advance(DEFAULT_CONFIG.patienceMs / 2);
  assert.deepEqual(replies.length, 80, `${replies.length} answered before anybody lost patience`);
  assert.deepEqual([...new Set(replies)].sort(), ['applied', 'value']);
});

stories('a stand-in keeps its copy until every owner has one', () => {
  const { world, put } = cluster(4);
  const key = keyOfText('k');
  const owners = world.hosts[0]!.node!.ringView.ownersOf(key);
  const [early, late, third] = world.hosts.filter(({ id }) => owners.includes(id));
  const standIn = world.hosts.find(({ id }) => !owners.includes(id))!;
  for (const host of [early!, late!]) world.crash(host);
  world.clock.advance(100);
  assert.equal(codeOf(put(world.hosts.indexOf(standIn), 'sloppy', { w: 2 })), 'applied');
  world.start(early!);
  world.clock.advance(5000);
  assert.notEqual(early!.node!.recordOf(key), undefined, 'the hint was delivered');
  assert.notEqual(standIn.node!.recordOf(key), undefined, 'one owner lacks it still');
  world.start(late!);
  world.clock.advance(10_000);
  for (const { node } of [early!, late!, third!]) assert.notEqual(node!.recordOf(key), undefined);
  assert.equal(standIn.node!.recordOf(key), undefined, 'all owners have it');
});

stories('an owner that stays away does not hold up what stand-ins give to the others', () => {
  const { world, put } = cluster(5, 1, {}, 5);
  const keys = Array.from({ length: 60 }, (_, i) => keyOfText(`k${i}`));
  const [back, away, ...standIns] = world.hosts as [Host, Host, ...Host[]];
  const { ringView } = standIns[0]!.node!;
  for (const host of [back, away]) world.crash(host);
  world.clock.advance(3000);
  for (const key of keys) assert.equal(codeOf(put(2, 'sloppy', { key }, 300)), 'applied');
  /** What stand-ins keep of keys that both own, or the first alone. */
  const kept = (which: 'both' | 'back alone'): number =>
    standIns.flatMap(({ id, node }) =>
      keys.filter((key) => {
        const owners = ringView.ownersOf(key);
        const isOne = !owners.includes(id) && owners.includes(back.id);
        const isWanted = owners.includes(away.id) === (which === 'both');
        return isOne && isWanted && node!.recordOf(key) !== undefined;
      }),
    ).length;
  assert.ok(kept('both') > 0 && kept('back alone') > 0, 'they stand in for both');
  world.start(back);
  world.clock.advance(8000);
  assert.equal(kept('back alone'), 0, 'handed over, and gone');
  assert.ok(kept('both') > 0, 'one owner has none yet');
});

stories('a key with all the history that a record may keep is written on', () => {
  const record = { vectorEntriesMax: 1024, seenPutsMax: 1024 };
  const { put, get } = cluster(3, 1, { replica: { ...DEFAULT_CONFIG.replica, record } });
  let contexts: readonly Uint8Array[] = [];
  for (let i = 0; i < 700; i++) {
    const reply = put(0, `${i}`, { contexts }, 40);
    assert.ok(reply.type === 'applied', `${i}: ${JSON.stringify(reply)}`);
    contexts = [reply.context];
  }
  const { context } = get(0, 3);
  assert.equal(codeOf(put(0, 'last', { contexts: [context] })), 'applied');
  assert.deepEqual(get(0, 3).texts, ['last']);
});

stories('a stale replica is repaired by a read', () => {
  const { world, put, get } = cluster();
  // Buffered only, on a node that dies before its flush: no hint names it.
  put(0, 'old');
  const backup = world.hosts[2]!.disk.snapshot();
  const { context } = get(0, 3);
  put(0, 'new', { contexts: [context] });
  world.crash(world.hosts[2]!);
  backup();
  world.start(world.hosts[2]!);
  world.clock.advance(3000);
  assert.deepEqual(get(1, 3).texts, ['new']);
  world.crash(world.hosts[0]!);
  world.crash(world.hosts[1]!);
  world.clock.advance(3000);
  assert.deepEqual(get(2, 1).texts, ['new'], 'the repaired replica alone');
});

stories(
  'a put retried through another node with the same put id makes one sibling [bad input 14a]',
  () => {
    const { world, put, get } = cluster();
    const same = { putId: putId('00000000000000ff'), writtenAt: world.hosts[0]!.clock.wallMs() };
    assert.equal(codeOf(put(0, 'once', same)), 'applied');
    assert.equal(codeOf(put(1, 'once', { ...same, attempt: 2 })), 'applied');
    assert.deepEqual(get(2, 3).texts, ['once']);
    assert.equal(codeOf(put(2, 'other bytes', { ...same, attempt: 3 })), 'PUT_ID_REUSED');
  },
);

stories('an old retry is unknown, a clock far ahead is refused [bad input 14b, 14c]', () => {
  const { world, put, get } = cluster();
  const now = world.hosts[0]!.clock.wallMs();
  const old = put(0, 'x', { attempt: 2, writtenAt: now - 3_600_000 });
  assert.ok(old.type === 'failed' && old.code === 'RETRY_TOO_OLD');
  assert.equal(codeOf(put(0, 'x', { writtenAt: now + 2 * 3_600_000 })), 'BAD_TIMESTAMP');
  assert.equal(get(1).state, 'never-seen');
});

stories(
  "an altered context and another key's context are refused, and nothing is written [bad input 13a, 13b]",
  () => {
    const { put, get } = cluster();
    put(0, 'v');
    const { context } = get(0);
    const altered = Uint8Array.from(context);
    altered[12]! ^= 1;
    assert.equal(codeOf(put(0, 'x', { contexts: [altered] })), 'BAD_CONTEXT');
    assert.equal(codeOf(put(0, 'x', { contexts: [new Uint8Array(9000)] })), 'BAD_CONTEXT');
    const wrong = put(0, 'x', { contexts: [context], key: keyOfText('another') });
    assert.equal(codeOf(wrong), 'CONTEXT_KEY_MISMATCH');
    assert.deepEqual(get(1, 3).texts, ['v']);
    assert.equal(get(1, 3, 'another').state, 'never-seen');
  },
);

stories('the sixty-fifth sibling is refused at minting [bad input 15b]', () => {
  const { put, get } = cluster();
  for (let i = 0; i < 64; i++) assert.equal(codeOf(put(0, `s${i}`)), 'applied');
  assert.equal(codeOf(put(0, 'one too many')), 'TOO_MANY_SIBLINGS');
  const { context, texts } = get(1);
  assert.equal(texts.length, 64);
  assert.equal(codeOf(put(0, 'merged', { contexts: [context] })), 'applied');
  assert.deepEqual(get(2, 3).texts, ['merged']);
});

stories('bad quorums are refused with the rule [bad input 12a]', () => {
  const { put } = cluster();
  for (const wish of [{ w: 4 }, { dw: 4 }, { w: 2, dw: 1, strict: true }]) {
    assert.equal(codeOf(put(0, 'x', wish)), 'BAD_QUORUM', JSON.stringify(wish));
  }
});

stories('below the free-space floor writes are refused and reads go on [bad input 17a]', () => {
  const { world, put, get } = cluster();
  put(0, 'before');
  for (const { disk } of world.hosts) disk.faults.freeBytes = 1000;
  // The floor is looked at after each commit; this is the last one.
  put(0, 'last', { contexts: [get(0).context] });
  const refused = put(0, 'x', { contexts: [get(0).context] });
  assert.ok(refused.type === 'failed' && refused.code === 'INSUFFICIENT_STORAGE', codeOf(refused));
  assert.ok(get(1).texts.length > 0);
});

stories('a node whose commit fails says no more, and the others go on [bad input 17b]', () => {
  const { world, put, get } = cluster();
  world.hosts[0]!.disk.faults.failing = true;
  let answered = false;
  world.ask(
    world.hosts[0]!,
    {
      type: 'put',
      key: keyOfText('k'),
      value: new Uint8Array([1]),
      contexts: [],
      putId: putId('00000000000000fe'),
      writtenAt: world.hosts[0]!.clock.wallMs(),
      attempt: 1,
      mode: 'causal',
      strict: false,
      dw: 3,
      timeoutMs: 3000,
    },
    () => (answered = true),
  );
  world.clock.advance(5000);
  assert.equal(world.hosts[0]!.node, undefined, 'the node has ended');
  assert.equal(answered, false, 'and acknowledged nothing');
  assert.equal(codeOf(put(1, 'on two')), 'applied');
  assert.ok(get(2).texts.includes('on two'));
});

stories('a restored backup never mints an old dot again', () => {
  const { world, put, get } = cluster(1);
  put(0, 'a');
  const backup = world.hosts[0]!.disk.snapshot();
  put(0, 'b');
  const dotOfB = world.hosts[0]!.node!.recordOf(keyOfText('k'))!.vector;
  world.crash(world.hosts[0]!);
  backup();
  world.start(world.hosts[0]!);
  world.clock.advance(3000);
  put(0, 'c');
  assert.deepEqual(get(0, 1).texts, ['a', 'c']);
  const vector = world.hosts[0]!.node!.recordOf(keyOfText('k'))!.vector;
  const fresh = vector.find(({ actor }) => !dotOfB.some((dot) => dot.actor === actor));
  assert.ok(fresh !== undefined, 'c was minted by a newborn actor');
});

stories('a machine that lost power is linked again as soon as it is back', () => {
  for (const at of [0, 2]) {
    const { world } = cluster();
    const host = world.hosts[at]!;
    world.crash(host, 'power-loss');
    world.clock.advance(500);
    world.start(host);
    world.clock.advance(2000);
    const seenBy = world.hosts.map(({ node }) => node!.ringView.healthOf(host.id));
    assert.deepEqual(seenBy, ['healthy', 'healthy', 'healthy'], `${host.id} is seen`);
    const sees = world.hosts.map(({ id }) => host.node!.ringView.healthOf(id));
    assert.deepEqual(sees, ['healthy', 'healthy', 'healthy'], `${host.id} sees`);
  }
});

stories('who acknowledges a put that it knew from a read alone holds it first', () => {
  // No hint and no exchange tells the last node what it missed.
  const replica = { ...DEFAULT_CONFIG.replica, hintsMax: 0 };
  const { world, ask, putOf } = cluster(3, 1, { replica, exchangeIntervalMs: 60_000 });
  const last = world.hosts[2]!;
  world.crash(last);
  world.clock.advance(2000);
  const once = putOf(0, 'once', { mode: 'last-write-wins' });
  assert.equal(codeOf(ask(0, once)), 'applied');
  world.start(last);
  world.clock.advance(1000);
  assert.equal(last.node!.recordOf(once.key), undefined, 'it missed the put');
  let acks: readonly string[] = [];
  let held = false;
  world.ask(
    last,
    { ...once, attempt: 2, w: 1, dw: 0 },
    () => undefined,
    (reply) => {
      if (reply.type === 'applied') acks = reply.acks;
      held = last.node!.recordOf(once.key) !== undefined;
    },
  );
  world.clock.advance(3000);
  assert.ok(acks.includes(last.id), 'it coordinates the retry, and acknowledges');
  assert.ok(held, 'what it holds itself');
});

stories('a full hint store does not hold up what it keeps', () => {
  const replica = { ...DEFAULT_CONFIG.replica, hintsMax: 2 };
  const { world, put } = cluster(5, 1, { replica });
  const owners = world.hosts[0]!.node!.ringView.ownersOf(keyOfText('k'));
  const [dead, other] = world.hosts.filter(({ id }) => owners.includes(id));
  const keeper = world.hosts.find(({ id }) => !owners.includes(id))!;
  world.crash(dead!);
  world.crash(other!);
  world.clock.advance(2000);
  // It stands in for both: its store is full.
  assert.equal(codeOf(put(world.hosts.indexOf(keeper), 'sloppy', { w: 3 })), 'applied');
  assert.equal(world.hosts.reduce((sum, { node }) => sum + hintsAt(node), 0) >= 2, true);
  world.start(other!);
  // One of the owners it keeps a hint for leaves: its hint would need more room than it has.
  const asked = world.hosts.find(({ id, node }) => node !== undefined && id !== keeper.id)!;
  assert.equal(asked.node!.changeMembership({ type: 'remove', node: dead!.id }), undefined);
  for (let ms = 0; world.hosts.some(({ node }) => hintsAt(node) > 0); ms += 100) {
    assert.ok(ms < 60_000, 'every hint is delivered');
    world.clock.advance(100);
  }
  assert.ok(other!.node!.recordOf(keyOfText('k')) !== undefined);
});

stories('a node that has stopped leaves no timer behind, though a client still waits', () => {
  const { world, putOf } = cluster(3, 1, { drainTimeoutMs: 500 });
  const [first, ...others] = world.hosts;
  for (const { clock } of others) clock.pause(60_000);
  let answered = false;
  let stopped = false;
  world.ask(first!, putOf(0, 'waits', { w: 3, timeoutMs: 60_000 }), () => (answered = true));
  world.clock.advance(100);
  first!.node!.stop(() => (stopped = true));
  world.clock.advance(3000);
  assert.deepEqual([answered, stopped, first!.clock.pending], [false, true, 0]);
});

stories.run();
