/**
 * CBOR as this project speaks it: cbor-x with the settings that interoperate (plain maps, plain
 * byte strings, no records, no tags).
 *
 * Bytes from strangers are read by `readCbor` (gate.ts): the decoder here accepts too much.
 */
import { Decoder, Encoder, setSizeLimits } from 'cbor-x';
import { plainView } from '../core/bytes.ts';

// A count is never believed beyond these, even from a peer whose bytes skip the gate.
setSizeLimits({ maxArraySize: 1_000_000, maxMapSize: 100_000, maxObjectSize: 100_000 });

const OPTIONS = {
  // The defaults write tags that only cbor-x reads.
  useRecords: false,
  tagUint8Array: false,
  mapsAsObjects: true,
  // The shortest map heads: other decoders are spared a 16-bit count of two.
  variableMapSize: true,
  // A decoded byte string must not pin, or change with, the frame it came in.
  copyBuffers: true,
};

const encoder = new Encoder({ ...OPTIONS });
const decoder = new Decoder({ ...OPTIONS });

/**
 * The CBOR of plain data: numbers, bigints, text, bytes, booleans, null, arrays, objects. A number
 * beyond 2^32 becomes a float unless it is given as a bigint. The result is the caller's to keep.
 */
export const encodeCbor = (value: unknown): Uint8Array => encoder.encode(value);

/** Throws on what is not CBOR. Bytes in the result are copies; 64-bit integers are bigints. */
export const decodeCbor = (bytes: Uint8Array): unknown =>
  // A view, for cbor-x leaves a property on its input.
  decoder.decode(plainView(bytes));
