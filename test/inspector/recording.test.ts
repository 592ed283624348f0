/** A recorded run is the run that nobody recorded, told. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/index.ts';
import { RunRecorder } from '../../src/inspector/recording.ts';
import { runSeed } from '../../src/sim/run.ts';

const recording = suite('recordings of simulated runs');

const SEED = 42;
const run = { seed: SEED, digest: nodeDigest, operations: 12, nodes: 3 } as const;

recording('recording changes nothing that happens, and tells all of it in order', () => {
  const recorder = new RunRecorder();
  const watched = runSeed({ ...run, watch: recorder.watch });
  const alone = runSeed(run);
  assert.deepEqual(watched.transcript, alone.transcript);
  const { format, nodes, records, stories, broken } = recorder.recording(watched);
  assert.equal(format, 'coterie recording 1');
  assert.equal(broken, undefined);
  const times = records.map(({ atMs }) => atMs);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  const startsOf = (line: string) => / (n\d+) starts/.exec(line)?.[1] ?? [];
  const lives = alone.transcript.flatMap(startsOf);
  assert.deepEqual(nodes, [...new Set(lives)].sort());
  const told = records.filter(({ actor, what }) => actor === 'world' && / starts/.test(what));
  assert.equal(told.length, lives.length);
  const puts = records.filter(({ type, what }) => type === 'born' && what === 'put');
  assert.ok(puts.length >= 12, `${puts.length} puts`);
  for (const { cause } of puts) {
    const own = records.filter((record) => record.cause === cause);
    assert.ok(own.some(({ type }) => type === 'state'));
  }
  assert.ok(stories.length >= 12);
});

recording('a broken run names the moment, the key and what broke', () => {
  const recorder = new RunRecorder();
  const { broken } = recorder.recording({
    seed: SEED,
    virtualMs: 1234,
    transcript: [],
    broken: { key: 'key3', message: 'a write was lost' },
  });
  assert.deepEqual(broken, { atMs: 1234, key: 'key3', message: 'a write was lost' });
});

recording.run();
