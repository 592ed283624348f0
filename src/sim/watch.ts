/** Advances a world step by step and stops as soon as a promise is broken. */
import { InvariantBroken, demand } from './invariants.ts';
import type { OnlineJudge } from './judge.ts';
import type { World } from './world.ts';

/** The longest that anything may take to settle in calm, virtual ms. */
const PATIENCE_MS = 90_000;
const STEP_MS = 20;
/** What is waited for is looked at so often, ms: it asks every node for all it has. */
const LOOK_MS = 100;
/** How often the caps are looked at, and what all nodes together hold, in steps. */
const CAPS_EVERY = 10;
const HOLDINGS_EVERY = 50;

export class Watch {
  readonly world: World;
  readonly judge: OnlineJudge;
  #steps = 0;
  #ringChanges = 0;

  constructor(world: World, judge: OnlineJudge) {
    this.world = world;
    this.judge = judge;
  }

  /** Throws InvariantBroken, as all that follow do. */
  advance(ms: number): void {
    const end = this.world.clock.nowMs + ms;
    while (this.world.clock.nowMs < end) {
      this.#step(Math.min(STEP_MS, end - this.world.clock.nowMs));
    }
  }

  advanceWhile(msMax: number, goesOn: () => boolean): void {
    const end = this.world.clock.nowMs + msMax;
    while (this.world.clock.nowMs < end && goesOn()) this.advance(LOOK_MS);
  }

  advanceUntil(what: string, met: () => boolean, whyNot: () => string = () => ''): void {
    this.advanceWhile(PATIENCE_MS, () => !met());
    demand(met(), 'progress', '', () => `waited in vain: ${what} ${whyNot()}`.trim());
  }

  #step(ms: number): void {
    this.world.clock.advance(ms);
    this.#steps += 1;
    if (this.#steps % CAPS_EVERY === 0) this.judge.lookAtCaps();
    // Who has just become an owner, and was not ready, is filled soon: then nobody can tell any more.
    const isMoving = this.judge.ringChanges !== this.#ringChanges;
    this.#ringChanges = this.judge.ringChanges;
    if (isMoving || this.#steps % HOLDINGS_EVERY === 0) this.judge.lookAtHoldings();
    if (this.judge.broken !== undefined) throw this.judge.broken;
  }
}

/** Runs `task`; what it broke, if it did. */
export const brokenIn = (task: () => void): InvariantBroken | undefined => {
  try {
    task();
    return undefined;
  } catch (error) {
    if (error instanceof InvariantBroken) return error;
    throw error;
  }
};
