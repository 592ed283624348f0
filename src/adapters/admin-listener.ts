/**
 * The admin listener: a port of its own for health checks, metrics and the inspector. GET only, exact
 * paths from a fixed table, the names it answers to and the origins it trusts checked on every request.
 * Beyond loopback everything but the open routes asks for the token, as `Authorization: Bearer`, or
 * as the cookie that a first visit with `?token=` is given.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type {
  AdminReply,
  AdminRequest,
  AdminRoute,
  AdminRoutes,
  AdminSocket,
  AdminSocketEvents,
} from '../ports/admin.ts';

export type AdminListenerOptions = {
  /** A page could not be made; whoever asked is told only that. */
  readonly failed?: (path: string, error: unknown) => void;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly routes: AdminRoutes;
  /** Names this listener answers to, besides loopback names and `host`. */
  readonly hosts?: readonly string[];
  /** What whoever calls must know; absent: everybody who can connect may look. */
  readonly token?: string;
  /** Whether the operator gave out this token for `path`; beside `token`. */
  readonly admits?: (token: string, path: string) => boolean;
};

export type AdminListener = {
  readonly port: number;
  /** `http://host:port`. */
  address(): string;
  close(done: () => void): void;
};

const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
const WILDCARDS = ['0.0.0.0', '::', ''];
const COOKIE = 'coterie-admin';
const HEADER_BYTES_MAX = 8192;
const REQUEST_TIMEOUT_MS = 5000;
const CONNECTIONS_MAX = 256;
/** A viewer asks short questions. */
const FRAME_BYTES_MAX = 64 * 1024;
const HEARTBEAT_MS = 10_000;

const SAFE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-cache',
} as const;

/** Rejects with the system's error if the address cannot be had. */
export const openAdminListener = async (options: AdminListenerOptions): Promise<AdminListener> => {
  const { host, routes } = options;
  const http = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 500,
    },
    (request, response) => void answer(request, response, options),
  );
  http.maxConnections = CONNECTIONS_MAX;
  const upgrader = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: FRAME_BYTES_MAX,
  });
  const open = new Set<ViewerSocket>();
  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const { path, query } = asked(request);
    const accept = routes.sockets.get(path);
    const refusal: Refusal | undefined =
      accept === undefined
        ? { status: 404, reason: 'nothing is here' }
        : (strangeness(request, options) ?? intrusion(request, query, options));
    if (refusal !== undefined) return refuse(socket, refusal);
    upgrader.handleUpgrade(request, socket, head, (ws) => {
      const viewer = new ViewerSocket(ws, `${request.socket.remoteAddress}`);
      open.add(viewer);
      viewer.deliverTo(accept!(viewer), () => open.delete(viewer));
    });
  });
  await listening(http, options);
  const { port } = http.address() as AddressInfo;
  const heartbeat = setInterval(() => open.forEach((each) => each.beat()), HEARTBEAT_MS).unref();
  return {
    port,
    address: () => `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close: (done) => {
      clearInterval(heartbeat);
      for (const viewer of open) viewer.leave();
      http.close(() => done());
      http.closeAllConnections();
    },
  };
};

class ViewerSocket implements AdminSocket {
  readonly remote: string;
  readonly #ws: WebSocket;
  #heard = true;

  constructor(ws: WebSocket, remote: string) {
    this.#ws = ws;
    this.remote = remote;
    ws.on('error', () => undefined);
    ws.on('pong', () => (this.#heard = true));
  }

  send(text: string): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.send(text);
  }

  bufferedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, reason);
  }

  deliverTo(events: AdminSocketEvents, gone: () => void): void {
    this.#ws.on('message', (data: Buffer, isBinary: boolean) => {
      this.#heard = true;
      if (this.#ws.readyState !== WebSocket.OPEN) return;
      if (isBinary) this.close(1003, 'text frames only');
      else events.received(data.toString('utf8'));
    });
    this.#ws.on('close', () => {
      gone();
      events.closed();
    });
  }

  /** Cuts a viewer that is silent for two heartbeats: a laptop that went to sleep. */
  beat(): void {
    if (!this.#heard) return this.#ws.terminate();
    this.#heard = false;
    this.#ws.ping();
  }

  /** A goodbye that waits for no answer. */
  leave(): void {
    this.#ws.close(1001, 'the node stops');
    this.#ws.terminate();
  }
}

type Refusal = {
  readonly status: number;
  readonly reason: string;
  readonly headers?: Readonly<Record<string, string>>;
};

const answer = async (
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminListenerOptions,
): Promise<void> => {
  const { path, query } = asked(request);
  const route = options.routes.pages.get(path);
  const refusal = refusalOf(request, path, route, query, options);
  if (refusal !== undefined) {
    const { status, reason, headers } = refusal;
    respond(request, response, { status, type: 'text/plain', body: `${reason}\n` }, headers);
    return;
  }
  try {
    respond(request, response, await route!.serve({ path, query }));
  } catch (error) {
    options.failed?.(path!, error);
    respond(request, response, { status: 500, type: 'text/plain', body: 'this went wrong\n' });
  }
};

const refusalOf = (
  request: IncomingMessage,
  path: string,
  route: AdminRoute | undefined,
  query: URLSearchParams,
  options: AdminListenerOptions,
): Refusal | undefined => {
  const strange = strangeness(request, options);
  if (strange !== undefined) return strange;
  if (options.routes.sockets.has(path)) {
    return { status: 426, reason: 'a WebSocket is expected here', headers: UPGRADE };
  }
  if (route === undefined) return { status: 404, reason: 'nothing is here' };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, reason: 'GET is all that is answered here', headers: { allow: 'GET' } };
  }
  return route.access === 'open' ? undefined : intrusion(request, query, options, path);
};

const UPGRADE = { upgrade: 'websocket' } as const;

/** A name we do not go by (a rebound DNS name, say), or another page's script. */
const strangeness = (
  request: IncomingMessage,
  { host, hosts }: AdminListenerOptions,
): Refusal | undefined => {
  const header = request.headers.host ?? '';
  const name = hostName(header);
  const anyName = WILDCARDS.includes(host) && hosts === undefined;
  if (!anyName && ![...LOOPBACK, host, ...(hosts ?? [])].includes(name)) {
    return { status: 421, reason: `this node does not answer to ${JSON.stringify(name)}` };
  }
  const { origin } = request.headers;
  // Only pages of this very listener may use it.
  if (origin !== undefined && origin !== `http://${header}` && origin !== `https://${header}`) {
    return { status: 403, reason: `the origin ${JSON.stringify(origin)} is not this one` };
  }
  return undefined;
};

