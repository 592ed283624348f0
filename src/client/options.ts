/** What callers may ask of an operation, and what a write answers. */
import type { KeyInput, ValueInput } from './inputs.ts';

export type OperationOptions = {
  /** Deadline of the whole operation with all its retries, ms, 1 … 600,000. */
  readonly timeoutMs?: number;
  /** Count real owners only, no stand-ins: R + W > N then reads your own writes. */
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
  /** W3C Trace Context: the span this is part of; the inspector's spans then belong to it. */
  readonly traceparent?: string;
};
export type GetOptions = OperationOptions & {
  /** Show the newest sibling only, by the writers' clocks; by default as the key's prefix says. */
  readonly lastWriteWins?: boolean;
  /** Replicas that must answer; by default the cluster's R. */
  readonly r?: number;
};
export type PutOptions = OperationOptions & {
  /** Replicas that must have it; by default the cluster's W. */
  readonly w?: number;
  /** How many of these on disk; 0 is the paper's mode. */
  readonly dw?: number;
  /** Replace what is older by the writers' clocks, instead of keeping siblings. */
  readonly lastWriteWins?: boolean;
  /** Life of the value from now on, ms; `Infinity`: for ever, whatever the key's prefix says. */
  readonly ttlMs?: number;
  /** Refuse (CONDITION_NOT_MET) if a value is there. Never a lock: two may succeed, as siblings. */
  readonly ifAbsent?: boolean;
  /** Refuse (CONDITION_NOT_MET) if something is there that `context` has not seen. Never a lock. */
  readonly ifContext?: boolean;
};
export type WriteOptions = PutOptions & {
  /** What earlier gets or puts of this key returned. Without it a put overwrites nothing. */
  readonly context?: Uint8Array | readonly Uint8Array[];
};
export type ScanOptions = OperationOptions & {
  /** Only keys that begin with it; the others are looked at all the same. */
  readonly prefix?: KeyInput;
  /** Only this partition. */
  readonly partition?: number;
  /** Keys a page, 1–1,000. */
  readonly pageSize?: number;
};
export type UpdateOptions = PutOptions & GetOptions;
/** Makes one value of two or more siblings; the order it gets them in means nothing. */
export type Merge = (siblings: readonly Uint8Array[]) => ValueInput;
/** Makes the next value. */
export type Change<Seen> = (seen: Seen) => ValueInput | Promise<ValueInput>;

export type Applied = {
  readonly outcome: 'applied';
  /** Nodes that hold the write. */
  readonly acks: readonly string[];
  /** Those of them that had it on disk when they answered. */
  readonly durable: readonly string[];
  /** What this writer has now seen of the key. */
  readonly context: Uint8Array;
};

export type ClientOptions = {
  /** Deadline of an operation that names none, ms. */
  readonly timeoutMs?: number;
  /**
   * How often a failure that a node answered is tried again, within the deadline; 0: never. A node
   * that says when to come back (OVERLOADED) is asked again until the deadline, however often.
   */
  readonly retriesMax?: number;
  /**
   * As `retriesMax`, for a quorum that a node refused because too few nodes can be reached. People
   * who wait for the answer want 0 or 1; programs rather wait for the nodes. By default `retriesMax`.
   */
  readonly quorumRetriesMax?: number;
  /**
   * Reads of this client never go back behind what it has read or written before (monotonic reads,
   * read-your-writes): an answer that knows less is asked for again, and STALE_READ when time runs
   * out. Remembered for 5 minutes and 10,000 keys.
   */
  readonly session?: boolean;
  /** How long `close` waits for operations under way, ms. */
  readonly drainMs?: number;
};
