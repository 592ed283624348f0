/** Chance enters through here: the only door. */
export type Random = {
  /** A uniform integer in [0, below); `below` is 1 … 2^32. */
  integer(below: number): number;
  /** A uniform number in [0, 1). */
  fraction(): number;
  /** `length` uniform bytes, unpredictable in production. */
  bytes(length: number): Uint8Array;
};
