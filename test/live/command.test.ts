/** The command as a user types it: exit codes, and messages that name what is wrong. */
import * as assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { cli, startCli } from './harness.ts';

const command = suite('the command line');
const dir = mkdtempSync(join(tmpdir(), 'coterie-command-'));
command.after(() => rmSync(dir, { recursive: true, force: true }));

command(
  'port 70000, unknown flag or config key: exit 2, naming the option [bad input 22a, 22b]',
  async () => {
    const file = join(dir, 'unknown.json');
    writeFileSync(file, '{"replica": {"hintMax": 5}}');
    const data = ['start', '--data', join(dir, 'never')];
    for (const [args, named] of [
      [[...data, '--listen', '127.0.0.1:70000'], /listen: .*70000/],
      [[...data, '--seed', 'http://127.0.0.1:1'], /seed: .*http:/],
      [[...data, '--patience-millis', '5'], /--patience-millis/],
      [[...data, '--patience-ms', '5 parsecs'], /--patience-ms: .*5 parsecs/],
      [[...data, '--redial-min-ms', '5s'], /redialMinMs .* redialMaxMs/],
      [[...data, '--config', file], /replica\.hintMax in .*unknown\.json/],
      [['start'], /--data/],
      [['config', '--n', '17'], /--n: expected 1 to 16/],
    ] as const) {
      const { code, stderr } = await cli(args);
      assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, named);
    }
  },
);

command('config --effective says where each value comes from', async () => {
  const file = join(dir, 'node.json');
  writeFileSync(file, '{"suspicion": {"downAfterMs": "2s"}}');
  const args = ['config', '--effective', '--config', file, '--patience-ms', '50ms'];
  const { code, stdout } = await cli([...args, '--json']);
  assert.equal(code, 0);
  const settings = JSON.parse(stdout) as Record<string, unknown>;
  const down = { value: 2000, origin: 'file', source: file };
  assert.deepEqual(settings['suspicion.downAfterMs'], down);
  const patience = { value: 50, origin: 'flag', source: '--patience-ms' };
  assert.deepEqual(settings['patienceMs'], patience);
  assert.deepEqual(settings['lingerMs'], { value: 1000, origin: 'default' });
  const table = await cli(args);
  assert.match(table.stdout, /^suspicion\.downAfterMs +2 s +file \(.*node\.json\)$/m);
});

command('says nothing to a reader that has seen enough, and ends', async () => {
  const child = startCli(['simulate', '--help']);
  child.stdout!.destroy();
  let complaint = '';
  child.stderr!.on('data', (chunk) => (complaint += String(chunk)));
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(complaint, '');
  assert.equal(code, 0);
});

command.run();
