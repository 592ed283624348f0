/** What a careless or hostile stranger sends to the listening port, and what it gets. */
import * as assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { suite } from 'uvu';
import { WebSocket } from 'ws';
import { SUBPROTOCOLS, openWsLinks } from '../../src/adapters/ws-links.ts';
import type { WsLinks, WsLinksOptions } from '../../src/adapters/ws-links.ts';
import { Witness } from './links.ts';

const DEADLINE_MS = 10_000;
const surface = suite('ws surface');

const until = async (met: () => boolean): Promise<void> => {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!met()) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${DEADLINE_MS} ms in vain`);
    await new Promise((resolve) => setImmediate(resolve));
  }
};

type Place = { readonly links: WsLinks; readonly accepted: Witness[] };

const it = (
  claim: string,
  body: (place: Place) => Promise<void>,
  options: Partial<WsLinksOptions> = {},
): void =>
  surface(claim, async () => {
    const links = await openWsLinks({ host: '127.0.0.1', port: 0, ...options });
    const accepted: Witness[] = [];
    links.listen((connection, purpose) => {
      const witness = new Witness(connection, purpose);
      accepted.push(witness);
      return witness;
    });
    try {
      await body({ links, accepted });
      // Whatever it was: the node lives on and serves the next one.
      const next = new Witness();
      links.dial(`ws://127.0.0.1:${links.port}`, 'client', next);
      await until(() => next.log.length > 0);
      assert.deepEqual(next.log, ['opened']);
    } finally {
      await new Promise<void>((resolve) => links.close(resolve));
    }
  });

/** A raw connection and all it ever heard. */
const raw = (links: WsLinks): { socket: Socket; heard: () => string; isOver: () => boolean } => {
  const socket = connect(links.port, '127.0.0.1');
  let [heard, over] = ['', false];
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
  socket.on('close', () => (over = true));
  socket.on('error', () => undefined);
  return { socket, heard: () => heard, isOver: () => over };
};

const answerTo = async (links: WsLinks, request: string): Promise<string> => {
  const { socket, heard, isOver } = raw(links);
  socket.write(request);
  await until(isOver);
  return heard();
};

const handshake = (changes: Readonly<Record<string, string | undefined>> = {}): string => {
  const { path = '/v1', ...headers } = changes;
  const all = {
    Host: 'localhost:7400',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': SUBPROTOCOLS.client as string | undefined,
    ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== undefined);
  return `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
};

/** A frame as a client sends it, masked with zeros. */
const frame = (opcode: number, payload: Uint8Array, final = true): Buffer => {
  const head = [(final ? 0x80 : 0) | opcode];
  if (payload.length < 126) head.push(0x80 | payload.length);
  else head.push(0x80 | 126, payload.length >> 8, payload.length & 255);
  return Buffer.from([...head, 0, 0, 0, 0, ...payload]);
};

/** A client with an open connection, as `ws` sees it. */
const client = async (
  links: WsLinks,
  options: { readonly origin?: string } = {},
): Promise<{ readonly ws: WebSocket; readonly code: () => number | undefined }> => {
  const ws = new WebSocket(`ws://127.0.0.1:${links.port}/v1`, SUBPROTOCOLS.client, options);
  let [code, open]: [number | undefined, boolean] = [undefined, false];
  ws.on('error', () => undefined);
  ws.on('open', () => (open = true));
  ws.on('close', (found) => (code = found));
  await until(() => open || code !== undefined);
  return { ws, code: () => code };
};

/** Sends a raw handshake and then `bytes`; resolves with the close code the node answers. */
const closeCodeAfter = async (place: Place, bytes: Buffer): Promise<number> => {
  const { socket, heard, isOver } = raw(place.links);
  socket.write(handshake());
  await until(() => heard().includes('\r\n\r\n'));
  assert.match(heard(), /^HTTP\/1\.1 101 /);
  const greeting = heard().length;
  socket.write(bytes);
  await until(() => heard().length >= greeting + 4);
  const answer = Buffer.from(heard().slice(greeting), 'latin1');
  assert.equal(answer[0], 0x88, 'a close frame');
  socket.destroy();
  await until(isOver);
  await until(() => place.accepted.every(({ isClosed }) => isClosed));
  return answer.readUInt16BE(2);
};

it('a plain GET gets 426, on a wrong path 404 [bad input 1a, 1b]', async ({ links, accepted }) => {
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  for (const path of ['/v1', '/peer', '/v1?x=1']) {
    assert.match(await answerTo(links, get(path)), /^HTTP\/1\.1 426 [^]*a WebSocket is expected/);
  }
  for (const path of ['/', '/v2', '/v1/', '//', '//v1', '/..%2f', '*', '/constructor']) {
    assert.match(await answerTo(links, get(path)), /^HTTP\/1\.1 40[04] /, path);
  }
  assert.match(await answerTo(links, handshake({ Upgrade: 'h2c' })), /^HTTP\/1\.1 426 /);
  assert.equal(accepted.length, 0);
});

