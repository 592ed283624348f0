/**
 * The browser bundle in a real Chromium against three live nodes: siblings made and merged in the
 * page, errors, limits, cancelling, a node that goes away, coordination in the page, no eval.
 *
 * Needs Debian's chromium; run by .ci/run, not by npm test.
 */
import * as assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync, rmSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { BrowserContext, Page } from 'playwright-core';
import { suite } from 'uvu';
import { launchProfile } from '../../bench/support/chromium.ts';
import type * as Library from '../../src/client/browser.ts';
import { connect } from '../../src/client/index.ts';
import { LiveCluster } from '../live/harness.ts';

const browser = suite('the browser client');
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BUNDLE = readFileSync(join(ROOT, 'dist/client/coterie.js'));
const GZIPPED_BYTES_MAX = 40_000;

/** What the page is served, by path: as an application would have it. */
const FILES: Readonly<Record<string, readonly [type: string, body: string | Buffer]>> = {
  '/': [
    'text/html',
    '<!doctype html><title>coterie</title><script type=module src=page.js></script>',
  ],
  '/page.js': ['text/javascript', "import * as it from './coterie.js'; globalThis.coterie = it;"],
  '/coterie.js': ['text/javascript', BUNDLE],
};

declare const globalThis: { coterie: typeof Library };

type Place = {
  readonly cluster: LiveCluster;
  readonly page: Page;
  readonly urls: string[];
  readonly asked: string[];
};

let opening: Promise<Place> | undefined;
const cleanups: (() => Promise<unknown>)[] = [];

/** A page with the bundle, from an origin that the nodes allow, under a strict content policy. */
const openPage = async (): Promise<Place> => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const policy = "default-src 'none'; script-src 'self'; connect-src ws://127.0.0.1:*";
    const [type, body] = FILES[request.url ?? ''] ?? ['text/plain', ''];
    response.setHeader('content-security-policy', policy);
    response.setHeader('content-type', type);
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cluster = await LiveCluster.start(3, ['--origins', origin]);
  cleanups.push(() => cluster.end());
  await cluster.until(({ nodes }) => nodes.every(({ address }) => address !== ''));
  const profile = mkdtempSync(join(tmpdir(), 'coterie-chromium-'));
  cleanups.push(async () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  const context: BrowserContext = await launchProfile(profile);
  cleanups.push(() => context.close());
  const page = await context.newPage();
  page.on('pageerror', (error) => process.stderr.write(`page: ${error.message}\n`));
  // Loaded means that its module has run.
  await page.goto(origin);
  return { cluster, page, urls: [...cluster.urls], asked };
};

browser.after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** Not in a `before`: when that fails uvu runs nothing and exits 0. */
const it = (claim: string, body: (place: Place) => Promise<void>): void =>
  browser(claim, async () => body(await (opening ??= openPage())));

