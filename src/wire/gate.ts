/**
 * The door before the CBOR decoder for bytes from strangers. cbor-x forgives too much (tags that
 * build RegExps, duplicate keys, invalid UTF-8) and is slow on some of it; what passes here is
 * plain data of bounded shape, found so in one pass that builds nothing.
 *
 *   82 03 18 2a     ok                         [3, 42]
 *   82 03           offset 0: 2 items where 1 bytes are left
 *   9f 03 ff        offset 0: an indefinite length
 *
 * Time is linear in the size, whatever the bytes; byte strings cost nothing.
 */

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

/** `offset` is the byte where the first offending item begins, or where the input ended. */
export type GateResult =
  | { readonly type: 'ok' }
  | { readonly type: 'malformed'; readonly offset: number; readonly reason: string };

/** Passes exactly one definite-length, tag-free CBOR item (RFC 8949) that fills `bytes`. */
export const checkCbor = (bytes: Uint8Array, limits: GateLimits = GATE_LIMITS): GateResult => {
  const walk = new Walk(bytes, limits);
  const reason = walk.item(1) ?? walk.end();
  return reason === undefined ? PASSED : { type: 'malformed', offset: walk.at, reason };
};

const PASSED: GateResult = { type: 'ok' };

const UINT = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const TAG = 6;

/** false, true, null and undefined: the only simple values that mean the same everywhere. */
const FALSE = 20;
const UNDEFINED = 23;
const HALF_FLOAT = 25;
const DOUBLE_FLOAT = 27;
const INDEFINITE = 31;

/** Each method answers with the reason of a refusal, or undefined when the input is fine so far. */
class Walk {
  readonly #bytes: Uint8Array;
  readonly #limits: GateLimits;
  /** Where the item under way begins. */
  at = 0;
  #next = 0;
  #items = 0;
  /** Argument of the head read last: a value, a length or a count. */
  #argument = 0;

  constructor(bytes: Uint8Array, limits: GateLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
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
        return this.#argument > Number.MAX_SAFE_INTEGER ? 'an integer beyond 2^53 - 1' : undefined;
      case BYTES:
        return this.#skip(this.#argument);
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
    if (info >= HALF_FLOAT && info <= DOUBLE_FLOAT) return this.#skip(1 << (info - 24));
    if (info >= FALSE && info <= UNDEFINED) return undefined;
    return info === INDEFINITE ? 'a break code' : 'an unknown simple value';
  }

  #skip(length: number): string | undefined {
    const left = this.#bytes.length - this.#next;
    if (length > left) return `a length of ${length} bytes where ${left} are left`;
    this.#next += length;
    return undefined;
  }

  #text(): string | undefined {
    const from = this.#next;
    const refusal = this.#skip(this.#argument);
    if (refusal !== undefined) return refusal;
    return isUtf8(this.#bytes, from, this.#next) ? undefined : 'invalid UTF-8';
  }

  #array(depth: number): string | undefined {
    const count = this.#argument;
    const refusal = this.#enter(depth, count);
    if (refusal !== undefined) return refusal;
    for (let i = 0; i < count; i++) {
      const inner = this.item(depth + 1);
      if (inner !== undefined) return inner;
    }
    return undefined;
  }

  #map(depth: number): string | undefined {
    const entries = this.#argument;
    const refusal = this.#enter(depth, 2 * entries);
    if (refusal !== undefined) return refusal;
    if (entries > this.#limits.mapEntriesMax) return `a map of ${entries} entries`;
    // One entry repeats nothing: a flood of tiny maps costs no sets.
    const seen = entries > 1 ? new Set<string>() : undefined;
    for (let i = 0; i < entries; i++) {
      const inner = this.#mapKey(depth, seen) ?? this.item(depth + 1);
      if (inner !== undefined) return inner;
    }
    return undefined;
  }

  /** Keys are text only: decoders turn other keys into text, where 1 and "1" collide. */
  #mapKey(depth: number, seen: Set<string> | undefined): string | undefined {
    const head = this.#bytes[this.#next];
    if (head !== undefined && head >> 5 !== TEXT) {
      this.at = this.#next;
      return 'a map key that is no text';
    }
    const refusal = this.item(depth + 1);
    if (refusal !== undefined) return refusal;
    const length = this.#argument;
    if (length > this.#limits.mapKeyBytesMax) return `a map key of ${length} bytes`;
    const key = byteString(this.#bytes, this.#next - length, this.#next);
    if (key === '__proto__') return 'the map key __proto__';
    if (seen?.has(key)) return 'a duplicate map key';
    seen?.add(key);
    return undefined;
  }

  /** Counts are refused before they are believed: an item needs a byte. */
  #enter(depth: number, items: number): string | undefined {
    const left = this.#bytes.length - this.#next;
    if (items > left) return `${items} items where ${left} bytes are left`;
    if (depth > this.#limits.depthMax) return `nested deeper than ${this.#limits.depthMax}`;
    this.#items += items;
    const { itemsMax } = this.#limits;
    return this.#items > itemsMax ? `more than ${itemsMax} items` : undefined;
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** ASCII, which is nearly all, is settled without building a string. */
const isUtf8 = (bytes: Uint8Array, from: number, to: number): boolean => {
  for (let i = from; i < to; i++) {
    if (bytes[i]! >= 0x80) return isStrictUtf8(bytes.subarray(i, to));
  }
  return true;
};

const isStrictUtf8 = (bytes: Uint8Array): boolean => {
  try {
    strictUtf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
};

const byteString = (bytes: Uint8Array, from: number, to: number): string => {
  let text = '';
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i]!);
  return text;
};
