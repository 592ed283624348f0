/** The house rules: who may import whom, and what stays outside the adapters. */
import * as assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';

const tidy = suite('the house');
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const under = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path) && !path.includes('node_modules'))
    .map((path) => join(folder, path));

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** The room a file stands in: a folder of src, actors, or `root` for src/index.ts. */
const roomOf = (path: string): string => {
  const [top, folder, inner] = path.split('/');
  if (top !== 'src') return top!;
  if (folder === 'inspector' && (inner === 'page' || inner === 'build'))
    return `${folder}/${inner}`;
  return path.split('/').length === 2 ? 'root' : folder!;
};

/** What each room may import besides itself: rooms, packages, and `node:` where it says so. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wire: ['core', 'cbor-x'],
  ports: ['core', 'wire'],
  actors: ['xstate', 'core', 'wire', 'ports'],
  adapters: ['ports', 'core', 'wire', 'lmdb', 'ws', 'pino', 'prom-client', 'node:'],
  host: ['core', 'ports', 'xstate'],
  node: ['core', 'wire', 'ports', 'actors', 'host', 'client', 'inspector', 'xstate'],
  client: ['core', 'wire', 'ports', 'actors', 'host', 'ws', '@noble/hashes/legacy.js', 'node:'],
  sim: ['core', 'wire', 'ports', 'actors', 'node'],
  inspector: ['core', 'wire', 'ports', 'actors', 'node', 'client', 'sim', 'xstate'],
  'inspector/page': [
    ...['inspector', 'core', 'preact', 'preact/hooks', '@preact/signals'],
    // Made by the page's build.
    'charts',
  ],
  'inspector/build': [
    ...['inspector', 'actors', 'esbuild', 'xstate', 'node:'],
    ...['elkjs/lib/elk.bundled.js', 'elkjs/lib/elk-api.js'],
  ],
  cli: ['core', 'node', 'client', 'sim', 'inspector', 'root', 'commander', 'node:'],
  root: ['core', 'ports', 'node', 'client', 'adapters', 'inspector', 'sim', 'node:'],
};

const importsOf = (text: string): string[] =>
  [
    ...text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^'";]*?from '([^']+)'|import\('([^']+)'\)/g),
  ].map((match) => (match[1] ?? match[2])!);

const files = [...under('src'), ...under('actors')];

tidy('every import goes the way the table allows', () => {
  assert.ok(files.length > 30);
  const broken: string[] = [];
  for (const file of files) {
    const room = roomOf(file);
    const allowed = MAY_IMPORT[room];
    assert.ok(allowed !== undefined, `${file} stands in no known room`);
    for (const from of importsOf(read(file))) {
      const target = from.startsWith('.')
        ? roomOf(relative(ROOT, resolve(ROOT, dirname(file), from)))
        : from.startsWith('node:')
          ? 'node:'
          : from;
      if (target !== room && !allowed.includes(target)) broken.push(`${file} imports ${from}`);
    }
  }
  assert.deepEqual(broken, []);
});

tidy(
  'time, chance, timers, environment and console stay in adapters, client sockets and cli',
  () => {
    const banned =
      /\bDate\.now\(|\bnew Date\b|\bMath\.random\(|(?<![.\w])(?:setTimeout(?!\(task:)|setInterval|setImmediate|queueMicrotask)\(|\bprocess\.(?:env|exit|stderr|stdout)\b|\bconsole\./;
    const free = (file: string): boolean =>
      ['adapters', 'cli', 'root', 'inspector/page', 'inspector/build'].includes(roomOf(file)) ||
      ['src/client/node-socket.ts', 'src/client/web-socket.ts'].includes(file);
    const broken = files.filter((file) => !free(file) && banned.test(read(file)));
    assert.deepEqual(broken, []);
  },
);

tidy('actors neither await nor wrap promises, and nobody casts to any', () => {
  const actors = files.filter((file) => roomOf(file) === 'actors');
  assert.deepEqual(
    actors.filter((file) =>
      /\basync\b|\bawait\b|fromPromise|getSnapshot\(|sendParent/.test(read(file)),
    ),
    [],
  );
  assert.deepEqual(
    files.filter((file) => /\bas any\b|: any\b/.test(read(file))),
    [],
  );
});

tidy('no test file forgets to run its suite', () => {
  const tests = under('test').filter((file) => file.endsWith('.test.ts'));
  assert.ok(tests.length > 3);
  assert.deepEqual(
    tests.filter((file) => !/\.run\(\);?\s*$/.test(read(file))),
    [],
  );
});

tidy('files stay short enough to be read', () => {
  const long = files
    .map((file) => [file, read(file).split('\n').length] as const)
    .filter(([, lines]) => lines > 550);
  assert.deepEqual(long, []);
});

tidy.run();
