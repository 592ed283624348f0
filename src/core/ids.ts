/**
 * The checked names of everything: each kind of id is a branded string with one constructor that
 * proves its shape, so that a put id can never stand where a node id is meant.
 *
 * Binary ids are lower-case hex inside the process (readable in a trace, sortable as bytes) and
 * raw bytes on disk and on the wire.
 */

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A stable member name chosen by the operator: 1–64 of `a-z A-Z 0-9 . _ -`, not starting with a dot. */
export type NodeId = Branded<string, 'NodeId'>;
/**
 * A key of the store: 1–1,024 arbitrary bytes, held as a byte string (one char 0–255 per byte) so
 * that it can index a Map. Convert with {@link keyOfBytes} and {@link bytesOfKey}.
 */
export type Key = Branded<string, 'Key'>;
/** Who mints dots: 64 random bits of a process start + a 48-bit birth number, 28 hex digits (A4). */
export type ActorId = Branded<string, 'ActorId'>;
/** The random 64 bits drawn once at each start of a process, 16 hex digits (A4). */
export type StartId = Branded<string, 'StartId'>;
/** The random 64 bits a client chose for one put and repeats in each retry, 16 hex digits (A7). */
export type PutId = Branded<string, 'PutId'>;
/** One of the Q equal slices of the ring: an integer in [0, Q). */
export type PartitionId = Branded<number, 'PartitionId'>;

export const KEY_BYTES_MAX = 1024;

const nodeIdShape = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;
const hex16 = /^[0-9a-f]{16}$/;

/** Throws RangeError unless `text` has the shape of a node id. */
export const nodeId = (text: string): NodeId => {
  if (!nodeIdShape.test(text)) {
    throw new RangeError(
      `a node id is 1-64 of a-z A-Z 0-9 . _ - and starts with no dot, found ${JSON.stringify(text)}`,
    );
  }
  return text as NodeId;
};

export const isNodeId = (text: unknown): text is NodeId =>
  typeof text === 'string' && nodeIdShape.test(text);

/** Throws RangeError unless `hex` is 16 lower-case hex digits. */
export const putId = (hex: string): PutId => {
  if (!hex16.test(hex)) throw new RangeError(`a put id is 16 hex digits, found ${hex}`);
  return hex as PutId;
};

/** Throws RangeError unless `hex` is 16 lower-case hex digits. */
export const startId = (hex: string): StartId => {
  if (!hex16.test(hex)) throw new RangeError(`a start id is 16 hex digits, found ${hex}`);
  return hex as StartId;
};

export const isPutId = (hex: unknown): hex is PutId => typeof hex === 'string' && hex16.test(hex);

export const isStartId = (hex: unknown): hex is StartId =>
  typeof hex === 'string' && hex16.test(hex);

/** The actor born `birth`-th in the process start `start`; `birth` is an integer in [0, 2^48). */
export const actorId = (start: StartId, birth: number): ActorId => {
  const codes = codesOf(ACTOR_DIGITS);
  let rest = birth;
  for (let at = ACTOR_DIGITS - 1; at >= start.length; at--) {
    codes[at] = codeOfDigit(rest % 16);
    rest = Math.floor(rest / 16);
  }
  for (let at = 0; at < start.length; at++) codes[at] = start.charCodeAt(at);
  return String.fromCharCode.apply(null, codes) as ActorId;
};
const ACTOR_DIGITS = 28;

/** The process start an actor was born in. */
export const startOf = (actor: ActorId): StartId => actor.slice(0, 16) as StartId;

export const partitionId = (index: number): PartitionId => index as PartitionId;

/** The byte string of `bytes`; throws RangeError unless it is 1-1,024 bytes. */
export const keyOfBytes = (bytes: Uint8Array): Key => {
  if (bytes.length === 0 || bytes.length > KEY_BYTES_MAX) {
    throw new RangeError(`a key is 1-${KEY_BYTES_MAX} bytes, found ${bytes.length}`);
  }
  return byteString(bytes) as Key;
};

/** The key whose bytes are the UTF-8 of `text`. */
export const keyOfText = (text: string): Key => keyOfBytes(new TextEncoder().encode(text));

export const bytesOfKey = (key: Key): Uint8Array => bytesOfString(key);

/** A key for logs and pages: UTF-8 where it is; invalid bytes are U+FFFD, what does not print is escaped. */
export const showKey = (key: Key): string => {
  const text = new TextDecoder().decode(bytesOfKey(key));
  const escaped = JSON.stringify(text).slice(1, -1);
  // Also what no one sees, or what turns the rest of a line around.
  return escaped.replace(UNSEEN, (each) => `\\u{${each.codePointAt(0)!.toString(16)}}`);
};

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** One char 0-255 for each byte: such strings compare as the bytes do. For a few thousand at most. */
export const byteString = (bytes: Uint8Array): string => {
  const codes = codesOf(bytes.length);
  for (let i = 0; i < codes.length; i++) codes[i] = bytes[i]!;
  return String.fromCharCode.apply(null, codes);
};

/**
 * Room for the characters of one string, used again for the next: a string put together piece by
 * piece is a tree that every comparison has to walk, and typed arrays are spread slowly.
 */
const codesOf = (length: number): number[] =>
  length < CODES_MAX ? (rooms[length] ??= new Array<number>(length).fill(0)) : new Array(length);
const CODES_MAX = 128;
const rooms: number[][] = [];

/** The bytes of a byte string. */
export const bytesOfString = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
};

/** Lower-case hex of `length` bytes of `bytes` from `offset`. */
export const hexOf = (bytes: Uint8Array, offset = 0, length = bytes.length - offset): string => {
  if (2 * length >= CODES_MAX) {
    const half = length >> 1;
    return hexOf(bytes, offset, half) + hexOf(bytes, offset + half, length - half);
  }
  const codes = codesOf(2 * length);
  for (let i = 0; i < length; i++) {
    const byte = bytes[offset + i]!;
    codes[2 * i] = codeOfDigit(byte >> 4);
    codes[2 * i + 1] = codeOfDigit(byte & 0xf);
  }
  return String.fromCharCode.apply(null, codes);
};

const codeOfDigit = (digit: number): number => (digit < 10 ? 48 : 87) + digit;

/** The bytes of an even number of hex digits; throws RangeError on anything else. */
export const bytesOfHex = (hex: string): Uint8Array => {
  const bytes = new Uint8Array(hex.length >> 1);
  writeHex(bytes, 0, hex);
  return bytes;
};

/** Puts the bytes of `hex` at `offset` of `into`; throws RangeError as `bytesOfHex` does. */
export const writeHex = (into: Uint8Array, offset: number, hex: string): void => {
  if (hex.length % 2 !== 0) throw new RangeError('expected an even number of hex digits');
  for (let i = 0; i < hex.length; i += 2) {
    const byte = (digitOf(hex.charCodeAt(i)) << 4) | digitOf(hex.charCodeAt(i + 1));
    if (byte < 0) throw new RangeError('expected lower-case hex digits');
    into[offset + (i >> 1)] = byte;
  }
};

/** By its character code; -1 for what is none. */
const DIGITS = new Int8Array(128).fill(-1);
for (let digit = 0; digit < 16; digit++) DIGITS[codeOfDigit(digit)] = digit;

const digitOf = (code: number): number => (code < 128 ? DIGITS[code]! : -1);
