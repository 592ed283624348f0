/** Sockets, clock and chance of a client in Node: the only file of the client that touches them. */
import { hash, randomBytes, randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { bytesOfString } from '../core/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { SUBPROTOCOL } from '../wire/client-messages.ts';
import type { Sockets } from './node-connection.ts';

/** A record's siblings may be 4 MiB, and more after a merge. */
const REPLY_BYTES_MAX = 32 * 1024 * 1024;
const HANDSHAKE_TIMEOUT_MS = 2000;
/** A node that answers no ping for one interval is given up: it is gone, or stopped in its tracks. */
const HEARTBEAT_MS = 2000;
/** A closing handshake nobody answers keeps the process alive no longer than this. */
const GOODBYE_MS = 500;

export const nodeSockets: Sockets = {
  dial: (address, events) => {
    const ws = new WebSocket(`${address}/v1`, SUBPROTOCOL, {
      perMessageDeflate: false,
      maxPayload: REPLY_BYTES_MAX,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    ws.binaryType = 'nodebuffer';
    let failure = '';
    let heartbeat: NodeJS.Timeout | undefined;
    let heard = true;
    let socket: Duplex | undefined;
    ws.on('upgrade', (response) => (socket = response.socket));
    /** Frames of one event-loop turn leave in one write to the socket, its dearest part. */
    const gather = (): void => {
      if (socket === undefined || socket.writableCorked > 0) return;
      const corked = socket;
      corked.cork();
      setImmediate(() => corked.uncork());
    };
    ws.on('open', () => {
      heartbeat = setInterval(() => {
        // After a long pause of our own the pong may be waiting to be read: look once more.
        if (!heard) return void setImmediate(() => heard || ws.terminate());
        heard = false;
        ws.ping();
      }, HEARTBEAT_MS);
      events.opened();
    });
    ws.on('pong', () => (heard = true));
    ws.on('message', (data: Buffer) => {
      heard = true;
      events.received(data);
    });
    // Without a listener one malformed frame would end the process; close follows.
    ws.on('error', (error) => (failure = error.message));
    ws.on('close', (code, reason) => {
      clearInterval(heartbeat);
      events.closed(code, failure === '' ? reason.toString() : failure);
    });
    return {
      remote: address,
      send: (frame) => {
        if (ws.readyState !== WebSocket.OPEN) return;
        gather();
        ws.send(frame);
      },
      bufferedBytes: () => ws.bufferedAmount,
      close: (code, reason) => {
        if (ws.readyState !== WebSocket.OPEN) return ws.terminate();
        ws.close(code, reason);
        setTimeout(() => ws.terminate(), GOODBYE_MS).unref();
      },
      terminate: () => ws.terminate(),
    };
  },
};

export const nodeClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout: (task, delayMs) => setTimeout(task, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
  endOfTurn: (task) => void setImmediate(task),
};

/** The one-shot form, as a byte string: a quarter of the cost of createHash and a Buffer. */
export const nodeMd5 = (bytes: Uint8Array): Uint8Array =>
  bytesOfString(hash('md5', bytes, 'binary'));

export const nodeRandom: Random = {
  integer: (below) => randomInt(below),
  fraction: () => Math.random(),
  bytes: (length) => new Uint8Array(randomBytes(length)),
};
