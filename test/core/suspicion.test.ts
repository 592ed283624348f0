/** What a node believes of its peers, from what it saw of them (paper § 4.8). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeId } from '../../src/core/ids.ts';
import { healthOf, usualRoundTripMs } from '../../src/core/suspicion.ts';
import type { Health, PeerSigns } from '../../src/core/suspicion.ts';

const beliefs = suite('what a node believes of its peers');

const LIMITS = {
  unansweredMs: 200,
  suspectAfterMs: 750,
  downAfterMs: 1500,
  slowFactor: 5,
  slowAtLeastMs: 20,
};

const signs = (change: Partial<PeerSigns>): PeerSigns => ({
  ...{ node: nodeId('n2'), linked: true, silentMs: 5, askedMs: 0 },
  ...{ roundTripMs: 1, pingedMs: 100 },
  ...change,
});

const TABLE: readonly (readonly [string, Partial<PeerSigns>, number, Health])[] = [
  ['heard just now', {}, 0, 'healthy'],
  ['no link', { linked: false }, 0, 'down'],
  ['silent for a while', { silentMs: 800 }, 0, 'suspect'],
  ['silent for long', { silentMs: 1600 }, 0, 'down'],
  ['silent while we were late ourselves', { silentMs: 1600 }, 1500, 'healthy'],
  ['asked, and silent since', { silentMs: 300, askedMs: 250 }, 0, 'suspect'],
  ['asked just now', { silentMs: 300, askedMs: 50 }, 0, 'healthy'],
  ['asked before we paused', { silentMs: 900, askedMs: 900 }, 800, 'healthy'],
  ['ten times slower than the others', { roundTripMs: 40 }, 0, 'suspect'],
  ['slower, but quick enough', { roundTripMs: 15 }, 0, 'healthy'],
  ['not measured yet', { roundTripMs: undefined }, 0, 'healthy'],
];

for (const [what, change, ownLagMs, expected] of TABLE) {
  beliefs(`${what}: ${expected}`, () =>
    assert.equal(healthOf(signs(change), ownLagMs, LIMITS, 2), expected),
  );
}

beliefs('what is usual is what most peers show, whatever one of them does', () => {
  const times = (...list: (number | undefined)[]) =>
    usualRoundTripMs(list.map((roundTripMs) => signs({ roundTripMs })));
  assert.equal(times(1, 2, 300), 2);
  assert.equal(times(300, 1), 1);
  assert.equal(times(undefined, 7), 7);
  assert.equal(times(undefined), undefined);
});

beliefs.run();
