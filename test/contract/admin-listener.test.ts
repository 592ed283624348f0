/** The admin listener against strangers: what each gets, and that nothing but the table is served. */
import * as assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import { WebSocket } from 'ws';
import { openAdminListener } from '../../src/adapters/admin-listener.ts';
import type { AdminListener } from '../../src/adapters/admin-listener.ts';
import type { AdminRoutes } from '../../src/ports/admin.ts';

const admin = suite('the admin listener');

const PACKED = { status: 200, type: 'text/plain', body: 'long', gzipped: gzipSync('long') };

const ROUTES: AdminRoutes = {
  pages: new Map([
    ['/page', { access: 'token', serve: () => ({ status: 200, type: 'text/html', body: 'hi' }) }],
    ['/packed', { access: 'open', serve: () => PACKED }],
    ['/livez', { access: 'open', serve: () => ({ status: 200, type: 'text/plain', body: 'ok' }) }],
    [
      '/broken',
      {
        access: 'open',
        serve: () => {
          throw new Error('secret detail');
        },
      },
    ],
  ]),
  sockets: new Map([
    ['/feed', (socket) => ({ received: (text) => socket.send(text), closed: () => undefined })],
  ]),
};

type Answer = { status: number; headers: IncomingHttpHeaders; body: string };

const ask = (
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, ...options }, (response) => {
      let body = '';
      response.on('data', (text: Buffer) => (body += text.toString()));
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });

const withListener = async (
  token: string | undefined,
  task: (port: number) => Promise<void>,
): Promise<void> => {
  const listener: AdminListener = await openAdminListener({
    host: '127.0.0.1',
    port: 0,
    routes: ROUTES,
    ...(token === undefined ? {} : { token }),
  });
  try {
    await task(listener.port);
  } finally {
    await new Promise<void>((resolve) => listener.close(resolve));
  }
};

const upgrade = async (port: number, path: string, headers = {}): Promise<number> => {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  ws.on('error', () => undefined);
  const status = await Promise.race([
    once(ws, 'open').then(() => 101),
    once(ws, 'unexpected-response').then(
      ([, response]) => (response as Answer & { statusCode: number }).statusCode,
    ),
  ]);
  ws.terminate();
  return status;
};

admin(
  'serves exactly its table, by GET, under headers that keep other pages out [bad input 21a, 21b]',
  () =>
    withListener(undefined, async (port) => {
      const page = await ask(port, '/page?x=1');
      assert.equal(page.status, 200);
      assert.equal(page.body, 'hi');
      assert.match(String(page.headers['content-security-policy']), /default-src 'none'/);
      assert.equal(page.headers['x-content-type-options'], 'nosniff');
      assert.equal((await ask(port, '/page', { method: 'HEAD' })).body, '');
      for (const path of ['/', '/page/', '/..%2fpage', '/../etc/passwd', '/PAGE', '//page']) {
        assert.equal((await ask(port, path)).status, 404, path);
      }
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
        assert.equal((await ask(port, '/page', { method })).status, 405, method);
      }
      const broken = await ask(port, '/broken');
      assert.equal(broken.status, 500);
      assert.doesNotMatch(broken.body, /secret/);
    }),
);

admin('sends the compressed form to whoever takes it, the plain one to all others', () =>
  withListener(undefined, async (port) => {
    const plain = await ask(port, '/packed');
    assert.deepEqual([plain.body, plain.headers['content-encoding']], ['long', undefined]);
    const headers = { 'accept-encoding': 'br, gzip;q=0.8' };
    const packed = await ask(port, '/packed', { headers });
    assert.equal(packed.headers['content-encoding'], 'gzip');
    assert.equal(packed.headers['content-length'], String(PACKED.gzipped.length));
    assert.equal(packed.headers.vary, 'accept-encoding');
  }),
);

admin('refuses foreign names and foreign origins, on pages and on sockets', () =>
  withListener(undefined, async (port) => {
    assert.equal((await ask(port, '/page', { headers: { host: 'evil.example' } })).status, 421);
    const origin = { origin: 'http://evil.example' };
    assert.equal((await ask(port, '/page', { headers: origin })).status, 403);
    assert.equal(await upgrade(port, '/feed', origin), 403);
    assert.equal(await upgrade(port, '/feed', { host: 'evil.example' }), 421);
    assert.equal(await upgrade(port, '/feed', { origin: `http://127.0.0.1:${port}` }), 101);
    assert.equal(await upgrade(port, '/feed'), 101);
    assert.equal(await upgrade(port, '/page'), 404);
    assert.equal((await ask(port, '/feed')).status, 426);
  }),
);

admin('asks for the token everywhere but on open routes, and trades it for a cookie', () =>
  withListener('s3cret', async (port) => {
    assert.equal((await ask(port, '/livez')).status, 200);
    assert.equal((await ask(port, '/page')).status, 403);
    assert.equal((await ask(port, '/page?token=wrong')).status, 403);
    assert.equal(await upgrade(port, '/feed'), 403);
    assert.equal(await upgrade(port, '/feed?token=s3cret'), 403);
    const authorization = 'Bearer s3cret';
    assert.equal((await ask(port, '/page', { headers: { authorization } })).status, 200);
    const welcome = await ask(port, '/page?token=s3cret');
    assert.equal(welcome.status, 303);
    assert.equal(welcome.headers.location, '/page');
    const given = String(welcome.headers['set-cookie']);
    assert.match(given, /HttpOnly; SameSite=Strict/);
    const cookie = given.split(';')[0]!;
    assert.equal((await ask(port, '/page', { headers: { cookie } })).status, 200);
    assert.equal(await upgrade(port, '/feed', { cookie }), 101);
  }),
);

admin('closes a viewer that sends what is no text or too much of it', () =>
  withListener(undefined, async (port) => {
    for (const [frame, code] of [
      [Buffer.from('x'), 1003],
      ['x'.repeat(100_000), 1009],
    ] as const) {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/feed`);
      await once(ws, 'open');
      ws.send(frame);
      const [closed] = (await once(ws, 'close')) as [number];
      assert.equal(closed, code);
    }
  }),
);

admin.run();