it('a handshake on a wrong path gets 404 [bad input 1b]', async ({ links, accepted }) => {
  for (const path of ['/', '/v2', '//', '/v1/x', '/%00']) {
    assert.match(await answerTo(links, handshake({ path })), /^HTTP\/1\.1 404 /, path);
  }
  assert.equal(accepted.length, 0);
});

it('a wrong, missing or other purpose subprotocol is refused, and told [bad input 1c]', async ({
  links,
  accepted,
}) => {
  for (const offered of ['mqtt', 'coterie.2.cbor', SUBPROTOCOLS.peer, undefined]) {
    const answer = await answerTo(links, handshake({ 'Sec-WebSocket-Protocol': offered }));
    assert.match(answer, /^HTTP\/1\.1 400 [^]*coterie\.1\.cbor is expected/);
  }
  const toPeer = handshake({ path: '/peer' });
  assert.match(await answerTo(links, toPeer), /^HTTP\/1\.1 400 [^]*coterie-peer\.1 is expected/);
  assert.equal(accepted.length, 0);
});

it(
  'an Origin that is not on the list gets 403; none, or a listed one, may enter [bad input 2a]',
  async ({ links, accepted }) => {
    for (const Origin of ['https://evil.example', 'null', 'https://app.example.evil']) {
      assert.match(await answerTo(links, handshake({ Origin })), /^HTTP\/1\.1 403 /);
    }
    assert.equal(accepted.length, 0);
    const { ws, code } = await client(links, { origin: 'https://app.example' });
    assert.equal(ws.protocol, SUBPROTOCOLS.client);
    assert.equal(code(), undefined);
  },
  { origins: ['https://app.example'] },
);

it(
  'a Host that is neither loopback nor configured gets 421 [bad input 2b]',
  async ({ links, accepted }) => {
    for (const Host of ['evil.example', 'evil.example:7400', 'localhost.evil', '', '10.0.0.1']) {
      assert.match(await answerTo(links, handshake({ Host })), /^HTTP\/1\.1 421 /, Host);
    }
    assert.equal(accepted.length, 0);
    for (const Host of ['localhost', '127.0.0.1:1', '[::1]:7400', 'Node1.Internal:7400']) {
      const { socket, heard } = raw(links);
      socket.write(handshake({ Host }));
      await until(() => heard().length > 0);
      assert.match(heard(), /^HTTP\/1\.1 101 /, Host);
      socket.destroy();
    }
  },
  { hosts: ['node1.internal'] },
);

it('a token in the URL gets 400 [bad input 3b]', async ({ links, accepted }) => {
  for (const path of ['/v1?token=abc', '/v1?a=%zz&token', '/v1?access_token=x']) {
    assert.match(await answerTo(links, handshake({ path })), /^HTTP\/1\.1 400 [^]*HELLO/, path);
  }
  assert.equal(accepted.length, 0);
});

it('headers of 20 KB get 431, bytes that are no HTTP 400 [bad input 4a]', async ({ links }) => {
  const huge = handshake({ 'X-Filler': 'x'.repeat(20_000) });
  assert.match(await answerTo(links, huge), /^HTTP\/1\.1 431 /);
  assert.match(await answerTo(links, '\x16\x03\x01\x02\x00\x01\r\n\r\n'), /^HTTP\/1\.1 400 /);
});

it(
  'whoever dribbles headers, or says nothing at all, is cut at the handshake timeout [bad input 4b]',
  async ({ links }) => {
    const [dribbler, mute] = [raw(links), raw(links)];
    dribbler.socket.write('GET /v1 HTTP/1.1\r\nHost: localhost\r\nX: ');
    const dribble = setInterval(() => dribbler.socket.write('x'), 20);
    try {
      await until(() => dribbler.isOver() && mute.isOver());
    } finally {
      clearInterval(dribble);
    }
    assert.match(dribbler.heard(), /^HTTP\/1\.1 408 /);
  },
  { limits: { handshakeTimeoutMs: 200 } },
);

it('a text frame closes with 1003 and is never delivered [bad input 5a]', async (place) => {
  assert.equal(await closeCodeAfter(place, frame(1, Buffer.from('hello'))), 1003);
  assert.ok(!place.accepted[0]!.log.includes('received'));
});

it('a bad opcode, reserved bits and an unmasked frame close with 1002 [bad input 5b]', async (place) => {
  const reserved = frame(2, Buffer.from('x'));
  reserved[0]! |= 0x40;
  for (const bytes of [frame(3, Buffer.from('x')), reserved, Buffer.from([0x82, 1, 120])]) {
    assert.equal(await closeCodeAfter(place, bytes), 1002);
  }
});

