/** `coterie/client`: the client library for Node. */
import { Client } from './client.ts';
import type { ClientOptions } from './client.ts';
import { dialNodeSocket, nodeChance, nodeTimers } from './node-socket.ts';
import { socketTransport } from './socket-transport.ts';
import { NoReply } from './transport.ts';
import type { Chance, Timers, Transport } from './transport.ts';
import type { ClientHandler } from '../wire/client-messages.ts';

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

/** The same API on a store in this very process: no socket, no codec. */
export const clientOver = (
  handler: ClientHandler,
  { clock, random }: { readonly clock: Timers; readonly random: Chance },
  options: ClientOptions = {},
): Client => new Client(directTransport(handler, clock), clock, random, options);

const directTransport = (handler: ClientHandler, timers: Timers): Transport => ({
  request: (request, timeoutMs) =>
    new Promise((resolve, reject) => {
      const timer = timers.setTimeout(
        () => reject(new NoReply('no answer in time', true)),
        timeoutMs + 100,
      );
      handler.handle(request, (reply) => {
        timers.clearTimeout(timer);
        resolve(reply);
      });
    }),
  close: () => Promise.resolve(),
});
