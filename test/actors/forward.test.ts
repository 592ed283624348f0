/** The coordinator of a put that is handed on, on fake ports and virtual time: to whom, and what it says. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { createActor } from 'xstate';
import { forwardMachine } from '../../actors/forward.ts';
import { keyOfText, nodeId, putId } from '../../src/core/ids.ts';
import { xstateClock } from '../../src/node/requests/nursery.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import type { PutReply } from '../../src/wire/peer-messages.ts';

const forwards = suite('the coordinator of a put that is handed on');
const [a, b] = [nodeId('a'), nodeId('b')] as const;
const overloaded: PutReply = {
  ...{ type: 'failed', code: 'OVERLOADED', message: 'too many', details: {} },
};

const coordinator = () => {
  const log: string[] = [];
  const replies: PutReply[] = [];
  const actor = createActor(forwardMachine, {
    clock: xstateClock(new LifeClock(new WorldClock())),
    input: {
      ...{ request: 1, coordinators: [a, b], patienceMs: 1000 },
      put: {
        ...{ key: keyOfText('k'), value: new Uint8Array([9]), contexts: [] },
        ...{ putId: putId('00000000000000aa'), writtenAt: 1, attempt: 1 },
        ...{ mode: 'causal', strict: false, timeoutMs: 5000 },
      },
      ports: {
        forward: (_request, { attempt }, to) => log.push(`${to} attempt ${attempt}`),
        reply: (_request, reply) => replies.push(reply),
      },
    },
  });
  actor.start();
  const said = () => replies.map((reply) => [reply.type === 'failed' ? reply.code : reply.type]);
  return { actor, log, replies, said };
};

forwards('goes to the next at once when the link to the one that has it is lost', () => {
  const { actor, log } = coordinator();
  assert.deepEqual(log, ['a attempt 1']);
  actor.send({ type: 'replica.lost', node: b });
  assert.deepEqual(log.length, 1, 'that one did not have it');
  actor.send({ type: 'replica.lost', node: a });
  assert.deepEqual(log, ['a attempt 1', 'b attempt 2']);
});

forwards('says that it is unknown as soon as nobody is left who could tell', () => {
  const { actor, replies, said } = coordinator();
  actor.send({ type: 'replica.lost', node: a });
  assert.deepEqual(said(), []);
  actor.send({ type: 'put.answered', node: b, reply: overloaded });
  assert.deepEqual(said(), [['CONNECTION_LOST']]);
  assert.ok(replies[0]?.type === 'failed' && replies[0].details['outcome'] === 'unknown');
});

forwards('a refusal of all is a refusal, whoever goes afterwards', () => {
  const { actor, replies } = coordinator();
  actor.send({ type: 'put.answered', node: a, reply: overloaded });
  actor.send({ type: 'replica.lost', node: a });
  actor.send({ type: 'put.answered', node: b, reply: overloaded });
  assert.deepEqual(replies, [overloaded]);
});

forwards.run();
