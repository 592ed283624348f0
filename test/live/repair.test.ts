/** `coterie repair` on real nodes: what it prints, and when it refuses. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import type { RepairStatus } from '../../src/node/healing/repair-commands.ts';
import type { RepairProgress } from '../../src/node/healing/repair-run.ts';
import { LiveCluster, cli } from './harness.ts';

const repair = suite('coterie repair');

repair(
  'compares with all co-owners, shows how it goes, and says whom it did not reach',
  async () => {
    const cluster = await LiveCluster.start(3);
    try {
      const url = cluster.urlOf('n1');
      assert.equal((await cli(['put', 'cart', 'milk', '--w', '3'], url)).code, 0);

      const done = await cli(['repair', '--json'], url);
      assert.equal(done.code, 0, done.stderr);
      const { state, peers } = JSON.parse(done.stdout) as RepairProgress;
      assert.equal(state, 'done');
      assert.deepEqual(peers.map(({ peer, state: how }) => `${peer} ${how}`).sort(), [
        'n2 equal',
        'n3 equal',
      ]);
      const words = await cli(['repair', '--partition', '7', '--since', '1h'], url);
      assert.match(words.stdout, /^partition 7: .*n[23] equal, 0 taken, 0 given/m);

      const table = await cli(['repair', 'status'], url);
      assert.match(table.stdout, /^n1: 0 partitions being refilled, 0 damaged rows found$/m);
      assert.match(table.stdout, /^n2 +\d+ +\d+ +\d+ m?s ago/m);
      const json = await cli(['repair', 'status', '--json', '--url', url]);
      const status = JSON.parse(json.stdout) as RepairStatus;
      assert.deepEqual([status.node, status.run?.run, status.run?.partition], ['n1', 2, 7]);
      const scrub = await cli(['repair', 'scrub'], url);
      assert.equal(scrub.code, 0, scrub.stderr);
      assert.match(
        scrub.stdout,
        /^scrub resting: [12] rounds, .* 0 damaged, 0 misplaced, 0 leaves/m,
      );

      await cluster.kill('n3');
      await cluster.until(({ nodes }) => nodes.some(({ health }) => health === 'down'));
      const partial = await cli(['repair'], url);
      assert.equal(partial.code, 3, partial.stdout);
      assert.match(partial.stdout, /n2 equal.*n3 unreachable|n3 unreachable.*n2 equal/);
      assert.match(partial.stderr, /not compared with n3/);

      const beyond = await cli(['repair', '--partition', '256'], url);
      assert.equal(beyond.code, 2, beyond.stderr);
      assert.match(beyond.stderr, /partition.*0 to 255.*256/);
      const since = await cli(['repair', '--since', 'yesterday'], url);
      assert.equal(since.code, 2);
      assert.match(since.stderr, /--since .*yesterday/);
    } finally {
      await cluster.end();
    }
  },
);

repair.run();
