/**
 * What is remembered of the exchanges with each co-owner while this node lives: counts for people,
 * and the differences seen once, which the next look either confirms or forgets.
 */
import type { Key, NodeId, PartitionId } from '../../core/ids.ts';
import type { Clock } from '../../ports/clock.ts';

/** What is known of the exchanges with one co-owner since this node started. */
export type ExchangeReport = {
  readonly peer: NodeId;
  readonly exchanges: number;
  readonly abandoned: number;
  /** Milliseconds since the last one ended with nothing left to do; undefined: none has. */
  readonly equalSinceMs: number | undefined;
  /** Records taken from and given to this peer because they differed. */
  readonly pulled: number;
  readonly pushed: number;
  readonly pulledBytes: number;
  readonly pushedBytes: number;
  /** Differences seen once: repaired if the next look finds them unchanged. */
  readonly pending: number;
};

/** A first look at a difference: the hashes of both sides, and when they were seen. */
export type Look = {
  readonly partition: PartitionId;
  readonly ours: bigint | undefined;
  readonly theirs: bigint | undefined;
  readonly atMs: number;
};

export type Tally = {
  exchanges: number;
  abandoned: number;
  pulled: number;
  pushed: number;
  pulledBytes: number;
  pushedBytes: number;
  /** When the newest exchange began, on the monotonic clock; before all others: never. */
  begunAtMs: number;
  equalAtMs: number | undefined;
  looks: Map<Key, Look>;
};

export class ExchangeLog {
  readonly #clock: Clock;
  readonly #tallies = new Map<NodeId, Tally>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(peer: NodeId): Tally {
    const tally = this.#tallies.get(peer) ?? {
      exchanges: 0,
      abandoned: 0,
      pulled: 0,
      pushed: 0,
      pulledBytes: 0,
      pushedBytes: 0,
      begunAtMs: -Infinity,
      equalAtMs: undefined,
      looks: new Map(),
    };
    this.#tallies.set(peer, tally);
    return tally;
  }

  reports(): readonly ExchangeReport[] {
    const nowMs = this.#clock.monotonicMs();
    return [...this.#tallies].map(([peer, tally]) => {
      const { exchanges, abandoned, pulled, pushed, pulledBytes, pushedBytes, equalAtMs } = tally;
      const equalSinceMs = equalAtMs === undefined ? undefined : nowMs - equalAtMs;
      const pending = tally.looks.size;
      const moved = { pulled, pushed, pulledBytes, pushedBytes };
      return { peer, exchanges, abandoned, equalSinceMs, ...moved, pending };
    });
  }
}
