/** What has changed of late: nothing that changed may pass for unchanged. */
import * as assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { suite } from 'uvu';
import { RecentChanges } from '../../src/core/recent.ts';

const recent = suite('recent changes');

const SPAN_MS = 8000;
const md5 = (name: number): Uint8Array => createHash('md5').update(`${name}`).digest();

recent('a key that changed at or after a moment is never taken for unchanged since', () => {
  const change = fc.record({ restMs: fc.nat(3000), name: fc.nat(40) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), fc.nat(20_000), (changes, backMs) => {
      const seen = new RecentChanges(SPAN_MS, 0);
      const lastMs = new Map<number, number>();
      let nowMs = 0;
      for (const { restMs, name } of changes) {
        nowMs += restMs;
        seen.add(md5(name), 0, nowMs);
        lastMs.set(name, nowMs);
      }
      const sinceMs = nowMs - backMs;
      for (const [name, atMs] of lastMs) {
        if (atMs >= sinceMs) assert.ok(seen.changedSince(md5(name), 0, sinceMs));
      }
    }),
  );
});

recent('most keys that have rested for the span pass, among many that have not', () => {
  const seen = new RecentChanges(SPAN_MS, 0);
  for (let name = 0; name < 1000; name++) seen.add(md5(name), 0, 10);
  for (let name = 1000; name < 101_000; name++) seen.add(md5(name), 0, 1500 + name / 10);
  const passed = Array.from({ length: 1000 }, (_, name) => name).filter(
    (name) => !seen.changedSince(md5(name), 0, 11_600 - SPAN_MS),
  );
  assert.ok(passed.length > 900, `${passed.length} of 1000`);
});

recent('of the time before it began it knows nothing, and says so', () => {
  const seen = new RecentChanges(SPAN_MS, 5000);
  assert.ok(seen.changedSince(md5(1), 0, 4999));
  assert.equal(seen.changedSince(md5(1), 0, 5000), false);
});

recent('after a long silence what changed before it has rested', () => {
  const seen = new RecentChanges(SPAN_MS, 0);
  seen.add(md5(1), 0, 100);
  assert.equal(seen.changedSince(md5(1), 0, 50_000), false);
});

recent.run();
