/** The put coordinator on fake ports and virtual time: what it sends, when it answers, what it leaves. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { createActor } from 'xstate';
import { putMachine } from '../../actors/put.ts';
import type { PutEvent } from '../../actors/put.ts';
import { keyOfText, nodeId, putId } from '../../src/core/ids.ts';
import { planWrite, startWrite } from '../../src/core/quorum.ts';
import { xstateClock } from '../../src/node/requests/nursery.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import type { PutReply } from '../../src/wire/peer-messages.ts';

const puts = suite('the put coordinator');
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((id) => nodeId(id)) as never as ReturnType<
  typeof nodeId
>[];
const minted: PutEvent = {
  type: 'replica.minted',
  record: new Uint8Array([1]),
  context: new Uint8Array([2]),
};

/** A coordinator at `a` for owners a, b, c and the spare d, with a log of what it did. */
const coordinator = (wish: { w: number; dw: number }, down: readonly unknown[] = []) => {
  const world = new WorldClock();
  const log: string[] = [];
  const replies: PutReply[] = [];
  const owners = [a, b, c].map((node) => ({ node: node!, reachable: !down.includes(node) }));
  const actor = createActor(putMachine, {
    clock: xstateClock(new LifeClock(world)),
    input: {
      request: 1,
      self: a!,
      put: {
        key: keyOfText('k'),
        value: new Uint8Array([9]),
        contexts: [],
        putId: putId('00000000000000aa'),
        writtenAt: 1,
        attempt: 1,
        mode: 'causal',
        strict: false,
        timeoutMs: 5000,
      },
      tally: startWrite(planWrite(owners, [d!]), { ...wish, counting: 'anyone' }),
      ports: {
        mint: () => log.push('mint'),
        write: (_request, _put, _record, { node, hintFor }, durable) =>
          log.push(
            `write ${node}${hintFor === undefined ? '' : ` for ${hintFor}`}${durable ? ' durably' : ''}`,
          ),
        sync: (_request, _put, to) => log.push(`sync ${to}`),
        keepHint: (_put, owner) => log.push(`hint ${owner}`),
        reply: (_request, reply) => replies.push(reply),
      },
      patienceMs: 200,
      lingerMs: 1000,
    },
  });
  actor.start();
  const ack = (node: unknown, durable: boolean) =>
    actor.send({ type: 'replica.acked', node: node as never, durable });
  return { world, log, replies, actor, ack, isDone: () => actor.getSnapshot().status === 'done' };
};

puts('sends nothing before its own replica has minted', () => {
  const { actor, log } = coordinator({ w: 2, dw: 1 });
  assert.deepEqual(log, ['mint']);
  actor.send(minted);
  assert.deepEqual(log, ['mint', 'write b', 'write c']);
});

puts('answers after W acks of which dw are durable, and not before', () => {
  const { actor, ack, replies } = coordinator({ w: 2, dw: 1 });
  actor.send(minted);
  ack(b, false);
  assert.equal(replies.length, 0, 'two acks, none durable');
  ack(a, true);
  assert.equal(replies.length, 1);
  const [reply] = replies;
  assert.ok(reply?.type === 'applied');
  assert.deepEqual([reply.acks, reply.durable], [['a', 'b'], ['a']]);
});

puts('marks dw of the writes durable, its own first', () => {
  const { actor, log } = coordinator({ w: 2, dw: 2 });
  actor.send(minted);
  assert.deepEqual(log.slice(1), ['write b durably', 'write c']);
});

puts('a duplicated ack counts once [bad input 20e]', () => {
  const { actor, ack, replies } = coordinator({ w: 3, dw: 0 });
  actor.send(minted);
  ack(b, false);
  ack(b, true);
  ack(b, false);
  assert.equal(replies.length, 0);
});

puts('an owner that is down is replaced at once, with a hint', () => {
  const { actor, log } = coordinator({ w: 2, dw: 1 }, [c]);
  actor.send(minted);
  assert.deepEqual(log.slice(1), ['write b', 'write d for c']);
});

