/** A fixed batch of simulated clusters under faults; and that a seed is one story. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { FAULT_NAMES } from '../../src/sim/faults.ts';
import { PATHS } from '../../src/sim/paths.ts';
import { runSeed } from '../../src/sim/run.ts';
import { CORPUS } from './corpus.ts';

const swarm = suite('the simulator');

const FIRST_SEED = 1;
const BATCH = 12;
/** Too rare for a batch this small; fresh seeds of every change visit them. */
const RARE: readonly string[] = [
  'old retry',
  'the dead are removed',
  'disk-wipe',
  'old-backup',
  'clock refused',
  'expired value forgotten',
];

swarm('a batch of clusters under faults keeps every promise and visits every path', () => {
  const visited = new Map<string, number>();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + BATCH; seed++) {
    const { broken, counters } = runSeed({ seed, digest: nodeDigest });
    assert.equal(broken, undefined, `coterie simulate --seed ${seed}: ${broken?.message}`);
    for (const [path, count] of counters) visited.set(path, (visited.get(path) ?? 0) + count);
  }
  const missed = [...PATHS, ...FAULT_NAMES].filter(
    (path) => !RARE.includes(path) && visited.get(path) === 0,
  );
  assert.deepEqual(missed, [], 'never visited');
});

for (const { seed, found } of CORPUS) {
  // The batch has it.
  if (seed < FIRST_SEED + BATCH) continue;
  swarm(`seed ${seed} stays mended: ${found}`, () => {
    const { broken } = runSeed({ seed, digest: nodeDigest });
    assert.equal(broken, undefined, broken?.message);
  });
}

swarm('the same seed tells the same story, another seed another', () => {
  const small = { digest: nodeDigest, operations: 60 };
  const once = runSeed({ seed: 7, ...small }).transcript;
  assert.ok(once.length > 100);
  assert.deepEqual(runSeed({ seed: 7, ...small }).transcript, once);
  assert.notDeepEqual(runSeed({ seed: 8, ...small }).transcript, once);
});

swarm('coordinators tell the same story in the light host as in stock actors of XState', () => {
  // A clock that drifts shortens and lengthens only what is timed anew.
  const faults = [...FAULT_NAMES.filter((name) => name !== 'clock-drift'), 'network' as const];
  for (const seed of [1, 2]) {
    const [light, stock] = (['light', 'stock'] as const).map(
      (actorHost) =>
        runSeed({ seed, digest: nodeDigest, actorHost, faults, operations: 160 }).transcript,
    );
    assert.deepEqual(light, stock, `seed ${seed}`);
  }
});

swarm('without faults every operation is applied, if its condition lets it', () => {
  const { counters, broken } = runSeed({ seed: 11, digest: nodeDigest, faults: 'none' });
  assert.equal(broken, undefined, broken?.message);
  assert.equal(counters.get('unknown') ?? 0, 0);
  assert.ok((counters.get('refused') ?? 0) <= counters.get('condition not met')!);
});

swarm.run();
