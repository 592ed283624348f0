/**
 * One connection to one node: HELLO and WELCOME, then many requests in flight, told apart by id.
 *
 *   opening ──opened, WELCOME──▶ ready ──GOING_AWAY──▶ leaving ──last answer──▶ closed
 *      └── failed, refused, silent ──▶ closed ◀── lost ──┘
 */
import { CoterieError } from '../core/errors.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Connection, ConnectionEvents } from '../ports/links.ts';
import { PROTOCOL_VERSION, PUSH_ID, REQUEST_ID_MAX } from '../wire/client-messages.ts';
import type {
  FinalReply,
  HandledReply,
  HandledRequest,
  PartReply,
  Push,
  ServerReply,
  WelcomeReply,
} from '../wire/client-messages.ts';
import { decodeServerReply } from '../wire/reply-codec.ts';
import { encodeClientRequest } from '../wire/request-codec.ts';

/** The client's socket: a WebSocket of subprotocol `coterie.1.cbor` that carries whole messages. */
export type Socket = Connection;
/** Opens sockets; `opened` or `closed` follows, never within the call, as in the port Links. */
export type Sockets = { dial(address: string, events: ConnectionEvents): Socket };

export type ConnectionParts = {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly address: string;
  readonly name: string;
  readonly token?: string;
  /** How often the node is pinged by message; one that says nothing till the next is given up, ms. */
  readonly pingEveryMs?: number;
  readonly ready: (welcome: WelcomeReply) => void;
  /** Something the node said unasked. */
  readonly pushed?: (push: Push) => void;
  /** It may still answer what it has, but wants no more. */
  readonly leaving: () => void;
  /** Once, last; whoever waits here has been told before. */
  readonly closed: (reason: string) => void;
};

/** A node that accepts and stays silent must not use up the whole deadline, ms. */
const WELCOME_TIMEOUT_MS = 2000;
/** What a node that names no limit is sent at once. */
const IN_FLIGHT_MAX = 128;
const HELLO_ID = 1;
const NORMAL_CLOSE = 1000;

export type Answer =
  | { readonly type: 'replied'; readonly reply: FinalReply }
  /** One of many; the last answer is still to come. */
  | { readonly type: 'part'; readonly part: PartReply }
  | { readonly type: 'lost'; readonly reason: string };

