/** What operators do to a running cluster by the command line: look, turn, back up, bring back. */
import * as assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { suite } from 'uvu';
import { programFor } from '../../src/cli/program.ts';
import { openStorage } from '../../src/storage.ts';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { startNode } from '../../src/index.ts';
import { META } from '../../src/node/store/meta-rows.ts';
import { DATA_FORMAT, loadIdentity, saveIdentity } from '../../src/node/store/book-store.ts';
import { LiveCluster, cli } from './harness.ts';

const operator = suite('operators');
const dir = mkdtempSync(join(tmpdir(), 'coterie-operator-'));
operator.after(() => rmSync(dir, { recursive: true, force: true }));

const json = async <T>(args: readonly string[], url?: string): Promise<T> => {
  const { code, stdout, stderr } = await cli([...args, '--json'], url);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return JSON.parse(stdout) as T;
};

const textsOf = async (client: Client, key: string): Promise<readonly string[]> =>
  (await client.get(key)).values.map((value) => Buffer.from(value).toString()).sort();

/** Whether a node started on `dataDir` takes it for its own, and for no copy. */
const isItsOwn = async (dataDir: string): Promise<boolean> => {
  const storage = openStorage(dataDir);
  const written = storage.get('meta', META.birthmark);
  // Of a file made a moment ago nobody can say; a node then writes the birthmark at its start.
  const isOwn = ['', storage.birthmark()].includes(new TextDecoder().decode(written));
  await new Promise<void>((resolve) => storage.close(resolve));
  return isOwn;
};

type Explained = readonly {
  readonly node: string;
  readonly answer: {
    readonly hash: string;
    readonly record: null | {
      readonly vector: readonly { readonly actor: string; readonly n: number }[];
      readonly siblings: readonly { readonly actor: string; readonly kind: string }[];
    };
  };
}[];

operator(
  'a backup of three nodes comes back in a cluster of one, siblings and deletes too',
  async () => {
    const source = await LiveCluster.start(3);
    const backup = join(dir, 'backup');
    let before: Explained;
    try {
      const client = connect(source.urls);
      for (let i = 0; i < 40; i++) await client.put(`k${i}`, `value ${i}`);
      await client.put('twice', 'a');
      await client.put('twice', 'b');
      await client.put('gone', 'x');
      await client.delete('gone');
      // Only in the memory of two of them, and not on the third: a backup has it all the same.
      await source.kill('n3');
      await client.put('late', 'write', { dw: 0 });
      await client.close();
      const taken = await json<{ records: number; incomplete: number[] }>(
        ['backup', backup],
        source.urls[0],
      );
      assert.deepEqual([taken.records, taken.incomplete], [43, []]);
      before = await json<Explained>(['explain', 'twice'], source.urls[0]);
      assert.equal(
        (await cli(['backup', backup], source.urls[0])).code,
        2,
        'never into a full folder',
      );
      // One of three owners is too few to have met every write of W = 2.
      await source.kill('n2');
      const few = await cli(['backup', join(dir, 'few')], source.urls[0]);
      assert.deepEqual([few.code, /too few owners/.test(few.stderr)], [3, true]);
    } finally {
      await source.end();
    }
    const verified = await json<{ kind: string; damaged: number }>(['verify', backup]);
    assert.deepEqual([verified.kind, verified.damaged], ['backup', 0]);

    const dataDir = join(dir, 'small');
    const common = { dataDir, id: 'solo', logLevel: 'silent', partitions: 16 } as const;
    const restored = await startNode(common);
    try {
      for (let round = 0; round < 2; round++) {
        const merged = await json<{ records: number }>(['restore', backup], restored.url);
        assert.equal(merged.records, 43);
      }
      const client = connect(restored.url);
      assert.deepEqual(await textsOf(client, 'k7'), ['value 7']);
      assert.deepEqual(await textsOf(client, 'twice'), ['a', 'b'], 'restored twice, merged once');
      assert.deepEqual(await textsOf(client, 'late'), ['write']);
      assert.equal((await client.get('gone')).state, 'deleted');
      const [solo] = await json<Explained>(['explain', 'twice'], restored.url);
      const [old] = before;
      assert.equal(solo!.answer.hash, old!.answer.hash, 'the very same record');
      // Whoever restores mints under a name of its own (A4): never an old dot again.
      await client.put('twice', 'c');
      assert.deepEqual(await textsOf(client, 'twice'), ['a', 'b', 'c']);
      const [after] = await json<Explained>(['explain', 'twice'], restored.url);
      const known = new Set(old!.answer.record!.vector.map(({ actor }) => actor));
      const born = after!.answer.record!.vector.filter(({ actor }) => !known.has(actor));
      assert.deepEqual(
        born.map(({ n }) => n),
        [1],
      );
      await client.close();
    } finally {
      await restored.stop();
    }
    const data = await json<{ kind: string; damaged: number; records: number }>([
      'verify',
      dataDir,
    ]);
    assert.deepEqual([data.kind, data.damaged, data.records], ['data', 0, 43]);
    const copy = join(dir, 'copy');
    cpSync(dataDir, copy, { recursive: true });
    for (const each of [dataDir, copy]) await json(['compact', each]);
    assert.equal((await json<{ damaged: number }>(['verify', dataDir])).damaged, 0);
    assert.ok(await isItsOwn(dataDir), 'compacting makes no copy of it');
    assert.ok(!(await isItsOwn(copy)), 'nor anything but a copy of a copy');
  },
);

