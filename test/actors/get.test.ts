/** The get coordinator on fake ports and virtual time: whom it asks for what, and when it answers. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { createActor } from 'xstate';
import { getMachine } from '../../actors/get.ts';
import type { GetReply } from '../../actors/get.ts';
import { actorId, keyOfText, nodeId, putId, startId } from '../../src/core/ids.ts';
import { startRead } from '../../src/core/read-tally.ts';
import { EMPTY_RECORD, RECORD_LIMITS } from '../../src/core/record.ts';
import type { RecordOfKey } from '../../src/core/record.ts';
import { xstateClock } from '../../src/node/requests/nursery.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';

const gets = suite('the get coordinator');
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((id) => nodeId(id)) as never as ReturnType<
  typeof nodeId
>[];

const PATIENCE_MS = 200;

/** One sibling, the n-th of its actor; the header alone, or with its value. */
const record = (n: number, value: 'withheld' | 'whole'): RecordOfKey => {
  const actor = actorId(startId('0000000000000001'), 1);
  const bytes = value === 'whole' ? new Uint8Array([n]) : value;
  const dot = { actor, n, time: n };
  return {
    ...EMPTY_RECORD,
    vector: [{ actor, n, time: n }],
    siblings: [{ dot, value: bytes, writtenAt: n, putId: putId('00000000000000aa') }],
  };
};

/** A coordinator that is no owner, with a log of what it asked. */
const coordinator = (r: number) => {
  const world = new WorldClock();
  const log: string[] = [];
  const replies: GetReply[] = [];
  const actor = createActor(getMachine, {
    clock: xstateClock(new LifeClock(world)),
    input: {
      ...{ request: 1, key: keyOfText('k'), limits: RECORD_LIMITS },
      ...{ timeoutMs: 5000, patienceMs: PATIENCE_MS, lingerMs: 1000 },
      tally: startRead([a!, b!, c!, d!], { r, counting: 'anyone' }),
      ports: {
        read: (_request, _key, from, want) => log.push(`read ${from} ${want}`),
        repair: (_key, _record, to) => log.push(`repair ${to}`),
        reply: (_request, reply) => replies.push(reply),
      },
    },
  });
  actor.start();
  const answer = (node: unknown, held: RecordOfKey): void =>
    actor.send({ type: 'replica.answered', node: node as never, role: 'owner', record: held });
  const refuse = (node: unknown): void =>
    actor.send({ type: 'replica.refused', node: node as never });
  const lose = (node: unknown): void => actor.send({ type: 'replica.lost', node: node as never });
  /** What it asked since the last look. */
  const asked = (): readonly string[] => log.splice(0);
  return { world, asked, replies, answer, refuse, lose };
};

const valueIn = (reply: GetReply | undefined): unknown =>
  reply?.type === 'value' ? reply.record.siblings[0]?.value : reply;

gets('asks one replica for values and the others for headers', () => {
  const { asked } = coordinator(3);
  assert.deepEqual(asked(), ['read a with-values', 'read b header', 'read c header']);
});

gets('asks nobody again for values that are on their way', () => {
  const { asked, answer, replies } = coordinator(2);
  asked();
  answer(b, record(1, 'withheld'));
  assert.deepEqual(asked(), [], 'the header was quicker than the values');
  answer(a, record(1, 'whole'));
  assert.deepEqual(valueIn(replies[0]), new Uint8Array([1]));
  assert.deepEqual(asked(), []);
});

gets('fetches the values of a header as soon as those that came are older', () => {
  const { asked, answer, replies } = coordinator(2);
  asked();
  answer(b, record(2, 'withheld'));
  answer(a, record(1, 'whole'));
  assert.equal(replies.length, 0);
  assert.deepEqual(asked(), ['read b with-values']);
  answer(b, record(2, 'whole'));
  assert.deepEqual(valueIn(replies[0]), new Uint8Array([2]));
});

gets('fetches at once if whoever sends values has answered, though others have not', () => {
  const { asked, answer } = coordinator(3);
  asked();
  answer(a, record(1, 'whole'));
  answer(b, record(2, 'withheld'));
  assert.deepEqual(asked(), ['read b with-values']);
});

gets('fetches if whoever was asked for values refuses, and asks the next', () => {
  const { asked, answer, refuse, replies } = coordinator(2);
  asked();
  answer(b, record(1, 'withheld'));
  refuse(a);
  assert.deepEqual(asked(), ['read b with-values', 'read c with-values']);
  answer(c, record(1, 'whole'));
  assert.deepEqual(valueIn(replies[0]), new Uint8Array([1]));
});

gets('waits for values that are on their way no longer than for anything', () => {
  const { world, asked, answer, replies } = coordinator(2);
  asked();
  answer(b, record(2, 'withheld'));
  world.advance(PATIENCE_MS);
  assert.deepEqual(asked(), ['read c with-values', 'read b with-values']);
  answer(b, record(2, 'whole'));
  assert.equal(replies.length, 0, 'one replica is no quorum');
  answer(c, record(1, 'whole'));
  assert.deepEqual(valueIn(replies[0]), new Uint8Array([2]));
});

gets('fetches from the other holder if one refuses', () => {
  const { asked, answer, refuse, replies } = coordinator(3);
  asked();
  answer(b, record(2, 'withheld'));
  answer(c, record(2, 'withheld'));
  answer(a, record(1, 'whole'));
  assert.deepEqual(asked(), ['read b with-values']);
  refuse(b);
  assert.deepEqual(asked(), ['read c with-values']);
  answer(c, record(2, 'whole'));
  assert.deepEqual(valueIn(replies[0]), new Uint8Array([2]));
});

gets('what a stand-in has not is fetched from who has it', () => {
  const { asked, answer, refuse, replies } = coordinator(3);
  asked();
  refuse(a);
  assert.deepEqual(asked(), ['read d with-values']);
  answer(d, EMPTY_RECORD);
  answer(b, record(1, 'withheld'));
  assert.deepEqual(asked(), ['read b with-values']);
  answer(c, record(1, 'withheld'));
  assert.deepEqual(asked(), [], 'one holder is enough');
  answer(b, record(1, 'whole'));
  assert.deepEqual(valueIn(replies[0]), new Uint8Array([1]));
});

gets('a replica whose link is lost is not waited for, nor asked if it was still to be', () => {
  const { asked, answer, lose, replies } = coordinator(2);
  asked();
  lose(c);
  assert.deepEqual(asked(), [], 'it had not been asked');
  lose(b);
  assert.deepEqual(asked(), ['read d with-values']);
  answer(a, record(1, 'whole'));
  lose(a);
  answer(d, record(1, 'whole'));
  assert.deepEqual(valueIn(replies[0]), new Uint8Array([1]), 'an answer given stays one');
});

gets('repairs as soon as nobody is left who could still answer', () => {
  const { asked, answer, lose } = coordinator(3);
  answer(a, record(2, 'whole'));
  answer(b, record(1, 'whole'));
  lose(c);
  answer(d, record(2, 'withheld'));
  assert.ok(asked().includes('repair b'));
});

gets.run();
