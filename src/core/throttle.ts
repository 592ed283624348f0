/**
 * How many requests may wait at a node at once. A process that has more to do than it can shows it by
 * being late: a timer that was due some time ago rings only now. Then fewer may wait, quickly; while it
 * is in time and the room is used, more, step by step. What is beyond is refused at once, so that those
 * who are let in are answered about as soon as ever.
 *
 *   late, 900 of 1,000 waiting ─▶ 630 ─late▶ 441 ─▶ … ─in time, room used▶ 485 ─▶ …
 */
export type ThrottleLimits = {
  /** So many are always let in. */
  readonly waitingMin: number;
  readonly waitingMax: number;
  /** A timer that rings later than this, ms, tells of too much work. */
  readonly lateMs: number;
};

/** What was seen since the last look: the most that waited at once, and how late the look itself was. */
export type Seen = { readonly peak: number; readonly lateMs: number };

const SHRINK = 0.7;
const GROW = 1.1;
/** Room that nobody needs says nothing about how much there could be. */
const USED = 0.8;

export const nextRoom = (room: number, { peak, lateMs }: Seen, limits: ThrottleLimits): number => {
  const within = (wanted: number): number =>
    Math.min(limits.waitingMax, Math.max(limits.waitingMin, Math.round(wanted)));
  if (lateMs > limits.lateMs) return within(Math.min(room, peak) * SHRINK);
  return peak >= room * USED ? within(room * GROW) : within(room);
};
