/**
 * The stores for Keyv and express-session, with the published packages over live nodes: Keyv's own
 * test suite, unmodified, and an application with sessions. The packages are installed into a
 * temporary folder, because the suite brings more than the rest of the project together.
 *
 * Needs the package registry; run by .ci/run, not by npm test.
 */
import * as assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import { coterieStore } from '../../src/client/express-session.ts';
import type { SessionModule } from '../../src/client/express-session.ts';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { KeyvCoterie } from '../../src/client/keyv.ts';
import { LiveCluster } from '../live/harness.ts';

const adapters = suite('stores for others');
const PACKAGES = [
  'keyv@5.6.0',
  '@keyv/test-suite@2.1.2',
  'express@4.22.1',
  'express-session@1.18.2',
];

const folder = mkdtempSync(join(tmpdir(), 'coterie-adapters-'));
let cluster: LiveCluster;
let client: Client;

/** Everything below needs these, so it is the first test: a failing `before` would pass in silence. */
adapters('the packages are there, and a cluster', async () => {
  writeFileSync(join(folder, 'package.json'), '{"name": "adapters", "private": true}');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', ['install', ...flags, ...PACKAGES], { cwd: folder, stdio: 'inherit' });
  cluster = await LiveCluster.start(3, ['--partitions', '8']);
  client = connect(cluster.urls);
});

adapters.after(async () => {
  await client?.close();
  await cluster?.end();
  rmSync(folder, { recursive: true, force: true });
});

const required = <T>(name: string): T => createRequire(join(folder, 'package.json'))(name) as T;

type Check = (t: { expect: typeof expect }) => unknown;
type Host = {
  it(name: string, check: Check): void;
  beforeEach(hook: () => unknown): void;
  afterEach(hook: () => unknown): void;
};
type KeyvSuite = (host: Host, Keyv: unknown, store: () => KeyvCoterie) => void;

/** As much of vitest's `expect` as Keyv's suite uses. */
const expect = Object.assign(
  (found: unknown) => ({
    toBe: (wanted: unknown) => assert.equal(found, wanted),
    toEqual: (wanted: unknown) => assert.deepEqual(found, wanted),
    toBeTruthy: () => assert.ok(found),
    toBeFalsy: () => assert.ok(!(found as boolean)),
    toBeUndefined: () => assert.equal(found, undefined),
    toBeDefined: () => assert.notEqual(found, undefined),
    toBeNull: () => assert.equal(found, null),
  }),
  { assertions: () => undefined },
);

adapters('Keyv’s own suite passes', async () => {
  const { default: all, keyvIteratorTests } = required<{
    default: KeyvSuite;
    keyvIteratorTests: KeyvSuite;
  }>('@keyv/test-suite');
  const { default: Keyv } = required<{ default: unknown }>('keyv');
  const failures: string[] = [];
  let checks = 0;
  for (const each of [all, keyvIteratorTests]) {
    const [its, before, after]: [[string, Check][], (() => unknown)[], (() => unknown)[]] = [
      [],
      [],
      [],
    ];
    const host: Host = {
      it: (name, check) => its.push([name, check]),
      beforeEach: (hook) => before.push(hook),
      afterEach: (hook) => after.push(hook),
    };
    each(host, Keyv, () => new KeyvCoterie(client));
    for (const [name, check] of its) {
      checks += 1;
      try {
        for (const hook of before) await hook();
        await check({ expect });
        for (const hook of after) await hook();
      } catch (error) {
        failures.push(`${name}: ${String(error)}`);
      }
    }
  }
  process.stdout.write(`  ${checks} of Keyv’s tests\n`);
  assert.deepEqual(failures, []);
  assert.ok(checks >= 40, `${checks} tests`);
});

adapters(
  'what Keyv sets with a time-to-live is gone on the nodes, and errors are told',
  async () => {
    const { default: Keyv } = required<{
      default: new (options: object) => {
        set(key: string, value: unknown, ttl?: number): Promise<boolean>;
        get(key: string): Promise<unknown>;
        on(event: string, listener: (error: unknown) => void): void;
      };
    }>('keyv');
    const keyv = new Keyv({ store: new KeyvCoterie(client), namespace: 'mortal' });
    const told: string[] = [];
    keyv.on('error', (error) => told.push((error as { code: string }).code));
    await keyv.set('k', 'v', 300);
    assert.equal((await client.get('mortal:k')).state, 'found');
    const deadlineMs = Date.now() + 10_000;
    while ((await client.get('mortal:k')).state !== 'deleted') assert.ok(Date.now() < deadlineMs);
    assert.equal(await keyv.get('k'), undefined);
    assert.equal(await keyv.set('x'.repeat(2000), 'v'), false);
    assert.equal(await keyv.get('x'.repeat(2000)), undefined);
    assert.deepEqual(told, ['KEY_TOO_LONG', 'KEY_TOO_LONG']);
  },
);

type Visit = { readonly session: Record<string, unknown> & { cookie: { maxAge: number } } };

adapters(
  'an application keeps its sessions: set, touched, regenerated, ended, expired',
  async () => {
    const express = required<
      () => RequestListener & {
        use(handler: unknown): void;
        get(path: string, handler: (request: Visit, response: Answer) => void): void;
      }
    >('express');
    type Answer = { json(body: unknown): void };
    const session = required<SessionModule & ((options: object) => unknown)>('express-session');
    const Store = coterieStore(session);
    const app = express();
    const store = new Store(client);
    const options = { store, secret: 's', resave: false, saveUninitialized: false };
    app.use(session({ ...options, cookie: { maxAge: 60_000 } }));
    app.get('/add', ({ session: visit }, response) => {
      visit['count'] = ((visit['count'] as number | undefined) ?? 0) + 1;
      response.json(visit['count']);
    });
    app.get('/look', ({ session: visit }, response) => response.json(visit['count'] ?? 0));
    app.get('/brief', ({ session: visit }, response) => {
      visit.cookie.maxAge = 1000;
      response.json('brief');
    });
    app.get('/end', ({ session: visit }, response) => {
      (visit as unknown as { destroy(done: () => void): void }).destroy(() =>
        response.json('gone'),
      );
    });
    const server = createServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const visitor = () => {
      let cookie = '';
      return async (path: string): Promise<unknown> => {
        const response = await fetch(base + path, { headers: { cookie } });
        cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie;
        return response.json();
      };
    };
    try {
      const [alice, bob] = [visitor(), visitor()];
      assert.equal(await alice('/add'), 1);
      assert.equal(await alice('/add'), 2);
      assert.equal(await bob('/add'), 1);
      assert.equal(await alice('/look'), 2, 'touched, not changed');
      assert.equal(await alice('/add'), 3);
      assert.equal(await alice('/end'), 'gone');
      assert.equal(await alice('/look'), 0);
      assert.equal(await bob('/look'), 1);
      assert.equal(await bob('/brief'), 'brief');
      const deadlineMs = Date.now() + 10_000;
      let left = 1;
      while (left > 0) {
        assert.ok(Date.now() < deadlineMs, 'it expires');
        left = 0;
        for await (const key of client.scan({ prefix: 'session:' })) left += key.length > 0 ? 1 : 0;
      }
      assert.equal(await bob('/look'), 0);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  },
);

adapters.run();
