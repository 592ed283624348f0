/** Chance for benchmarks: seeded, so that a run can be repeated; and YCSB's ways to choose a key. */

/** Numbers in [0, 1). */
export type Chance = () => number;

/** mulberry32: 32 bits of state, plenty for choosing keys. */
export const seeded = (seed: number): Chance => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

export type KeyChoice = 'uniform' | 'zipfian' | 'latest';

/** Chooses among a number of keys that may grow. */
export type Chooser = (keys: number) => number;

/** YCSB's constant: 0 is uniform, 1 cannot be computed this way. */
const THETA = 0.99;

export const chooserOf = (choice: KeyChoice, chance: Chance): Chooser => {
  if (choice === 'uniform') return (keys) => Math.floor(chance() * keys);
  const rank = zipfianRank(chance);
  // The popular keys lie anywhere among the others, not side by side.
  if (choice === 'zipfian') return (keys) => scrambled(rank(keys)) % keys;
  return (keys) => keys - 1 - rank(keys);
};

/** Rank 0 is the most popular (Gray et al., "Quickly generating billion-record databases", § 3.2). */
const zipfianRank = (chance: Chance): Chooser => {
  let counted = 0;
  let zeta = 0;
  const zeta2 = 1 + 0.5 ** THETA;
  const alpha = 1 / (1 - THETA);
  return (keys) => {
    for (; counted < keys; counted++) zeta += 1 / (counted + 1) ** THETA;
    const eta = (1 - (2 / keys) ** (1 - THETA)) / (1 - zeta2 / zeta);
    const u = chance();
    if (u * zeta < 1) return 0;
    if (u * zeta < zeta2) return Math.min(1, keys - 1);
    return Math.min(keys - 1, Math.floor(keys * (eta * u - eta + 1) ** alpha));
  };
};

/** FNV-1a over the four bytes of a number. */
const scrambled = (value: number): number => {
  let hash = 0x811c9dc5;
  for (let shift = 0; shift < 32; shift += 8) {
    hash = Math.imul(hash ^ ((value >>> shift) & 0xff), 0x01000193);
  }
  return hash >>> 0;
};

/** The pause before the next arrival of a Poisson process, in units of the mean pause. */
export const exponential = (chance: Chance): number => -Math.log(1 - chance());
