/** Time enters through here: the only door (DESIGN: seams). */
export type Clock = {
  /** Milliseconds since the epoch; may jump. For `writtenAt` and history only, never for waiting. */
  wallMs(): number;
  /** Milliseconds that never go back, from an arbitrary start; fractions allowed. */
  monotonicMs(): number;
  /** Calls `task` once, `delayMs` (≥ 0) from now, never within this call. */
  setTimeout(task: () => void, delayMs: number): Timer;
  clearTimeout(timer: Timer): void;
  /** Calls `task` once after all work of this event-loop turn: what gathers mail into one frame. */
  endOfTurn(task: () => void): void;
};

/** A pending timer of one Clock; opaque. */
export type Timer = object | number;