operator('a record larger than a frame of a client comes back from a backup', async () => {
  const backup = join(dir, 'large');
  const large = (byte: number) => new Uint8Array(1024 * 1024).fill(byte);
  const common = { id: 'solo', logLevel: 'silent', partitions: 8 } as const;
  const source = await startNode({ ...common, dataDir: join(dir, 'large-source') });
  try {
    const client = source.client();
    for (const byte of [1, 2, 3]) await client.put('large', large(byte));
    await client.put('small', 'beside it');
    await json(['backup', backup], source.url);
  } finally {
    await source.stop();
  }
  const restored = await startNode({ ...common, dataDir: join(dir, 'large-restored') });
  try {
    for (let round = 0; round < 2; round++) await json(['restore', backup], restored.url);
    const client = restored.client();
    const { values } = await client.get('large');
    assert.deepEqual(values.map((value) => [value.length, value[0], value.at(-1)]).sort(), [
      [1024 * 1024, 1, 1],
      [1024 * 1024, 2, 2],
      [1024 * 1024, 3, 3],
    ]);
    assert.deepEqual(await textsOf(client, 'small'), ['beside it']);
    const part = { key: new Uint8Array([1]), of: 10, at: 0, bytes: new Uint8Array(3) };
    for (const wrong of [
      { of: 0 },
      { of: 2 ** 40 },
      { at: 8 },
      { bytes: 'x' },
      { key: undefined },
    ]) {
      await assert.rejects(client.admin('restore.part', { ...part, ...wrong }), /argument/);
    }
    assert.equal((await client.admin('restore.part', part))['have'], 3);
    assert.equal((await client.admin('restore.part', part))['have'], 3, 'heard twice');
    assert.equal((await client.admin('restore.part', { ...part, at: 6 }))['have'], 3, 'a gap');
    await assert.rejects(
      client.admin('restore.part', { ...part, at: 3, bytes: new Uint8Array(7).fill(255) }),
      /a record/,
    );
    for (const i of [1, 2, 3, 4]) {
      await client.admin('restore.part', { ...part, key: new Uint8Array([9, i]) });
    }
    const one = { ...part, key: new Uint8Array([9, 9]) };
    await assert.rejects(client.admin('restore.part', one), { code: 'OVERLOADED' });
  } finally {
    await restored.stop();
  }
});

operator('verify finds a flipped byte, in a backup and in a data directory', async () => {
  const dataDir = join(dir, 'flipped');
  const node = await startNode({ dataDir, id: 'solo', logLevel: 'silent', partitions: 4 });
  const backup = join(dir, 'flipped-backup');
  try {
    await node.client().put('k', 'a text that is easy to find');
    await json(['backup', backup], node.url);
    const locked = await cli(['verify', dataDir]);
    assert.deepEqual([locked.code, /in use/.test(locked.stderr)], [3, true]);
  } finally {
    await node.stop();
  }
  const flip = (path: string): void => {
    const bytes = readFileSync(path);
    const at = bytes.lastIndexOf('easy to find');
    assert.ok(at > 0);
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  };
  const manifest = JSON.parse(readFileSync(join(backup, 'manifest.json'), 'utf8')) as {
    files: { file: string; records: number }[];
  };
  const file = manifest.files.find(({ records }) => records > 0)!.file;
  flip(join(backup, file));
  const damagedBackup = await cli(['verify', backup]);
  assert.equal(damagedBackup.code, 1);
  assert.match(damagedBackup.stdout, new RegExp(`damaged: .*${file}.* at byte`));
  const copy = join(dir, 'flipped-copy');
  cpSync(dataDir, copy, { recursive: true });
  flip(join(copy, 'coterie.mdb'));
  const damagedData = await cli(['verify', copy]);
  assert.equal(damagedData.code, 1, damagedData.stderr);
  assert.match(damagedData.stdout, /damaged: k: the checksum of its row does not fit/);
  assert.equal((await cli(['verify', join(dir, 'nowhere')])).code, 3);
});

