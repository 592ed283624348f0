/**
 * One session for each client connection: HELLO first, then requests by id, bounded in number and
 * in what a slow reader may owe (DESIGN: the client protocol).
 */
import { CoterieError } from '../core/errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Connection, ConnectionEvents } from '../ports/links.ts';
import {
  PROTOCOL_VERSION,
  PUSH_ID,
  decodeClientRequest,
  encodeServerReply,
  failedReply,
} from '../wire/client-messages.ts';
import type {
  ClientHandler,
  HandledRequest,
  HelloRequest,
  ServerReply,
} from '../wire/client-messages.ts';
import type { Config } from './config.ts';

export type ClientPortParts = {
  readonly clock: Clock;
  readonly config: Config;
  readonly handler: ClientHandler;
};

const CLOSE = { unsupported: 4406, silent: 4408 } as const;

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
    const { clock, config, handler } = this.#parts;
    const inFlight = new Map<number, { cancel(): void } | undefined>();
    let greeted = false;
    this.#sessions.add(connection);
    const silence = clock.setTimeout(
      () => connection.close(CLOSE.silent, 'HELLO expected'),
      config.helloTimeoutMs,
    );
    const send = (id: number, reply: ServerReply): void => {
      // Whoever does not read what it asked for is cut off before it costs memory.
      if (connection.bufferedBytes() > config.clientBufferBytesMax) connection.terminate();
      else connection.send(encodeServerReply(id, reply));
    };
    const refuse = (id: number, error: CoterieError): void => send(id, failedReply(error));
    const start = (id: number, request: HandledRequest): void => {
      inFlight.set(id, undefined);
      const handled = handler.handle(request, (reply) => {
        if (inFlight.delete(id)) send(id, reply);
      });
      if (inFlight.has(id)) inFlight.set(id, handled);
    };

    return {
      opened: () => undefined,
      received: (frame) => {
        const decoded = decodeClientRequest(frame, config);
        if (decoded.type === 'bad') return refuse(decoded.id, decoded.error);
        const { id, request } = decoded;
        if (request.type === 'hello') {
          clock.clearTimeout(silence);
          greeted = this.#greet(id, request, connection, send);
        } else if (!greeted) {
          connection.close(CLOSE.silent, 'HELLO expected first');
        } else if (request.type === 'ping') {
          send(id, { type: 'pong' });
        } else if (request.type === 'cancel') {
          inFlight.get(id)?.cancel();
          if (inFlight.delete(id)) refuse(id, new CoterieError('CANCELLED', 'cancelled'));
        } else {
          const refusal = this.#refusalOf(id, request, inFlight);
          if (refusal !== undefined) refuse(id, refusal);
          else start(id, request);
        }
      },
      closed: () => {
        clock.clearTimeout(silence);
        for (const handled of inFlight.values()) handled?.cancel();
        inFlight.clear();
        this.#sessions.delete(connection);
      },
    };
  }

  /** Asks every client to go elsewhere; what is in flight is still answered. */
  announceGoingAway(): void {
    this.#leaving = true;
    const push = encodeServerReply(PUSH_ID, { type: 'going-away' });
    for (const connection of this.#sessions) connection.send(push);
  }

  #greet(
    id: number,
    { versionMin, versionMax }: HelloRequest,
    connection: Connection,
    send: (id: number, reply: ServerReply) => void,
  ): boolean {
    if (versionMin > PROTOCOL_VERSION || versionMax < PROTOCOL_VERSION) {
      const message = `this node speaks ${PROTOCOL_VERSION}, you ${versionMin} to ${versionMax}`;
      send(id, failedReply(new CoterieError('UNSUPPORTED_VERSION', message)));
      connection.close(CLOSE.unsupported, 'unsupported version');
      return false;
    }
    const welcome = this.#parts.handler.welcome();
    send(id, { type: 'welcome', version: PROTOCOL_VERSION, ...welcome });
    return true;
  }

  #refusalOf(
    id: number,
    request: HandledRequest,
    inFlight: ReadonlyMap<number, unknown>,
  ): CoterieError | undefined {
    const { inFlightMax } = this.#parts.config;
    if (inFlight.has(id)) {
      return new CoterieError('DUPLICATE_REQUEST', `id ${id} is in flight already`);
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
