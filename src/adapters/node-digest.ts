/** The digest port on `node:crypto` and `node:zlib`. */
import { createHmac, hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Digest } from '../ports/digest.ts';

export const nodeDigest: Digest = {
  // The one-shot form: half the cost of createHash for the short keys that are placed here.
  md5: (bytes) => hash('md5', bytes, 'buffer'),
  keyed: (secret, bytes) => createHmac('sha256', secret).update(bytes).digest(),
  crc32: (bytes) => crc32(bytes),
};