operator(
  'live settings change on every node at once; what is not live is refused by name',
  async () => {
    const cluster = await LiveCluster.start(2);
    try {
      const [url] = cluster.urls;
      const set = await cli(['config', 'set', 'lingerMs', '750ms', '--every-node'], url);
      assert.deepEqual(
        [set.code, set.stdout],
        [0, 'n1: lingerMs = 750 ms\nn2: lingerMs = 750 ms\n'],
      );
      for (const each of cluster.urls) {
        const { settings } = await json<{ settings: { name: string; value: unknown }[] }>(
          ['config', 'running'],
          each,
        );
        assert.equal(settings.find(({ name }) => name === 'lingerMs')?.value, 750);
      }
      for (const [args, named] of [
        [['gossipIntervalMs', '5s'], /gossipIntervalMs cannot change/],
        [['lingerMs', '5 parsecs'], /lingerMs: .*5 parsecs/],
        [['noSuchThing', '1'], /noSuchThing is no setting/],
        [['patienceMs', '50s'], /patienceMs .* requestTimeoutMs/],
        [['logLevel.handoff', 'loud'], /logLevel\.handoff: .*loud/],
      ] as const) {
        const { code, stderr } = await cli(['config', 'set', ...args], url);
        assert.deepEqual([code, named.test(stderr)], [2, true], stderr);
      }
      const owners = await json<{ owners: { owners: string[] }[] }>(['ring', 'owners'], url);
      assert.equal(owners.owners.length, 256);
      const shares = await json<{ nodes: { owns: number; leads: number }[] }>(
        ['ring', 'show'],
        url,
      );
      assert.deepEqual(
        shares.nodes.map(({ owns, leads }) => [owns, leads]),
        [
          [256, 128],
          [256, 128],
        ],
      );
      // A hint for whoever is away shows where it is kept.
      await cluster.kill('n2');
      const client = connect(url!);
      for (let i = 0; i < 40; i++) await client.put('hot', `v`, { w: 1 });
      await client.close();
      // The coordinators linger before they give n2 up.
      await cluster.until(({ nodes }) => nodes.some(({ hints }) => hints > 0));
      const [kept] = await json<{ answer: { targets: { target: string }[] } }[]>(['hints'], url);
      assert.equal(kept!.answer.targets[0]?.target, 'n2');
      const [top] = await json<{ answer: { keys: { key: string }[] } }[]>(['top-keys'], url);
      assert.equal(top!.answer.keys[0]?.key, 'hot');
    } finally {
      await cluster.end();
    }
  },
);

operator('the level of one actor is raised at run time, and its moves are in the log', async () => {
  const lines: string[] = [];
  const node = await startNode({
    ...{ dataDir: join(dir, 'levels'), id: 'solo', logLevel: 'silent' },
    logTo: { write: (line: string) => void lines.push(line) },
  });
  try {
    const client = node.client();
    await client.put('k', 'before');
    assert.deepEqual(lines, []);
    await client.admin('config.set', { name: 'logLevel.writeBuffer', value: 'debug' });
    await client.put('k', 'after');
    const moves = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.ok(moves.length > 0);
    assert.ok(
      moves.every(({ actor, event }) => actor === 'writeBuffer' && event === 'actor.moved'),
    );
    assert.ok(moves.some(({ to }) => to === 'committing'));
    await client.admin('config.set', { name: 'logLevel.writeBuffer', value: 'inherited' });
    const { length } = lines;
    await client.put('k', 'quiet again');
    assert.equal(lines.length, length);
  } finally {
    await node.stop();
  }
});

operator('the log names the story of a slow request, and that tells it step by step', async () => {
  const lines: string[] = [];
  const node = await startNode({
    ...{ dataDir: join(dir, 'slow'), id: 'solo', logLevel: 'warn', admin: '127.0.0.1:0' },
    ...{ faults: 'allowed', config: { slowRequestMs: 50 } },
    logTo: { write: (line: string) => void lines.push(line) },
  });
  try {
    const client = node.client();
    await json(['fault', 'slow-disk', '80'], node.url);
    await client.put('slow', 'v', { dw: 1 });
    await json(['fault', 'slow-disk', '0'], node.url);
    const logged = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ event }) => event === 'request.slow');
    assert.deepEqual(
      logged.map(({ op, key }) => [op, key]),
      [['put', 'slow']],
    );
    const name = String(logged[0]!['request']);
    assert.match(name, /^solo\.\d+$/);
    const listed = await json<readonly { cause: string; why: string }[]>(['story'], node.url);
    assert.ok(listed.some(({ cause, why }) => cause === name && why === 'slow'));
    const told = await cli(['story', name], node.url);
    assert.equal(told.code, 0, told.stderr);
    assert.match(told.stdout, /state .*writing/);
    assert.doesNotMatch(told.stdout, /undefined/);
    const unknown = await cli(['story', 'solo.1'], node.url);
    assert.deepEqual([unknown.code, /no node keeps/.test(unknown.stderr)], [1, true]);
  } finally {
    await node.stop();
  }
});

