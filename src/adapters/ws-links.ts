/**
 * The links port on WebSockets: one listening address, `/v1` for clients and `/peer` for nodes,
 * and every refusal a stranger may need (PROTOCOL.md).
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { Connection, ConnectionEvents, LinkPurpose, Links } from '../ports/links.ts';

export const SUBPROTOCOLS = { client: 'coterie.1.cbor', peer: 'coterie-peer.1' } as const;
const PATHS: Readonly<Record<string, LinkPurpose>> = { '/v1': 'client', '/peer': 'peer' };

export type WsLinksOptions = {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Browser origins that may connect; a connection without an Origin always may. */
  readonly origins?: readonly string[];
  /** Host names this node answers to, besides loopback names and its own address. */
  readonly hosts?: readonly string[];
};

export type WsLinks = Links & {
  /** Where it listens. */
  readonly port: number;
};

/** Largest frame from a client: a value, its key and contexts; from a peer: a batch of records. */
const FRAME_BYTES_MAX = { client: 2 * 1024 * 1024, peer: 32 * 1024 * 1024 } as const;
const HANDSHAKE_TIMEOUT_MS = 5000;
const HEADER_BYTES_MAX = 8192;
/** Pings answered within one second; a client that sends more is cut (close 4429). */
const PINGS_PER_SECOND_MAX = 50;
const HEARTBEAT_MS = 15_000;

/** Rejects if the address cannot be had. */
export const openWsLinks = async (options: WsLinksOptions): Promise<WsLinks> => {
  const http = createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: 5000, connectionsCheckingInterval: 1000 },
    (request, response) => {
      const known = PATHS[pathOf(request)] !== undefined;
      response.writeHead(known ? 426 : 404, { connection: 'close', 'content-type': 'text/plain' });
      response.end(known ? 'a WebSocket is expected here\n' : 'nothing is here\n');
    },
  );
  const servers = { client: webSocketServer('client'), peer: webSocketServer('peer') };
  let accept: Parameters<Links['listen']>[0] | undefined;
  http.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const purpose = PATHS[pathOf(request)];
    const refusal = refusalOf(request, purpose, options);
    if (refusal !== undefined || purpose === undefined || accept === undefined) {
      refuse(socket, ...(refusal ?? ([503, 'not listening yet'] as const)));
      return;
    }
    servers[purpose].handleUpgrade(request, socket, head, (ws) => {
      const connection = connectionOf(ws, request.socket.remoteAddress ?? '');
      attach(ws, accept!(connection, purpose));
    });
  });
  await listening(http, options);
  const dialled = new Set<WebSocket>();

  return {
    port: (http.address() as AddressInfo).port,
    dial: (address, purpose, events) => {
      const ws = new WebSocket(
        `${address.replace(/\/$/, '')}${pathFor(purpose)}`,
        SUBPROTOCOLS[purpose],
        {
          perMessageDeflate: false,
          handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
          maxPayload: FRAME_BYTES_MAX[purpose],
          // Between our own nodes the mask hides nothing; a zero mask skips a copy.
          generateMask: (mask) => void mask.fill(0),
        },
      );
      dialled.add(ws);
      ws.on('close', () => dialled.delete(ws));
      ws.on('open', () => events.opened());
      attach(ws, events);
      return connectionOf(ws, address);
    },
    listen: (handler) => {
      accept = handler;
    },
    close: (done) => {
      const open = [...dialled, ...servers.client.clients, ...servers.peer.clients];
      for (const ws of open) ws.close(1001, 'going away');
      // A peer that does not answer the close would hold us for half a minute.
      const cut = setTimeout(() => open.forEach((ws) => ws.terminate()), 200);
      http.close(() => {
        clearTimeout(cut);
        done();
      });
      http.closeAllConnections();
      for (const ws of open) if (ws.readyState === WebSocket.CONNECTING) ws.terminate();
    },
  };
};

const webSocketServer = (purpose: LinkPurpose): WebSocketServer =>
  new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: FRAME_BYTES_MAX[purpose],
    handleProtocols: () => SUBPROTOCOLS[purpose],
  });

const connectionOf = (ws: WebSocket, remote: string): Connection => ({
  remote,
  send: (frame) => {
    // ws may keep the bytes until the socket takes them: the caller keeps its own.
    if (ws.readyState === WebSocket.OPEN) ws.send(Uint8Array.from(frame), { binary: true });
  },
  bufferedBytes: () => ws.bufferedAmount,
  close: (code, reason) => {
    if (ws.readyState === WebSocket.CONNECTING) ws.terminate();
    else ws.close(code, reason);
  },
  terminate: () => ws.terminate(),
});

const attach = (ws: WebSocket, events: ConnectionEvents): void => {
  let pings = 0;
  let answered = true;
  const heartbeat = setInterval(() => {
    if (ws.readyState !== WebSocket.OPEN) return;
    // A half-open connection answers no ping: cut it, whoever is above reconnects.
    if (!answered) return ws.terminate();
    answered = false;
    ws.ping();
  }, HEARTBEAT_MS);
  const everySecond = setInterval(() => (pings = 0), 1000);
  ws.on('error', () => undefined);
  ws.on('pong', () => (answered = true));
  ws.on('ping', () => {
    if (++pings > PINGS_PER_SECOND_MAX) ws.close(4429, 'too many pings');
  });
  ws.on('message', (data: Buffer, isBinary: boolean) => {
    answered = true;
    if (isBinary) events.received(data);
    else ws.close(1003, 'binary frames only');
  });
  ws.on('close', (code, reason) => {
    clearInterval(heartbeat);
    clearInterval(everySecond);
    events.closed(code, reason.toString());
  });
};

const refusalOf = (
  request: IncomingMessage,
  purpose: LinkPurpose | undefined,
  { origins = [], hosts = [], host }: WsLinksOptions,
): readonly [number, string] | undefined => {
  if (purpose === undefined) return [404, 'nothing is here'];
  const { searchParams } = new URL(request.url ?? '/', 'ws://here');
  if (searchParams.has('token')) return [400, 'a token belongs into HELLO, never into the URL'];
  const name = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  const own = ['localhost', '127.0.0.1', '::1', host, ...hosts];
  if (!own.includes(name) && host !== '0.0.0.0' && host !== '::') return [421, `not ${name}`];
  const { origin } = request.headers;
  if (origin !== undefined && !origins.includes(origin)) return [403, 'this origin is not allowed'];
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',');
  if (!offered.some((each) => each.trim() === SUBPROTOCOLS[purpose])) {
    return [400, `the subprotocol ${SUBPROTOCOLS[purpose]} is expected`];
  }
  return undefined;
};

const refuse = (socket: Duplex, status: number, reason: string): void => {
  const body = `${reason}\n`;
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-type: text/plain\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
};

const listening = (http: Server, { host, port }: WsLinksOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, host, () => {
      http.off('error', reject);
      resolve();
    });
  });

const pathOf = (request: IncomingMessage): string => (request.url ?? '/').split('?')[0]!;
const pathFor = (purpose: LinkPurpose): string => (purpose === 'client' ? '/v1' : '/peer');
