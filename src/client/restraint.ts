/**
 * What keeps clients from making a bad hour worse: a breaker for each node, and a budget for
 * retries.
 */
import type { Clock } from '../ports/clock.ts';
import type { Events } from './events.ts';

/** Failures in a row before a node is left alone. */
const TRIPS_AT = 5;
const OPEN_MS = 500;
const OPEN_MS_MAX = 15_000;

type Breaker = { readonly failures: number; readonly openUntilMs: number };

/** Which nodes are left alone, and until when. `Name`: what tells nodes apart. */
export class Breakers<Name> {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #events: Events | undefined;
  readonly #breakers = new Map<Name, Breaker>();

  constructor(clock: Pick<Clock, 'monotonicMs'>, events: Events | undefined) {
    this.#clock = clock;
    this.#events = events;
  }

  /** When its breaker lets somebody pass, on the monotonic clock. */
  openUntilMs(node: Name): number {
    return this.#breakers.get(node)?.openUntilMs ?? -Infinity;
  }

  /** Once its time is over all may pass, until one of them fails. */
  isOpen(node: Name): boolean {
    return this.#clock.monotonicMs() < this.openUntilMs(node);
  }

  served(node: Name): void {
    // Every answer comes here, and hardly any node has a breaker.
    if (this.#breakers.size > 0) this.#breakers.delete(node);
  }

  /**
   * One more failure of a node, which is at `address`. The pause doubles with each failure beyond the
   * first that tripped. What fails while it lasts was asked before, and says nothing new.
   */
  failed(node: Name, address: string): void {
    if (this.isOpen(node)) return;
    const failures = (this.#breakers.get(node)?.failures ?? 0) + 1;
    const forMs =
      failures < TRIPS_AT ? 0 : Math.min(OPEN_MS_MAX, OPEN_MS * 2 ** (failures - TRIPS_AT));
    const openUntilMs = forMs === 0 ? -Infinity : this.#clock.monotonicMs() + forMs;
    this.#breakers.set(node, { failures, openUntilMs });
    if (forMs > 0) this.#events?.emit({ type: 'breaker-opened', address, forMs });
  }
}

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
