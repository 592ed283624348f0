/** Bad inputs that only a real process can show: hostile keys in what people read, a disk that fails. */
import * as assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { connect } from '../../src/client/index.ts';
import { startNode } from '../../src/index.ts';
import { cli } from './harness.ts';

const inputs = suite('bad inputs, live');
const dir = mkdtempSync(join(tmpdir(), 'coterie-inputs-'));
inputs.after(() => rmSync(dir, { recursive: true, force: true }));
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

inputs('any bytes may be a key, and no table shows them raw [bad input 10d]', async () => {
  const node = await startNode({ dataDir: join(dir, 'keys'), id: 'n1', logLevel: 'silent' });
  try {
    const client = node.client();
    const keys = ['\0', 'line\nbreak', '../../etc/passwd', '\u001b[2J', '<script>', '\u202e'];
    for (const key of keys) {
      await client.put(key, 'v');
      assert.deepEqual((await client.get(key)).texts(), ['v']);
    }
    const raw = Uint8Array.of(0xff, 0xfe, 0);
    await client.put(raw, 'v');
    const tables: string[] = [];
    for (const args of [['scan'], ['top-keys'], ...keys.slice(1).map((key) => ['explain', key])]) {
      const { code, stdout, stderr } = await cli(args, node.url);
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
      tables.push(stdout);
    }
    const shown = tables.join('');
    assert.doesNotMatch(shown, /[\u0000-\u0009\u000b-\u001f\u007f\u202e]/, JSON.stringify(shown));
    assert.match(tables[0]!, /^line\\nbreak$/m);
    assert.equal(tables[0]!.trimEnd().split('\n').length, keys.length + 1, 'a line for each key');
  } finally {
    await node.stop();
  }
});

inputs(
  'a commit that the disk refuses: the process says so and exits with 3 [bad input 17c]',
  async () => {
    const start = ['start', '--id', 'n1', '--bootstrap', 'n1', '--data', join(dir, 'full')];
    // No file of this process may grow beyond 2 MiB: the next page is refused by the kernel.
    const child = spawn(
      'bash',
      [
        '-c',
        'ulimit -f 2048; exec "$@"',
        'bash',
        process.execPath,
        MAIN,
        ...start,
        '--listen',
        '127.0.0.1:0',
        '--log-level',
        'error',
      ],
      { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] },
    );
    let stderr = '';
    child.stderr!.on('data', (text: Buffer) => (stderr += text.toString()));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const { url } = await new Promise<{ readonly url: string }>((resolve, reject) => {
      child.once('message', (message) => resolve(message as { readonly url: string }));
      child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${stderr}`)));
    });
    const client = connect(url, { timeoutMs: 2000 });
    const acknowledged: number[] = [];
    try {
      for (let i = 0; i < 8; i++) {
        await client.put(`k${i}`, new Uint8Array(1024 * 1024).fill(i));
        acknowledged.push(i);
      }
    } catch {
      // The node has ended: what it did not acknowledge is nobody's.
    } finally {
      await client.close('now');
    }
    assert.equal(await ended, 3, stderr);
    assert.match(stderr, /the node stopped: commit failed/);
    const again = fork(MAIN, [...start, '--listen', '127.0.0.1:0', '--log-level', 'error']);
    try {
      const reopened = await new Promise<{ readonly url: string }>((resolve, reject) => {
        again.once('message', (message) => resolve(message as { readonly url: string }));
        again.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
      });
      const reader = connect(reopened.url);
      for (const i of acknowledged) {
        assert.equal(
          (await reader.get(`k${i}`)).values[0]?.[0],
          i,
          'what was acknowledged is there',
        );
      }
      await reader.close();
    } finally {
      const gone = new Promise((resolve) => again.once('exit', resolve));
      again.kill('SIGKILL');
      await gone;
    }
  },
);

inputs.run();
