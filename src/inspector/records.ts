/**
 * What the inspector keeps of what a node does: one compact record for each thing that happened, and
 * the messages between a page, the node that serves it, and the other nodes. Shared with the page.
 */

/** `facts` values are short and fit into JSON; value bytes never stand in them unless asked for. */
export type Facts = { readonly [name: string]: string | number | boolean | readonly string[] };

export type InspectionRecord = {
  /** Consecutive on one node from its start; a gap means that some were dropped. */
  readonly seq: number;
  /** Milliseconds since the epoch on the node's own clock, fractions kept; it never goes back. */
  readonly atMs: number;
  readonly node: string;
  /**
   * born, ended: an actor's life · event: it received `what` · state: it is in `state` now ·
   * did: it acted on its own node · sent, heard: a message to or from `peer` · log: a line of the log
   */
  readonly type: 'born' | 'ended' | 'event' | 'state' | 'did' | 'sent' | 'heard' | 'log';
  /** `put 17`, `get 18`, `forward 19`, a long-lived actor's name, `replica`, or `log`. */
  readonly actor: string;
  readonly what: string;
  readonly state?: string;
  readonly peer?: string;
  /** The request this belongs to, over all nodes: `node.number`. */
  readonly cause?: string;
  readonly facts?: Facts;
};

/** A request that a coordinator here has finished, and why it is remembered. */
export type RequestSeen = {
  /** Its name, as `coterie story` takes it: `node.number`. */
  readonly cause: string;
  readonly machine: string;
  /** Of the epoch, ms. */
  readonly bornAtMs: number;
  /** From birth to reply, ms; undefined if it was never answered. */
  readonly replyMs?: number;
  readonly outcome: string;
  readonly why: 'sampled' | 'slow' | 'failed' | 'siblings';
};

/** A request worth a look, without its details: those are replayed when somebody asks. */
export type StorySummary = {
  readonly cause: string;
  readonly node: string;
  readonly machine: string;
  readonly request: number;
  readonly key: string;
  readonly bornAtMs: number;
  /** From birth to reply; undefined if it was never answered. */
  readonly replyMs?: number;
  readonly outcome: string;
  readonly why: RequestSeen['why'];
};

export type ActorGauge = {
  readonly actor: string;
  readonly state: string;
  /** Since the node started. */
  readonly events: number;
  /** The most events that waited behind another at once, since the gauges before; counted while watched. */
  readonly mailbox: number;
  readonly restarts: number;
  readonly bornAtMs: number;
};

/** Times in ms. */
export type Percentiles = {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
};

export type Gauges = {
  readonly atMs: number;
  readonly status: NodeStatusView;
  readonly ringVersion: string;
  readonly latencies: { readonly [operation: string]: Percentiles };
  /** The latest event-loop turns started at most this late, ms. */
  readonly loopDelay: { readonly p50: number; readonly max: number };
  readonly actors: readonly ActorGauge[];
  readonly coordinators: { readonly [machine: string]: number };
  readonly hintsByTarget: readonly {
    readonly target: string;
    readonly count: number;
    /** How long the oldest has waited. */
    readonly oldestMs?: number;
  }[];
  readonly siblingsSeen: number;
  readonly hotKeys: readonly { readonly key: string; readonly count: number }[];
  /** One in so many requests is recorded; 0: none. */
  readonly sampleEvery: number;
  readonly faults?: FaultsView;
};

/** The part of a node's status that the page shows; more may be in it. */
export type NodeStatusView = {
  readonly node: string;
  readonly cluster: string;
  readonly n: number;
  readonly partitions: number;
  readonly nodes: readonly {
    readonly id: string;
    readonly state: string;
    readonly health: string;
    readonly zone: string;
    readonly weight: number;
    readonly address: string;
    readonly partitions: number;
    readonly hints: number;
  }[];
  readonly coordinators: number;
  readonly clients: number;
  readonly buffered: number;
  readonly peerMailDropped: number;
  /** Partitions it owns and refills. */
  readonly incomplete: number;
  readonly transfers: {
    readonly arriving: number;
    readonly departing: number;
    readonly moving: number;
    readonly recordsGiven: number;
  };
  readonly repair: readonly {
    readonly peer: string;
    readonly exchanges: number;
    readonly equalSinceMs?: number | undefined;
    readonly pulled: number;
    readonly pushed: number;
    readonly pending: number;
  }[];
  readonly admission: {
    readonly pressure: string;
    readonly slices: number;
    readonly tasks: readonly {
      readonly task: string;
      readonly active: boolean;
      readonly slices: number;
    }[];
  };
  readonly notes: readonly string[];
};