puts('a silent owner is replaced after patience, a refusal at once', () => {
  const silent = coordinator({ w: 3, dw: 0 });
  silent.actor.send(minted);
  silent.ack(b, false);
  silent.world.advance(199);
  assert.equal(silent.log.length, 3);
  silent.world.advance(2);
  assert.deepEqual(silent.log.slice(3), ['write d for c']);
  const refused = coordinator({ w: 3, dw: 0 });
  refused.actor.send(minted);
  refused.actor.send({ type: 'replica.refused', node: c! });
  assert.deepEqual(refused.log.slice(3), ['write d for c']);
});

puts('an owner whose link is lost is replaced at once, by somebody who is there', () => {
  const { actor, log } = coordinator({ w: 2, dw: 0 });
  actor.send(minted);
  actor.send({ type: 'replica.lost', node: c! });
  assert.deepEqual(log.slice(3), ['write d for c']);
  const noSpare = coordinator({ w: 2, dw: 0 });
  noSpare.actor.send(minted);
  noSpare.actor.send({ type: 'replica.lost', node: d! });
  noSpare.actor.send({ type: 'replica.lost', node: c! });
  assert.deepEqual(noSpare.log.slice(3), [], 'the spare is gone, too');
  assert.equal(noSpare.replies.length, 0, 'the other owner may answer');
  noSpare.actor.send({ type: 'replica.lost', node: b! });
  const [reply] = noSpare.replies;
  assert.ok(reply?.type === 'failed');
  assert.deepEqual([reply.code, reply.details['outcome']], ['QUORUM_NOT_MET', 'unknown']);
});

puts('what a lost replica had acked counts, and its disk is not waited for', () => {
  const { actor, ack, log, replies } = coordinator({ w: 2, dw: 2 });
  actor.send(minted);
  ack(a, true);
  ack(b, false);
  ack(c, false);
  actor.send({ type: 'replica.lost', node: b! });
  assert.deepEqual(log.slice(3), ['sync b', 'sync c']);
  ack(c, true);
  assert.equal(replies[0]?.type, 'applied');
});

puts('a durable ack that does not come is asked of another replica that acked', () => {
  const { actor, ack, world, log, replies } = coordinator({ w: 2, dw: 1 });
  actor.send(minted);
  ack(b, false);
  ack(c, false);
  world.advance(201);
  assert.ok(log.includes('sync b') && log.includes('sync a'), log.join());
  ack(b, true);
  assert.equal(replies[0]?.type, 'applied');
});

puts(
  'a timeout is unknown and says who acked; owners still silent get a hint here [bad input 16]',
  () => {
    const { actor, world, log, replies, isDone } = coordinator({ w: 3, dw: 0 });
    actor.send(minted);
    world.advance(5001);
    const [reply] = replies;
    assert.ok(reply?.type === 'failed' && reply.code === 'QUORUM_NOT_MET');
    assert.deepEqual([reply.details['outcome'], reply.details['acks']], ['unknown', ['a']]);
    assert.equal(isDone(), false, 'it lingers');
    world.advance(1001);
    assert.ok(log.includes('hint b') && log.includes('hint c'), log.join());
    assert.equal(isDone(), true);
    assert.equal(replies.length, 1, 'answered once');
  },
);

puts('what fails before the dot is refused, and nothing was sent', () => {
  const { actor, log, replies, isDone } = coordinator({ w: 2, dw: 1 });
  const failure = { type: 'failed', code: 'BAD_CONTEXT', message: '', details: {} } as const;
  actor.send({ type: 'mint.refused', failure });
  assert.deepEqual([log, replies, isDone()], [['mint'], [failure], true]);
});

puts('is buried as soon as every owner has the write', () => {
  const { actor, ack, isDone, world } = coordinator({ w: 2, dw: 1 });
  actor.send(minted);
  ack(a, true);
  ack(b, false);
  assert.equal(isDone(), false, 'c is awaited after the reply');
  ack(c, false);
  assert.equal(isDone(), true);
  world.advance(10_000);
});

puts.run();
