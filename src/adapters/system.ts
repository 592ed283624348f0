/** Clock, chance and digests of a real machine. */
import { createHmac, hash, randomBytes, randomInt } from 'node:crypto';
import type { Clock } from '../ports/clock.ts';
import type { Digest } from '../ports/digest.ts';
import type { Random } from '../ports/random.ts';

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout: (task, delayMs) => setTimeout(task, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
  endOfTurn: (task) => void setImmediate(task),
};

export const systemRandom: Random = {
  integer: (below) => randomInt(below),
  fraction: () => Math.random(),
  bytes: (length) => new Uint8Array(randomBytes(length)),
};

export const nodeDigest: Digest = {
  md5: (bytes) => hash('md5', bytes, 'buffer'),
  keyed: (secret, bytes) => createHmac('sha256', secret).update(bytes).digest(),
};
