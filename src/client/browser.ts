/** `coterie/browser`: the client library for web pages, bundled into one file that loads nothing. */
import type { Client } from './client.ts';
import { connectOn } from './connect.ts';
import type { ConnectOptions } from './connect.ts';
import { webClock, webMd5, webRandom, webSockets } from './web-socket.ts';

export * from './exports.ts';

/** A page cannot send WebSocket pings, so it asks; half of that a node is given up. */
const PING_EVERY_MS = 4000;

const WEB = {
  sockets: webSockets,
  clock: webClock,
  random: webRandom,
  md5: webMd5,
  pingEveryMs: PING_EVERY_MS,
};

/**
 * A client of the cluster whose nodes answer at `seeds` (`ws://` or `wss://host:port`). The nodes must
 * allow the origin of the page (`--origins`). Throws CoterieError BAD_ARGUMENT.
 */
export const connect = (seeds: string | readonly string[], options: ConnectOptions = {}): Client =>
  connectOn(WEB, seeds, options);
