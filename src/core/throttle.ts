/**
 * How many requests may wait at a node at once. A process that has more to do than it can shows it by
 * being late: a timer that was due some time ago rings only now. Then fewer may wait, quickly; while it
 * is in time and the room is used, more, step by step. What is beyond is refused at once, so that those
 * who are let in are answered about as soon as ever.
 *
 *   late, 900 of 1,000 waiting ─▶ 630 ─late▶ 441 ─▶ … ─in time, room used▶ 450 ─▶ …
 *
 * What the process works off in a moment may always wait: a burst of requests that are answered within
 * that time is no overload, and whoever is refused comes back later than that.
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

/** So many at once are no queue yet: only being late again and again leaves room for fewer, for now. */
const BURST = 128;
const SHRINK = 0.7;
/** Of room that is used: what comes next to a late turn is often a short one, and tells little. */
const GROW = 1.02;
/** Of room that nobody needs now, up to a burst. */
const RECOVER = 1.1;
/** Room that nobody needs says nothing about how much there could be. */
const USED = 0.8;

/** Of work, ms: what takes no longer may always wait. */
const WORTH_MS = 50;
/** Of cheap requests no more than this: dear ones may come next. */
const WORTH_MAX = 512;
/** How long what was seen counts, ms: it fades. */
const REMEMBERED_MS = 1000;
/** Of so few answers nothing can be said. */
const ANSWERS_MIN = 20;

/** How much this process gets done, from what it answered lately and how long it was busy meanwhile. */
export class Pace {
  #answered = 0;
  #busyMs = 0;

  /** In the last `elapsedMs`: a look that rings late saw more, and what was before it is older. */
  record(answered: number, busyMs: number, elapsedMs: number): void {
    const remembered = Math.exp(-elapsedMs / REMEMBERED_MS);
    this.#answered = this.#answered * remembered + answered;
    this.#busyMs = this.#busyMs * remembered + busyMs;
  }

  /** How many requests are worked off within a moment, as far as that counts; 0: nobody knows. */
  get worth(): number {
    if (this.#answered < ANSWERS_MIN || this.#busyMs === 0) return 0;
    return Math.min(WORTH_MAX, Math.round((WORTH_MS * this.#answered) / this.#busyMs));
  }
}

export const nextRoom = (room: number, { peak, lateMs }: Seen, limits: ThrottleLimits): number => {
  const within = (wanted: number): number =>
    Math.min(limits.waitingMax, Math.max(limits.waitingMin, Math.round(wanted)));
  if (lateMs > limits.lateMs) return within(Math.min(room, Math.max(peak, BURST)) * SHRINK);
  if (peak >= room * USED) return within(Math.max(room + 1, room * GROW));
  return within(room < BURST ? Math.max(room + 1, room * RECOVER) : room);
};
