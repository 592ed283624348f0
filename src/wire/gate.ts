/**
 * The CBOR of strangers, read in one pass that lets only plain data of bounded shape in. cbor-x
 * forgives too much (tags that build RegExps, duplicate keys, invalid UTF-8) and is slow on some of it.
 *
 *   82 03 18 2a     ok: [3, 42]
 *   82 03           offset 0: 2 items where 1 bytes are left
 *   9f 03 ff        offset 0: an indefinite length
 *
 * Time is linear in the size, whatever the bytes. Byte strings of what is read are copies.
 */
import { kept, plainView } from '../core/bytes.ts';

export type GateLimits = {
  /** Containers within containers, the outermost counting as 1: bounds the stack. */
  readonly depthMax: number;
  /** Items in all containers together; a map entry counts as two. */
  readonly itemsMax: number;
  /** Entries of one map. */
  readonly mapEntriesMax: number;
  /** Bytes of one map key: keys are remembered while their map is read. */
  readonly mapKeyBytesMax: number;
};

/** Far above what the protocol needs (depth 3; a reply of 64 siblings), far below what hurts. */
export const GATE_LIMITS: GateLimits = {
  depthMax: 8,
  itemsMax: 65_536,
  mapEntriesMax: 4096,
  mapKeyBytesMax: 1024,
};

/** Makes a byte string of its own of the bytes from one place to another. */
type CopyOf = (bytes: Uint8Array, from: number, to: number) => Uint8Array;

/** `offset` is the byte where the first offending item begins, or where the input ended. */
export type GateResult =
  | { readonly type: 'ok'; readonly item: unknown }
  | { readonly type: 'malformed'; readonly offset: number; readonly reason: string };

/**
 * Reads exactly one definite-length, tag-free CBOR item (RFC 8949) that fills `bytes`. Byte strings in
 * it are what `copy` makes of them.
 */
export const readCbor = (
  bytes: Uint8Array,
  limits: GateLimits = GATE_LIMITS,
  copy: CopyOf = kept,
): GateResult => {
  const walk = new Walk(plainView(bytes), limits, copy);
  const reason = walk.item(1) ?? walk.end();
  if (reason !== undefined) return { type: 'malformed', offset: walk.at, reason };
  return { type: 'ok', item: walk.read };
};

const UINT = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const TAG = 6;

/** The only simple values that mean the same everywhere. */
const SIMPLE_VALUES = new Map<number, unknown>([
  [20, false],
  [21, true],
  [22, null],
  [23, undefined],
]);
const HALF_FLOAT = 25;
const SINGLE_FLOAT = 26;
const DOUBLE_FLOAT = 27;
const INDEFINITE = 31;

/** Each method answers with the reason of a refusal, or undefined when the input is fine so far. */
class Walk {
  readonly #bytes: Uint8Array;
  readonly #limits: GateLimits;
  readonly #copy: CopyOf;
  /** Where the item under way begins. */
  at = 0;
  /** The item read last. */
  read: unknown;
  #next = 0;
  #items = 0;
  /** Argument of the head read last: a value, a length or a count. */
  #argument = 0;

  constructor(bytes: Uint8Array, limits: GateLimits, copy: CopyOf) {
    this.#bytes = bytes;
    this.#limits = limits;
    this.#copy = copy;
  }

