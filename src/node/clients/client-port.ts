/**
 * One session for each client connection (PROTOCOL.md): HELLO first, then requests by id, bounded in
 * number and in what a slow reader may owe. What the requests mean is the handler's business.
 *
 *   accepted ──HELLO in time──▶ serving ──closed──▶ gone (what is in flight is cancelled)
 *       └────── silence ──────▶ close 4408
 *
 * A refusal never ends the connection: only silence, a frame between nodes, a wrong token, or a
 * reader that does not read.
 */
import { CoterieError } from '../../core/errors.ts';
import { NumberMap } from '../../core/number-map.ts';
import { Rate } from '../../core/rate.ts';
import type { Clock, Timer } from '../../ports/clock.ts';
import type { Connection, ConnectionEvents } from '../../ports/links.ts';
import type { Trace } from '../../ports/trace.ts';
import { PROTOCOL_VERSION, PUSH_ID } from '../../wire/client-messages.ts';
import type {
  ClientHandler,
  ClientRequest,
  HandledRequest,
  HelloRequest,
  Push,
  RequestLimits,
  ServerReply,
} from '../../wire/client-messages.ts';
import { encodeServerReply, failedReply } from '../../wire/reply-codec.ts';
import { decodeClientRequest } from '../../wire/request-codec.ts';
import { tooFast } from './client-access.ts';
import type { Admission, ClientAccess } from './client-access.ts';

export type ClientPortLimits = RequestLimits & {
  /** Requests in flight on one connection; one more is answered OVERLOADED. */
  readonly inFlightMax: number;
  /** Requests of one connection within a second; one more is answered OVERLOADED. */
  readonly requestsPerSecondMax: number;
  /** Half of it owed: new requests are answered OVERLOADED. All of it: the connection is cut. */
  readonly clientBufferBytesMax: number;
  /** A client that has not said HELLO by then is closed, ms. */
  readonly helloTimeoutMs: number;
};

export type ClientPortParts = {
  readonly clock: Clock;
  readonly config: ClientPortLimits;
  readonly handler: ClientHandler;
  /** Whether a HELLO with this token may enter, and what for; absent: everyone may do everything. */
  readonly admit?: Admission | undefined;
  readonly trace?: Trace;
};

export const CLIENT_CLOSE = {
  /** A wrong token, or none where one is needed. */
  unauthorized: 4401,
  /** A frame of the protocol between nodes. */
  foreign: 4403,
  /** No HELLO in time. */
  silent: 4408,
} as const;

/** A stopping node still tells what it knows. */
const ALWAYS_ANSWERED: ReadonlySet<string> = new Set(['ping', 'status', 'ring']);

/** How long a client should wait before it asks an overloaded connection again, ms. */
const RETRY_AFTER_MS = 50;

export class ClientPort {
  readonly #parts: ClientPortParts;
  readonly #sessions = new Set<Session>();
  #state: 'serving' | 'going-away' = 'serving';

  constructor(parts: ClientPortParts) {
    this.#parts = parts;
  }

  /** Connections of clients now open, greeted or not. */
  get sessions(): number {
    return this.#sessions.size;
  }

  accept(connection: Connection): ConnectionEvents {
    const session = new Session(
      connection,
      this.#parts,
      () => this.#state,
      () => this.#sessions.delete(session),
    );
    this.#sessions.add(session);
    return session;
  }

  /** Asks every client to go elsewhere and refuses what is new; what is in flight is answered. */
  announceGoingAway(): void {
    this.#state = 'going-away';
    this.#push({ type: 'going-away' });
  }

  announceRing(ringVersion: number): void {
    this.#push({ type: 'ring-changed', ringVersion });
  }

  #push(push: Push): void {
    for (const session of this.#sessions) session.push(push);
  }
}

type InFlight = { cancel: () => void };

class Session implements ConnectionEvents {
  readonly #connection: Connection;
  readonly #parts: ClientPortParts;
  readonly #portState: () => 'serving' | 'going-away';
  readonly #gone: () => void;
  readonly #inFlight = new NumberMap<InFlight>();
  #state: 'awaiting-hello' | 'serving' | 'closing' = 'awaiting-hello';
  readonly #silence: Timer;
  readonly #rate: Rate;
  #access: ClientAccess | undefined;

