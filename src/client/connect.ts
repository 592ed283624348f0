/** A client on the sockets, clock, chance and digest of its platform. */
import type { Digest } from '../ports/digest.ts';
import { createClient } from './client.ts';
import type { Client, ClientOptions, ClientParts } from './client.ts';
import { Events } from './events.ts';
import { checkedAddresses } from './node-connection.ts';
import type { Sockets } from './node-connection.ts';
import { ringTransport } from './ring-transport.ts';
import { socketTransport } from './socket-transport.ts';

export type ConnectOptions = ClientOptions & {
  /** Names this program in the logs of the nodes. */
  readonly name?: string;
  readonly token?: string;
  /** Requests that may wait while no node can be reached, or for room on the connection. */
  readonly queueMax?: number;
  /**
   * Who coordinates gets and puts of one key: `server`, one node for all (default); `owner`, a node
   * that has a copy of the key, without a hop; or `client`, this library, which then reads from the
   * replicas and hands puts to an owner. For the last two it connects to every node; where it cannot
   * reach them, one node coordinates after all. All else goes by way of one node.
   */
  readonly coordination?: 'server' | 'owner' | 'client';
  /** `given`: asks nobody but the addresses given, for questions to a certain node. */
  readonly addresses?: 'learnt' | 'given';
};

export type Platform = Omit<ClientParts, 'events'> & {
  readonly sockets: Sockets;
  readonly md5: Digest['md5'];
  /** Where no WebSocket ping can be sent, PING messages are, this often, ms. */
  readonly pingEveryMs?: number;
};

export const connectOn = (
  { sockets, clock, random, md5, pingEveryMs }: Platform,
  seeds: string | readonly string[],
  { name, token, queueMax, coordination = 'server', addresses: known, ...options }: ConnectOptions,
): Client => {
  const addresses = checkedAddresses(typeof seeds === 'string' ? seeds.split(',') : seeds);
  const parts = { clock, random, events: new Events() };
  const transportOptions = {
    sockets,
    ...parts,
    ...(name === undefined ? {} : { name }),
    ...(token === undefined ? {} : { token }),
    ...(queueMax === undefined ? {} : { queueMax }),
    ...(pingEveryMs === undefined ? {} : { pingEveryMs }),
    ...(known === undefined ? {} : { addresses: known }),
  };
  const transport =
    coordination === 'server'
      ? socketTransport(addresses, transportOptions)
      : ringTransport(addresses, { ...transportOptions, md5, gets: coordination });
  return createClient(transport, parts, options);
};
