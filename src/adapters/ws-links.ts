/**
 * The links port on WebSockets: one listening address, `/v1` for clients and `/peer` for nodes,
 * and every refusal a stranger may need (PROTOCOL.md). A stranger is told what was expected and
 * costs bounded time and memory; no input of his ends the process.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { Connection, ConnectionEvents, LinkPurpose, Links } from '../ports/links.ts';
import { dialOptionsOf, namesOf, openServer, renewServer } from './tls.ts';
import type { TlsMaterial } from './tls.ts';

export const SUBPROTOCOLS = { client: 'coterie.1.cbor', peer: 'coterie-peer.1' } as const;
const PATHS = { client: '/v1', peer: '/peer' } as const;

export type WsLimits = {
  /** Largest frame from a client: a value, its key and contexts; from a peer: a batch of records. */
  readonly frameBytesMax: Readonly<Record<LinkPurpose, number>>;
  /** Pieces of one message; each costs an object, however small. */
  readonly fragmentsMax: number;
  /** Pings answered within one second; whoever sends more is cut with 4429. */
  readonly pingsPerSecondMax: number;
  /** Open sockets of strangers, upgraded or not; further ones are dropped at once. */
  readonly connectionsMax: number;
  /** Time for the whole HTTP request, and for the answer to our own. */
  readonly handshakeTimeoutMs: number;
  /** Pause between pings. A connection silent for two of them is half open, and cut. */
  readonly heartbeatMs: number;
  /** How long a goodbye may take, sending what was queued included. */
  readonly closeTimeoutMs: number;
};

export const WS_LIMITS: WsLimits = {
  frameBytesMax: { client: 2 * 1024 * 1024, peer: 32 * 1024 * 1024 },
  fragmentsMax: 1024,
  pingsPerSecondMax: 50,
  connectionsMax: 10_000,
  handshakeTimeoutMs: 5000,
  heartbeatMs: 15_000,
  closeTimeoutMs: 5000,
};

export type WsLinksOptions = {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Browser origins that may connect; a connection without an Origin always may. */
  readonly origins?: readonly string[];
  /**
   * Names this node answers to, besides loopback names and `host`. On a wildcard address without
   * this list every name will do: there the Origin list alone keeps web pages out.
   */
  readonly hosts?: readonly string[];
  /** Absent: what is said here can be read by whoever carries it. */
  readonly tls?: TlsMaterial;
  readonly limits?: Partial<WsLimits>;
};

export type WsLinks = Links & {
  readonly port: number;
  /** `ws://host:port`, or `wss://…` with TLS, of where it listens. */
  address(): string;
  /** Another certificate for connections from now on; ignored where there was none. */
  renewTls(tls: TlsMaterial): void;
};

const HEADER_BYTES_MAX = 8192;
/** Grace for goodbyes when the whole node leaves. */
const LEAVE_TIMEOUT_MS = 500;
const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
const WILDCARDS = ['0.0.0.0', '::', ''];
const SECRET_PARAMETERS = ['token', 'access_token', 'auth', 'secret'];

