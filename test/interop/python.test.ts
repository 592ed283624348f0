/**
 * Another language: a client in Python, written from PROTOCOL.md and protocol.cddl alone, runs the
 * conformance list against three live nodes. Every frame it sent or got is held against the CDDL.
 *
 * Needs Debian's python3-websockets and python3-cbor2; run by .ci/run, not by npm test.
 */
import * as assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { decodeCbor } from '../../src/wire/cbor.ts';
import { LiveCluster } from '../live/harness.ts';
import { parseCddl } from '../wire/cddl.ts';

const python = suite('a client in python');
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const DEADLINE_MS = 180_000;

type Line =
  | { readonly check: string; readonly ok: boolean; readonly why?: string }
  | { readonly frame: string; readonly from: 'client' | 'node' }
  | { readonly do: 'stop' | 'kill' | 'start' | 'see down'; readonly node: string }
  | { readonly checks: number };

const carryOut = async (cluster: LiveCluster, action: string, node: string): Promise<void> => {
  switch (action) {
    case 'stop':
      assert.equal(await cluster.stop(node), 0);
      return;
    case 'kill':
      return cluster.kill(node);
    case 'start':
      await cluster.startNode(node);
      return cluster.until(
        ({ nodes }) => nodes.find(({ id }) => id === node)!.health === 'healthy',
      );
    case 'see down':
      return cluster.until(({ nodes }) => nodes.find(({ id }) => id === node)!.health === 'down');
    default:
      assert.fail(`no action is called ${action}`);
  }
};

python('passes the conformance list, and every frame obeys protocol.cddl', async () => {
  const cluster = await LiveCluster.start(3);
  const script = `${ROOT}/test/interop/conformance.py`;
  const child = spawn('/usr/bin/python3', [script, ...cluster.urls], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    timeout: DEADLINE_MS,
  });
  try {
    const rules = parseCddl(readFileSync(`${ROOT}/src/wire/protocol.cddl`, 'utf8'));
    const failures: string[] = [];
    const checks: string[] = [];
    let [frames, announced] = [0, 0];
    for await (const text of createInterface({ input: child.stdout })) {
      const line = JSON.parse(text) as Line;
      if ('frame' in line) {
        frames += 1;
        const rule = line.from === 'client' ? 'request' : 'from-node';
        const mismatch = rules.mismatch(rule, decodeCbor(Buffer.from(line.frame, 'hex')));
        if (mismatch !== undefined) failures.push(`${line.frame.slice(0, 400)}: ${mismatch}`);
      } else if ('do' in line) {
        await carryOut(cluster, line.do, line.node);
        child.stdin.write('done\n');
      } else if ('check' in line) {
        checks.push(line.check);
        process.stdout.write(`  ${line.ok ? 'ok' : 'NOT OK'} ${line.check}\n`);
        if (!line.ok) failures.push(`${line.check}: ${line.why}`);
      } else announced = line.checks;
    }
    assert.deepEqual(failures, []);
    assert.equal(checks.length, announced, 'python ended early');
    assert.ok(announced >= 30, `only ${announced} checks`);
    assert.ok(frames > 500, `only ${frames} frames were recorded`);
  } finally {
    child.kill('SIGKILL');
    await cluster.end();
  }
});

python.run();
