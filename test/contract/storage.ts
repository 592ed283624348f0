/**
 * What every Storage must do, as a function that each implementation runs: LMDB on a real disk and
 * the simulated disk of the swarm. Nothing here reads a clock; the harness drives time.
 */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { STORAGE_TABLES } from '../../src/ports/storage.ts';
import type { CommitResult, Storage, StorageOp, StorageRange } from '../../src/ports/storage.ts';
import { randomStream } from '../../src/sim/random.ts';

export type StorageHarness = {
  /** The storage as the present life of the process sees it. */
  storage(): Storage;
  /** Lets time pass until `met`; throws after a few seconds of it. */
  until(met: () => boolean): Promise<void>;
  /** Opens the same data anew, as the next process does after a clean close. */
  reopen(): void;
  /** Puts a copy in the place of the data, which nobody has open, as from a backup. */
  putBackCopy(): void;
  /** Makes the commit given next, and thereby all later ones, fail. */
  breakCommits(): Promise<void>;
  end(): Promise<void>;
};

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const show = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);
const put = (key: Uint8Array, value: Uint8Array): StorageOp => ({
  type: 'put',
  table: 'records',
  key,
  value,
});
const remove = (key: Uint8Array): StorageOp => ({ type: 'remove', table: 'records', key });

export const storageContract = (name: string, open: () => StorageHarness): void => {
  const storage = suite(`storage: ${name}`);
  const it = (claim: string, body: (harness: StorageHarness) => Promise<void>): void =>
    storage(claim, async () => {
      const harness = open();
      try {
        await body(harness);
      } finally {
        await harness.end();
      }
    });
  const commit = async (
    harness: StorageHarness,
    ops: readonly StorageOp[],
  ): Promise<CommitResult> => {
    let result: CommitResult | undefined;
    harness.storage().commit(ops, (it) => (result = it));
    await harness.until(() => result !== undefined);
    return result!;
  };
  const close = async (harness: StorageHarness): Promise<void> => {
    let closed = false;
    harness.storage().close(() => (closed = true));
    await harness.until(() => closed);
  };
  const keysIn = (harness: StorageHarness, range: StorageRange): readonly string[] =>
    harness
      .storage()
      .range('records', range)
      .map(({ key }) => Buffer.from(key).toString('hex'));

  it('a committed value is read back, another key and another table are empty', async (harness) => {
    assert.deepEqual(await commit(harness, [put(text('a'), text('1'))]), { type: 'durable' });
    assert.equal(show(harness.storage().get('records', text('a'))), '1');
    assert.equal(harness.storage().get('records', text('b')), undefined);
    assert.equal(harness.storage().get('hints', text('a')), undefined);
  });

  it('a commit answers later, never within the call, and shows nothing until then', async (harness) => {
    let answers = 0;
    harness.storage().commit([put(text('a'), text('1'))], () => (answers += 1));
    assert.equal(answers, 0);
    assert.equal(harness.storage().get('records', text('a')), undefined);
    assert.deepEqual(harness.storage().range('records', { limit: 9 }), []);
    await harness.until(() => answers > 0);
    assert.equal(answers, 1);
    assert.equal(show(harness.storage().get('records', text('a'))), '1');
  });

  it('commits are answered in their order and the last one wins', async (harness) => {
    const order: number[] = [];
    for (let i = 0; i < 50; i++) {
      const value = i % 7 === 0 ? new Uint8Array(50_000) : text(`${i}`);
      harness.storage().commit([put(text('a'), value)], () => order.push(i));
    }
    await harness.until(() => order.length === 50);
    assert.deepEqual(
      order,
      Array.from({ length: 50 }, (_, i) => i),
    );
    assert.equal(harness.storage().get('records', text('a'))!.length, 50_000);
  });

  it('the operations of one commit apply in their order', async (harness) => {
    const [a, b] = [text('a'), text('b')];
    await commit(harness, [put(a, text('1')), remove(a), put(a, text('2')), put(b, a), remove(b)]);
    assert.equal(show(harness.storage().get('records', a)), '2');
    assert.equal(harness.storage().get('records', b), undefined);
  });

  it('one commit spans all tables', async (harness) => {
    const ops = STORAGE_TABLES.map((table): StorageOp => ({
      type: 'put',
      table,
      key: text('k'),
      value: text(table),
    }));
    await commit(harness, ops);
    for (const table of STORAGE_TABLES) {
      assert.equal(show(harness.storage().get(table, text('k'))), table);
    }
  });

  it('an empty commit and the removal of a missing key are durable too', async (harness) => {
    assert.deepEqual(await commit(harness, []), { type: 'durable' });
    assert.deepEqual(await commit(harness, [remove(text('none'))]), { type: 'durable' });
  });

  it('an empty value is a value', async (harness) => {
    await commit(harness, [put(text('a'), bytes())]);
    assert.equal(harness.storage().get('records', text('a'))?.length, 0);
    assert.equal(harness.storage().range('records', { limit: 9 })[0]?.value.length, 0);
  });

  it('keys are 1 to 1,900 bytes; with any other nothing of the commit is written', async (harness) => {
    const longest = new Uint8Array(1900).fill(255);
    await commit(harness, [put(longest, text('l')), put(bytes(0), text('s'))]);
    assert.equal(show(harness.storage().get('records', longest)), 'l');
    assert.equal(show(harness.storage().get('records', bytes(0))), 's');
    for (const bad of [bytes(), new Uint8Array(1901)]) {
      const ops = [put(text('good'), text('1')), put(bad, text('2'))];
      assert.throws(() => harness.storage().commit(ops, () => assert.fail('answered')), RangeError);
      assert.throws(() => harness.storage().get('records', bad), RangeError);
    }
    await commit(harness, [put(text('after'), text('3'))]);
    assert.equal(harness.storage().get('records', text('good')), undefined);
  });

  it('a value of 3 MiB survives', async (harness) => {
    const value = randomStream(1, 'large value').bytes(3 * 1024 * 1024);
    await commit(harness, [put(text('big'), value)]);
    assert.deepEqual(harness.storage().get('records', text('big')), value);
  });

  it('what the caller does to its buffers after a commit is done, or a get, changes nothing', async (harness) => {
    const [key, value] = [text('key'), text('value')];
    let answered = false;
    harness.storage().commit([put(key, value)], () => (answered = true));
    await harness.until(() => answered);
    key.fill(0);
    value.fill(0);
    const read = harness.storage().get('records', text('key'))!;
    assert.equal(show(read), 'value');
    read.fill(0);
    const [entry] = harness.storage().range('records', { limit: 1 });
    assert.equal(show(entry!.value), 'value');
    entry!.value.fill(0);
    entry!.key.fill(0);
    await commit(harness, [put(text('other'), text('thing'))]);
    assert.equal(show(harness.storage().get('records', text('key'))), 'value');
  });

  it('what was read stays as it was while others are read and written', async (harness) => {
    await commit(harness, [put(text('a'), text('one')), put(text('b'), text('two'))]);
    const a = harness.storage().get('records', text('a'));
    const entries = harness.storage().range('records', { limit: 9 });
    const b = harness.storage().get('records', text('b'));
    await commit(harness, [put(text('a'), text('ONE')), remove(text('b'))]);
    assert.deepEqual([show(a), show(b)], ['one', 'two']);
    assert.deepEqual(
      entries.map(({ key, value }) => [show(key), show(value)]),
      [
        ['a', 'one'],
        ['b', 'two'],
      ],
    );
  });

  it('a range goes from inclusive to exclusive in byte order and stops at its limit', async (harness) => {
    const keys = [[255], [0], [0, 0], [254, 255], [1], [0, 255], [255, 0], [97, 98], [97]];
    await commit(
      harness,
      keys.map((key) => put(bytes(...key), text('x'))),
    );
    const all = ['00', '0000', '00ff', '01', '61', '6162', 'feff', 'ff', 'ff00'];
    assert.deepEqual(keysIn(harness, { limit: 100 }), all);
    assert.deepEqual(keysIn(harness, { limit: 3 }), all.slice(0, 3));
    assert.deepEqual(keysIn(harness, { limit: 0 }), []);
    const middle = { from: bytes(0, 0), to: bytes(255), limit: 100 };
    assert.deepEqual(keysIn(harness, middle), all.slice(1, 7));
    assert.deepEqual(keysIn(harness, { from: bytes(0, 1), limit: 2 }), ['00ff', '01']);
    assert.deepEqual(keysIn(harness, { to: bytes(0, 255), limit: 9 }), ['00', '0000']);
    assert.deepEqual(keysIn(harness, { from: bytes(2), to: bytes(2), limit: 9 }), []);
    assert.deepEqual(keysIn(harness, { from: bytes(9), to: bytes(2), limit: 9 }), []);
    assert.deepEqual(keysIn(harness, { from: bytes(), to: bytes(1), limit: 9 }), all.slice(0, 3));
    assert.deepEqual(keysIn(harness, { to: bytes(), limit: 9 }), []);
    assert.deepEqual(keysIn(harness, { from: new Uint8Array(4000).fill(255), limit: 9 }), []);
  });

  it('the key after the longest one can be asked for, so that pages meet', async (harness) => {
    const [longest, next] = [new Uint8Array(1900).fill(7), bytes(8)];
    await commit(harness, [put(longest, text('1')), put(next, text('2'))]);
    const after = bytes(...longest, 0);
    assert.deepEqual(keysIn(harness, { from: after, limit: 9 }), ['08']);
    assert.equal(keysIn(harness, { to: after, limit: 9 }).length, 1);
  });

  it('a thousand random commits leave what a plain map holds', async (harness) => {
    const random = randomStream(7, 'storage model');
    const model = new Map<string, string>();
    let answered = 0;
    for (let i = 0; i < 1000; i++) {
      const ops = Array.from({ length: random.integer(5) }, (_, j) => {
        const key = `k${random.integer(60)}`;
        if (random.integer(3) === 0) {
          model.delete(key);
          return remove(text(key));
        }
        model.set(key, `${i}.${j}`);
        return put(text(key), text(`${i}.${j}`));
      });
      harness.storage().commit(ops, () => (answered += 1));
      if (i % 100 === 0) await harness.until(() => answered > i);
    }
    await harness.until(() => answered === 1000);
    const expected = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
    const entries = harness.storage().range('records', { limit: 1000 });
    assert.deepEqual(
      entries.map(({ key, value }) => [show(key), show(value)]),
      expected,
    );
  });

  it('close waits for commits under way, and the next process reads them', async (harness) => {
    const answers: string[] = [];
    for (let i = 0; i < 5; i++) {
      const ops = [put(text(`k${i}`), new Uint8Array(10_000).fill(i))];
      harness.storage().commit(ops, ({ type }) => answers.push(type));
    }
    await close(harness);
    assert.deepEqual(answers, Array<string>(5).fill('durable'));
    harness.reopen();
    assert.equal(harness.storage().range('records', { limit: 9 }).length, 5);
    assert.equal(harness.storage().get('records', text('k4'))![9999], 4);
  });

  it('a birthmark stays in all lives, and a copy has another', async (harness) => {
    // A file that was made and changed at once cannot be told from one whose making nobody noted.
    const birthmark = async (): Promise<string | undefined> => {
      for (let tries = 0; tries < 100 && harness.storage().birthmark() === undefined; tries++) {
        await commit(harness, [put(text('a'), text(`${tries}`))]);
      }
      return harness.storage().birthmark();
    };
    const first = await birthmark();
    assert.ok(first !== undefined);
    await close(harness);
    harness.reopen();
    await commit(harness, [put(text('b'), text('2'))]);
    assert.equal(await birthmark(), first);
    await close(harness);
    harness.putBackCopy();
    harness.reopen();
    await commit(harness, [put(text('c'), text('3'))]);
    const second = await birthmark();
    assert.ok(second !== undefined && second !== first);
    assert.equal(harness.storage().get('records', text('b'))?.length, 1);
  });

  it('usage tells bytes of the file and bytes free', async (harness) => {
    await commit(harness, [put(text('a'), new Uint8Array(100_000))]);
    const { fileBytes, freeBytes } = harness.storage().usage();
    assert.ok(fileBytes >= 100_000, `${fileBytes} bytes`);
    assert.ok(freeBytes > 0);
  });

  it('after one failure every commit fails, in order, and reads and close go on', async (harness) => {
    await commit(harness, [put(text('a'), text('1'))]);
    await harness.breakCommits();
    const results: string[] = [];
    for (let i = 0; i < 3; i++) {
      const ops = [put(text(`b${i}`), new Uint8Array(4 * 1024 * 1024))];
      harness.storage().commit(ops, ({ type }) => results.push(`${i} ${type}`));
    }
    await harness.until(() => results.length === 3);
    const later = await commit(harness, [put(text('c'), text('3'))]);
    assert.deepEqual(results, ['0 failed', '1 failed', '2 failed']);
    assert.ok(later.type === 'failed' && later.reason.length > 0);
    assert.equal(show(harness.storage().get('records', text('a'))), '1');
    await close(harness);
  });

  storage.run();
};
