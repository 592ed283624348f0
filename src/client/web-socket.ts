/** Sockets, clock, chance and MD5 of a client in a browser: what the platform has, and one digest. */
import { md5 } from '@noble/hashes/legacy.js';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { SUBPROTOCOL } from '../wire/client-messages.ts';
import type { Sockets } from './node-connection.ts';

/** A browser keeps trying a host that is silent for minutes. */
const HANDSHAKE_TIMEOUT_MS = 2000;
const ABNORMAL = 1006;
/** The only code besides 3000–4999 that a page may close with. */
const NORMAL = 1000;

export const webSockets: Sockets = {
  dial: (address, events) => {
    const socket = new WebSocket(`${address}/v1`, SUBPROTOCOL);
    socket.binaryType = 'arraybuffer';
    let state: 'open' | 'ended' = 'open';
    const end = (code: number, reason: string): void => {
      if (state === 'ended') return;
      state = 'ended';
      clearTimeout(silence);
      events.closed(code, reason);
    };
    const silence = setTimeout(() => {
      socket.close();
      end(ABNORMAL, 'no answer to the handshake');
    }, HANDSHAKE_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(silence);
      if (state === 'open') events.opened();
    };
    socket.onmessage = ({ data }: { readonly data: unknown }) => {
      if (state === 'open' && data instanceof ArrayBuffer) events.received(new Uint8Array(data));
    };
    // A page is not told why a connection failed.
    socket.onclose = ({ code, reason }) => end(code, reason);
    return {
      remote: address,
      send: (frame) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(frame as Uint8Array<ArrayBuffer>);
      },
      bufferedBytes: () => socket.bufferedAmount,
      close: (_, reason) => socket.close(NORMAL, reason),
      terminate: () => {
        socket.close();
        end(ABNORMAL, 'terminated');
      },
    };
  },
};

export const webClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout: (task, delayMs) => setTimeout(task, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as number),
  endOfTurn: (task) => void setTimeout(task, 0),
};

const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));

export const webRandom: Random = {
  // 53 bits spread over at most 2^32 values: what is uneven is far below what anyone could see.
  integer: (below) => Math.floor(webRandom.fraction() * below),
  fraction: () => {
    const view = new DataView(randomBytes(8).buffer);
    return (view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11)) / 2 ** 53;
  },
  bytes: randomBytes,
};

export const webMd5 = (bytes: Uint8Array): Uint8Array => md5(bytes);
