/** Digests come in as plain functions: `node:crypto` in Node, a small library in the browser. */
export type Digest = {
  /** MD5 of `bytes`: 16 bytes. Places keys on the ring; not a defence. */
  md5(bytes: Uint8Array): Uint8Array;
  /** HMAC-SHA-256 of `bytes` up to `end` under `secret`: 32 bytes. */
  keyed(secret: Uint8Array, bytes: Uint8Array, end?: number): Uint8Array;
  /** CRC-32 of `bytes`: finds what a disk has flipped. */
  crc32(bytes: Uint8Array): number;
};