operator(
  'a fault is applied, shown and taken back where that is allowed, and nowhere else',
  async () => {
    const common = { id: 'solo', logLevel: 'silent', admin: '127.0.0.1:0' } as const;
    const open = await startNode({ ...common, dataDir: join(dir, 'faulty'), faults: 'allowed' });
    try {
      await json(['fault', 'slow-disk', '150'], open.url);
      const shown = await json<{ diskDelayMs: number }>(['fault', 'show'], open.url);
      assert.equal(shown.diskDelayMs, 150);
      const beganMs = performance.now();
      await open.client().put('k', 'v');
      assert.ok(performance.now() - beganMs >= 140, 'the disk is slow indeed');
      assert.equal((await cli(['fault', 'slow-disk', '1e9'], open.url)).code, 2);
      assert.equal(
        (await json<{ diskDelayMs: number }>(['fault', 'slow-disk', '0'], open.url)).diskDelayMs,
        0,
      );
    } finally {
      await open.stop();
    }
    const shut = await startNode({ ...common, dataDir: join(dir, 'faultless') });
    try {
      const { code, stderr } = await cli(['fault', 'cut', 'n2'], shut.url);
      assert.deepEqual([code, /FORBIDDEN.*--allow-faults/.test(stderr)], [3, true], stderr);
    } finally {
      await shut.stop();
    }
  },
);

operator(
  'a data directory of a newer format is refused by its path, and left as it was',
  async () => {
    const dataDir = join(dir, 'newer');
    const common = { dataDir, id: 'solo', logLevel: 'silent' } as const;
    await (await startNode(common)).stop();
    const storage = openStorage(dataDir);
    const identity = { ...loadIdentity(storage)!, format: DATA_FORMAT + 1 };
    saveIdentity(storage, identity, assert.fail);
    await new Promise<void>((resolve) => storage.close(resolve));
    const before = readFileSync(join(dataDir, 'coterie.mdb'));
    await assert.rejects(startNode(common), /newer.*format is 3/s);
    assert.ok(before.equals(readFileSync(join(dataDir, 'coterie.mdb'))));
    const verified = await cli(['verify', dataDir]);
    assert.deepEqual([verified.code, /the format is 3/.test(verified.stdout)], [1, true]);
  },
);

operator('every command has an example in its help, and the shell can finish it', async () => {
  const script = (await cli(['completion', 'bash'])).stdout;
  const completed = async (...words: readonly string[]): Promise<readonly string[]> => {
    const quoted = ['coterie', ...words].map((word) => `'${word}'`).join(' ');
    const ask = `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _coterie; echo "\${COMPREPLY[@]}"`;
    const child = spawn('bash', ['-c', `${script}\n${ask}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (text: Buffer) => (out += text.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    return out.trim().split(' ');
  };
  assert.deepEqual(await completed('ver'), ['verify']);
  assert.deepEqual(await completed('ring', ''), ['show', 'owners', '--help']);
  assert.ok((await completed('ring', 'owners', '--pa')).includes('--partition'));

  const withoutExample: string[] = [];
  const look = (command: Command, path: string): void => {
    let text = '';
    command.configureOutput({ writeOut: (more) => (text += more) }).outputHelp();
    // A family of commands shows its members instead.
    const bare = command.commands.length === 0 && !/\nExamples?:\n {2}/.test(text);
    if (bare) withoutExample.push(path);
    for (const each of command.commands) look(each, `${path} ${each.name()}`);
  };
  const program = await programFor();
  look(program, 'coterie');
  assert.ok(program.commands.length > 15);
  assert.deepEqual(withoutExample, []);
});

operator(
  'a command is loaded with its neighbours only, and each is found by its name',
  async () => {
    const known = (await programFor()).commands.map((command) => command.name());
    for (const name of known.filter((each) => each !== 'completion')) {
      const { commands } = await programFor(name);
      assert.ok(
        commands.some((command) => command.name() === name),
        name,
      );
      assert.ok(commands.length <= 4, name);
    }
    assert.equal((await programFor('--help')).commands.length, known.length);
  },
);

operator.run();