browser('is one small file that loads nothing and makes no code at run time', () => {
  const bytes = gzipSync(BUNDLE, { level: 9 }).length;
  process.stdout.write(`  ${bytes} bytes gzipped\n`);
  assert.ok(bytes < GZIPPED_BYTES_MAX, `${bytes} bytes gzipped`);
  const text = BUNDLE.toString();
  assert.doesNotMatch(text, /\bimport\s*[({*"']|\brequire\(|new Function|\beval\(/);
});

it('asks for no other file', async ({ asked }) => {
  assert.deepEqual(
    asked.filter((path) => path !== '/favicon.ico'),
    ['/', '/page.js', '/coterie.js'],
  );
});

it('makes siblings in the page and merges them there', async ({ page, urls }) => {
  const seen = await page.evaluate(async (nodes) => {
    const { connect: open } = globalThis.coterie;
    const [one, two] = [open(nodes[0]!), open(nodes[1]!)];
    await one.put('cart', 'milk');
    await two.put('cart', 'eggs');
    const read = await one.get('cart');
    const siblings = [...read.texts()].sort();
    await two.put('cart', siblings.join(), { context: read.context });
    const merged = (await one.get('cart')).texts();
    const away = await one.get('nothing');
    await one.delete('cart');
    const gone = (await two.get('cart')).state;
    await Promise.all([one.close(), two.close()]);
    return { siblings, merged, away: away.state, gone };
  }, urls);
  assert.deepEqual(seen, {
    siblings: ['eggs', 'milk'],
    merged: ['eggs,milk'],
    away: 'never-seen',
    gone: 'deleted',
  });
});

it('keeps carts that two pages edit at once, and Node reads them', async ({ page, urls }) => {
  const cart = await page.evaluate(async (nodes) => {
    const { addWinsMap, connect: open } = globalThis.coterie;
    const pages = [open(nodes[0]!), open(nodes[1]!), open(nodes[2]!)];
    const carts = { merge: addWinsMap<number>() };
    await Promise.all(
      pages.map((db, at) =>
        db.update('cart:alice', (face) => void face.set(`item ${at}`, at), carts),
      ),
    );
    await pages[0]!.update('cart:alice', (face) => void face.delete('item 1'), carts);
    const all = (await pages[1]!.get('cart:alice')).as(carts.merge).toObject();
    await Promise.all(pages.map((db) => db.close()));
    return all;
  }, urls);
  assert.deepEqual(cart, { 'item 0': 0, 'item 2': 2 });
  const { addWinsMap } = await import('../../src/client/index.ts');
  const node = connect(urls);
  assert.deepEqual((await node.get('cart:alice')).as(addWinsMap<number>()).toObject(), cart);
  await node.close();
});

it('carries any bytes, a whole megabyte of them, and many keys at once', async ({ page, urls }) => {
  const seen = await page.evaluate(async (nodes) => {
    const db = globalThis.coterie.connect(nodes);
    const large = new Uint8Array(1024 * 1024).map((_, i) => i * 7);
    await db.put(new Uint8Array([0, 255, 10]), large);
    const back = (await db.get(new Uint8Array([0, 255, 10]))).bytes()!;
    const entries = Array.from({ length: 200 }, (_, i) => ({ key: `many:${i}`, value: `${i}` }));
    let put = 0;
    for await (const { error } of db.putMany(entries)) if (error === undefined) put += 1;
    let right = 0;
    for await (const got of db.getMany(entries.map(({ key }) => key))) {
      if (got.values?.text() === `${got.index}`) right += 1;
    }
    const keys: string[] = [];
    for await (const key of db.scan({ prefix: 'many:' })) keys.push(new TextDecoder().decode(key));
    await db.close();
    return { equal: back.every((byte, i) => byte === large[i]), put, right, keys: keys.length };
  }, urls);
  assert.deepEqual(seen, { equal: true, put: 200, right: 200, keys: 200 });
});

it('tells errors by code, retryable and outcome, and cancels', async ({ page, urls }) => {
  const seen = await page.evaluate(async (nodes) => {
    const { connect: open, CoterieError } = globalThis.coterie;
    const db = open(nodes);
    const codeOf = (promise: Promise<unknown>): Promise<string> =>
      promise.then(
        () => 'no error',
        (error: unknown) =>
          error instanceof CoterieError
            ? `${error.code} ${error.outcome} ${error.retryable}`
            : String(error),
      );
    await db.put('taken', 'v');
    const signal = AbortSignal.abort();
    const codes = [
      await codeOf(db.put('', 'v')),
      await codeOf(db.put('k', new Uint8Array(1024 * 1024 + 1))),
      await codeOf(db.get('k', { r: 9 })),
      await codeOf(db.put('taken', 'w', { ifAbsent: true })),
      await codeOf(db.put('other', 'w', { context: (await db.get('taken')).context })),
      await codeOf(db.get('k', { signal })),
      await codeOf(open('ws://127.0.0.1:1').get('k', { timeoutMs: 300 })),
    ];
    await db.close();
    return codes;
  }, urls);
  assert.deepEqual(seen, [
    'KEY_EMPTY refused false',
    'VALUE_TOO_LARGE refused false',
    'BAD_QUORUM refused false',
    'CONDITION_NOT_MET refused false',
    'CONTEXT_KEY_MISMATCH refused false',
    'CANCELLED refused true',
    'UNREACHABLE refused true',
  ]);
});

it('reads from the replicas themselves when it coordinates', async ({ page, urls }) => {
  const seen = await page.evaluate(async (nodes) => {
    const db = globalThis.coterie.connect(nodes, { coordination: 'client' });
    const other = globalThis.coterie.connect(nodes[2]!);
    const answered = new Set<string | undefined>();
    await db.put('spread', 'v');
    for (let i = 0; i < 1000 && answered.size < 3; i++) answered.add((await db.get('spread')).node);
    await other.put('spread', 'w');
    const read = await db.get('spread', { r: 3 });
    await db.put('spread', 'merged', { context: read.context });
    const after = (await other.get('spread', { r: 3 })).texts();
    await Promise.all([db.close(), other.close()]);
    return { answered: [...answered].sort(), siblings: [...read.texts()].sort(), after };
  }, urls);
  assert.deepEqual(seen.answered, ['n1', 'n2', 'n3'], 'a coordinating node would name itself');
  assert.deepEqual([seen.siblings, seen.after], [['v', 'w'], ['merged']]);
});

it('goes on without an error when its node goes away, and when one is killed', async ({
  cluster,
  page,
  urls,
}) => {
  await page.evaluate((nodes) => {
    const db = globalThis.coterie.connect(nodes);
    const state = { rounds: 0, errors: [] as string[], types: [] as string[], stop: false };
    db.on(({ type }) => state.types.push(type));
    Object.assign(globalThis, { state, db });
    void (async () => {
      while (!state.stop) {
        try {
          await db.put('steady', `${state.rounds}`, { timeoutMs: 20_000, lastWriteWins: true });
          state.rounds += 1;
        } catch (error) {
          state.errors.push(String(error));
        }
      }
      await db.close();
    })();
  }, urls);
  const state = () =>
    page.evaluate(
      () =>
        (globalThis as unknown as { state: { rounds: number; errors: string[]; types: string[] } })
          .state,
    );
  const another = async (): Promise<void> => {
    const { rounds } = await state();
    while ((await state()).rounds < rounds + 5);
  };
  for (const id of cluster.ids) {
    await another();
    if (id === 'n2') await cluster.kill(id);
    else assert.equal(await cluster.stop(id), 0);
    await another();
    await cluster.startNode(id);
    await cluster.until(({ nodes }) => nodes.every(({ health }) => health === 'healthy'));
  }
  await page.evaluate(() => {
    (globalThis as unknown as { state: { stop: boolean } }).state.stop = true;
  });
  const { errors, types } = await state();
  assert.deepEqual(errors, []);
  assert.ok(types.includes('going-away') && types.includes('disconnected'), types.join());
});

browser.run();
