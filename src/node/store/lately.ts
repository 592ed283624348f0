/**
 * Which keys have come lately, as far as a fixed number of slots remembers: one is forgotten when
 * another of its slot comes. A guess, for what is right either way.
 */
import { hashIn } from './held-rows.ts';

export class Lately {
  readonly #hashes: Uint32Array;

  /** `slots`: a power of two. */
  constructor(slots: number) {
    this.#hashes = new Uint32Array(slots);
  }

  /** Whether `key` has come since another one of its slot; from now on it has. */
  seen(key: Uint8Array): boolean {
    const hash = hashIn(key, 0, key.length);
    const slot = hash & (this.#hashes.length - 1);
    const isKnown = this.#hashes[slot] === hash;
    this.#hashes[slot] = hash;
    return isKnown;
  }
}
