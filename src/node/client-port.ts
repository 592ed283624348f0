/**
 * One session for each client connection: HELLO first, then requests by id, bounded in number and
 * in what a slow reader may owe (DESIGN: the client protocol).
 */
import { CoterieError } from '../core/errors.ts';
import type { NodeId } from '../core/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { Connection, ConnectionEvents } from '../ports/links.ts';
import { CLIENT_PROTOCOL, decodeRequest, encodeReply } from '../wire/client-messages.ts';
import type { ClientRequest, ServerReply } from '../wire/client-messages.ts';
import type { Config } from './config.ts';

/** A request that reaches the store. */
export type StoreRequest = Extract<ClientRequest, { type: 'get' | 'put' | 'status' }>;

/** What serves requests: the router over a socket, or in the same process. */
export type ClientHandler = {
  handle(request: StoreRequest, reply: (reply: ServerReply) => void): void;
};

export type ClientPortParts = {
  readonly self: NodeId;
  readonly cluster: () => string;
  readonly clock: Clock;
  readonly config: Config;
  readonly handler: ClientHandler;
};

const CLOSE = { goingAway: 1001, unsupported: 4406, silent: 4408 } as const;

export class ClientPort {
  readonly #parts: ClientPortParts;
  readonly #sessions = new Set<Connection>();
  #leaving = false;

  constructor(parts: ClientPortParts) {
    this.#parts = parts;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  accept(connection: Connection): ConnectionEvents {
    const { clock, config } = this.#parts;
    const inFlight = new Set<number>();
    let greeted = false;
    this.#sessions.add(connection);
    const silence = clock.setTimeout(
      () => connection.close(CLOSE.silent, 'HELLO expected'),
      config.helloTimeoutMs,
    );
    const send = (reply: ServerReply): void => {
      // Whoever does not read what it asked for is cut off before it costs memory.
      if (connection.bufferedBytes() > config.clientBufferBytesMax) connection.terminate();
      else connection.send(encodeReply(reply));
    };
    const answer = (reply: ServerReply): void => {
      if (inFlight.delete(reply.id)) send(reply);
    };
    const refuse = (id: number, error: CoterieError): void => send(failedReply(id, error));

    return {
      opened: () => undefined,
      received: (frame) => {
        const decoded = decodeRequest(frame);
        if (decoded.type === 'bad') return refuse(decoded.id, decoded.error);
        const { request } = decoded;
        if (request.type === 'hello') {
          clock.clearTimeout(silence);
          greeted = this.#greet(request, connection, send);
        } else if (!greeted) {
          connection.close(CLOSE.silent, 'HELLO expected first');
        } else if (request.type === 'ping') {
          send({ type: 'pong', id: request.id });
        } else if (request.type === 'cancel') {
          if (inFlight.delete(request.request)) {
            refuse(request.request, new CoterieError('CANCELLED', 'cancelled by its client'));
          }
        } else {
          const refusal = this.#refusalOf(request, inFlight);
          if (refusal !== undefined) return refuse(request.id, refusal);
          inFlight.add(request.id);
          this.#parts.handler.handle(request, answer);
        }
      },
      closed: () => {
        clock.clearTimeout(silence);
        inFlight.clear();
        this.#sessions.delete(connection);
      },
    };
  }

  /** Asks every client to go elsewhere; what is in flight is still answered. */
  announceLeaving(): void {
    this.#leaving = true;
    const push = encodeReply({ type: 'goingAway', id: 0 });
    for (const connection of this.#sessions) connection.send(push);
  }

  #greet(
    request: Extract<ClientRequest, { type: 'hello' }>,
    connection: Connection,
    send: (reply: ServerReply) => void,
  ): boolean {
    const { self, cluster, config } = this.#parts;
    if (!request.versions.includes(CLIENT_PROTOCOL)) {
      const message = `this node speaks version ${CLIENT_PROTOCOL}, you ${request.versions.join()}`;
      send(failedReply(request.id, new CoterieError('UNSUPPORTED_VERSION', message)));
      connection.close(CLOSE.unsupported, 'unsupported version');
      return false;
    }
    const { valueBytesMax, inFlightMax } = config;
    const limits = { keyBytesMax: 1024, valueBytesMax, inFlightMax, contextBytesMax: 8192 };
    send({
      type: 'welcome',
      id: request.id,
      version: CLIENT_PROTOCOL,
      node: self,
      cluster: cluster(),
      limits,
    });
    return true;
  }

  #refusalOf(request: StoreRequest, inFlight: ReadonlySet<number>): CoterieError | undefined {
    const { inFlightMax } = this.#parts.config;
    if (inFlight.has(request.id)) {
      return new CoterieError('DUPLICATE_REQUEST', `id ${request.id} is in flight already`);
    }
    if (inFlight.size >= inFlightMax) {
      const message = `at most ${inFlightMax} requests in flight on one connection`;
      return new CoterieError('OVERLOADED', message, { retryAfterMs: 50 });
    }
    if (this.#leaving && request.type !== 'status') {
      return new CoterieError('GOING_AWAY', 'this node is stopping: go to another one');
    }
    return undefined;
  }
}

export const failedReply = (id: number, { code, message, details }: CoterieError): ServerReply => ({
  type: 'failed',
  id,
  code,
  message,
  details,
});
