/** A token bucket: so many requests a second, with one second's worth saved up at most. */
export class Rate {
  #perSecond: number;
  #saved: number;
  #atMs: number;

  /** `nowMs` of a clock that never goes back. */
  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#saved = perSecond;
    this.#atMs = nowMs;
  }

  /** 0: go ahead. Otherwise nothing was taken, and so many ms later there will be one. */
  take(perSecond: number, nowMs: number): number {
    this.#perSecond = perSecond;
    const gained = ((nowMs - this.#atMs) * perSecond) / 1000;
    this.#saved = Math.min(perSecond, this.#saved + gained);
    this.#atMs = nowMs;
    if (this.#saved >= 1) {
      this.#saved -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.#saved) * 1000) / this.#perSecond);
  }
}
