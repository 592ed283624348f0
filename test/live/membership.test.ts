/** A cluster that grows and shrinks under load, moved by the commands an operator has (paper § 4.8). */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { connect } from '../../src/client/index.ts';
import type { MembershipPlan } from '../../src/node/membership/membership-plan.ts';
import { LiveCluster, cli } from './harness.ts';

const membership = suite('a live cluster that changes its members');

let cluster: LiveCluster;
membership.before(async () => {
  cluster = await LiveCluster.start(3, ['--partitions', '32']);
});
membership.after(() => cluster.end());

/** Writes and reads on, until told to stop; what it acknowledged, by key, and every failure. */
const load = (urls: readonly string[]) => {
  const client = connect(urls, { timeoutMs: 20_000 });
  const acknowledged = new Map<string, string>();
  const failures: string[] = [];
  let stopped = false;
  const run = async (worker: number): Promise<void> => {
    for (let i = 0; !stopped; i++) {
      const key = `w${worker}:${i % 50}`;
      try {
        const { context } = await client.get(key);
        await client.put(key, `${i}`, { context });
        acknowledged.set(key, `${i}`);
      } catch (error) {
        failures.push(`${key}: ${String(error)}`);
      }
    }
  };
  const workers = Promise.all([0, 1, 2, 3].map(run));
  const stop = async (): Promise<void> => {
    stopped = true;
    await workers;
  };
  return { client, acknowledged, failures, stop };
};

const settled = (members: number): Promise<void> =>
  cluster.until(
    ({ nodes, transfers, incomplete }) =>
      nodes.length === members &&
      transfers.moving === 0 &&
      transfers.departing === 0 &&
      incomplete === 0,
  );

membership('a change asks for its plan, and is made once', async () => {
  await cluster.startStranger('n4');
  const asked = await cli(['node', 'join', 'n4'], cluster.urlOf('n1'));
  assert.equal(asked.code, 3);
  assert.match(asked.stdout, /24 of 32 partitions move, 24 copies/);
  assert.match(asked.stderr, /nothing was changed/);
  const planned = await cli(['plan', 'join', 'n4', '--json'], cluster.urlOf('n2'));
  const plan = JSON.parse(planned.stdout) as MembershipPlan;
  assert.equal(plan.replicas, 24);
  assert.deepEqual(
    plan.nodes.map(({ node, after }) => [node, after]),
    ['n1', 'n2', 'n3', 'n4'].map((node) => [node, 24]),
  );
  const wrong = await cli(['node', 'join', 'n4', '--plan', '000'], cluster.urlOf('n1'));
  assert.equal(wrong.code, 3);
  const joined = await cli(['node', 'join', 'n4', '--plan', plan.digest], cluster.urlOf('n1'));
  assert.equal(joined.code, 0, joined.stderr);
  const again = await cli(['node', 'join', 'n4', '--yes'], cluster.urlOf('n1'));
  assert.match(again.stdout, /that way already/);
  await settled(4);
});

membership('3 → 4 → 5 → 4 → 3 under load: nothing acknowledged is lost', async () => {
  const running = load(cluster.urls.slice(0, 1));
  await cluster.startStranger('n5');
  assert.equal((await cli(['node', 'join', 'n5', '--yes'], cluster.urlOf('n1'))).code, 0);
  await settled(5);
  assert.equal((await cli(['node', 'leave', 'n4', '--yes'], cluster.urlOf('n2'))).code, 0);
  await settled(4);
  await cluster.until(({ node, notes }) => node !== 'n4' || /has left/.test(notes.join()));
  const left = connect(cluster.urlOf('n4'));
  const { notes } = (await left.status()) as unknown as { readonly notes: readonly string[] };
  assert.match(notes.join(), /has left and holds nothing any more: stop it/);
  await left.close();
  // The one that leaves last dies instead, and is removed for good.
  await cluster.kill('n5');
  assert.equal((await cli(['node', 'remove', 'n5', '--yes'], cluster.urlOf('n3'))).code, 0);
  await settled(3);
  await running.stop();
  assert.deepEqual(running.failures, []);
  assert.ok(running.acknowledged.size >= 100);
  for (const [key, text] of running.acknowledged) {
    const { values } = await running.client.get(key, { r: 3 });
    const texts = values.map((value) => new TextDecoder().decode(value as Uint8Array));
    assert.ok(texts.includes(text), `${key} is ${texts.join()}, ${text} was acknowledged`);
  }
  await running.client.close();
});

membership.run();
