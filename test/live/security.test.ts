/** Real nodes behind TLS, secrets and tokens: who comes in, who does not, and what he is told. */
import * as assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { suite } from 'uvu';
import { WebSocket } from 'ws';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { connect } from '../../src/client/index.ts';
import { startNode } from '../../src/index.ts';
import type { NodeOptions, RunningNode } from '../../src/index.ts';
import { tokenHash } from '../../src/node/clients/client-access.ts';
import { encodeClientRequest } from '../../src/wire/request-codec.ts';
import {
  CA,
  N1_CERT,
  N1_KEY,
  N2_CERT,
  N2_KEY,
  ROGUE_N2_CERT,
  ROGUE_N2_KEY,
} from './certificates.ts';
import { cli } from './harness.ts';
import { greet, greetingAs, helloAs, stranger } from './stranger.ts';

const security = suite('security');
const dir = mkdtempSync(join(tmpdir(), 'coterie-security-'));
security.after(() => rmSync(dir, { recursive: true, force: true }));

const SECRET = 's'.repeat(32);
let files = 0;
const file = (content: string): string => {
  const path = join(dir, `file-${files++}`);
  writeFileSync(path, content);
  return path;
};

const running: RunningNode[] = [];
security.after.each(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()));
});
let folders = 0;
const start = async (options: Partial<NodeOptions>): Promise<RunningNode> => {
  const dataDir = join(dir, `data-${folders++}`);
  mkdirSync(dataDir);
  const node = await startNode({ dataDir, logLevel: 'silent', id: 'n1', ...options });
  running.push(node);
  const serves = () =>
    node.status().nodes.some(({ id, state }) => id === node.id && state === 'serving');
  await until(serves, 'it serves');
  return node;
};

