/**
 * One connection to one of several nodes, with many requests in flight on it; when it breaks, the
 * next request opens one to another node.
 */
import { CoterieError } from '../core/errors.ts';
import {
  PROTOCOL_VERSION,
  decodeServerReply,
  encodeClientRequest,
} from '../wire/client-messages.ts';
import type { HandledReply, HandledRequest } from '../wire/client-messages.ts';
import { NoReply } from './transport.ts';
import type { Chance, Timers, Transport } from './transport.ts';

export type ClientSocket = { send(frame: Uint8Array): void; close(): void };

/** Opens a WebSocket with the client subprotocol; `closed` comes exactly once, also if it never opened. */
export type DialSocket = (
  url: string,
  events: {
    readonly opened: () => void;
    readonly received: (frame: Uint8Array) => void;
    readonly closed: (reason: string) => void;
  },
) => ClientSocket;

type Pending = {
  readonly resolve: (reply: HandledReply) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: object | number;
};

type Session = {
  readonly socket: ClientSocket;
  readonly pending: Map<number, Pending>;
  lastId: number;
  leaving: boolean;
};

export const socketTransport = (
  urls: readonly string[],
  dial: DialSocket,
  timers: Timers,
  chance: Chance,
): Transport => {
  let next = Math.floor(chance.fraction() * urls.length);
  let current: Promise<Session> | undefined;
  let closed = false;

  const connect = (timeoutMs: number): Promise<Session> => {
    if (closed) return Promise.reject(new NoReply('the client is closed', false));
    current ??= open(
      urls[next++ % urls.length]!,
      dial,
      timers,
      timeoutMs,
      () => (current = undefined),
    );
    return current;
  };

  return {
    request: async (call, timeoutMs) => {
      const startedMs = timers.monotonicMs();
      const session = await connect(timeoutMs);
      // A node that is going away finishes what it has; the next request goes elsewhere.
      if (session.leaving) current = undefined;
      const leftMs = timeoutMs - (timers.monotonicMs() - startedMs);
      if (leftMs <= 0) throw new NoReply('no connection in time', false);
      return ask(session, call, leftMs, timers);
    },
    close: async () => {
      closed = true;
      const session = await current?.catch(() => undefined);
      session?.socket.close();
    },
  };
};

const open = (
  url: string,
  dial: DialSocket,
  timers: Timers,
  timeoutMs: number,
  lost: () => void,
): Promise<Session> =>
  new Promise((resolve, reject) => {
    const pending = new Map<number, Pending>();
    const fail = (reason: string): void => {
      timers.clearTimeout(silence);
      lost();
      reject(new NoReply(`${url}: ${reason}`, false));
      for (const { reject: rejectCall, timer } of pending.values()) {
        timers.clearTimeout(timer);
        rejectCall(new NoReply(`${url}: ${reason}`, true));
      }
      pending.clear();
    };
    // A node that accepts and stays silent must not use up the whole deadline.
    const silence = timers.setTimeout(
      () => {
        session.socket.close();
        fail('no welcome');
      },
      Math.max(1, Math.min(2000, timeoutMs)),
    );
    const socket = dial(url, {
      opened: () =>
        socket.send(
          encodeClientRequest(1, {
            type: 'hello',
            versionMin: PROTOCOL_VERSION,
            versionMax: PROTOCOL_VERSION,
            client: 'coterie.js',
          }),
        ),
      received: (frame) => {
        const decoded = decodeServerReply(frame);
        if (decoded.type === 'bad') {
          socket.close();
          fail(`a malformed reply: ${decoded.reason}`);
        }
        if (decoded.type !== 'reply') return;
        const { id, reply } = decoded;
        if (reply.type === 'going-away') {
          session.leaving = true;
          lost();
        } else if (reply.type === 'welcome') {
          timers.clearTimeout(silence);
          resolve(session);
        } else if (reply.type === 'failed' && id === 1) {
          reject(new CoterieError(reply.code, reply.message, reply.details));
          socket.close();
        } else if (reply.type !== 'pong' && reply.type !== 'ring-changed') {
          settle(session, id, reply, timers);
        }
      },
      closed: fail,
    });
    const session: Session = { socket, pending, lastId: 1, leaving: false };
  });

const ask = (
  session: Session,
  call: HandledRequest,
  timeoutMs: number,
  timers: Timers,
): Promise<HandledReply> =>
  new Promise((resolve, reject) => {
    const id = ++session.lastId;
    // The node answers by the deadline; a little later nobody does.
    const timer = timers.setTimeout(() => {
      session.pending.delete(id);
      reject(new NoReply('no answer in time', true));
    }, timeoutMs + 100);
    session.pending.set(id, { resolve, reject, timer });
    session.socket.send(encodeClientRequest(id, call));
  });

const settle = ({ pending }: Session, id: number, reply: HandledReply, timers: Timers): void => {
  const waiting = pending.get(id);
  if (waiting === undefined) return;
  pending.delete(id);
  timers.clearTimeout(waiting.timer);
  waiting.resolve(reply);
};