/** Whoever does not know the token; who shows it in the address gets a cookie in its place. */
const intrusion = (
  request: IncomingMessage,
  query: URLSearchParams,
  { token, admits }: AdminListenerOptions,
  path?: string,
): Refusal | undefined => {
  if (token === undefined) return undefined;
  const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined && admits?.(bearer, path ?? '') === true) return undefined;
  const cookie = new RegExp(`(?:^|; )${COOKIE}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1];
  if (same(bearer, token) || same(cookie, token)) return undefined;
  if (path !== undefined && same(query.get('token') ?? undefined, token)) {
    const cookieText = `${COOKIE}=${token}; HttpOnly; SameSite=Strict; Path=/`;
    return {
      status: 303,
      reason: 'welcome',
      headers: { location: path, 'set-cookie': cookieText },
    };
  }
  return { status: 403, reason: 'the token of this start is needed: the log of the node has it' };
};

const same = (given: string | undefined, token: string): boolean =>
  given !== undefined && timingSafeEqual(sha256(given), sha256(token));

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

const respond = (
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, gzipped }: AdminReply,
  headers: Readonly<Record<string, string>> = {},
): void => {
  const packed = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '') ? gzipped : undefined;
  const bytes = packed ?? (typeof body === 'string' ? Buffer.from(body) : body);
  const own = {
    'content-type': type,
    'content-length': bytes.length,
    ...(gzipped === undefined ? {} : { vary: 'accept-encoding' }),
    ...(packed === undefined ? {} : { 'content-encoding': 'gzip' }),
  };
  response.writeHead(status, { ...SAFE_HEADERS, ...own, ...headers });
  response.end(request.method === 'HEAD' ? undefined : bytes);
};

const asked = (request: IncomingMessage): AdminRequest => {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  return { path, query: new URLSearchParams(query) };
};

/** The name of a Host header: without port and brackets. */
const hostName = (header: string): string =>
  header
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1');

const refuse = (socket: Duplex, { status, reason }: Refusal): void => {
  const body = `${reason}\n`;
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-type: text/plain\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
};

const listening = (http: Server, { host, port }: AdminListenerOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, host, () => {
      http.off('error', reject);
      resolve();
    });
  });
