/** CBOR as both protocols use it: plain maps, plain byte strings, no tags, no record definitions. */
import { Encoder, setSizeLimits } from 'cbor-x';

setSizeLimits({ maxArraySize: 1_000_000, maxMapSize: 100_000, maxObjectSize: 64 * 1024 * 1024 });

const coder = new Encoder({
  useRecords: false,
  variableMapSize: true,
  tagUint8Array: false,
  mapsAsObjects: true,
  copyBuffers: true,
});

/** The bytes are the caller's own. */
export const encodeCbor = (value: unknown): Uint8Array => coder.encode(value);

/** Throws on damaged input; byte strings in the result are copies. Gate strangers' bytes first. */
export const decodeCbor = (bytes: Uint8Array): unknown => coder.decode(bytes);
