/**
 * What nodes say to each other. Every protocol here survives loss, duplication and reordering: an
 * answer names the request it belongs to, and doing anything twice is the same as once.
 */
import type { GossipMessage } from '../core/gossip.ts';
import type { Key, NodeId, PutId, StartId } from '../core/ids.ts';
import type { ErrorCode, ErrorDetails } from '../core/errors.ts';

/** A request's number, unique in the life of the node that asks. */
export type RequestId = number;

/** The round of agreement in which the data of a message was read (rounds.ts). */
export type Round = number;

/** The first frame each way on a link between nodes. */
export type Hello = {
  readonly type: 'hello';
  readonly protocol: number;
  /** Empty while a newcomer does not know its cluster yet. */
  readonly cluster: string;
  readonly node: NodeId;
  readonly start: StartId;
  /** Fresh for this connection; only in a cluster with a secret. */
  readonly nonce?: Uint8Array;
  /** Of the accepting side (peer-greeting.ts). */
  readonly proof?: Uint8Array;
};

/** The recorded request a message belongs to, `node.number`; absent unless somebody inspects. */
export type Caused = { readonly cause?: string };
/** The dialling side's answer to a hello with a proof. */
export type Proof = { readonly type: 'proof'; readonly proof: Uint8Array };

/** What a replica is asked; the coordinator's own replica gets the very same messages. */
export type ReplicaRequest = Caused &
  (
    | {
        readonly type: 'write';
        readonly request: RequestId;
        readonly key: Key;
        /** `encodeRecord(record, 'with-values')`. */
        readonly record: Uint8Array;
        readonly durable: boolean;
        readonly round: Round;
        /** The owner this replica stands in for (paper § 4.6). */
        readonly hintFor?: NodeId;
        /** Strict: acknowledge only under this version of the partition's register … (RULES C2) */
        readonly register?: number;
        /** … and if these own it after the next step … */
        readonly next?: readonly NodeId[];
        /** … and these own it by that register: of two of one version only one is in force. */
        readonly owners?: readonly NodeId[];
        /**
         * The hash of all that the coordinator held when it made this record of it: a replica that
         * holds the very same only replaces it.
         */
        readonly over?: bigint;
      }
    /** Make durable what you hold of this put, and say so. */
    | {
        readonly type: 'sync';
        readonly request: RequestId;
        readonly key: Key;
        /** Absent only from nodes that do not know this field yet. */
        readonly putId?: PutId;
      }
    | {
        readonly type: 'read';
        readonly request: RequestId;
        readonly key: Key;
        readonly want: 'with-values' | 'header';
      }
  );

export type ReplicaReply =
  | { readonly type: 'written'; readonly request: RequestId; readonly durable: boolean }
  | {
      readonly type: 'answer';
      readonly request: RequestId;
      /** Absent: this replica holds nothing of the key. */
      readonly record?: Uint8Array;
      /** A fallback's "nothing" never counts as an answer. */
      readonly role: 'owner' | 'fallback';
      readonly round: Round;
    }
  | { readonly type: 'refused'; readonly request: RequestId; readonly code: ErrorCode };

export type PutCommand = {
  readonly key: Key;
  readonly value: Uint8Array | 'tombstone';
  /** Contexts of gets of this key, sealed. */
  readonly contexts: readonly Uint8Array[];
  readonly putId: PutId;
  readonly writtenAt: number;
  /** 1 = first try; a retry repeats put id and writtenAt (A7). */
  readonly attempt: number;
  readonly mode: 'causal' | 'last-write-wins';
  /** Write only where nobody has a value, or only over what the contexts have seen (A12). */
  readonly onlyIf?: 'absent' | 'seen' | undefined;
  /** Absolute expiry of the value, ms since the epoch. */
  readonly expiresAt?: number | undefined;
  readonly w?: number | undefined;
  readonly dw?: number | undefined;
  readonly strict: boolean;
  readonly timeoutMs: number;
};

export type PutReply =
  | {
      readonly type: 'applied';
      readonly acks: readonly NodeId[];
      readonly durable: readonly NodeId[];
      readonly context: Uint8Array;
    }
  | FailedReply;

export type FailedReply = {
  readonly type: 'failed';
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
};

/** A put handed to a node of the key's preference list, which coordinates it. */
export type Forwarding =
  | (Caused & { readonly type: 'forward'; readonly request: RequestId; readonly put: PutCommand })
  | { readonly type: 'forwarded'; readonly request: RequestId; readonly reply: PutReply };

/** Hinted handoff: a batch of records for the owner they were meant for. */
export type Handoff =
  | {
      readonly type: 'deliver';
      readonly batch: number;
      readonly round: Round;
      readonly entries: readonly { readonly key: Key; readonly record: Uint8Array }[];
    }
  /** All of the batch is durable here. */
  | { readonly type: 'delivered'; readonly batch: number };

/** Anti-entropy (paper § 4.7): one side asks, the other answers from what it holds. */
export type TreeQuestion =
  | {
      readonly type: 'roots.ask';
      readonly request: RequestId;
      /** Of the asker's roots of all common partitions; absent: it wants them all, as of now. */
      readonly digest?: Uint8Array;
    }
  | { readonly type: 'branches.ask'; readonly request: RequestId; readonly partition: number }
  | {
      readonly type: 'leaves.ask';
      readonly request: RequestId;
      readonly partition: number;
      readonly branch: number;
    }
  | {
      readonly type: 'records.ask';
      readonly request: RequestId;
      readonly partition: number;
      readonly leaves: readonly number[];
    }
  | { readonly type: 'fetch'; readonly request: RequestId; readonly keys: readonly Key[] };

