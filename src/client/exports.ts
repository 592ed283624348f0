/** What the client library offers, wherever it runs. */
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
  ScanOptions,
  UpdateOptions,
  ValueInput,
  WriteOptions,
} from './client.ts';
export { bytes, cbor, json, text } from './codecs.ts';
export type { Codec } from './codecs.ts';
export { addWinsMap, counter, observedRemoveSet } from './causal-types.ts';
export type { CounterFace, MapFace, SetFace } from './causal-types.ts';
export type { ClientEvent } from './events.ts';
export type { GotOne, PutOne } from './many.ts';
export { lastWriteWins, maximum, minimum, unionOfSets } from './mergeable.ts';
export type { Mergeable } from './mergeable.ts';
export type { TypedClient, TypedValues } from './typed.ts';
export type { Sockets } from './node-connection.ts';
export { socketTransport } from './socket-transport.ts';
export type { Ending, Transport } from './transport.ts';
export { Values } from './values.ts';
export type { ConnectOptions } from './connect.ts';
