/**
 * Every limit and interval of a node: its name carries the unit, its comment the reason and what
 * turning it costs.
 */
import { RECORD_LIMITS } from '../core/record.ts';
import type { RecordLimits } from '../core/record.ts';
import type { SuspicionLimits } from '../core/suspicion.ts';

export type ReplicaLimits = {
  /** Objects in the memory buffer before a flush (paper § 6.1: 1,000). More: fewer, larger commits. */
  readonly bufferedObjectsMax: number;
  /** Hints kept for others; full means refusing new ones, never forgetting old ones (A10). */
  readonly hintsMax: number;
  /** Below this much free disk writes are refused and reads go on. */
  readonly freeBytesMin: number;
  /** A retry older than this may have been forgotten as seen: it is refused as unknown (A7). */
  readonly retryHorizonMs: number;
  /** A client clock further ahead than this is wrong, and would win every last-write-wins (A7). */
  readonly writtenAtAheadMs: number;
  /** Siblings of one key at minting; merge never refuses (A10). */
  readonly siblingsMax: number;
  /** Value bytes of all siblings of one key at minting (A10). */
  readonly recordBytesMax: number;
  readonly record: RecordLimits;
};

export type Config = {
  readonly replica: ReplicaLimits;
  /** Coordinators alive at once; one more is answered OVERLOADED at birth. */
  readonly coordinatorsMax: number;
  /** One value, bytes; the paper stores objects under 1 MB. */
  readonly valueBytesMax: number;
  /** Requests in flight on one client connection. */
  readonly inFlightMax: number;
  /** A client that reads slower than this many bytes behind is cut off. */
  readonly clientBufferBytesMax: number;
  /** Bytes queued to one peer before its mail is dropped: a full link loses mail. */
  readonly peerBufferBytesMax: number;
  /** R, W and dw of a request that names none; clamped to the number of owners (paper § 6: 3, 2, 2). */
  readonly defaultR: number;
  readonly defaultW: number;
  readonly defaultDw: number;
  /** Deadline of a request that names none, ms. */
  readonly requestTimeoutMs: number;
  /** Silence of a replica before a fallback or one more replica is asked, ms. */
  readonly patienceMs: number;
  /** How long a coordinator waits for late answers after its reply, ms. */
  readonly lingerMs: number;
  /** Longest time an unhurried write stays in memory, ms (paper § 6.1 buffers; less: more commits). */
  readonly flushIntervalMs: number;
  /** How long the first durable write waits for others to share its commit, ms. */
  readonly groupCommitMs: number;
  /** Pause between scans of the hints, ms. */
  readonly hintScanIntervalMs: number;
  readonly hintDeliveryTimeoutMs: number;
  /** Hints in one delivery; larger: fewer round trips, longer pauses. */
  readonly hintBatchMax: number;
  /** Value bytes of one delivery. */
  readonly hintBatchBytesMax: number;
  /** One gossip round with a random peer (paper § 4.8: every second). */
  readonly gossipIntervalMs: number;
  /** How often peers' silence is looked at, ms. */
  readonly detectorTickMs: number;
  readonly suspicion: SuspicionLimits;
  /** First and longest pause before a broken link is dialled again, ms; jittered. */
  readonly redialMinMs: number;
  readonly redialMaxMs: number;
  /** A peer that has not said hello by then is cut, ms. */
  readonly helloTimeoutMs: number;
  /** A crashed actor restarts after this pause, ms; doubled up to 5 s. */
  readonly restartBackoffMs: number;
  /** Crashes of one actor within a minute before the node gives up. */
  readonly restartsMax: number;
  /** How long a stopping node waits for requests in flight, ms. */
  readonly drainTimeoutMs: number;
};

export const DEFAULT_CONFIG: Config = {
  replica: {
    bufferedObjectsMax: 1000,
    hintsMax: 1_000_000,
    freeBytesMin: 64 * 1024 * 1024,
    retryHorizonMs: 600_000,
    writtenAtAheadMs: 3_600_000,
    siblingsMax: 64,
    recordBytesMax: 4 * 1024 * 1024,
    record: RECORD_LIMITS,
  },
  coordinatorsMax: 4096,
  valueBytesMax: 1024 * 1024,
  inFlightMax: 128,
  clientBufferBytesMax: 32 * 1024 * 1024,
  peerBufferBytesMax: 32 * 1024 * 1024,
  defaultR: 2,
  defaultW: 2,
  defaultDw: 1,
  requestTimeoutMs: 5000,
  patienceMs: 200,
  lingerMs: 1000,
  flushIntervalMs: 100,
  groupCommitMs: 1,
  hintScanIntervalMs: 1000,
  hintDeliveryTimeoutMs: 5000,
  hintBatchMax: 256,
  hintBatchBytesMax: 4 * 1024 * 1024,
  gossipIntervalMs: 1000,
  detectorTickMs: 250,
  suspicion: { suspectAfterMs: 750, downAfterMs: 1500 },
  redialMinMs: 50,
  redialMaxMs: 1000,
  helloTimeoutMs: 5000,
  restartBackoffMs: 50,
  restartsMax: 10,
  drainTimeoutMs: 10_000,
};