  constructor(
    connection: Connection,
    parts: ClientPortParts,
    portState: () => 'serving' | 'going-away',
    gone: () => void,
  ) {
    this.#connection = connection;
    this.#parts = parts;
    this.#portState = portState;
    this.#gone = gone;
    const { clock, config } = parts;
    this.#rate = new Rate(config.requestsPerSecondMax, clock.monotonicMs());
    this.#silence = clock.setTimeout(
      () => this.#close(CLIENT_CLOSE.silent, 'HELLO was expected'),
      config.helloTimeoutMs,
    );
  }

  /** An accepted connection is open from the start. */
  opened(): void {}

  received(frame: Uint8Array): void {
    if (this.#state === 'closing') return;
    const decoded = decodeClientRequest(frame, this.#parts.config);
    if (decoded.type === 'foreign') {
      this.#close(CLIENT_CLOSE.foreign, 'the protocol between nodes is not spoken here');
    } else if (decoded.type === 'bad') {
      this.#refuse(decoded.id, decoded.error);
    } else this.#take(decoded.id, decoded.request);
  }

  closed(): void {
    this.#state = 'closing';
    this.#parts.clock.clearTimeout(this.#silence);
    const left = this.#inFlight.values();
    this.#inFlight.clear();
    for (const { cancel } of left) cancel();
    this.#gone();
  }

  push(push: Push): void {
    if (this.#state === 'serving') this.#send(PUSH_ID, push);
  }

  #take(id: number, request: ClientRequest): void {
    if (request.type === 'hello') return this.#greet(id, request);
    if (this.#state === 'awaiting-hello') {
      const message = `expected HELLO as the first message, found ${request.type}`;
      return this.#refuse(id, new CoterieError('BAD_ARGUMENT', message));
    }
    if (request.type === 'cancel') return this.#cancel(id);
    const refusal = this.#refusalOf(id, request.type);
    if (refusal !== undefined) return this.#refuse(id, refusal);
    if (request.type === 'ping') return this.#send(id, { type: 'pong' });
    const denial = this.#access?.refusalOf(request);
    if (denial === 'unauthorized') this.#close(CLIENT_CLOSE.unauthorized, 'unauthorized');
    else if (denial !== undefined) this.#refuse(id, denial);
    else this.#handle(id, request);
  }

  #greet(id: number, { versionMin, versionMax, token }: HelloRequest): void {
    const { clock, handler, admit } = this.#parts;
    if (this.#state !== 'awaiting-hello') {
      return this.#refuse(id, new CoterieError('BAD_ARGUMENT', 'HELLO is said once'));
    }
    if (versionMin > PROTOCOL_VERSION || versionMax < PROTOCOL_VERSION) {
      const wanted = `found ${versionMin} to ${versionMax}`;
      const message = `this node speaks version ${PROTOCOL_VERSION}, ${wanted}`;
      const spoken = { versionMin: PROTOCOL_VERSION, versionMax: PROTOCOL_VERSION };
      return this.#refuse(id, new CoterieError('UNSUPPORTED_VERSION', message, spoken));
    }
    const access = admit?.(token);
    if (access === 'unauthorized') {
      return this.#close(CLIENT_CLOSE.unauthorized, 'unauthorized');
    }
    this.#access = access;
    clock.clearTimeout(this.#silence);
    this.#state = 'serving';
    this.#send(id, { type: 'welcome', version: PROTOCOL_VERSION, ...handler.welcome() });
    if (this.#portState() === 'going-away') this.push({ type: 'going-away' });
  }

  /** What this connection may not start now, whatever is asked. */
  #refusalOf(id: number, type: 'ping' | HandledRequest['type']): CoterieError | undefined {
    const { clock, config } = this.#parts;
    const { inFlightMax, clientBufferBytesMax, requestsPerSecondMax } = config;
    const retryAfterMs = this.#rate.take(requestsPerSecondMax, clock.monotonicMs());
    if (retryAfterMs > 0) return tooFast('a connection', requestsPerSecondMax, retryAfterMs);
    if (this.#inFlight.has(id)) {
      return new CoterieError('DUPLICATE_REQUEST', `the id ${id} is in flight already`);
    }
    if (this.#connection.bufferedBytes() > clientBufferBytesMax / 2) {
      return overloaded('read the answers that wait on this connection first');
    }
    if (this.#inFlight.size >= inFlightMax) {
      return overloaded(`at most ${inFlightMax} requests may be in flight on one connection`);
    }
    if (this.#portState() === 'going-away' && !ALWAYS_ANSWERED.has(type)) {
      return new CoterieError('GOING_AWAY', 'this node is stopping: ask another one');
    }
    return undefined;
  }

  #handle(id: number, request: HandledRequest): void {
    const entry: InFlight = { cancel: () => undefined };
    this.#inFlight.set(id, entry);
    const answer = (reply: ServerReply): void => {
      // The id may bear a newer request by now: an answer to a cancelled one is nobody's.
      if (this.#inFlight.get(id) !== entry) return;
      if (reply.type !== 'part') this.#inFlight.delete(id);
      this.#send(id, reply);
    };
    try {
      const handled = this.#parts.handler.handle(request, answer);
      entry.cancel = () => handled.cancel();
    } catch (error) {
      // One request must not end the node, nor stay without an answer.
      this.#parts.trace?.log('error', 'client-request.crashed', { error: String(error) });
      answer(failedReply(new CoterieError('INTERNAL', `the ${request.type} crashed`)));
    }
  }

  #cancel(id: number): void {
    const entry = this.#inFlight.get(id);
    if (entry === undefined) return;
    this.#inFlight.delete(id);
    entry.cancel();
    this.#refuse(id, new CoterieError('CANCELLED', 'cancelled by its client'));
  }

  #refuse(id: number, error: CoterieError): void {
    this.#send(id, failedReply(error));
  }

  #send(id: number, reply: ServerReply): void {
    if (this.#state === 'closing') return;
    this.#connection.send(encodeServerReply(id, reply));
    if (this.#connection.bufferedBytes() <= this.#parts.config.clientBufferBytesMax) return;
    // Closing politely would wait for the very reader that does not read.
    this.#state = 'closing';
    this.#connection.terminate();
  }

  #close(code: number, reason: string): void {
    if (this.#state === 'closing') return;
    this.#state = 'closing';
    this.#connection.close(code, reason);
  }
}

const overloaded = (message: string): CoterieError =>
  new CoterieError('OVERLOADED', message, { retryAfterMs: RETRY_AFTER_MS });
