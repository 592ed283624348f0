/** Whom anti-entropy asks next: urgency helps, and starves nobody. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { keyOfText, nodeId, partitionId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/ids.ts';
import type { Completeness } from '../../src/node/store/completeness.ts';
import { DEFAULT_CONFIG } from '../../src/node/config.ts';
import { ExchangeLog } from '../../src/node/healing/exchange-log.ts';
import { ExchangeTurns } from '../../src/node/healing/exchange-turns.ts';
import type { RingView } from '../../src/node/membership/ring-view.ts';
import { LifeClock, WorldClock } from '../../src/sim/clock.ts';
import { randomStream } from '../../src/sim/random.ts';

const turns = suite('exchange turns');

const [self, a, b, c] = ['self', 'a', 'b', 'c'].map(nodeId) as [NodeId, NodeId, NodeId, NodeId];

const bench = () => {
  const world = new WorldClock();
  const clock = new LifeClock(world);
  const log = new ExchangeLog(clock);
  const refills = new Set<NodeId>();
  const chooser = new ExchangeTurns(
    {
      self,
      clock,
      random: randomStream(1, 'turns'),
      config: DEFAULT_CONFIG,
      ring: {
        ring: { table: [[self, a, b, c]] },
        holdersOf: () => [self, a, b, c],
        healthOf: () => 'healthy',
      } as unknown as RingView,
      completeness: { wants: (peer: NodeId) => refills.has(peer) } as unknown as Completeness,
    },
    log,
  );
  /** One exchange, after the rest that is asked for. */
  const next = (): NodeId => {
    world.advance(chooser.restMs());
    const peer = chooser.next();
    assert.ok(peer !== undefined);
    log.of(peer).begunAtMs = clock.monotonicMs();
    return peer;
  };
  const look = (peer: NodeId): void => {
    log.of(peer).looks.set(keyOfText('k'), {
      partition: partitionId(0),
      ours: 1n,
      theirs: 2n,
      atMs: clock.monotonicMs(),
    });
  };
  return { world, chooser, refills, next, look };
};

turns('everybody is asked once before anybody is asked twice', () => {
  const { next } = bench();
  for (let round = 0; round < 5; round++) {
    assert.deepEqual([next(), next(), next()].sort(), [a, b, c]);
  }
});

turns('a second look comes soon, and under steady writes nobody waits in vain', () => {
  const { chooser, next, look } = bench();
  look(a);
  look(b);
  assert.equal(chooser.restMs(), DEFAULT_CONFIG.lookAgainMs);
  const asked = Array.from({ length: 12 }, next);
  for (const peer of [a, b, c]) {
    assert.ok(asked.slice(0, 6).includes(peer), `${peer} among ${asked.join()}`);
    assert.ok(asked.slice(6).includes(peer), `${peer} among ${asked.join()}`);
  }
});

turns('what an operator wants comes first, and at once', () => {
  const { chooser, next, look } = bench();
  look(a);
  chooser.want([b]);
  assert.equal(chooser.restMs(), 0);
  assert.equal(next(), b);
});

turns(
  'a refill that makes no progress is retried at a pace, and leaves the others their turn',
  () => {
    const { world, chooser, refills, next } = bench();
    refills.add(a).add(b);
    const asked: NodeId[] = [];
    for (let i = 0; i < 30; i++) {
      const peer = next();
      asked.push(peer);
      chooser.passOver(peer);
    }
    assert.ok(world.nowMs > 5000, `30 vain exchanges took ${world.nowMs} ms`);
    assert.ok(asked.includes(c), asked.join());
    assert.ok(asked.filter((peer) => peer === a).length > 3);
  },
);

turns.run();
