/**
 * What keeps clients from making a bad hour worse: a breaker for each node, and a budget for
 * retries. Both are arithmetic on times that are handed in.
 */

export type BreakerState = { readonly failures: number; readonly openUntilMs: number };

export const CLOSED: BreakerState = { failures: 0, openUntilMs: -Infinity };

/** Failures in a row before a node is left alone. */
const TRIPS_AT = 5;
const OPEN_MS = 500;
const OPEN_MS_MAX = 15_000;

/** One more failure of a node. The pause doubles with each failure beyond the first that tripped. */
export const failed = (breaker: BreakerState, nowMs: number): BreakerState => {
  const failures = breaker.failures + 1;
  const openMs =
    failures < TRIPS_AT ? -Infinity : Math.min(OPEN_MS_MAX, OPEN_MS * 2 ** (failures - TRIPS_AT));
  return { failures, openUntilMs: nowMs + openMs };
};

/** An open breaker lets one try pass when its time is over: `half-open` until that one ends. */
export const isOpen = (breaker: BreakerState, nowMs: number): boolean =>
  nowMs < breaker.openUntilMs;

/** Retries a client may make at once after a quiet time; many clients may have had a quiet one. */
const RESERVE = 50;
/** What each operation earns towards retries: under steady trouble load grows by a fifth at most. */
const EARNED = 0.2;
/** What time alone earns, each second: a client that does little may still try again. */
const EARNED_PER_S = 10;

/** How many retries a client may add to its own load. One for all its operations. */
export class RetryBudget {
  #tokens = RESERVE;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** An operation begins. */
  earn(): void {
    this.#tokens = Math.min(RESERVE, this.#tokens + EARNED);
  }

  /** Whether one retry may be made now. */
  spend(nowMs: number): 'granted' | 'denied' {
    const earned = ((nowMs - this.#atMs) / 1000) * EARNED_PER_S;
    this.#tokens = Math.min(RESERVE, this.#tokens + earned);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return 'denied';
    this.#tokens -= 1;
    return 'granted';
  }

  /** A retry was served: what it asked for is done, so that it was no load in vain. */
  giveBack(): void {
    this.#tokens = Math.min(RESERVE, this.#tokens + 1);
  }
}
