/**
 * What one node believes of its peers (paper § 4.8: failure detection is local). A pure table from
 * facts: when a peer was last heard, how long it has left a question unanswered, how fast it is
 * compared with the others, and how late this node's own event loop is — doubt yourself before your
 * peers.
 */
import type { NodeId } from './ids.ts';

/** `suspect`: asked last, and never waited for where others will do. `down`: not asked at all. */
export type Health = 'healthy' | 'suspect' | 'down';

export type PeerSigns = {
  readonly node: NodeId;
  readonly linked: boolean;
  /** Milliseconds since the last frame of this peer. */
  readonly silentMs: number;
  /** Milliseconds since the first question it has answered with nothing at all; 0: there is none. */
  readonly askedMs: number;
  /** The quickest of its last few answers to a ping, ms; undefined: not measured yet. */
  readonly roundTripMs: number | undefined;
  /** Milliseconds since it was last pinged. */
  readonly pingedMs: number;
};

export type SuspicionLimits = {
  /** Silence after a question, after which a peer is no longer chosen first, ms. */
  readonly unansweredMs: number;
  /** Silence after which a peer is no longer chosen first, ms. */
  readonly suspectAfterMs: number;
  /** Silence after which a peer is passed over, ms. */
  readonly downAfterMs: number;
  /** A peer whose pings take this many times as long as the usual peer's is slow, … */
  readonly slowFactor: number;
  /** … and this long at least, ms. */
  readonly slowAtLeastMs: number;
};

/**
 * A peer without a link is down at once: its host refused or cut us. Otherwise silence decides,
 * forgiven by as much as this node itself was late; and of those that answer, slowness.
 */
export const healthOf = (
  signs: PeerSigns,
  ownLagMs: number,
  limits: SuspicionLimits,
  usualRoundTripMs: number | undefined,
): Health => {
  if (!signs.linked) return 'down';
  const silentMs = signs.silentMs - ownLagMs;
  if (silentMs >= limits.downAfterMs) return 'down';
  if (silentMs >= limits.suspectAfterMs) return 'suspect';
  if (signs.askedMs - ownLagMs >= limits.unansweredMs) return 'suspect';
  const { roundTripMs } = signs;
  if (roundTripMs === undefined || usualRoundTripMs === undefined) return 'healthy';
  const slowMs = Math.max(limits.slowAtLeastMs, limits.slowFactor * usualRoundTripMs);
  return roundTripMs > slowMs ? 'suspect' : 'healthy';
};

/** What a ping usually takes: the lower median over the peers that were measured. */
export const usualRoundTripMs = (signs: readonly PeerSigns[]): number | undefined => {
  const measured = signs
    .flatMap(({ roundTripMs }) => (roundTripMs === undefined ? [] : [roundTripMs]))
    .sort((a, b) => a - b);
  return measured[Math.floor((measured.length - 1) / 2)];
};

export type HealthTable = ReadonlyMap<NodeId, Health>;
