/**
 * The client protocol, version 1, as types: what a client asks and what a node answers.
 * PROTOCOL.md explains it, protocol.cddl is normative, request-codec.ts and reply-codec.ts have the
 * bytes, and a test holds them together.
 *
 *   one binary message = one CBOR array  [op, id, …fixed fields, options]
 *   [2, 7, h'63617274', {"r": 2}]  ──▶  { type: 'get', key: 'cart', r: 2, … } as request 7
 *
 * Newer clients are understood: elements after the known ones and unknown options are ignored.
 */
import type { CoterieError } from '../core/errors.ts';
import type { Key, NodeId } from '../core/ids.ts';
import type { FailedReply, PutCommand } from './peer-messages.ts';

export const PROTOCOL_VERSION = 1;
/** The WebSocket subprotocol of this protocol. */
export const SUBPROTOCOL = 'coterie.1.cbor';
export const REQUEST_ID_MAX = 2 ** 32 - 1;
/** Id of messages that answer nothing. */
export const PUSH_ID = 0;
export const TIMEOUT_MS_MAX = 600_000;
/** Gets or puts in one frame. */
export const MANY_MAX = 128;
/** Keys in one page of a scan, and how many a page has that names no limit. */
export const SCAN_LIMIT_MAX = 1000;
/** A client that coordinated its own read passes one context per replica (A3). */
export const CONTEXTS_MAX = 16;

/** Requests below 16, answers and pushes from 16. */
export const OPS = {
  hello: 1,
  get: 2,
  put: 3,
  status: 4,
  ping: 5,
  cancel: 6,
  'get-many': 7,
  'put-many': 8,
  scan: 9,
  ring: 10,
  'replica-get': 11,
  repair: 12,
  admin: 13,
  welcome: 16,
  value: 17,
  applied: 18,
  'status-is': 19,
  pong: 20,
  failed: 21,
  'going-away': 22,
  'ring-changed': 23,
  part: 24,
  done: 25,
  keys: 26,
  'ring-is': 27,
  'replica-is': 28,
  'admin-is': 29,
} as const;

/** First on a connection; the versions are inclusive. */
export type HelloRequest = {
  readonly type: 'hello';
  readonly versionMin: number;
  readonly versionMax: number;
  /** Name and version of the client program, for logs. */
  readonly client: string;
  readonly token?: string;
};
export type GetRequest = {
  readonly type: 'get';
  readonly key: Key;
  readonly r?: number;
  readonly strict: boolean;
  readonly timeoutMs: number;
  /** Absent: as the defaults of the key's prefix say. */
  readonly mode?: PutCommand['mode'];
  /** W3C Trace Context: for whoever inspects; what is none is ignored. */
  readonly traceparent?: string;
};
/** A delete is a put of a tombstone. What is absent the defaults of the key's prefix say. */
export type PutRequest = Omit<PutCommand, 'mode' | 'expiresAt'> & {
  readonly type: 'put';
  readonly mode?: PutCommand['mode'];
  readonly expiresAt?: number | 'never' | undefined;
  readonly traceparent?: string;
};
export type StatusRequest = { readonly type: 'status' };
/**
 * A command of an operator to this very node. What commands there are is no part of the protocol;
 * a client may try one again, so doing it twice is the same as once.
 */
export type AdminRequest = {
  readonly type: 'admin';
  readonly command: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly timeoutMs: number;
};
/** Answered by one part for each, in any order, and then done. */
export type ManyRequest =
  | { readonly type: 'get-many'; readonly requests: readonly GetRequest[] }
  | { readonly type: 'put-many'; readonly requests: readonly PutRequest[] };
/** One page of the keys of a partition. */
export type ScanRequest = {
  readonly type: 'scan';
  readonly partition: number;
  /** Where the page before ended; absent: from the start. Opaque to clients. */
  readonly after?: Uint8Array;
  readonly limit: number;
  readonly timeoutMs: number;
};
export type RingRequest = { readonly type: 'ring' };
/** What this very node holds of a key: for clients that coordinate their own reads. */
export type ReplicaGetRequest = {
  readonly type: 'replica-get';
  readonly key: Key;
  readonly want: 'with-values' | 'header';
};
/** Bring all reachable owners of a key to the same record. */
export type RepairRequest = {
  readonly type: 'repair';
  readonly key: Key;
  readonly timeoutMs: number;
};
/** What the connection passes on; the rest it answers itself. */
export type HandledRequest =
  | GetRequest
  | PutRequest
  | StatusRequest
  | ManyRequest
  | ScanRequest
  | RingRequest
  | ReplicaGetRequest
  | RepairRequest
  | AdminRequest;
