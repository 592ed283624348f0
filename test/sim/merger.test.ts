/** A user's own merger is tried in clusters that split and retry: what loses items is told so. */
import * as assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { addWinsMap, counter, observedRemoveSet } from '../../src/client/causal-types.ts';
import { lastWriteWins, unionOfSets } from '../../src/client/mergeable.ts';
import { checkMerger } from '../../src/simulator.ts';
import type { MergerOfValues, MergerOnTrial } from '../../src/simulator.ts';

const mergers = suite('a merger on trial');

type Texts = readonly string[];

const listIn = (value: Uint8Array): Texts => JSON.parse(new TextDecoder().decode(value)) as Texts;

/** A short trial: the first seed that merges anything shows what is wrong. */
const tried = <State, Face, Made>(merger: MergerOnTrial<State, Face, Made>, seeds = 1) =>
  checkMerger(merger, { seeds, from: 5, nodes: 3, operations: 80 });

const isKept = <State, Face, Made>(merger: MergerOnTrial<State, Face, Made>): void => {
  const { broken, merges, itemsPutIn } = tried(merger);
  assert.equal(broken, undefined, broken?.story);
  assert.ok(merges > 10 && itemsPutIn > 40, `${merges} merges of ${itemsPutIn} items`);
};

mergers('a union of all siblings keeps every item', () => {
  isKept((siblings) => JSON.stringify([...new Set(siblings.flatMap(listIn))].sort()));
});

mergers('the last sibling wins: the lost item is named, with the story of its key', () => {
  const { broken } = tried((siblings) => siblings.at(-1)!);
  assert.match(broken!.message, /^no item lost: item\d+, put in by v\d+/);
  const [lost] = /item\d+/.exec(broken!.message)!;
  assert.ok(broken!.story.includes(`with ${lost}`), broken!.story);
  assert.match(broken!.story, /replay: coterie simulate --seed \d+ --trace/);
  assert.ok(broken!.story.split('\n').length < 60, 'it was made short');
});

mergers('what is ready to merge keeps what it is given, and what is taken out stays out', () => {
  isKept(unionOfSets<string>());
  isKept(addWinsMap<number>());
  isKept(observedRemoveSet());
});

mergers('last-write-wins loses items, and that is what the trial says', () => {
  const { broken } = tried(lastWriteWins<Texts>());
  assert.match(broken!.message, /^no item lost/);
});

mergers('a union of lists that items are taken out of brings them back', () => {
  const lists: MergerOfValues = {
    merge: (siblings) => JSON.stringify([...new Set(siblings.flatMap(listIn))].sort()),
    add: (value, item) => JSON.stringify([...(value === undefined ? [] : listIn(value)), item]),
    items: listIn,
    remove: (value, item) => JSON.stringify(listIn(value).filter((each) => each !== item)),
  };
  const { broken } = tried(lists, 4);
  assert.match(broken!.message, /^no item returns: item\d+, taken out by v\d+, is back/);
});

mergers('a merger that throws, or draws lots, is told so', () => {
  const thrown = tried(() => {
    throw new RangeError('three is too many');
  });
  assert.match(thrown.broken!.message, /^mergers answer: .*three is too many/);
  const drawn = tried((siblings) => (Math.random() < 0.5 ? siblings[0]! : siblings[1]!));
  assert.match(drawn.broken!.message, /^mergers answer: .*random was used/);
});

mergers('where items cannot be told, nothing is tried', () => {
  assert.throws(() => checkMerger(counter()), TypeError);
  assert.throws(() => checkMerger({} as MergerOnTrial), /expected a merge function/);
});

mergers('the command tries the merger of a file, and fails with the story', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'coterie-merger-'));
  try {
    const file = join(dir, 'last.mjs');
    writeFileSync(file, 'export default (siblings) => siblings.at(-1);\n');
    const flags = ['--merge', file, '--from', '5', '--runs', '1', '--nodes', '3'];
    const last = await simulate([...flags, '--operations', '80']);
    assert.equal(last.code, 1, last.stderr);
    assert.match(last.stdout, /no item lost: item\d+/);
    assert.match(last.stdout, /replay: coterie simulate --seed 5 --trace .*--merge \S+last\.mjs/);
    const none = await simulate(['--merge', join(dir, 'none.mjs')]);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /none\.mjs/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

const simulate = (
  args: readonly string[],
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'simulate', ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });

mergers.run();
