/** The client's own socket, timers and chance in Node. */
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import type { DialSocket } from './socket-transport.ts';
import type { Chance, Timers } from './transport.ts';

const REPLY_BYTES_MAX = 32 * 1024 * 1024;

export const dialNodeSocket: DialSocket = (url, events) => {
  const ws = new WebSocket(`${url.replace(/\/(v1)?$/, '')}/v1`, 'coterie.1.cbor', {
    perMessageDeflate: false,
    maxPayload: REPLY_BYTES_MAX,
    handshakeTimeout: 2000,
  });
  let reason = 'connection closed';
  ws.on('open', events.opened);
  ws.on('message', (data: Buffer) => events.received(data));
  ws.on('error', (error) => (reason = error.message));
  ws.on('close', (code) => events.closed(`${reason} (${code})`));
  return {
    send: (frame) => {
      if (ws.readyState === WebSocket.OPEN) ws.send(frame);
    },
    close: () => {
      if (ws.readyState === WebSocket.OPEN) ws.close(1000);
      else ws.terminate();
    },
  };
};

export const nodeTimers: Timers = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout: (task, delayMs) => setTimeout(task, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

export const nodeChance: Chance = {
  bytes: (length) => new Uint8Array(randomBytes(length)),
  fraction: () => Math.random(),
};
