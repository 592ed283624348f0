/** What README.md shows, run as it stands there: the tour by a shell, the programs by Node. */
import * as assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';
import { suite } from 'uvu';
import { LiveCluster } from './harness.ts';

const readme = suite('README.md');
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const TEXT = readFileSync(join(ROOT, 'README.md'), 'utf8');
const DEADLINE_MS = 60_000;

const blocks = (language: string): readonly string[] =>
  [...TEXT.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code]) => code!,
  );

const blockWith = (language: string, part: string): string => {
  const block = blocks(language).find((code) => code.includes(part));
  assert.ok(block !== undefined, `README.md shows ${part}`);
  return block;
};

const run = (
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = ROOT,
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    const options = {
      cwd,
      env: { ...process.env, FORCE_COLOR: '0', ...env },
      timeout: DEADLINE_MS,
    };
    execFile(file, args, options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : 1, stdout, stderr }),
    );
  });

/** Runs a program of the README as a file of this package, so that `coterie` is this package. */
const runProgram = async (code: string): Promise<string> => {
  const dir = mkdtempSync(join(ROOT, 'dist', 'readme-'));
  try {
    const file = join(dir, 'program.mjs');
    writeFileSync(file, transformSync(code, { loader: 'ts', target: 'es2022' }).code);
    const { code: exit, stdout, stderr } = await run(process.execPath, [file], {}, dir);
    assert.equal(exit, 0, stderr);
    return stdout;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

readme('the shopping cart of the paper prints what it says', async () => {
  const cluster = await LiveCluster.start(3);
  try {
    const shown = blockWith('ts', 'addWinsMap');
    const [one, two] = cluster.urls;
    const code = shown
      .replaceAll('ws://127.0.0.1:7400', one!)
      .replaceAll('ws://127.0.0.1:7401', two!);
    assert.ok(!code.includes(':740'), 'all addresses are those of the cluster');
    const [, promised] = /console\.log\(.*\); \/\/ (.*)/.exec(shown)!;
    assert.equal((await runProgram(code)).trim(), promised);
  } finally {
    await cluster.end();
  }
});

readme('the node inside a program takes a put and gives it back', async () => {
  const code = blockWith('ts', 'startNode');
  const out = await runProgram(
    `${code}\nconsole.log((await node.client().get('k')).text()); await node.client().close();`,
  );
  assert.equal(out.trim().split('\n').at(-1), 'v');
});

readme('the tour makes siblings and one value of them', async () => {
  const cluster = await LiveCluster.start(3);
  try {
    const main = join(ROOT, 'dist/src/cli/main.js');
    const coterie = `coterie() { ${process.execPath} ${main} "$@"; }; set -e\n`;
    const env = { COTERIE_URL: cluster.urls[0]! };
    const tour = blockWith('sh', 'put cart:alice milk').replace(/^alias .*$/m, '');
    const first = await run('bash', ['-c', coterie + tour], env);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^applied: on .*n1/);
    assert.match(first.stdout, /"values":\["milk"\]/);
    assert.match(first.stdout, /^(milk\neggs|eggs\nmilk)$/m);
    assert.match(first.stdout, /^NODE +STATE/m);
    const next = await run('bash', ['-c', coterie + blockWith('sh', '--context')], env);
    assert.equal(next.code, 0, next.stderr);
    assert.match(next.stdout, /\nmilk, eggs\n$/);
    assert.doesNotMatch(next.stderr, /siblings/);
  } finally {
    await cluster.end();
  }
});

readme.run();