  item(depth: number): string | undefined {
    this.at = this.#next;
    if (this.#next >= this.#bytes.length) return 'the input ends, an item was expected';
    const first = this.#bytes[this.#next++]!;
    const major = first >> 5;
    const info = first & 0x1f;
    if (major > TAG) return this.#simple(info);
    if (major === TAG) return 'a tag';
    const refusal = this.#head(info);
    if (refusal !== undefined) return refusal;
    switch (major) {
      case UINT:
      case NEGATIVE:
        if (this.#argument > Number.MAX_SAFE_INTEGER) return 'an integer beyond 2^53 - 1';
        this.read = major === UINT ? this.#argument : -1 - this.#argument;
        return undefined;
      case BYTES:
        return this.#byteString();
      case TEXT:
        return this.#text();
      case ARRAY:
        return this.#array(depth);
      default:
        return this.#map(depth);
    }
  }

  end(): string | undefined {
    const left = this.#bytes.length - this.#next;
    if (left === 0) return undefined;
    this.at = this.#next;
    return `${left} bytes follow the message`;
  }

  #head(info: number): string | undefined {
    if (info < 24) {
      this.#argument = info;
      return undefined;
    }
    if (info === INDEFINITE) return 'an indefinite length';
    if (info > DOUBLE_FLOAT) return `reserved additional information ${info}`;
    const width = 1 << (info - 24);
    if (this.#next + width > this.#bytes.length) return 'the input ends within a head';
    let argument = 0;
    for (let i = 0; i < width; i++) argument = argument * 256 + this.#bytes[this.#next++]!;
    this.#argument = argument;
    return undefined;
  }

  #simple(info: number): string | undefined {
    if (info >= HALF_FLOAT && info <= DOUBLE_FLOAT) return this.#float(info);
    this.read = SIMPLE_VALUES.get(info);
    if (SIMPLE_VALUES.has(info)) return undefined;
    return info === INDEFINITE ? 'a break code' : 'an unknown simple value';
  }

  #float(info: number): string | undefined {
    const from = this.#next;
    const refusal = this.#skip(1 << (info - 24));
    if (refusal !== undefined) return refusal;
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + from);
    if (info === HALF_FLOAT) this.read = halfOf(view.getUint16(0));
    else this.read = info === SINGLE_FLOAT ? view.getFloat32(0) : view.getFloat64(0);
    return undefined;
  }

  #skip(length: number): string | undefined {
    const left = this.#bytes.length - this.#next;
    if (length > left) return `a length of ${length} bytes where ${left} are left`;
    this.#next += length;
    return undefined;
  }

  #byteString(): string | undefined {
    const from = this.#next;
    const refusal = this.#skip(this.#argument);
    if (refusal === undefined) this.read = this.#copy(this.#bytes, from, this.#next);
    return refusal;
  }

  #text(): string | undefined {
    const from = this.#next;
    const refusal = this.#skip(this.#argument);
    if (refusal !== undefined) return refusal;
    const text = textIn(this.#bytes, from, this.#next);
    this.read = text;
    return text === undefined ? 'invalid UTF-8' : undefined;
  }

  #array(depth: number): string | undefined {
    const count = this.#argument;
    const refusal = this.#enter(depth, count);
    if (refusal !== undefined) return refusal;
    const items = new Array<unknown>(count);
    for (let i = 0; i < count; i++) {
      const inner = this.item(depth + 1);
      if (inner !== undefined) return inner;
      items[i] = this.read;
    }
    this.read = items;
    return undefined;
  }

  #map(depth: number): string | undefined {
    const entries = this.#argument;
    const refusal = this.#enter(depth, 2 * entries);
    if (refusal !== undefined) return refusal;
    if (entries > this.#limits.mapEntriesMax) return `a map of ${entries} entries`;
    const map: Record<string, unknown> = {};
    for (let i = 0; i < entries; i++) {
      const refused = this.#mapKey(depth, map);
      if (refused !== undefined) return refused;
      const key = this.read as string;
      const inner = this.item(depth + 1);
      if (inner !== undefined) return inner;
      map[key] = this.read;
    }
    this.read = map;
    return undefined;
  }

  /** Keys are text only: decoders turn other keys into text, where 1 and "1" collide. */
  #mapKey(depth: number, map: object): string | undefined {
    const head = this.#bytes[this.#next];
    if (head !== undefined && head >> 5 !== TEXT) {
      this.at = this.#next;
      return 'a map key that is no text';
    }
    const refusal = this.item(depth + 1);
    if (refusal !== undefined) return refusal;
    const length = this.#argument;
    if (length > this.#limits.mapKeyBytesMax) return `a map key of ${length} bytes`;
    const key = this.read as string;
    if (key === '__proto__') return 'the map key __proto__';
    return Object.hasOwn(map, key) ? 'a duplicate map key' : undefined;
  }

  /** Counts are refused before they are believed: each item needs a byte, those of all containers too. */
  #enter(depth: number, items: number): string | undefined {
    const left = this.#bytes.length - this.#next;
    if (items > left) return `${items} items where ${left} bytes are left`;
    if (depth > this.#limits.depthMax) return `nested deeper than ${this.#limits.depthMax}`;
    this.#items += items;
    const itemsMax = Math.min(this.#limits.itemsMax, this.#bytes.length);
    return this.#items > itemsMax ? `more than ${itemsMax} items` : undefined;
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Longer text is left to the decoder; names, which are short and ASCII, are cheaper by hand. */
const SHORT_TEXT_MAX = 64;

/** Undefined if it is no UTF-8. */
const textIn = (bytes: Uint8Array, from: number, to: number): string | undefined => {
  if (to - from > SHORT_TEXT_MAX) return decodedText(bytes.subarray(from, to));
  let text = '';
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x80) return decodedText(bytes.subarray(from, to));
    text += String.fromCharCode(byte);
  }
  return text;
};

const decodedText = (bytes: Uint8Array): string | undefined => {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
};

/** A float of 16 bits (RFC 8949, appendix D). */
const halfOf = (half: number): number => {
  const [exponent, mantissa] = [(half >> 10) & 0x1f, half & 0x3ff];
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (mantissa + 1024) * 2 ** (exponent - 25);
};
