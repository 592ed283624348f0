/** The clock port on a real machine: the only place of a node that reads the time. */
import type { Clock } from '../ports/clock.ts';

/** Node fires a longer delay at once; waiting 24.8 days is the smaller mistake. */
const DELAY_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout: (task, delayMs) => setTimeout(task, Math.min(delayMs, DELAY_MS_MAX)),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
  endOfTurn: (task) => void setImmediate(task),
};

/** How long the event loop of this process has been at work: all but waiting for something to happen. */
export const loopBusyMs = (): number => performance.eventLoopUtilization().active;