/** A cancel bears the id of the request it ends; it has no answer of its own. */
export type ClientRequest =
  HelloRequest | HandledRequest | { readonly type: 'ping' } | { readonly type: 'cancel' };

export type WelcomeReply = {
  readonly type: 'welcome';
  readonly version: number;
  readonly node: NodeId;
  readonly cluster: string;
  /** `keyBytesMax`, `valueBytesMax`, `contextBytesMax`, `inFlightMax`, …: unit in the name. */
  readonly limits: Readonly<Record<string, number>>;
  readonly ringVersion: number;
  /** Where clients find this and other nodes, `ws://host:port`; may be empty. */
  readonly addresses: readonly string[];
};
export type ValueReply = {
  readonly type: 'value';
  readonly state: KeyState;
  /** The siblings; empty unless found. */
  readonly values: readonly Uint8Array[];
  readonly context: Uint8Array;
  /** The node that coordinated the read. */
  readonly node?: NodeId;
};
export type KeyState = 'found' | 'deleted' | 'never-seen';
export type AppliedReply = {
  readonly type: 'applied';
  readonly acks: readonly NodeId[];
  /** Those of the acks that were durable by then. */
  readonly durable: readonly NodeId[];
  readonly context: Uint8Array;
};
export type StatusReply = {
  readonly type: 'status-is';
  readonly status: Readonly<Record<string, unknown>>;
};
export type AdminReply = {
  readonly type: 'admin-is';
  readonly result: Readonly<Record<string, unknown>>;
};
/** The answer to one of many; the request stays in flight until it is done. */
export type PartReply = {
  readonly type: 'part';
  readonly index: number;
  readonly answer: ValueReply | AppliedReply | FailedReply;
};
export type DoneReply = { readonly type: 'done' };
export type KeysReply = {
  readonly type: 'keys';
  readonly keys: readonly Key[];
  /** Pass it as `after` for the next page; absent: the partition ends here. */
  readonly next?: Uint8Array;
};
export type RingReply = {
  readonly type: 'ring-is';
  readonly ringVersion: number;
  readonly partitions: number;
  readonly n: number;
  readonly nodes: readonly RingNode[];
  /** R of a get that names none; absent: not told. */
  readonly r?: number;
  /** Prefixes of keys with defaults of their own, which only nodes know. */
  readonly prefixes: readonly Key[];
  /** Of each partition its owners in rank order, as places in `nodes`. */
  readonly owners: readonly (readonly number[])[];
};
export type RingNode = {
  readonly id: NodeId;
  /** Empty: not known yet. */
  readonly address: string;
  /** As the answering node sees it. */
  readonly health: string;
};
export type ReplicaReplyToClient = {
  readonly type: 'replica-is';
  readonly role: 'owner' | 'fallback';
  /** As `encodeRecord` makes it; absent: this node holds nothing of the key. */
  readonly record?: Uint8Array;
  readonly context: Uint8Array;
};
/** Answers that end a request. */
export type FinalReply =
  | ValueReply
  | AppliedReply
  | StatusReply
  | AdminReply
  | FailedReply
  | DoneReply
  | KeysReply
  | RingReply
  | ReplicaReplyToClient;
export type HandledReply = FinalReply | PartReply;
export type Push =
  { readonly type: 'going-away' } | { readonly type: 'ring-changed'; readonly ringVersion: number };
export type ServerReply = WelcomeReply | HandledReply | { readonly type: 'pong' } | Push;

/** What serves clients, over a connection or in this very process. */
export type ClientHandler = {
  welcome(): Omit<WelcomeReply, 'type' | 'version'>;
  /**
   * Answers once, perhaps within this call; a request for many with a part for each before it is
   * done. A cancelled request may stay unanswered.
   */
  handle(request: HandledRequest, reply: (reply: HandledReply) => void): { cancel(): void };
};

export type RequestLimits = {
  readonly valueBytesMax: number;
  /** Deadline of a request that names none, ms. */
  readonly requestTimeoutMs: number;
};

export type DecodedRequest =
  | { readonly type: 'request'; readonly id: number; readonly request: ClientRequest }
  /** `id` is 0 when the message holds none that can be used. */
  | { readonly type: 'bad'; readonly id: number; readonly error: CoterieError }
  /** An array of arrays: a frame of the protocol between nodes, which no client sends. */
  | { readonly type: 'foreign' };

export type DecodedReply =
  | { readonly type: 'reply'; readonly id: number; readonly reply: ServerReply }
  /** From a newer server: to be passed over. */
  | { readonly type: 'unknown-op'; readonly id: number }
  | { readonly type: 'bad'; readonly reason: string };