/** Rejects with the system's error if the address cannot be had. */
export const openWsLinks = async (options: WsLinksOptions): Promise<WsLinks> => {
  const limits = { ...WS_LIMITS, ...options.limits };
  let { tls } = options;
  const http = plainServer(limits, tls);
  const servers = { client: upgrader('client', limits), peer: upgrader('peer', limits) };
  const open = new Set<WsConnection>();
  let accept: Parameters<Links['listen']>[0] | undefined;
  let whenGone: (() => void) | undefined;

  const keep = (connection: WsConnection): WsConnection => {
    open.add(connection);
    connection.whenClosed(() => {
      open.delete(connection);
      if (open.size === 0) whenGone?.();
    });
    return connection;
  };

  http.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const verdict = judge(request, options);
    if (typeof verdict !== 'string') return refuse(socket, ...verdict);
    if (accept === undefined) return refuse(socket, 503, 'not listening yet');
    servers[verdict].handleUpgrade(request, socket, head, (ws) => {
      const { remoteAddress, remotePort } = request.socket;
      const gathered = verdict === 'client' ? socket : undefined;
      const connection = keep(
        new WsConnection(ws, `${remoteAddress}:${remotePort}`, limits, gathered),
      );
      connection.names = namesOf(request.socket).names;
      connection.deliverTo(accept!(connection, verdict));
    });
  });
  await listening(http, options);
  const { port } = http.address() as AddressInfo;
  const heartbeat = setInterval(() => {
    for (const connection of open) connection.beat();
  }, limits.heartbeatMs).unref();

  return {
    port,
    address: () =>
      `${tls === undefined ? 'ws' : 'wss'}://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    renewTls: (renewed) => {
      if (tls === undefined) return;
      renewServer(http, renewed);
      tls = renewed;
    },
    dial: (address, purpose, events) => {
      const ws = dialled(address, purpose, limits, tls);
      if (ws === undefined) {
        queueMicrotask(() => events.closed(1006, 'no address'));
        return NOWHERE(address);
      }
      const connection = keep(new WsConnection(ws, address, limits));
      ws.on('upgrade', ({ socket }) => (connection.names = namesOf(socket).names));
      ws.on('open', () => events.opened());
      connection.deliverTo(events);
      return connection;
    },
    listen: (handler) => {
      accept = handler;
    },
    close: (done) => {
      accept = undefined;
      clearInterval(heartbeat);
      // Whoever does not answer a goodbye must not hold us.
      const cut = setTimeout(() => open.forEach((each) => each.terminate()), LEAVE_TIMEOUT_MS);
      const stopped = new Promise<void>((resolve) => http.close(() => resolve()));
      const gone = new Promise<void>((resolve) => (whenGone = resolve));
      if (open.size === 0) whenGone?.();
      for (const connection of [...open]) connection.close(1001, 'going away');
      http.closeAllConnections();
      void Promise.all([stopped, gone]).then(() => {
        clearTimeout(cut);
        done();
      });
    },
  };
};

/** One end of a WebSocket, dialled or accepted. */
class WsConnection implements Connection {
  readonly remote: string;
  names?: readonly string[] | undefined;
  readonly #ws: WebSocket;
  readonly #socket: Duplex | undefined;
  readonly #limits: WsLimits;
  #heard = true;
  #pings = 0;
  #pingsSinceMs = 0;

  /** `socket`: of a client, many frames of one turn; mail between nodes is gathered already. */
  constructor(ws: WebSocket, remote: string, limits: WsLimits, socket?: Duplex) {
    this.#ws = ws;
    this.#socket = socket;
    this.remote = remote;
    this.#limits = limits;
    // Without a listener one malformed frame would end the process; `close` follows in any case.
    ws.on('error', () => undefined);
    ws.on('pong', () => (this.#heard = true));
    ws.on('ping', () => this.#pinged());
  }

  send(frame: Uint8Array): void {
    // ws keeps the bytes until the socket takes them, and the caller may reuse his.
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    this.#gather();
    this.#ws.send(Buffer.from(frame), { binary: true });
  }

  /** Frames of one event-loop turn leave in one write to the socket, its dearest part. */
  #gather(): void {
    const socket = this.#socket;
    if (socket === undefined || socket.writableCorked > 0) return;
    socket.cork();
    setImmediate(() => socket.uncork());
  }

  bufferedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  close(code: number, reason: string): void {
    if (this.#ws.readyState === WebSocket.CONNECTING || !maySend(code)) this.#ws.terminate();
    else this.#ws.close(code, shortened(reason));
  }

  terminate(): void {
    this.#ws.terminate();
  }

  deliverTo(events: ConnectionEvents): void {
    this.#ws.on('message', (data: Buffer, isBinary: boolean) => {
      this.#heard = true;
      // After our own goodbye nobody listens any more.
      if (this.#ws.readyState !== WebSocket.OPEN) return;
      if (isBinary) events.received(data);
      else this.close(1003, 'binary frames only');
    });
    this.#ws.on('close', (code, reason) => events.closed(code, reason.toString()));
  }

  whenClosed(task: () => void): void {
    this.#ws.on('close', task);
  }

  /** Called once per heartbeat. */
  beat(): void {
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    if (!this.#heard) return this.terminate();
    this.#heard = false;
    this.#ws.ping();
  }

  #pinged(): void {
    this.#heard = true;
    const now = performance.now();
    if (now - this.#pingsSinceMs > 1000) {
      this.#pingsSinceMs = now;
      this.#pings = 0;
    }
    if (++this.#pings > this.#limits.pingsPerSecondMax) this.close(4429, 'too many pings');
  }
}

/** What a dial to something that is no address returns. */
const NOWHERE = (remote: string): Connection => ({
  remote,
  send: () => undefined,
  bufferedBytes: () => 0,
  close: () => undefined,
  terminate: () => undefined,
});

/** The settings both ends of a connection share; two of them are newer than the types of ws. */
const socketOptions = (purpose: LinkPurpose, limits: WsLimits) => ({
  perMessageDeflate: false,
  maxPayload: limits.frameBytesMax[purpose],
  maxFragments: limits.fragmentsMax,
  closeTimeout: limits.closeTimeoutMs,
});

const upgrader = (purpose: LinkPurpose, limits: WsLimits): WebSocketServer => {
  const shared = socketOptions(purpose, limits);
  return new WebSocketServer({
    ...shared,
    noServer: true,
    clientTracking: false,
    handleProtocols: () => SUBPROTOCOLS[purpose],
  });
};

/** `undefined` if `address` is no WebSocket URL. */
const dialled = (
  address: string,
  purpose: LinkPurpose,
  limits: WsLimits,
  tls: TlsMaterial | undefined,
): WebSocket | undefined => {
  const shared = socketOptions(purpose, limits);
  const trust = purpose === 'peer' ? dialOptionsOf(tls) : {};
  const options = { ...shared, ...trust, handshakeTimeout: limits.handshakeTimeoutMs };
  // Between our own nodes the mask hides nothing; a zero mask skips a copy.
  const unmasked = { ...options, generateMask: (mask: Buffer) => void mask.fill(0) };
  try {
    return new WebSocket(
      `${address.replace(/\/$/, '')}${PATHS[purpose]}`,
      SUBPROTOCOLS[purpose],
      purpose === 'peer' ? unmasked : options,
    );
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
};

/** Answers everything that is no WebSocket handshake. */
const plainServer = (limits: WsLimits, tls: TlsMaterial | undefined): Server => {
  const http = openServer(
    tls,
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: limits.handshakeTimeoutMs,
      requestTimeout: limits.handshakeTimeoutMs,
      connectionsCheckingInterval: Math.min(500, limits.handshakeTimeoutMs),
    },
    limits.handshakeTimeoutMs,
    (request, response) => {
      const known = purposeOf(request) !== undefined;
      const headers = { connection: 'close', 'content-type': 'text/plain' };
      response.writeHead(known ? 426 : 404, known ? { ...headers, upgrade: 'websocket' } : headers);
      response.end(known ? 'a WebSocket is expected here\n' : 'nothing is here\n');
    },
  );
  http.maxConnections = limits.connectionsMax;
  return http;
};

/** What the handshake asks for, or the status and reason of the refusal. */
const judge = (
  request: IncomingMessage,
  { origins = [], hosts, host }: WsLinksOptions,
): LinkPurpose | readonly [number, string] => {
  const purpose = purposeOf(request);
  if (purpose === undefined) return [404, 'nothing is here'];
  if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
    return [426, 'a WebSocket is expected here'];
  }
  const parameters = new URLSearchParams((request.url ?? '').split('?')[1]);
  if (SECRET_PARAMETERS.some((name) => parameters.has(name))) {
    return [400, 'a token belongs into HELLO, never into the URL'];
  }
  const name = hostName(request.headers.host ?? '');
  const anyName = WILDCARDS.includes(host) && hosts === undefined;
  if (!anyName && ![...LOOPBACK, host, ...(hosts ?? [])].includes(name)) {
    return [421, `this node does not answer to ${JSON.stringify(name)}`];
  }
  const { origin } = request.headers;
  if (origin !== undefined && !origins.includes(origin)) {
    return [403, `the origin ${JSON.stringify(origin)} is not on the list`];
  }
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',');
  if (!offered.some((each) => each.trim() === SUBPROTOCOLS[purpose])) {
    return [400, `the subprotocol ${SUBPROTOCOLS[purpose]} is expected on ${PATHS[purpose]}`];
  }
  return purpose;
};

const purposeOf = (request: IncomingMessage): LinkPurpose | undefined => {
  const path = (request.url ?? '').split('?')[0];
  if (path === PATHS.client) return 'client';
  return path === PATHS.peer ? 'peer' : undefined;
};

/** The name of a Host header: without port and brackets. */
const hostName = (header: string): string =>
  header
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1');

const refuse = (socket: Duplex, status: number, reason: string): void => {
  const body = `${reason}\n`;
  // A stranger who keeps his half open must not keep the socket.
  socket.once('finish', () => socket.destroy());
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
      // Accepting may fail for a while (out of descriptors): those already here are served on.
      http.on('error', () => undefined);
      resolve();
    });
  });

/** Whether a close frame may carry this code (RFC 6455, 7.4). */
const maySend = (code: number): boolean =>
  (code >= 3000 && code <= 4999) ||
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code));

/** A close frame has room for 123 bytes of UTF-8. */
const shortened = (reason: string): string => {
  let text = reason.slice(0, 123);
  while (Buffer.byteLength(text) > 123) text = text.slice(0, -1);
  return text;
};
