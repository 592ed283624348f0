/**
 * A repair that an operator asked for: one comparison with every co-owner, and a second look where
 * the first found differences, for only then is it known what was in flight. Progress is a value;
 * the comparing itself is the anti-entropy actor's.
 *
 *   waiting ──exchange──▶ equal
 *      │                 ▲
 *      └──exchange found differences──▶ looking again ──exchange──▶ equal
 *   silence, three times ──▶ gave up          no link ──▶ unreachable
 */
import type { NodeId, PartitionId } from '../../core/ids.ts';

export type RepairState = 'waiting' | 'looking again' | 'equal' | 'unreachable' | 'gave up';

export type RepairOfPeer = {
  readonly peer: NodeId;
  readonly state: RepairState;
  readonly pulled: number;
  readonly pushed: number;
};

export type RepairProgress = {
  /** Counts the runs of this life of the node. */
  readonly run: number;
  readonly state: 'running' | 'done';
  readonly partition?: number;
  readonly peers: readonly RepairOfPeer[];
};

/** How an exchange of the run went. */
export type ExchangeEnd = {
  readonly how: 'finished' | 'abandoned';
  readonly begunAtMs: number;
  readonly endedAtMs: number;
  /** Differences that wait for a second look. */
  readonly pending: number;
  readonly pulled: number;
  readonly pushed: number;
};

type Peer = { -readonly [K in keyof RepairOfPeer]: RepairOfPeer[K] } & {
  silences: number;
  lookedAtMs: number | undefined;
};

const SILENCES_MAX = 3;

export class RepairRun {
  readonly partition: PartitionId | undefined;
  readonly #number: number;
  readonly #lookAgainMs: number;
  readonly #peers: readonly Peer[];

  /** `states`: what is known of each co-owner before anything is asked. */
  constructor(
    number: number,
    partition: PartitionId | undefined,
    states: ReadonlyMap<NodeId, RepairState>,
    lookAgainMs: number,
  ) {
    this.#number = number;
    this.partition = partition;
    this.#lookAgainMs = lookAgainMs;
    this.#peers = [...states].map(([peer, state]) => ({
      ...{ peer, state, pulled: 0, pushed: 0, silences: 0, lookedAtMs: undefined },
    }));
  }

  get isDone(): boolean {
    return this.#peers.every(({ state }) => state !== 'waiting' && state !== 'looking again');
  }

  /** Whether an exchange with `peer` belongs to this run. */
  concerns(peer: NodeId): boolean {
    return this.#open(peer) !== undefined;
  }

  /** An exchange with `peer` has ended; `again`: it must be asked once more, and soon. */
  ended(peer: NodeId, end: ExchangeEnd): 'again' | 'nothing more' {
    const entry = this.#open(peer);
    if (entry === undefined) return 'nothing more';
    entry.pulled += end.pulled;
    entry.pushed += end.pushed;
    if (end.how === 'abandoned') {
      entry.silences += 1;
      if (entry.silences >= SILENCES_MAX) entry.state = 'gave up';
      return entry.silences >= SILENCES_MAX ? 'nothing more' : 'again';
    }
    const { lookedAtMs } = entry;
    const looked = lookedAtMs !== undefined && end.begunAtMs >= lookedAtMs + this.#lookAgainMs;
    entry.state = end.pending === 0 || looked ? 'equal' : 'looking again';
    entry.lookedAtMs ??= end.endedAtMs;
    return 'nothing more';
  }

  /** Those that can be asked now; whoever waits and is not among them is unreachable. */
  reachable(peers: readonly NodeId[]): void {
    for (const entry of this.#peers) {
      const waits = entry.state === 'waiting' || entry.state === 'looking again';
      if (waits && !peers.includes(entry.peer)) entry.state = 'unreachable';
    }
  }

  progress(): RepairProgress {
    return {
      run: this.#number,
      state: this.isDone ? 'done' : 'running',
      ...(this.partition === undefined ? {} : { partition: this.partition }),
      peers: this.#peers.map(({ peer, state, pulled, pushed }) => ({
        ...{ peer, state, pulled, pushed },
      })),
    };
  }

  #open(peer: NodeId): Peer | undefined {
    const entry = this.#peers.find((each) => each.peer === peer);
    return entry?.state === 'waiting' || entry?.state === 'looking again' ? entry : undefined;
  }
}
