/**
 * How many times as long as usual clients wait in the last seconds. What is usual is learned while
 * background work is at its floor, or none is done: what clients wait for then is not its doing, be
 * it little or much.
 */
import { LatencyWindow } from '../core/latency-window.ts';

/** Twelve slots of so many ms: the last two and a half seconds. */
const SLOT_MS = 200;
/** Of so few requests a percentile tells nothing. */
const COUNT_MIN = 50;
/** Compared where a few odd requests do not decide, and yet among the slow ones. */
const SHARE = 0.95;
/** Looks in quiet after which the window has forgotten what was before. */
const QUIET_LOOKS = 3;
/** How much of a look goes into what is usual. */
const LEARNED = 1 / 8;
/** Below this nobody feels a difference, ms. */
const FELT_MS = 2;

type Kind = 'read' | 'write';

export class Strain {
  readonly #windows = { read: new LatencyWindow(SLOT_MS), write: new LatencyWindow(SLOT_MS) };
  readonly #usualMs = new Map<Kind, number>();
  #quietLooks = 0;

  record(kind: Kind, latencyMs: number, nowMs: number): void {
    this.#windows[kind].record(latencyMs, nowMs);
  }

  /** The strain on reads or on writes, whichever is more; undefined if neither is known. */
  look(nowMs: number, isQuiet: boolean): number | undefined {
    this.#quietLooks = isQuiet ? this.#quietLooks + 1 : 0;
    const found = (['read', 'write'] as const).flatMap((kind) => {
      const window = this.#windows[kind];
      if (window.count(nowMs) < COUNT_MIN) return [];
      const tookMs = Math.max(FELT_MS, window.percentile(SHARE, nowMs) ?? 0);
      const usualMs = this.#usualMs.get(kind);
      if (this.#quietLooks >= QUIET_LOOKS) {
        this.#usualMs.set(kind, (usualMs ?? tookMs) * (1 - LEARNED) + tookMs * LEARNED);
      }
      return usualMs === undefined ? [] : [tookMs / usualMs];
    });
    return found.length === 0 ? undefined : Math.max(...found);
  }
}
