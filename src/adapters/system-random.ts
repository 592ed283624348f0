/** The random port on a real machine: unpredictable where somebody could gain by predicting. */
import { randomBytes } from 'node:crypto';
import type { Random } from '../ports/random.ts';

const INTEGER_BELOW_MAX = 2 ** 32;

export const systemRandom: Random = {
  integer: (below) => {
    if (!Number.isInteger(below) || below < 1 || below > INTEGER_BELOW_MAX) {
      throw new RangeError(`an integer is drawn below 1 … 2^32, found ${below}`);
    }
    // Jitter and picks, never a secret: those are drawn with `bytes`.
    return Math.floor(Math.random() * below);
  },
  fraction: () => Math.random(),
  bytes: (length) => new Uint8Array(randomBytes(length)),
};
