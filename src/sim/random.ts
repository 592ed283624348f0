/** Chance from a seed: one stream for each name, so that drawing more in one place changes no other. */
import { FNV_START, fnv1a } from '../core/fnv.ts';
import type { Random } from '../ports/random.ts';

/** A small fast counter generator (sfc32), seeded by a hash of seed and name. */
export const randomStream = (seed: number, name: string): Random => {
  const hash = fnv1a(name, FNV_START ^ seed);
  let [a, b, c, counter] = [hash | 0, seed | 0, Math.imul(hash, 0x9e3779b1) | 0, 1];
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  return {
    integer: (below) => Math.floor((next() / 0x100000000) * below),
    fraction: () => next() / 0x100000000,
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
  };
};
