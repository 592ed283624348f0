/**
 * Ordered, lossy-on-close pipes of binary frames. Who is at the other end, one pipe per pair,
 * reconnecting and what a frame means are decided above (`src/node/peers/peers.ts`, `client-port.ts`);
 * ws and the simulated network pass `test/contract/links.ts`.
 */
export type Links = {
  /** Opens a connection to `address` (`ws://host:port`) for `purpose`; opened or closed follows, never within this call. */
  dial(address: string, purpose: LinkPurpose, events: ConnectionEvents): Connection;
  /** From now on every connection from outside is given to `accept`, which answers with its handlers; already open. */
  listen(accept: (connection: Connection, purpose: LinkPurpose) => ConnectionEvents): void;
  /** Closes every connection and stops listening. */
  close(done: () => void): void;
};

/** `client` speaks the client protocol (subprotocol `coterie.1.cbor`), `peer` the node-to-node one. */
export type LinkPurpose = 'client' | 'peer';

export type Connection = {
  /** Where the other side is, for logs: never an identity. */
  readonly remote: string;
  /** Names that a certificate of the other side proves; absent where it showed none we trust. */
  readonly names?: readonly string[] | undefined;
  /** Hands one frame over; the caller may reuse the bytes when this returns. Dropped once closing. */
  send(frame: Uint8Array): void;
  /** Bytes accepted by send and not yet taken by the other side's kernel: watch it to stay bounded. */
  bufferedBytes(): number;
  /** Says goodbye: frames sent before still arrive if they can. `code` is a WebSocket close code. */
  close(code: number, reason: string): void;
  /** Cuts at once, without a word. */
  terminate(): void;
};

export type ConnectionEvents = {
  /** Dialled connections only: frames may be sent from now on. */
  opened(): void;
  /** `frame` is valid only during the call: copy what outlives it. */
  received(frame: Uint8Array): void;
  /** Exactly once, last; also when a dial fails (code 1006). */
  closed(code: number, reason: string): void;
};
