/** Admission (paper § 6.5) as tables: the window of latencies, the controller, what a slice is worth. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import {
  NOTHING_CARRIED,
  nextSlices,
  pressureOf,
  paidAfter,
  sliceOf,
  workOf,
} from '../../src/core/admission.ts';
import type { AdmissionLimits, Pressure } from '../../src/core/admission.ts';
import { LatencyWindow, WINDOW_MS } from '../../src/core/latency-window.ts';

const admission = suite('admission');

const LIMITS: AdmissionLimits = { thresholdMs: 50, slicesMin: 4, slicesStep: 5, restMaxMs: 1000 };

admission('the worse of reads and writes against the threshold makes the pressure', () => {
  const table: readonly [number | undefined, number | undefined, boolean, Pressure][] = [
    [undefined, undefined, false, 'alone'],
    [undefined, undefined, true, 'easy'],
    [12, 3, true, 'easy'],
    [3, 40, true, 'easy'],
    [3, 41, true, 'close'],
    [50, 3, true, 'close'],
    [51, 3, true, 'pressed'],
    [3, 80, true, 'pressed'],
    // What the trailing minute still remembers disturbs nobody when nobody is there.
    [500, 500, false, 'alone'],
  ];
  for (const [readP99Ms, writeP99Ms, busy, expected] of table) {
    const found = pressureOf({ readP99Ms, writeP99Ms, strain: undefined, used: 0, busy }, LIMITS);
    assert.equal(found, expected, JSON.stringify([readP99Ms, writeP99Ms, busy]));
  }
});

admission('clients that wait longer than is usual are felt long before the threshold', () => {
  const table: readonly [number, number, boolean, Pressure][] = [
    [9, 1, true, 'easy'],
    [9, 1.4, true, 'close'],
    [9, 1.7, true, 'pressed'],
    [60, 1, true, 'pressed'],
    [9, 3, false, 'alone'],
  ];
  for (const [readP99Ms, strain, busy, expected] of table) {
    const load = { readP99Ms, writeP99Ms: undefined, strain, used: 0, busy };
    assert.equal(pressureOf(load, LIMITS), expected, JSON.stringify(load));
  }
});

admission('halved when pressed, a step up when easy and used, a step down when not', () => {
  const table: readonly [number, Pressure, number, number][] = [
    [100, 'pressed', 100, 50],
    [9, 'pressed', 9, 4],
    [4, 'pressed', 0, 4],
    [37, 'close', 0, 37],
    [4, 'easy', 3, 9],
    [98, 'easy', 60, 100],
    [98, 'easy', 10, 93],
    [6, 'easy', 0, 4],
    // Of no account while nobody asks; who asks first finds the floor.
    [60, 'alone', 100, 4],
  ];
  for (const [slices, pressure, used, expected] of table) {
    const found = nextSlices(slices, pressure, used, LIMITS);
    assert.equal(found, expected, `${slices} ${pressure}, ${used} used`);
  }
});

admission('active tasks share the slices equally, each has one, and alone each has all', () => {
  assert.equal(sliceOf(100, 'easy', 1), 100);
  assert.equal(sliceOf(100, 'easy', 3), 33);
  assert.equal(sliceOf(4, 'pressed', 5), 1);
  assert.equal(sliceOf(100, 'alone', 5), 100);
});

admission(
  'work is paid with rest, waiting for others counts as rest, and all share one account',
  () => {
    assert.equal(paidAfter(-Infinity, 1000, 20, 100), 1020);
    assert.equal(paidAfter(-Infinity, 1000, 20, 4), 1500);
    assert.equal(paidAfter(1500, 1020, 20, 4), 2000, 'another task, before the first is paid');
    assert.equal(paidAfter(1500, 4000, 20, 4), 4500, 'nothing is saved up');
    assert.equal(paidAfter(-Infinity, 1000, -5, 50), 1000);
  },
);

admission('what a step carried is its work', () => {
  assert.equal(workOf(NOTHING_CARRIED), 1);
  assert.equal(workOf({ looked: 100, records: 0, bytes: 0 }), 6);
  assert.equal(workOf({ looked: 0, records: 100, bytes: 0 }), 26);
  assert.equal(workOf({ looked: 0, records: 4, bytes: 4 * 1024 * 1024 }), 66);
});

admission('a percentile is right within 7 %, whatever was recorded', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1, max: 60_000, noNaN: true }), { minLength: 1 }),
      (all) => {
        const window = new LatencyWindow();
        for (const latency of all) window.record(latency, 1000);
        const sorted = [...all].sort((a, b) => a - b);
        for (const share of [0.5, 0.9, 0.99, 1]) {
          const exact = sorted[Math.ceil(all.length * share) - 1]!;
          const found = window.percentile(share, 1000)!;
          assert.ok(
            Math.abs(found - exact) <= exact * 0.07 + 0.04,
            `${share}: ${found} for ${exact}`,
          );
        }
      },
    ),
  );
});

admission('the window forgets what is older than a minute, slot by slot', () => {
  const window = new LatencyWindow();
  assert.equal(window.percentile(0.99, 0), undefined);
  for (let second = 0; second < 30; second++) window.record(500, second * 1000);
  for (let second = 30; second < 60; second++) window.record(2, second * 1000);
  assert.ok(window.percentile(0.99, 59_999)! > 450);
  assert.equal(window.count(59_999), 60);
  assert.equal(window.lately(59_999), 10);
  assert.ok(window.percentile(0.99, 30_000 + WINDOW_MS)! < 3, 'the slow half is gone');
  assert.equal(window.lately(75_000), 0);
  assert.equal(window.percentile(0.99, 60_000 + 2 * WINDOW_MS), undefined);
  window.record(7, 1e9);
  assert.equal(window.count(1e9), 1, 'after a long silence the row is clean');
});

admission.run();
