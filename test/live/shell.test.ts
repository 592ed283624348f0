/** `coterie shell` and `coterie scan`, as somebody types them. */
import * as assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { connect } from '../../src/client/index.ts';
import { LiveCluster, cli } from './harness.ts';

const shell = suite('the shell');
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

const typed = async (url: string, lines: readonly string[]): Promise<string> => {
  const child = fork(MAIN, ['shell', '--url', url], { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] });
  let out = '';
  child.stdout!.on('data', (bytes: Buffer) => (out += bytes.toString()));
  child.stderr!.on('data', (bytes: Buffer) => (out += bytes.toString()));
  child.stdin!.end(`${lines.join('\n')}\n`);
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 0, out);
  return out;
};

shell('runs what is typed with a client, and shows values as people read them', async () => {
  const cluster = await LiveCluster.start(3);
  try {
    const url = cluster.urls[0]!;
    const out = await typed(url, [
      "await db.put('cart', 'milk')",
      "(await db.put('cart', 'eggs')).outcome",
      "db.get('cart')",
      "await db.update('tags', (tags) => void tags.add('new'), { merge: observedRemoveSet() })",
      "[...(await db.get('tags')).as(observedRemoveSet())]",
      "db.put('', 'v')",
      "'still here'",
    ]);
    assert.match(out, /'applied'/);
    assert.match(out, /found \[ '(milk', 'eggs|eggs', 'milk)' \]/);
    assert.match(out, /\[ 'new' \]/);
    assert.match(out, /KEY_EMPTY/);
    assert.match(out, /'still here'/);
  } finally {
    await cluster.end();
  }
});

shell('scan prints the keys of a prefix, as text or JSON, and stops at a limit', async () => {
  const cluster = await LiveCluster.start(1);
  try {
    const [url] = cluster.urls;
    const client = connect(url!);
    for (const key of ['a:1', 'a:2\n', new Uint8Array([0x61, 0x3a, 0xff]), 'b:1']) {
      await client.put(key, 'v');
    }
    const lines = async (...args: string[]): Promise<string[]> => {
      const { code, stdout, stderr } = await cli(['scan', ...args], url);
      assert.equal(code, 0, stderr);
      return stdout.split('\n').slice(0, -1).sort();
    };
    assert.equal((await lines('a:')).length, 3, 'a newline in a key makes no second line');
    assert.deepEqual(await lines('a:', '--json'), [
      '{"key":"YTr/","encoding":"base64"}',
      '{"key":"a:1"}',
      '{"key":"a:2\\n"}',
    ]);
    assert.equal((await lines()).length, 4);
    assert.equal((await lines('--limit', '2')).length, 2);
    const statuses = client.statuses({ everyMs: 5 });
    for (let i = 0; i < 3; i++) {
      const { value, done } = await statuses.next();
      assert.ok(done !== true && value['node'] === 'n1');
    }
    const last = statuses.next().then(() => statuses.next());
    await client.close();
    assert.equal((await last.catch(() => ({ done: true }))).done, true, 'closed, it ends');
  } finally {
    await cluster.end();
  }
});

shell.run();
