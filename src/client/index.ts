/** `coterie/client`: the client library for Node. */
import type { ClientHandler } from '../wire/client-messages.ts';
import { createClient } from './client.ts';
import type { Client, ClientOptions, ClientParts } from './client.ts';
import { connectOn } from './connect.ts';
import type { ConnectOptions } from './connect.ts';
import { directTransport } from './direct-transport.ts';
import { nodeClock, nodeMd5, nodeRandom, nodeSockets } from './node-socket.ts';

export * from './exports.ts';

const NODE = { sockets: nodeSockets, clock: nodeClock, random: nodeRandom, md5: nodeMd5 };

/**
 * A client of the cluster whose nodes answer at `seeds` (`ws://host:port`, one or several, in one
 * text by commas). It connects with the first request, and to another node when that one fails;
 * an open client keeps the process alive until it is closed. Throws CoterieError BAD_ARGUMENT.
 */
export const connect = (seeds: string | readonly string[], options: ConnectOptions = {}): Client =>
  connectOn(NODE, seeds, options);

/** The same API on a store in this very process: no socket, no codec. */
export const clientOver = (
  handler: ClientHandler,
  parts: ClientParts,
  options: ClientOptions = {},
): Client => createClient(directTransport(handler), parts, options);
