/**
 * What one node believes of its peers (paper § 4.8: failure detection is local). A pure table from
 * facts: when a peer was last heard, how many requests it left unanswered since, and how late this
 * node's own event loop is — doubt yourself before your peers.
 */
import type { NodeId } from './ids.ts';

export type Health = 'healthy' | 'suspect' | 'down';

export type PeerSigns = {
  readonly node: NodeId;
  readonly linked: boolean;
  /** Milliseconds since the last frame of this peer. */
  readonly silentMs: number;
};

export type SuspicionLimits = {
  /** Silence after which a peer is no longer chosen first, ms. */
  readonly suspectAfterMs: number;
  /** Silence after which a peer is passed over, ms. */
  readonly downAfterMs: number;
};

/**
 * A peer without a link is down at once: its host refused or cut us. Otherwise silence decides,
 * forgiven by as much as this node itself was late.
 */
export const healthOf = (
  signs: PeerSigns,
  ownLagMs: number,
  { suspectAfterMs, downAfterMs }: SuspicionLimits,
): Health => {
  if (!signs.linked) return 'down';
  const silentMs = signs.silentMs - ownLagMs;
  if (silentMs >= downAfterMs) return 'down';
  return silentMs >= suspectAfterMs ? 'suspect' : 'healthy';
};

export type HealthTable = ReadonlyMap<NodeId, Health>;
