/** `coterie/client`: the client library for Node. */
import type { ClientHandler } from '../wire/client-messages.ts';
import { createClient } from './client.ts';
import type { Client, ClientOptions, ClientParts } from './client.ts';
import { Events } from './events.ts';
import { directTransport } from './direct-transport.ts';
import { nodeClock, nodeRandom, nodeSockets } from './node-socket.ts';
import { socketTransport } from './socket-transport.ts';

export { CoterieError } from '../core/errors.ts';
export type { ErrorCode, ErrorDetails } from '../core/errors.ts';
export { Client, createClient } from './client.ts';
export type {
  Applied,
  Change,
  ClientOptions,
  ClientParts,
  GetOptions,
  KeyInput,
  Merge,
  OperationOptions,
  PutOptions,
  UpdateOptions,
  ValueInput,
  WriteOptions,
} from './client.ts';
export { bytes, cbor, json, text } from './codecs.ts';
export type { Codec } from './codecs.ts';
export { addWinsMap, counter, observedRemoveSet } from './causal-types.ts';
export type { CounterFace, MapFace, SetFace } from './causal-types.ts';
export type { ClientEvent } from './events.ts';
export { lastWriteWins, maximum, minimum, unionOfSets } from './mergeable.ts';
export type { Mergeable } from './mergeable.ts';
export type { TypedClient, TypedValues } from './typed.ts';
export type { Sockets } from './node-connection.ts';
export { socketTransport } from './socket-transport.ts';
export type { Ending, Transport } from './transport.ts';
export { Values } from './values.ts';

export type ConnectOptions = ClientOptions & {
  /** Names this program in the logs of the nodes. */
  readonly name?: string;
  readonly token?: string;
  /** Requests that may wait while no node can be reached, or for room on the connection. */
  readonly queueMax?: number;
};

/**
 * A client of the cluster whose nodes answer at `seeds` (`ws://host:port`, one or several, in one
 * text by commas). It connects with the first request, and to another node when that one fails;
 * an open client keeps the process alive until it is closed. Throws CoterieError BAD_ARGUMENT.
 */
export const connect = (
  seeds: string | readonly string[],
  { name, token, queueMax, ...options }: ConnectOptions = {},
): Client => {
  const addresses = typeof seeds === 'string' ? seeds.split(',') : seeds;
  const parts = { clock: nodeClock, random: nodeRandom, events: new Events() };
  const transport = socketTransport(addresses, {
    sockets: nodeSockets,
    ...parts,
    ...(name === undefined ? {} : { name }),
    ...(token === undefined ? {} : { token }),
    ...(queueMax === undefined ? {} : { queueMax }),
  });
  return createClient(transport, parts, options);
};

/** The same API on a store in this very process: no socket, no codec. */
export const clientOver = (
  handler: ClientHandler,
  parts: ClientParts,
  options: ClientOptions = {},
): Client => createClient(directTransport(handler), parts, options);