it(
  'a frame over the limit of its purpose closes with 1009, before its bytes are here [bad input 6a]',
  async (place) => {
    const { ws, code } = await client(place.links);
    ws.send(new Uint8Array(1000));
    await until(() => place.accepted[0]!.frames.length === 1);
    ws.send(new Uint8Array(1001));
    await until(() => code() !== undefined);
    assert.equal(code(), 1009);
    const claimed = Buffer.from([0x82, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert.equal(await closeCodeAfter(place, claimed), 1009);
    const peer = new Witness();
    place.links.dial(`ws://127.0.0.1:${place.links.port}`, 'peer', peer).send(new Uint8Array(1));
    await until(() => peer.log.includes('opened'));
  },
  { limits: { frameBytesMax: { client: 1000, peer: 5000 } } },
);

it('a message in thousands of fragments closes with 1008 [bad input 6b]', async (place) => {
  const pieces = [frame(2, Buffer.from('x'), false)];
  for (let i = 0; i < 3000; i++) pieces.push(frame(0, Buffer.from('x'), false));
  assert.equal(await closeCodeAfter(place, Buffer.concat(pieces)), 1008);
  assert.ok(!place.accepted[0]!.log.includes('received'));
});

it('a message in a few fragments, with a ping between, is one frame', async ({
  links,
  accepted,
}) => {
  const { socket, heard } = raw(links);
  socket.write(handshake());
  await until(() => heard().includes('\r\n\r\n'));
  const pieces = [frame(2, Buffer.from('ab'), false), frame(9, Buffer.from('!'))];
  socket.write(Buffer.concat([...pieces, frame(0, Buffer.from('cd'))]));
  await until(() => accepted[0]!.frames.length === 1);
  assert.deepEqual(accepted[0]!.texts, ['abcd']);
  socket.destroy();
});

it('a ping flood closes with 4429 [bad input 7a]', async ({ links, accepted }) => {
  const { ws, code } = await client(links);
  for (let i = 0; i < 200; i++) ws.ping();
  await until(() => code() !== undefined && accepted[0]!.isClosed);
  assert.equal(code(), 4429);
});

it('a client that never reads is seen in bufferedBytes, and terminate is prompt [bad input 7b]', async ({
  links,
  accepted,
}) => {
  const { ws } = await client(links);
  ws.pause();
  const { connection } = accepted[0]!;
  const megabyte = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 40; i++) connection!.send(megabyte);
  assert.ok(connection!.bufferedBytes() > 8 * megabyte.length, `${connection!.bufferedBytes()}`);
  connection!.terminate();
  await until(() => accepted[0]!.isClosed);
  assert.equal(connection!.bufferedBytes(), 0);
  ws.terminate();
});

it(
  'a goodbye to a client that never reads ends at the close timeout',
  async ({ links, accepted }) => {
    const { ws } = await client(links);
    ws.pause();
    for (let i = 0; i < 40; i++) accepted[0]!.connection!.send(new Uint8Array(1024 * 1024));
    accepted[0]!.connection!.close(1000, '');
    await until(() => accepted[0]!.isClosed);
    ws.terminate();
  },
  { limits: { closeTimeoutMs: 100 } },
);

it(
  'a half-open connection, which answers no ping, is cut after two heartbeats',
  async ({ links, accepted }) => {
    const { socket, heard, isOver } = raw(links);
    socket.write(handshake());
    await until(() => heard().includes('\r\n\r\n'));
    await until(() => accepted[0]!.isClosed && isOver());
  },
  { limits: { heartbeatMs: 200 } },
);

it(
  'a server that never answers the handshake fails the dial at its timeout',
  async ({ links }) => {
    const witness = new Witness();
    // A peer that takes the connection and stays silent: a raw listener of this very test.
    const silent = createServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { readonly port: number };
    links.dial(`ws://127.0.0.1:${port}`, 'peer', witness);
    await until(() => witness.isClosed);
    assert.deepEqual(witness.log.length, 1);
    assert.match(witness.log[0]!, /^closed 1006/);
    await new Promise((resolve) => silent.close(resolve));
  },
  { limits: { handshakeTimeoutMs: 200 } },
);

it(
  'one stranger more than allowed is dropped at once',
  async ({ links }) => {
    const kept = [raw(links), raw(links), raw(links)];
    await until(() => kept.some(({ isOver }) => isOver()));
    for (const { socket } of kept) socket.destroy();
    await until(() => kept.every(({ isOver }) => isOver()));
  },
  { limits: { connectionsMax: 2 } },
);

surface('a node that does not listen yet answers 503, a taken port is an error', async () => {
  const links = await openWsLinks({ host: '127.0.0.1', port: 0 });
  try {
    assert.match(await answerTo(links, handshake()), /^HTTP\/1\.1 503 /);
    await assert.rejects(openWsLinks({ host: '127.0.0.1', port: links.port }), /EADDRINUSE/);
  } finally {
    await new Promise<void>((resolve) => links.close(resolve));
  }
});

surface('closing answers soon, though a stranger keeps his connection open', async () => {
  const links = await openWsLinks({ host: '127.0.0.1', port: 0 });
  links.listen((connection) => new Witness(connection));
  const [mute, deaf] = [raw(links), raw(links)];
  deaf.socket.write(handshake());
  await until(() => deaf.heard().includes('\r\n\r\n'));
  const begunMs = performance.now();
  await new Promise<void>((resolve) => links.close(resolve));
  assert.ok(performance.now() - begunMs < 3000);
  await until(() => mute.isOver() && deaf.isOver());
});

surface.run();
