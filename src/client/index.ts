/** `coterie/client`: the client library for Node. */
import { Client } from './client.ts';
import type { ClientOptions } from './client.ts';
import { dialNodeSocket, nodeChance, nodeTimers } from './node-socket.ts';
import { socketTransport } from './socket-transport.ts';

export { Client, Values } from './client.ts';
export type { Applied, ClientOptions, KeyInput, ValueInput, WriteOptions } from './client.ts';
export { CoterieError } from '../core/errors.ts';
export type { ErrorCode } from '../core/errors.ts';

/**
 * A client of the cluster whose nodes answer at `seeds` (`ws://host:port`, one or several). It
 * connects with the first request, and to another node when that one fails.
 */
export const connect = (seeds: string | readonly string[], options: ClientOptions = {}): Client => {
  const urls = typeof seeds === 'string' ? seeds.split(',') : seeds;
  if (urls.length === 0) throw new RangeError('connect needs the address of at least one node');
  const transport = socketTransport(urls, dialNodeSocket, nodeTimers, nodeChance);
  return new Client(transport, nodeTimers, nodeChance, options);
};
