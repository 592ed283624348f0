/**
 * Every limit and interval of a node, in one table: default, bounds, reason, and what turning it
 * costs. The name carries the unit. Each one is a flag, an environment variable and a key of the
 * JSON file (settings.ts), and a row of CONFIGURATION.md, which a test holds true.
 */
import { RECORD_LIMITS } from '../core/record.ts';
import { bytes, count, live, ms, valuesOf } from './operators/limits.ts';
import type { Limits, ValuesOf } from './operators/limits.ts';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;
const HOUR_MS = 3_600_000;

export const LIMITS = {
  replica: {
    bufferedObjectsMax: count(
      1000,
      [1, 1_000_000],
      'Objects in the memory buffer before a flush (paper § 6.1: 1,000). More: fewer, larger commits.',
    ),
    hintsMax: count(
      1_000_000,
      [0, 1e9],
      'Hints kept for others. Full means refusing new ones, never forgetting old ones.',
    ),
    freeBytesMin: bytes(
      64 * MiB,
      [0, 1024 * GiB],
      'Below this much free disk writes are refused and reads go on.',
    ),
    rowCacheBytes: bytes(
      64 * MiB,
      [0, 2 * GiB],
      'Memory for rows that were read or written lately: to read them takes no search on disk; 0: none. An eighth more goes to its index.',
    ),
    retryHorizonMs: ms(
      600_000,
      [1000, 24 * HOUR_MS],
      'A retry older than this may have been forgotten as seen: it is refused as unknown.',
    ),
    writtenAtAheadMs: ms(
      HOUR_MS,
      [0, 24 * HOUR_MS],
      'A client clock further ahead is wrong, and would win every last-write-wins.',
    ),
    siblingsMax: count(64, [1, 1024], 'Siblings of one key at minting; a merge never refuses.'),
    recordBytesMax: bytes(
      4 * MiB,
      [1024, 16 * MiB],
      'Value bytes of all siblings of one key at minting.',
    ),
    record: {
      vectorEntriesMax: count(
        RECORD_LIMITS.vectorEntriesMax,
        [8, 1024],
        'Writers a version vector remembers; the same on all nodes. Fewer: false siblings of old replicas.',
      ),
      seenPutsMax: count(
        RECORD_LIMITS.seenPutsMax,
        [4, 1024],
        'Put ids a record remembers; the same on all nodes. Fewer: a late retry may make a sibling.',
      ),
    },
  },
  links: {
    clientFrameBytesMax: bytes(
      2 * MiB,
      [4096, 64 * MiB],
      'Largest frame from a client: a value, its key and its contexts.',
    ),
    peerFrameBytesMax: bytes(
      32 * MiB,
      [2 * MiB, 256 * MiB],
      'Largest frame from another node: a batch of records.',
    ),
    fragmentsMax: count(
      1024,
      [1, 1_000_000],
      'Pieces of one message; each costs an object, however small.',
    ),
    pingsPerSecondMax: count(
      50,
      [1, 100_000],
      'Pings answered within one second; whoever sends more is cut with 4429.',
    ),
    connectionsMax: count(
      10_000,
      [1, 1_000_000],
      'Open sockets, upgraded or not; further ones are dropped at once.',
    ),
    handshakeTimeoutMs: ms(
      5000,
      [100, 60_000],
      'Time for a whole HTTP request, and for the answer to our own.',
    ),
    heartbeatMs: ms(
      15_000,
      [100, 600_000],
      'Pause between pings. A connection silent for two of them is half open, and cut.',
    ),
    closeTimeoutMs: ms(
      5000,
      [100, 60_000],
      'How long a goodbye may take, sending what was queued included.',
    ),
  },
  coordinatorsMax: count(
    4096,
    [1, 1_000_000],
    'Coordinators alive at once; one more is answered OVERLOADED at birth.',
  ),
  throttle: {
    waitingMin: live.count(
      32,
      [1, 1_000_000],
      'Requests that may wait at this node at once, however late it is, or as many as it works off in 50 ms if those are more, up to 512; one more is OVERLOADED. Less: those let in wait shorter, down to those 50 ms, and bursts are refused.',
    ),
    lateMs: live.ms(
      25,
      [1, 10_000],
      'A timer that rings so much too late tells of more work than this process can do: fewer may wait.',
    ),
  },
  valueBytesMax: live.bytes(
    MiB,
    [1, 16 * MiB],
    'One value; the paper stores objects under 1 MB. Also on the nodes it is forwarded to.',
  ),
  inFlightMax: live.count(128, [1, 65_536], 'Requests in flight on one client connection.'),
  requestsPerSecondMax: live.count(
    100_000,
    [1, 1_000_000],
    'Requests of one client connection within a second; one more is OVERLOADED. Tokens may have their own.',
  ),
  clientBufferBytesMax: live.bytes(
    32 * MiB,
    [MiB, 4 * GiB],
    'A client that reads slower than this many bytes behind is cut off; at half, it is OVERLOADED.',
  ),
  peerBufferBytesMax: live.bytes(
    32 * MiB,
    [MiB, 4 * GiB],
    'Bytes queued to one peer before its mail is dropped: a full link loses mail.',
  ),
  defaultR: live.count(
    2,
    [1, 16],
    'R of a get that names none; clamped to the number of owners (paper § 6: 3, 2, 2).',
  ),
  defaultW: count(
    2,
    [1, 16],
    'W of a put that names none; clamped to the number of owners. Refills rely on it: equal on all nodes.',
  ),
  defaultDw: live.count(
    1,
    [0, 16],
    'Durable copies of a put that names none. 0 is the paper: faster, may lose a write in a power cut.',
  ),
  requestTimeoutMs: live.ms(5000, [10, 600_000], 'Deadline of a request that names none.'),
  slowRequestMs: live.ms(
    1000,
    [1, 600_000],
    'A request that took this long is logged, at most ten of them a second.',
  ),
  patienceMs: live.ms(
    200,
    [1, 60_000],
    'Silence of a replica before a fallback or one more replica is asked. Less: more copies to hand back.',
  ),
  lingerMs: live.ms(
    1000,
    [0, 60_000],
    'How long a coordinator waits for late answers after its reply, for read repair and hints.',
  ),
  flushIntervalMs: ms(
    100,
    [1, 60_000],
    'Longest time an unhurried write stays in memory (paper § 6.1); at least half of it, drawn anew each time, or replicas would flush in step. Less: more commits.',
  ),
  groupCommitMs: ms(
    1,
    [0, 1000],
    'How long the first durable write waits for others to share its commit. Those that come while a commit is under way wait as long as it took, but no longer than five times this.',
  ),
  hintScanIntervalMs: ms(1000, [10, HOUR_MS], 'Pause between scans of the hints.'),
  hintDeliveryTimeoutMs: ms(
    5000,
    [10, 600_000],
    'Silence after a batch of hints before it counts as not delivered.',
  ),
  hintBatchMax: live.count(
    256,
    [1, 65_536],
    'Hints in one delivery; more: fewer round trips, longer pauses of the receiver.',
  ),
  hintBatchBytesMax: live.bytes(
    4 * MiB,
    [1024, 128 * MiB],
    'Value bytes of one delivery, of hints or of what is given away.',
  ),
  readRepairsPerSecondMax: live.count(
    1000,
    [1, 1_000_000],
    'Records a second that reads bring up to date at owners they found behind; anti-entropy does the rest.',
  ),
  exchangeIntervalMs: live.ms(
    10_000,
    [100, 24 * HOUR_MS],
    'Pause between two anti-entropy exchanges of a node; equal replicas cost one small message.',
  ),
  exchangeAnswerTimeoutMs: ms(
    2000,
    [100, 600_000],
    'Silence of a peer after which an exchange is given up, to be begun again later.',
  ),
  exchangeRepairTimeoutMs: ms(
    10_000,
    [100, 600_000],
    'The same while a batch of records is made durable on both sides.',
  ),
  lookAgainMs: ms(
    1000,
    [10, 600_000],
    'A difference must outlast this to be repaired: before, it may be a write in flight.',
  ),
  looksMax: count(
    10_000,
    [1, 1_000_000],
    'Differences remembered for a second look, per peer; the others are found again later.',
  ),
  reap: {
    scanIntervalMs: ms(
      HOUR_MS,
      [1000, 7 * 24 * HOUR_MS],
      "Pause between two walks over this node's records in search of what can be forgotten.",
    ),
    intervalMs: ms(
      60_000,
      [1000, 24 * HOUR_MS],
      'Pause between two rounds of agreement on what is forgotten, if there is anything.',
    ),
    fenceDelayMs: ms(
      30_000,
      [100, HOUR_MS],
      'From the opening of a round to its fence: a request that lasts longer may fail then.',
    ),
    batchMax: count(250, [1, 100_000], 'Records that one fence is about.'),
    candidatesMax: count(
      20_000,
      [1, 10_000_000],
      'Keys found at once, about 100 bytes each; when they are forgotten the walk goes on.',
    ),
    pruneAtLeast: count(
      16,
      [1, 10_000],
      'Version entries and put ids that nobody needs, before a living record is worth a round.',
    ),
  },
  removedReturnMs: ms(
    7 * 24 * HOUR_MS,
    [1000, 365 * 24 * HOUR_MS],
    'How long a removed node may come back and hand over what it holds, counted by members while they run; nothing is reaped before.',
  ),
  repairPaceMs: live.ms(
    0,
    [0, 60_000],
    'Least rest after each batch of repaired (128) or moved (64) keys. More: slower and gentler than admission grants.',
  ),
  scrubIntervalMs: live.ms(
    24 * HOUR_MS,
    [1000, 720 * HOUR_MS],
    'Pause between two rounds over all rows of the node, in which damage is found and mended.',
  ),
  scrubPaceMs: live.ms(
    1000,
    [0, 60_000],
    'Least rest after each 256 rows of such a round. Less: done sooner, reads more of the disk.',
  ),
  admission: {
    thresholdMs: live.ms(
      50,
      [1, 60_000],
      'What the p99 of reads and writes should stay below (paper § 6.5). Less: background work yields sooner.',
    ),
    slicesMin: live.count(
      4,
      [1, 100],
      'Hundredths of the time that background work keeps under any pressure. More: heals faster, disturbs more.',
    ),
    slicesStep: live.count(
      5,
      [1, 100],
      'Slices added each second while requests are quick and work fills them, or taken back if not. More: at speed sooner, clients feel it sooner.',
    ),
    restMaxMs: live.ms(
      1000,
      [10, 60_000],
      'Longest rest of a background task between two steps: however slow, it goes on.',
    ),
  },
  admissionTickMs: ms(
    1000,
    [10, 60_000],
    'How often slices are weighed anew against what clients had to wait.',
  ),
  gossipIntervalMs: ms(
    1000,
    [10, 600_000],
    'One gossip round with a random peer (paper § 4.8: every second).',
  ),
  detectorTickMs: ms(250, [10, 60_000], "How often peers' silence is looked at."),
  suspicion: {
    unansweredMs: ms(
      200,
      [10, 600_000],
      'Silence after a question before a peer is asked last. Less: a dead peer costs fewer slow requests.',
    ),
    suspectAfterMs: ms(
      750,
      [10, 600_000],
      'Silence of a peer before it is asked last. Less: false alarms when a process pauses.',
    ),
    downAfterMs: ms(
      1500,
      [20, 600_000],
      'Silence of a peer before fallbacks take its writes. Less: more hints; more: slower failover.',
    ),
    slowFactor: count(
      5,
      [2, 1000],
      'A peer whose pings take this many times what is usual is asked last.',
    ),
    slowAtLeastMs: ms(20, [1, 60_000], 'A peer that answers pings within this is never slow.'),
  },
  redialMinMs: ms(50, [1, 60_000], 'First pause before a broken link is dialled again; jittered.'),
  redialMaxMs: ms(1000, [1, 600_000], 'Longest such pause.'),
  helloTimeoutMs: ms(5000, [100, 60_000], 'Whoever has not said hello by then is cut.'),
  restartBackoffMs: ms(50, [1, 5000], 'A crashed actor restarts after this; doubled up to 5 s.'),
  restartsMax: count(
    10,
    [0, 1000],
    'Crashes of one actor within a minute before the node gives up.',
  ),
  drainTimeoutMs: ms(
    10_000,
    [0, HOUR_MS],
    'How long a stopping node waits for requests in flight.',
  ),
} as const satisfies Limits;

/** The numbers a node runs with, named as in the table. */
export type Config = ValuesOf<typeof LIMITS>;
export type ReplicaLimits = Config['replica'];

export const DEFAULT_CONFIG: Config = valuesOf(LIMITS);
