/** One living process per data directory, and a dead one never in the way. */
import * as assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { DataDirectoryError, lockDataDirectory } from '../../src/adapters/data-lock.ts';
import type { DataDirectoryProblem } from '../../src/adapters/data-lock.ts';

const DEADLINE_MS = 10_000;
const lock = suite('data directory lock');

const inFolder = (claim: string, body: (dir: string) => Promise<void> | void): void =>
  lock(claim, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'coterie-lock-'));
    try {
      await body(join(folder, 'data'));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

const refusal = (dir: string): DataDirectoryError => {
  try {
    lockDataDirectory(dir)();
  } catch (error) {
    assert.ok(error instanceof DataDirectoryError, String(error));
    return error;
  }
  return assert.fail('it was given the lock');
};

const ADAPTER = new URL('../../src/adapters/data-lock.js', import.meta.url).href;

/** A process that tries to lock `dir`, says how that went, and holds it until it is ended. */
const contender = (dir: string): ChildProcess =>
  spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { lockDataDirectory } from '${ADAPTER}';
       process.on('message', () => {
         try { lockDataDirectory(process.argv[1]); process.send({ type: 'has it' }); }
         catch (error) { process.send(error.problem ?? { type: String(error) }); }
       });
       process.send('ready');`,
      dir,
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );

type Verdict = DataDirectoryProblem | { readonly type: 'has it' };

const message = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error('no word in time')), DEADLINE_MS);
    const settle = (finish: () => void) => () => {
      clearTimeout(deadline);
      finish();
    };
    child.once('message', (word) => settle(() => resolve(word))());
    child.once('exit', (code) => settle(() => reject(new Error(`ended with ${code}`)))());
  });

const verdict = async (child: ChildProcess): Promise<Verdict> => {
  child.send('go');
  return (await message(child)) as Verdict;
};

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });

inFolder('a directory is made, locked once, and free again after unlock', (dir) => {
  const unlock = lockDataDirectory(dir);
  const { problem, message: said } = refusal(dir);
  assert.deepEqual(problem, { type: 'locked', path: dir, pid: process.pid });
  assert.ok(said.includes(dir) && said.includes(String(process.pid)), said);
  unlock();
  unlock();
  assert.deepEqual(readdirSync(dir), []);
  lockDataDirectory(dir)();
});

inFolder('unlocking twice does not take the lock from the next holder', (dir) => {
  const unlock = lockDataDirectory(dir);
  unlock();
  const next = lockDataDirectory(dir);
  unlock();
  assert.equal(refusal(dir).problem.type, 'locked');
  next();
});

inFolder('a symbolic link is no second door', (dir) => {
  const unlock = lockDataDirectory(dir);
  symlinkSync(dir, `${dir}-too`);
  assert.equal(refusal(`${dir}-too`).problem.type, 'locked');
  unlock();
});

inFolder(
  'another process is refused while the first lives, and let in after kill -9',
  async (dir) => {
    const [first, second] = [contender(dir), contender(dir)];
    try {
      await Promise.all([message(first), message(second)]);
      assert.deepEqual(await verdict(first), { type: 'has it' });
      assert.deepEqual(await verdict(second), { type: 'locked', path: dir, pid: first.pid });
      assert.deepEqual(refusal(dir).problem, { type: 'locked', path: dir, pid: first.pid });
      await ended(first);
      assert.ok(existsSync(join(dir, 'LOCK')), 'the dead one left its LOCK behind');
      lockDataDirectory(dir)();
    } finally {
      await Promise.all([ended(first), ended(second)]);
    }
  },
);

inFolder('of many that rush for what a dead process left, one gets it', async (dir) => {
  mkdirSync(dir);
  writeFileSync(join(dir, 'LOCK'), '4194303 1\n');
  const rivals = Array.from({ length: 5 }, () => contender(dir));
  try {
    await Promise.all(rivals.map(message));
    const verdicts = await Promise.all(rivals.map(verdict));
    const winners = verdicts.filter(({ type }) => type === 'has it');
    assert.equal(winners.length, 1, JSON.stringify(verdicts));
    assert.ok(verdicts.every(({ type }) => type === 'has it' || type === 'locked'));
    const [pid] = readFileSync(join(dir, 'LOCK'), 'utf8').split(' ');
    assert.equal(Number(pid), rivals[verdicts.findIndex(({ type }) => type === 'has it')]!.pid);
  } finally {
    await Promise.all(rivals.map(ended));
  }
});

inFolder('a LOCK of a dead process, of a reused pid, or of no sense is overcome', (dir) => {
  mkdirSync(dir);
  for (const left of ['4194303 1\n', `${process.ppid} 1\n`, '', 'nonsense', '-1 1', '0 0']) {
    writeFileSync(join(dir, 'LOCK'), left);
    const unlock = lockDataDirectory(dir);
    assert.match(readFileSync(join(dir, 'LOCK'), 'utf8'), new RegExp(`^${process.pid} `));
    unlock();
  }
});

inFolder('a file where the directory should be is unusable, and stays', (dir) => {
  writeFileSync(dir, 'mine');
  assert.equal(refusal(dir).problem.type, 'unusable');
  assert.equal(readFileSync(dir, 'utf8'), 'mine');
});

lock.run();
