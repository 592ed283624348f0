/** The tallies of writes and reads, by table. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId } from '../../src/core/ids.ts';
import {
  isSettled,
  ownersWithout,
  placements,
  recordAck,
  recordRefusal,
  replaceSilent,
  planWrite,
  startWrite,
  toSync,
  writeVerdict,
} from '../../src/core/quorum.ts';
import type { WriteTally } from '../../src/core/quorum.ts';
import {
  answersLacking,
  askNext,
  readVerdict,
  recordAnswer,
  recordReadRefusal,
  startRead,
} from '../../src/core/read-tally.ts';
import { EMPTY_RECORD } from '../../src/core/record.ts';

const quorum = suite('quorums');
const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map(nodeId) as [
  ReturnType<typeof nodeId>,
  ReturnType<typeof nodeId>,
  ReturnType<typeof nodeId>,
  ReturnType<typeof nodeId>,
  ReturnType<typeof nodeId>,
];
const up = [a, b, c].map((node) => ({ node, reachable: true }));
const wish = { w: 2, dw: 1, counting: 'anyone' } as const;

const verdicts: readonly [string, WriteTally, 'pending' | 'won' | 'lost'][] = [
  ['nobody answered yet', startWrite(planWrite(up, []), wish), 'pending'],
  ['one ack of two', recordAck(startWrite(planWrite(up, []), wish), a, true), 'pending'],
  [
    'one ack twice is one',
    recordAck(recordAck(startWrite(planWrite(up, []), wish), a, true), a, true),
    'pending',
  ],
  [
    'two acks, none durable',
    recordAck(recordAck(startWrite(planWrite(up, []), wish), a, false), b, false),
    'pending',
  ],
  [
    'two acks, one durable',
    recordAck(recordAck(startWrite(planWrite(up, []), wish), a, false), b, true),
    'won',
  ],
  [
    'dw = 0 wants no disk',
    recordAck(recordAck(startWrite(planWrite(up, []), { ...wish, dw: 0 }), a, false), b, false),
    'won',
  ],
  [
    'two refusals leave one',
    recordRefusal(recordRefusal(startWrite(planWrite(up, []), wish), b), c),
    'lost',
  ],
  [
    'a spare may still answer',
    recordRefusal(recordRefusal(startWrite(planWrite(up, [d]), wish), b), c),
    'pending',
  ],
];
for (const [name, tally, expected] of verdicts) {
  quorum(`a write: ${name} is ${expected}`, () => assert.equal(writeVerdict(tally), expected));
}

quorum('strict counts real owners only, in acks and on disk', () => {
  const some = [a, b, c].map((node) => ({ node, reachable: node !== c }));
  const tally = startWrite(planWrite(some, [d]), { w: 2, dw: 2, counting: 'real-owners' });
  const withFallback = recordAck(recordAck(tally, a, true), d, true);
  assert.equal(writeVerdict(withFallback), 'pending');
  assert.equal(writeVerdict(recordAck(withFallback, b, true)), 'won');
});

quorum('an unreachable owner is replaced at once, with a hint that names it', () => {
  const some = [a, b, c].map((node) => ({ node, reachable: node !== b }));
  assert.deepEqual(placements(startWrite(planWrite(some, [d, e]), wish)), [
    { node: a },
    { node: d, hintFor: b },
    { node: c },
  ]);
});

quorum(
  'who is silent is replaced by the next spare, who refused at once, and no spare serves twice',
  () => {
    const tally = recordAck(startWrite(planWrite(up, [d, e]), wish), a, false);
    const silent = replaceSilent(tally, 'all-silent');
    assert.deepEqual(silent.placed, [
      { node: d, hintFor: b },
      { node: e, hintFor: c },
    ]);
    assert.deepEqual(replaceSilent(silent.tally, 'all-silent').placed, []);
    const refused = replaceSilent(recordRefusal(tally, b), 'refused');
    assert.deepEqual(refused.placed, [{ node: d, hintFor: b }]);
  },
);

quorum('a write is settled when each owner or a stand-in for it has it', () => {
  let tally = replaceSilent(
    recordAck(startWrite(planWrite(up, [d]), wish), a, true),
    'all-silent',
  ).tally;
  tally = recordAck(tally, c, false);
  assert.deepEqual(ownersWithout(tally), [b]);
  assert.equal(isSettled(tally), false);
  assert.equal(isSettled(recordAck(tally, d, false)), true);
  assert.deepEqual(toSync(tally), [c]);
});

quorum('a read is won by R answers that count; a fallback that holds nothing never does', () => {
  let tally = askNext(startRead([a, b, d], { r: 2, counting: 'anyone' }), 2);
  tally = recordAnswer(tally, a, 'owner', undefined);
  assert.equal(readVerdict(tally), 'pending');
  tally = recordAnswer(tally, b, 'fallback', undefined);
  assert.equal(answersLacking(tally), 1);
  assert.equal(readVerdict(tally), 'pending');
  tally = recordReadRefusal(askNext(tally, 1), d);
  assert.equal(readVerdict(tally), 'lost');
  assert.equal(readVerdict(recordAnswer(tally, d, 'fallback', EMPTY_RECORD)), 'won');
});

quorum('a strict read does not count what a fallback holds', () => {
  let tally = askNext(startRead([a, d], { r: 2, counting: 'real-owners' }), 2);
  tally = recordAnswer(recordAnswer(tally, a, 'owner', undefined), d, 'fallback', EMPTY_RECORD);
  assert.equal(readVerdict(tally), 'lost');
});

quorum.run();
