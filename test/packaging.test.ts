/** What is installed and what is published: licences of every dependency, and nothing that is not needed. */
import * as assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import { NODE_FLAGS } from '../src/cli/node-flags.ts';

const packaging = suite('the package');
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const json = <T>(path: string): T => JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as T;

type Locked = {
  readonly version: string;
  readonly license?: string;
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
};
const lock = json<{ readonly packages: Readonly<Record<string, Locked>> }>('package-lock.json');
const installed = Object.entries(lock.packages)
  .filter(([path]) => path !== '')
  .map(([path, each]) => ({ name: path.replace(/^.*node_modules\//, ''), ...each }));

/** They ask for no more than that their notice is kept. */
const PERMISSIVE = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'Apache-2.0'];
/** Only runs while the page is built: it lays out the charts, and nothing of it is shipped. */
const AT_BUILD_TIME: Readonly<Record<string, string>> = {
  elkjs: 'EPL-2.0 OR GPL-3.0-or-later',
};

packaging('every dependency has a permissive licence, one tool of the build aside', () => {
  const others = installed.filter(({ license }) => !PERMISSIVE.includes(license ?? ''));
  assert.ok(installed.length > 50);
  assert.deepEqual(
    Object.fromEntries(others.map(({ name, license }) => [name, license])),
    AT_BUILD_TIME,
  );
  assert.ok(others.every(({ dev }) => dev === true));
});

packaging('the README lists the licences of what is installed with it', () => {
  const { dependencies } = json<{ readonly dependencies: object }>('package.json');
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const runtime = installed.filter(({ dev }) => dev !== true);
  for (const name of Object.keys(dependencies)) {
    const { license } = runtime.find((each) => each.name === name)!;
    assert.match(readme, new RegExp(`^\\| ${name} +\\| ${license} +\\|`, 'm'), name);
  }
  const brought = runtime.filter(({ name }) => !Object.hasOwn(dependencies, name));
  for (const { name } of brought) {
    // One name stands for a family of prebuilt binaries.
    const family = name.replace(/-(darwin|linux|win32|android)-[\w-]+$/, '-…');
    assert.ok(readme.includes(`\`${family}\``), `${name} is not in the README`);
  }
});

packaging(
  'four packages have install scripts, which need not run; none names where it came from',
  () => {
    // Their binaries come as optional packages; the scripts only build where there is none.
    const scripts = installed.filter(({ hasInstallScript }) => hasInstallScript === true);
    assert.deepEqual(scripts.map(({ name }) => name).sort(), [
      ...['cbor-extract', 'esbuild', 'lmdb', 'msgpackr-extract'],
    ]);
    assert.deepEqual(
      installed.filter(({ resolved }) => resolved !== undefined),
      [],
    );
  },
);

packaging('what is packed is what a user runs or reads, and no more', async () => {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'];
  const { stdout } = await promisify(execFile)('npm', args, { cwd: ROOT, timeout: 60_000 });
  const [packed] = JSON.parse(stdout) as [
    { readonly unpackedSize: number; readonly files: readonly { readonly path: string }[] },
  ];
  const paths = packed.files.map(({ path }) => path);
  const wanted =
    /^(?:package\.json|LICENSE|README\.md|actors\/README\.md|dist\/client\/coterie\.js|dist\/(?:actors|src)\/.+\.(?:js|d\.ts|html|css|svg)|src\/ops\/[\w.-]+|src\/(?:wire\/PROTOCOL\.md|wire\/protocol\.cddl|core\/RULES\.md|node\/CONFIGURATION\.md))$/;
  assert.deepEqual(
    paths.filter((path) => !wanted.test(path)),
    [],
  );
  assert.deepEqual(
    paths.filter((path) => /test|bench|inspector\/build|\.map$/.test(path)),
    [],
  );
  for (const needed of ['dist/src/cli/main.js', 'dist/src/index.js', 'dist/src/index.d.ts']) {
    assert.ok(paths.includes(needed), `${needed} is missing`);
  }
  // 1.9 MB unpacked in November 2026: a doubling is something that was packed by mistake.
  assert.ok(packed.unpackedSize < 4_000_000, `${packed.unpackedSize} bytes`);
});

packaging('what runs a node in production runs it with the flags it is measured with', () => {
  for (const file of ['Dockerfile', 'coterie.service']) {
    const text = readFileSync(join(ROOT, 'src/ops', file), 'utf8');
    assert.ok(text.includes(`NODE_OPTIONS=${NODE_FLAGS.join(' ')}`), file);
  }
});

packaging.run();