export class NodeConnection {
  readonly #parts: ConnectionParts;
  readonly #socket: Socket;
  readonly #silence: Timer;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = HELLO_ID;
  #inFlightMax = IN_FLIGHT_MAX;
  #wasReady: 'yes' | 'no' = 'no';
  #heard: 'something' | 'nothing' = 'something';
  #heartbeat: Timer | undefined;
  #state: 'opening' | 'ready' | 'leaving' | 'closed' = 'opening';

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    const { sockets, clock, address } = parts;
    this.#socket = sockets.dial(address, {
      opened: () => this.#hello(),
      received: (frame) => this.#received(frame),
      closed: (code, reason) => this.#end(reason === '' ? `closed with ${code}` : reason),
    });
    this.#silence = clock.setTimeout(() => this.#abandon('no WELCOME in time'), WELCOME_TIMEOUT_MS);
  }

  get address(): string {
    return this.#parts.address;
  }

  /** Whether it ever got its WELCOME. */
  get wasReady(): 'yes' | 'no' {
    return this.#wasReady;
  }

  /** Whether one more request may be asked now. */
  get hasRoom(): boolean {
    return this.#state === 'ready' && this.#waiting.size < this.#inFlightMax;
  }

  /** Sends `request`; `answered` is called once, after any parts, unless cancelled. Needs room. */
  ask(request: HandledRequest, answered: (answer: Answer) => void): { cancel(): void } {
    const id = this.#freeId();
    this.#waiting.set(id, answered);
    this.#socket.send(encodeClientRequest(id, request));
    return {
      cancel: () => {
        if (!this.#waiting.delete(id)) return;
        this.#socket.send(encodeClientRequest(id, { type: 'cancel' }));
        this.#closeIfDone();
      },
    };
  }

  /** Asks for nothing more here, and closes after the last answer. */
  leave(): void {
    if (this.#state !== 'ready') return;
    this.#state = 'leaving';
    this.#parts.leaving();
    this.#closeIfDone();
  }

  close(): void {
    this.#abandon('closed by the client');
  }

  #hello(): void {
    if (this.#state !== 'opening') return;
    const { name, token } = this.#parts;
    const versions = { versionMin: PROTOCOL_VERSION, versionMax: PROTOCOL_VERSION };
    const hello = { type: 'hello', ...versions, client: name } as const;
    this.#socket.send(
      encodeClientRequest(HELLO_ID, token === undefined ? hello : { ...hello, token }),
    );
  }

  #received(frame: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#heard = 'something';
    const decoded = decodeServerReply(frame);
    if (decoded.type === 'bad') return this.#abandon(`a malformed answer: ${decoded.reason}`);
    if (decoded.type === 'reply') return this.#take(decoded.id, decoded.reply);
    // A push that only newer clients know is passed over; an answer must be understood.
    if (decoded.id !== PUSH_ID) this.#abandon('an answer of an unknown kind');
  }

  #take(id: number, reply: ServerReply): void {
    switch (reply.type) {
      case 'going-away':
        this.#parts.pushed?.(reply);
        return this.leave();
      case 'ring-changed':
        this.#parts.pushed?.(reply);
        return;
      case 'pong':
        return;
      case 'welcome':
        return this.#welcomed(reply);
      case 'failed':
        // Before WELCOME it refuses our HELLO; with id 0 it means a message of ours, we cannot tell which.
        if (this.#state === 'opening' || id === PUSH_ID) {
          return this.#abandon(`${reply.code}: ${reply.message}`);
        }
        return this.#answered(id, reply);
      default:
        return this.#answered(id, reply);
    }
  }

  #welcomed(welcome: WelcomeReply): void {
    if (this.#state !== 'opening') return;
    this.#parts.clock.clearTimeout(this.#silence);
    this.#state = 'ready';
    this.#wasReady = 'yes';
    this.#inFlightMax = Math.max(1, welcome.limits['inFlightMax'] ?? IN_FLIGHT_MAX);
    this.#pingLater();
    this.#parts.ready(welcome);
  }

  #pingLater(): void {
    const { clock, pingEveryMs } = this.#parts;
    if (pingEveryMs === undefined || this.#state === 'closed') return;
    this.#heartbeat = clock.setTimeout(() => {
      if (this.#heard === 'nothing') return this.#abandon('it is silent');
      this.#heard = 'nothing';
      this.#socket.send(encodeClientRequest(this.#freeId(), { type: 'ping' }));
      this.#pingLater();
    }, pingEveryMs);
  }

  #answered(id: number, reply: HandledReply): void {
    const answered = this.#waiting.get(id);
    // The answer to what was cancelled.
    if (answered === undefined) return;
    if (reply.type === 'part') return answered({ type: 'part', part: reply });
    this.#waiting.delete(id);
    // Whoever is not ready or going may be right for later, but others are right for now.
    if (reply.type === 'failed' && (reply.code === 'GOING_AWAY' || reply.code === 'NOT_READY')) {
      this.leave();
    }
    answered({ type: 'replied', reply });
    this.#closeIfDone();
  }

  #freeId(): number {
    do {
      this.#lastId = (this.#lastId % REQUEST_ID_MAX) + 1;
    } while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  #closeIfDone(): void {
    if (this.#state === 'leaving' && this.#waiting.size === 0) this.#abandon('it went away');
  }

  #abandon(reason: string): void {
    if (this.#state === 'closed') return;
    this.#socket.close(NORMAL_CLOSE, '');
    this.#end(reason);
  }

  #end(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#parts.clock.clearTimeout(this.#silence);
    if (this.#heartbeat !== undefined) this.#parts.clock.clearTimeout(this.#heartbeat);
    const left = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#parts.closed(reason);
    for (const answered of left) answered({ type: 'lost', reason });
  }
}

/** Throws CoterieError BAD_ARGUMENT unless every address is `ws://host:port` or `wss://…`. */
export const checkedAddresses = (addresses: readonly string[]): readonly string[] => {
  const wrong = addresses.find((address) => !isAddress(address));
  if (wrong !== undefined || addresses.length === 0) {
    const found = wrong === undefined ? 'none' : JSON.stringify(wrong);
    throw new CoterieError('BAD_ARGUMENT', `expected ws://host:port of a node, found ${found}`);
  }
  return [...new Set(addresses.map((address) => address.replace(/\/$/, '')))];
};

export const isAddress = (address: unknown): address is string =>
  typeof address === 'string' && /^wss?:\/\/[^/\s]+\/?$/.test(address);