export type TreeAnswer =
  | {
      readonly type: 'roots';
      readonly request: RequestId;
      /** Partition, complete, root of each common partition; absent: all are the same. */
      readonly roots?: Uint8Array;
      /** For who refills itself, of each of them: how this side sees register and history, 8 bytes. */
      readonly views?: Uint8Array;
    }
  | { readonly type: 'hashes'; readonly request: RequestId; readonly hashes: Uint8Array }
  | {
      readonly type: 'records';
      readonly request: RequestId;
      /** How many of the leaves asked for were looked at; there was no room for more. */
      readonly looked: number;
      readonly entries: readonly { readonly key: Key; readonly hash: Uint8Array }[];
      /** Whether these are all that this side ever acknowledged (C7). */
      readonly complete: boolean;
    }
  | {
      readonly type: 'fetched';
      readonly request: RequestId;
      readonly round: Round;
      /** How many of the keys asked for were looked at; the others did not fit. */
      readonly looked: number;
      readonly entries: readonly { readonly key: Key; readonly record: Uint8Array }[];
    };
/** Questions of a page about another node than the one that serves it, and their answers. */
export type Inspection =
  | { readonly type: 'inspect.ask'; readonly viewer: string; readonly ask: unknown }
  | { readonly type: 'inspect.tell'; readonly viewer: string; readonly tell: unknown };

/** Who owns what right now (RULES C1); `registers` as `encodeRegisters` makes it. */
export type RegisterGossip =
  | { readonly type: 'registers.digest'; readonly digest: Uint8Array }
  | {
      readonly type: 'registers.known';
      readonly registers: Uint8Array;
      /** Whether the receiver should say what it knows in turn. */
      readonly answer: boolean;
    };

/** A former holder gives a partition away to an owner (RULES C6). */
export type Surrender =
  | {
      readonly type: 'offer';
      readonly batch: number;
      readonly partition: number;
      /** Of the register the offer is made under. */
      readonly version: number;
      readonly entries: readonly { readonly key: Key; readonly hash: Uint8Array }[];
    }
  /** All but `wanted` (indexes) are held durably, with that very hash, by an owner of that version. */
  | {
      readonly type: 'offer.answered';
      readonly batch: number;
      readonly wanted: readonly number[];
    }
  | { readonly type: 'offer.refused'; readonly batch: number }
  | {
      readonly type: 'surrender';
      readonly batch: number;
      readonly round: Round;
      readonly partition: number;
      readonly version: number;
      readonly entries: readonly { readonly key: Key; readonly record: Uint8Array }[];
    }
  /** All of the batch is durable at this owner. */
  | { readonly type: 'surrendered'; readonly batch: number };

/** One page of a partition's keys, asked of an owner. A place is a position and the key behind it. */
export type Scanning =
  | {
      readonly type: 'list';
      readonly request: RequestId;
      readonly partition: number;
      readonly limit: number;
      /** Absent: from the start of the partition. */
      readonly after?: Uint8Array;
    }
  | {
      readonly type: 'listed';
      readonly request: RequestId;
      readonly names: readonly { readonly place: Uint8Array; readonly live: boolean }[];
      /** Absent: the partition ends here. */
      readonly next?: Uint8Array;
    };

/** What a round is about: records of one partition, under the register of that version. */
export type ReapBatch = {
  readonly partition: number;
  readonly version: number;
  readonly entries: readonly { readonly key: Key; readonly hash: Uint8Array }[];
};

/** First on every new link: which rounds the sender is in, takes, was in and forgot in (rounds.ts). */
export type RoundAt = {
  readonly type: 'round.at';
  readonly round: Round;
  /** The lowest round it takes records of. */
  readonly floor: Round;
  /** Nothing it holds is older than this round. */
  readonly entered: Round;
  /** The last round in which it knows something to have been forgotten. */
  readonly forgotten: Round;
};

/** Owners agree on what may be forgotten (RULES A9). `history` names the membership it is about. */
export type Reaping =
  | RoundAt
  | { readonly type: 'round.open'; readonly round: Round }
  | {
      readonly type: 'round.entered';
      /** The round the sender is in now: that one, or it was further already. */
      readonly round: Round;
      readonly history: Uint8Array;
    }
  | ({
      readonly type: 'fence';
      readonly round: Round;
      readonly batch: number;
      readonly history: Uint8Array;
    } & ReapBatch)
  | {
      readonly type: 'fence.up';
      readonly batch: number;
      /** Entries (indexes) the sender can testify to. */
      readonly agreed: readonly number[];
      /** Why it agrees to nothing, if so. */
      readonly reason?: string;
    }
  /** Everybody testified to these entries of the batch: owners forget them if they are unchanged. */
  | { readonly type: 'forget'; readonly batch: number; readonly agreed: readonly number[] };

/** Wall clocks are in them only where somebody wants to know how far they are apart. */
export type Heartbeat =
  | { readonly type: 'ping'; readonly sentAtMs?: number }
  | { readonly type: 'pong'; readonly sentAtMs?: number; readonly wallMs?: number };

/** How far a node's disk has come, and what a peer remembers of that (RULES C7). */
export type Testimony =
  | (DiskAge & {
      readonly type: 'progress';
      /** Another life, which the receiver remembered and this one has heard of. */
      readonly after?: StartId;
    })
  | (DiskAge & { readonly type: 'remembered' });

export type DiskAge = {
  /** The life of the node whose disk it is. */
  readonly start: StartId;
  /** Commits of records, durable, in all lives of its data directory. */
  readonly commits: number;
};

export type PeerMessage =
  | Hello
  | Proof
  | ReplicaRequest
  | ReplicaReply
  | Forwarding
  | GossipMessage
  | Handoff
  | TreeQuestion
  | TreeAnswer
  | Inspection
  | RegisterGossip
  | Surrender
  | Testimony
  | Scanning
  | Reaping
  | Heartbeat;
