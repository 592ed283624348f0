/**
 * A node that leaves for good, or for long, hands its hints over first: whoever they are for is up
 * and can take them now. Hints for nodes that are away stay on disk, and are delivered in its next
 * life. Bounded by the drain time of the supervisor.
 */
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { RingView } from '../membership/ring-view.ts';

export type HandOverParts = {
  readonly clock: Clock;
  readonly store: RecordStore;
  readonly ring: RingView;
  /** Lets the handoff actor choose the next batch at once. */
  readonly hurry: () => void;
  /** Whether the node still waits for it: its time may have run out. */
  readonly isAwaited: () => boolean;
};

const LOOK_AGAIN_MS = 50;

/** Calls `done` as soon as no hint has a target that could take it. */
export const handHintsOver = (parts: HandOverParts, done: () => void): void => {
  const { clock, store, ring, hurry, isAwaited } = parts;
  if (!isAwaited()) return;
  // A suspect is soon known to be down, or heard again: one late answer is no reason to give up.
  const left = store.hints.gauges().some(({ target }) => ring.healthOf(target) !== 'down');
  if (!left) return done();
  hurry();
  clock.setTimeout(() => handHintsOver(parts, done), LOOK_AGAIN_MS);
};