const DEADLINE_MS = 20_000;
const until = async (met: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!(await met())) {
    assert.ok(performance.now() < deadlineMs, `in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
const linked = (node: RunningNode, other: string): boolean =>
  node.status().nodes.some(({ id, health }) => id === other && health === 'healthy');
const refusals = (node: RunningNode, other: string): boolean =>
  node.status().nodes.some(({ id, health }) => id === other && health === 'down');

/** How a connection ends that says HELLO with `token`. */
const endOfHello = (url: string, token?: string): Promise<string> =>
  new Promise((resolve) => {
    const ws = new WebSocket(`${url}/v1`, 'coterie.1.cbor');
    const hello = { type: 'hello', versionMin: 1, versionMax: 1, client: 'test' } as const;
    ws.on('open', () =>
      ws.send(encodeClientRequest(1, token === undefined ? hello : { ...hello, token })),
    );
    ws.on('close', (code, reason) => resolve(`${code} ${reason.toString()}`));
  });

security(
  'wrong, replayed or reflected peer proof: close 4401 with one identical text [bad input 18b]',
  async () => {
    const node = await start({ security: { secretFile: file(SECRET) } });
    const { cluster } = node.status();
    const good = await greet(node.url, helloAs('n9', cluster), [SECRET]);
    const more = await good.hears(2);
    assert.ok(more !== undefined && more.type !== 'hello', 'whoever knows the secret is heard');

    const [opening, proof] = good.said;
    const replayed = stranger(node.url);
    await replayed.say(opening!);
    await replayed.hears(1);
    await replayed.say(proof!);

    const reflected = stranger(node.url);
    await reflected.say(greetingAs(helloAs('n9', cluster), [SECRET]).opening);
    const own = await reflected.hears(1);
    assert.ok(own?.type === 'hello');
    await reflected.say({ type: 'proof', proof: own.proof! });

    const without = stranger(node.url);
    await without.say(helloAs('n9', cluster));

    const wrong = stranger(node.url);
    await wrong.say(greetingAs(helloAs('n9', cluster), ['x'.repeat(32)]).opening);
    await wrong.hears(1);
    await wrong.say({ type: 'proof', proof: new Uint8Array(32) });

    const ends = await Promise.all(
      [replayed, reflected, without, wrong].map(({ closed }) => closed),
    );
    assert.deepEqual(ends, Array(4).fill('4401 not admitted'));
    good.end();
  },
);

security(
  'before it is met a peer may say little: 1008 for a large or strange first frame',
  async () => {
    const node = await start({ security: { secretFile: file(SECRET) } });
    const large = stranger(node.url);
    await large.say({ ...helloAs('n9', 'c'.repeat(5000)) });
    const early = stranger(node.url);
    await early.say({ type: 'ping' });
    assert.match(await large.closed, /^1008/);
    assert.match(await early.closed, /^1008/);
  },
);

security('wrong cluster; duplicate node id: refused 4409 [bad input 19a, 19b]', async () => {
  for (const secrets of [[], [SECRET]]) {
    const node = await start(
      secrets.length === 0 ? {} : { security: { secretFile: file(SECRET) } },
    );
    const { cluster } = node.status();
    const foreign = await greet(node.url, helloAs('n9', 'another'), secrets);
    assert.equal(await foreign.closed, `4409 cluster ${cluster}, protocol 1`);
    const double = await greet(node.url, helloAs('n1', cluster), secrets);
    assert.equal(await double.closed, '4409 duplicate node id');
  }
});

security('nodes that share a secret link; it changes without an interruption', async () => {
  const secretFile = file(SECRET);
  const bootstrap = 'n1,n2';
  const n1 = await start({ bootstrap, security: { secretFile } });
  const n2 = await start({ id: 'n2', bootstrap, seeds: [n1.url], security: { secretFile } });
  await until(() => linked(n1, 'n2') && linked(n2, 'n1'), 'both linked');
  writeFileSync(secretFile, `${'t'.repeat(32)}\n${SECRET}\n`);
  n1.reload();
  n2.reload();
  const { cluster } = n1.status();
  for (const secret of [SECRET, 't'.repeat(32)]) {
    const side = await greet(n1.url, helloAs('n9', cluster), [secret]);
    // The node proves with the new secret; whoever knows only the old one does not believe it yet.
    if (secret === SECRET) assert.equal(side.said.length, 1);
    else assert.equal((await side.hears(2))?.type !== undefined, true);
    side.end();
  }
  writeFileSync(secretFile, 'short');
  assert.throws(() => n1.reload(), /at least 32 characters, found 5/);
  assert.ok(linked(n1, 'n2'));
});

security(
  'nodes know each other by certificate; another CA or another name is not admitted',
  async () => {
    const ca = file(CA);
    const tls = (cert: string, key: string) => ({
      tlsCert: file(cert),
      tlsKey: file(key),
      tlsCa: ca,
    });
    const bootstrap = 'n1,n2';
    const n1 = await start({ bootstrap, security: tls(N1_CERT, N1_KEY) });
    assert.match(n1.url, /^wss:/);
    const seeds = [n1.url];
    for (const files of [
      tls(ROGUE_N2_CERT, ROGUE_N2_KEY),
      // Signed by the right CA, but it is n1's.
      tls(N1_CERT, N1_KEY),
    ]) {
      const impostor = await start({ id: 'n2', bootstrap, seeds, security: files });
      await until(() => refusals(n1, 'n2') && refusals(impostor, 'n1'), 'refused on both sides');
      running.splice(running.indexOf(impostor), 1);
      await impostor.stop();
    }
    const n2 = await start({ id: 'n2', bootstrap, seeds, security: tls(N2_CERT, N2_KEY) });
    await until(() => linked(n1, 'n2') && linked(n2, 'n1'), 'both linked');

    process.env['NODE_EXTRA_CA_CERTS'] = ca;
    const { code, stdout, stderr } = await cli(['put', 'k', 'v', '--w', '2', '--json'], n2.url);
    delete process.env['NODE_EXTRA_CA_CERTS'];
    assert.equal(code, 0, stdout + stderr);
  },
);

security('a renewed certificate is shown after reload', async () => {
  const [tlsCert, tlsKey] = [file(N1_CERT), file(N1_KEY)];
  const node = await start({ security: { tlsCert, tlsKey } });
  const shown = (): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      const port = Number(new URL(node.url).port);
      const socket = connectTls({ host: '127.0.0.1', port, ca: CA }, () => {
        resolve(socket.getPeerCertificate().subject.CN as string | undefined);
        socket.end();
      }).on('error', reject);
    });
  assert.equal(await shown(), 'n1');
  writeFileSync(tlsCert, N2_CERT);
  assert.throws(() => node.reload(), /tls\.cert, tls\.key/, 'the key does not fit yet');
  assert.equal(await shown(), 'n1');
  writeFileSync(tlsKey, N2_KEY);
  node.reload();
  assert.equal(await shown(), 'n2');
});

security(
  'no or wrong token: close 4401; roles hold by prefix; a token taken back ends its connection [bad input 3a]',
  async () => {
    const entry = (name: string, token: string, roles: readonly string[]) => ({
      ...{ name, hash: tokenHash(nodeDigest, token), roles },
    });
    const shop = entry('shop', 'shop-token', ['write:cart:']);
    const tokensFile = file(
      JSON.stringify({ tokens: [shop, entry('ops', 'ops-token', ['admin'])] }),
    );
    const node = await start({ security: { tokensFile } });
    assert.equal(await endOfHello(node.url), '4401 unauthorized');
    assert.equal(await endOfHello(node.url, 'wrong'), '4401 unauthorized');
    const client = connect(node.url, { token: 'shop-token', timeoutMs: 1000 });
    await client.put('cart:1', 'milk');
    assert.deepEqual((await client.get('cart:1')).texts(), ['milk']);
    await assert.rejects(client.get('user:1'), { code: 'FORBIDDEN' });
    await assert.rejects(client.put('user:1', 'x'), { code: 'FORBIDDEN', outcome: 'refused' });
    const other = connect(node.url, { token: 'ops-token' });
    await other.put('user:1', 'x');
    writeFileSync(tokensFile, JSON.stringify({ tokens: [entry('ops', 'ops-token', ['admin'])] }));
    node.reload();
    await assert.rejects(client.get('cart:1'));
    assert.equal(await endOfHello(node.url, 'shop-token'), '4401 unauthorized');
    assert.deepEqual((await other.get('cart:1')).texts(), ['milk']);
    await Promise.all([client.close(), other.close()]);
  },
);

security('a token is made, used, listed and taken back on the command line', async () => {
  const tokens = join(dir, 'tokens.json');
  const made = await cli(['token', 'add', '--file', tokens, '--name', 'shop', '--role', 'read']);
  assert.equal(made.code, 0, made.stderr);
  const token = made.stdout.trim();
  assert.ok(!readFileSync(tokens, 'utf8').includes(token), 'only its hash is kept');
  const node = await start({ security: { tokensFile: tokens } });
  const get = ['get', 'k', '--timeout', '1000', '--token-file'];
  assert.equal((await cli([...get, file(`${token}\n`)], node.url)).code, 1, 'let in; no such key');
  assert.equal((await cli([...get, file('wrong')], node.url)).code, 3);
  assert.match((await cli(['token', 'list', '--file', tokens])).stdout, /^shop .* read /m);
  assert.equal((await cli(['token', 'remove', 'shop', '--file', tokens])).code, 0);
  assert.equal((await cli(['token', 'remove', 'shop', '--file', tokens])).code, 1);
  const { code, stderr } = await cli([
    'token',
    'add',
    '--file',
    tokens,
    '--name',
    'x',
    '--role',
    'own',
  ]);
  assert.equal(code, 2);
  assert.match(stderr, /own/);
});

security(
  'non-loopback listen address with neither TLS nor secret: refused unless --insecure is given [bad input 24]',
  async () => {
    const tokensFile = file(JSON.stringify({ tokens: [] }));
    const secretFile = file(SECRET);
    const begin = ['start', '--data', join(dir, 'open'), '--listen', '0.0.0.0:0'];
    for (const [flags, missing] of [
      [[], /could join as a node.*could read and write/],
      [['--secret-file', secretFile], /could read and write: give tokensFile/],
      [['--tokens-file', tokensFile], /could join as a node: give secretFile or tls\.ca/],
      [
        ['--tls-cert', file(N1_CERT), '--tls-key', file(N1_KEY), '--tokens-file', tokensFile],
        /join/,
      ],
    ] as const) {
      const { code, stderr } = await cli([...begin, ...flags]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, missing);
    }
    await start({ listen: '0.0.0.0:0', insecure: true });
    await start({ listen: '0.0.0.0:0', security: { secretFile, tokensFile } });
  },
);

security(
  'short secret, key without certificate, unreadable file: exit 2, naming the option [bad input 22c]',
  async () => {
    const begin = ['start', '--data', join(dir, 'never')];
    for (const [flags, named] of [
      [['--secret-file', file('short')], /secretFile .*at least 32 characters/],
      [['--secret-file', file('')], /secretFile .*expected one secret or two, found 0/],
      [['--secret-file', join(dir, 'absent')], /secretFile: ENOENT/],
      [['--tls-key', file(N1_KEY)], /tls\.cert and tls\.key/],
      [['--tls-cert', file(N1_CERT), '--tls-key', file(N2_KEY)], /tls\.cert, tls\.key: /],
      [['--tokens-file', file('{"tokens": [{}]}')], /tokensFile .*token 1: name/],
    ] as const) {
      const { code, stderr } = await cli([...begin, ...flags]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, named);
    }
  },
);

security.run();