export type RingPicture = {
  readonly version: string;
  readonly n: number;
  /** Members first, then who left and still owns something (zone ''). */
  readonly members: readonly { readonly id: string; readonly zone: string }[];
  /** For each partition the indices of its owners in `members`, in rank order. */
  readonly owners: readonly (readonly number[])[];
  /** Partitions whose owners are not yet those of the plan. */
  readonly moving: readonly {
    readonly partition: number;
    /** Of its register: how often its owners have changed. */
    readonly version: number;
    readonly arriving: readonly number[];
    readonly leaving: readonly number[];
  }[];
};

/** What one replica holds of a key. */
export type KeyPicture = {
  readonly key: string;
  /** 32 hex digits. */
  readonly position: string;
  readonly partition: number;
  readonly preference: readonly {
    readonly node: string;
    readonly role: 'owner' | 'fallback';
    readonly health: string;
  }[];
  readonly held: 'nothing' | 'damaged' | 'record';
  readonly siblings: readonly {
    /** actor:n, the unique id of one write. */
    readonly dot: string;
    readonly kind: 'value' | 'tombstone' | 'expired' | 'withheld';
    readonly bytes: number;
    readonly writtenAt: number;
    /** Only with `--show-values`. */
    readonly text?: string;
  }[];
  readonly vector: readonly { readonly actor: string; readonly n: number }[];
  readonly hintsFor: readonly string[];
};

/** What is broken on purpose, as one node tells it. */
export type FaultsView = {
  /** Nodes it neither hears nor reaches. */
  readonly cutTo: readonly string[];
  /** Each commit is answered so much later. */
  readonly diskDelayMs: number;
  /** How far its wall clock is off. */
  readonly skewMs: number;
  /** The processes of the cluster; empty where nobody here can start or end them. */
  readonly processes: readonly ProcessState[];
};

export type ProcessState = {
  readonly id: string;
  readonly state: 'starting' | 'running' | 'paused' | 'dead';
};

/** What only whoever started the processes can do. */
export type ProcessFault = {
  /**
   * kill: SIGKILL · pause, resume: SIGSTOP, SIGCONT · restart: from the data it has · wipe: killed,
   * its disk emptied, and started · add: a further node, started and joined
   */
  readonly type: 'kill' | 'pause' | 'resume' | 'restart' | 'wipe' | 'add';
  readonly node: string;
};

export type Fault =
  | { readonly type: 'cut' | 'heal'; readonly peer: string }
  | { readonly type: 'slow-disk'; readonly delayMs: number }
  | { readonly type: 'skew'; readonly skewMs: number }
  /** The node hands everything over and stops. */
  | { readonly type: 'leave'; readonly node: string }
  | ProcessFault;

/** What a page, or the node that serves it, asks of a node. */
export type Ask =
  /** Keep the records coming; forgotten after a few seconds without another. */
  | { readonly type: 'lease'; readonly sampleEvery: number; readonly recordsMax: number }
  /** The viewer is gone. */
  | { readonly type: 'leave' }
  | { readonly type: 'ring'; readonly id: number }
  | { readonly type: 'key'; readonly id: number; readonly key: string }
  | { readonly type: 'story'; readonly id: number; readonly cause: string }
  | { readonly type: 'context'; readonly id: number; readonly actor: string }
  | {
      readonly type: 'operate';
      readonly id: number;
      readonly operation: Operation;
    }
  | { readonly type: 'fault'; readonly id: number; readonly fault: Fault };

/** A recorded request made from the page itself (only where faults are allowed). */
export type Operation =
  | { readonly type: 'get'; readonly key: string }
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: string;
      /** Base64 of the context of a get; absent: a blind put. */
      readonly context?: string;
    };

/** What a node tells whoever asked. */
export type Tell =
  | {
      readonly type: 'records';
      readonly records: readonly InspectionRecord[];
      readonly stories: readonly StorySummary[];
      /** Records made but not sent since the last batch. */
      readonly dropped: number;
    }
  | { readonly type: 'gauges'; readonly gauges: Gauges }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'refused'; readonly id: number; readonly reason: string };

/** From the page to the node that serves it. */
export type PageMessage =
  | { readonly type: 'watch'; readonly sampleEvery: number }
  /** So many records were drawn: as many more may come. */
  | { readonly type: 'taken'; readonly records: number }
  | { readonly type: 'ask'; readonly node: string; readonly ask: Ask };

/** From the serving node to the page. */
export type FeedMessage =
  | {
      readonly type: 'welcome';
      readonly node: string;
      readonly mayFault: boolean;
      readonly valuesShown: boolean;
    }
  | { readonly type: 'tell'; readonly node: string; readonly tell: Tell };

/** A file that `coterie simulate --inspect` writes and the page replays. */
export type Recording = {
  readonly format: 'coterie recording 1';
  readonly title: string;
  readonly nodes: readonly string[];
  readonly records: readonly InspectionRecord[];
  readonly stories: readonly StorySummary[];
  /** Where an invariant broke, if one did. */
  readonly broken?: { readonly atMs: number; readonly key: string; readonly message: string };
};
