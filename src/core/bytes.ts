/** Reading and writing of the store's own binary forms: records, contexts, storage keys. */
import { Blocks } from './blocks.ts';
import { hexOf, writeHex } from './ids.ts';

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

const decodedText = (bytes: Uint8Array): string => {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw new RangeError('text that is no UTF-8');
  }
};

const NO_BYTES = new Uint8Array(0);

const RESULTS = new Blocks(16_384, 1024);

/** What the last writer wrote into, ready for the next. */
let scratch: Uint8Array | undefined;
const SCRATCH_BYTES = 1024;
const SCRATCH_BYTES_MAX = 65_536;

/** A view on a writer's or reader's own bytes would be made for every number; these two are made once. */
const eight = new Uint8Array(8);
const eightView = new DataView(eight.buffer);

/** Numbers that are quick to take apart, and where larger ones are cut: four groups of seven bits. */
const INT_MAX = 2 ** 31 - 1;
const LOW_BITS = 2 ** 28;

/** So few are copied faster one by one than by a call. */
const FEW_BYTES_MAX = 16;
/** Names, and other text that is mostly ASCII. */
const SHORT_TEXT_MAX = 64;

const isShortAscii = (text: string): boolean => {
  if (text.length > SHORT_TEXT_MAX) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
};

const asciiIn = (bytes: Uint8Array, from: number, length: number): string | undefined => {
  let text = '';
  for (let at = from; at < from + length; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x80) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
};

/** Grows as it is written; `take` hands out exactly what was written and ends the writer. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor() {
    this.#bytes = scratch ?? new Uint8Array(SCRATCH_BYTES);
    scratch = undefined;
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  /** An unsigned integer up to 2^53 - 1, seven bits a byte, low bits first. */
  varint(value: number): void {
    this.#room(8);
    let rest = value;
    // Times take six bytes: their low four in one piece, for beyond 31 bits numbers are slow.
    if (rest > INT_MAX) {
      let low = rest % LOW_BITS;
      rest = Math.floor(rest / LOW_BITS);
      for (let left = 4; left > 0; left--) {
        this.#bytes[this.#length++] = (low & 0x7f) | 0x80;
        low >>>= 7;
      }
    }
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  /** The bytes of `hex`, whose length the reader knows. */
  hex(hex: string): void {
    this.#room(hex.length >> 1);
    writeHex(this.#bytes, this.#length, hex);
    this.#length += hex.length >> 1;
  }

  /** A part of `bytes`, or all. */
  raw(bytes: Uint8Array, from = 0, to = bytes.length): void {
    const count = to - from;
    this.#room(count);
    const at = this.#length;
    this.#length += count;
    if (count > FEW_BYTES_MAX)
      this.#bytes.set(count < bytes.length ? bytes.subarray(from, to) : bytes, at);
    else for (let i = 0; i < count; i++) this.#bytes[at + i] = bytes[from + i]!;
  }

  /** UTF-8 with its length ahead. */
  text(text: string): void {
    // Names are short and ASCII: no encoder has to be called for them.
    if (isShortAscii(text)) {
      this.varint(text.length);
      this.byteString(text);
      return;
    }
    const bytes = utf8.encode(text);
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** Eight bytes, high first. */
  uint64(value: bigint): void {
    eightView.setBigUint64(0, value);
    this.#eight();
  }

  /** Two bytes, high first. */
  uint16(value: number): void {
    this.#room(2);
    this.#bytes[this.#length++] = value >>> 8;
    this.#bytes[this.#length++] = value & 0xff;
  }

  /** Four bytes, high first. */
  uint32(value: number): void {
    this.#room(4);
    this.#bytes[this.#length++] = value >>> 24;
    this.#bytes[this.#length++] = (value >>> 16) & 0xff;
    this.#bytes[this.#length++] = (value >>> 8) & 0xff;
    this.#bytes[this.#length++] = value & 0xff;
  }

  float64(value: number): void {
    eightView.setFloat64(0, value);
    this.#eight();
  }

  /** An integer from 0 to 2^53 - 1 in eight bytes, high first. */
  uint53(value: number): void {
    this.uint32(Math.floor(value / 2 ** 32));
    this.uint32(value % 2 ** 32);
  }

  #eight(): void {
    this.#room(8);
    for (let i = 0; i < 8; i++) this.#bytes[this.#length++] = eight[i]!;
  }

  /** One byte for each char 0-255 of `text`. */
  byteString(text: string): void {
    this.#room(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
  }

  /** Writes over four bytes that are there already: a length known only afterwards. */
  uint32At(offset: number, value: number): void {
    this.#bytes[offset] = value >>> 24;
    this.#bytes[offset + 1] = (value >>> 16) & 0xff;
    this.#bytes[offset + 2] = (value >>> 8) & 0xff;
    this.#bytes[offset + 3] = value & 0xff;
  }

  /** What was written so far, valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** `blocks`: where it is kept, if not with other results. */
  take(blocks?: Blocks): Uint8Array {
    const length = this.#length;
    return kept(this.#end(), 0, length, blocks);
  }

  /** What `look` makes of what was written; it keeps nothing of that, and the writer ends. */
  shown<T>(look: (bytes: Uint8Array) => T): T {
    const made = look(this.view());
    this.#end();
    return made;
  }

  #end(): Uint8Array {
    const bytes = this.#bytes;
    this.#bytes = NO_BYTES;
    this.#length = 0;
    if (bytes.length <= SCRATCH_BYTES_MAX) scratch = bytes;
    return bytes;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** The same bytes as no Buffer: slices of a Buffer would be Buffers, which cost more. */
export const plainView = ({ buffer, byteOffset, length }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, length);

/** A copy of a part of `bytes`, for keeps. */
export const kept = (
  bytes: Uint8Array,
  from = 0,
  to = bytes.length,
  blocks = RESULTS,
): Uint8Array => {
  const length = to - from;
  const copy = blocks.room(length);
  if (length <= FEW_BYTES_MAX) for (let i = 0; i < length; i++) copy[i] = bytes[from + i]!;
  else copy.set(bytes.length === length ? bytes : bytes.subarray(from, to));
  return copy;
};

/** Throws RangeError at the first read beyond the end or out of range: callers refuse the whole. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  /** Reads on to `end` only, however much follows; throws if there is less. */
  limitTo(end: number): void {
    if (end < this.#offset || end > this.#bytes.length) {
      throw new RangeError(`an end at ${end} of ${this.#bytes.length} bytes`);
    }
    this.#end = end;
  }

  /** Passes over what is left up to the limit, and lifts it. */
  finish(): void {
    this.#offset = this.#end;
    this.#end = this.#bytes.length;
  }

  get offset(): number {
    return this.#offset;
  }

  get atEnd(): boolean {
    return this.#offset === this.#end;
  }

  byte(): number {
    if (this.#offset >= this.#end) throw new RangeError(`1 byte wanted at ${this.#offset}`);
    return this.#bytes[this.#offset++]!;
  }

  /** A byte that is 0 or 1. */
  bit(): number {
    const byte = this.byte();
    if (byte > 1) throw new RangeError(`0 or 1 wanted at ${this.#offset - 1}, found ${byte}`);
    return byte;
  }

  uint32(): number {
    const at = this.#offset;
    this.skip(4);
    return uint32At(this.#bytes, at);
  }

  float64(): number {
    this.#takeEight();
    return eightView.getFloat64(0);
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      // The scale, too: zeros that go on and on would make it infinite, and the value NaN.
      if (value > Number.MAX_SAFE_INTEGER || scale > Number.MAX_SAFE_INTEGER) {
        throw new RangeError('an integer beyond 2^53');
      }
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  uint64(): bigint {
    this.#takeEight();
    return eightView.getBigUint64(0);
  }

  #takeEight(): void {
    const bytes = this.#bytes;
    const at = this.#offset;
    if (at + 8 > this.#end) throw new RangeError(`8 bytes wanted at ${at}`);
    for (let i = 0; i < 8; i++) eight[i] = bytes[at + i]!;
    this.#offset = at + 8;
  }

  hex(bytes: number): string {
    const at = this.#offset;
    if (at + bytes > this.#end) throw new RangeError(`${bytes} bytes wanted at ${at}`);
    this.#offset = at + bytes;
    return hexOf(this.#bytes, at, bytes);
  }

  skip(bytes: number): void {
    const end = this.#offset + bytes;
    if (end > this.#end) throw new RangeError(`${bytes} bytes wanted at ${this.#offset}`);
    this.#offset = end;
  }

  /** A view, not a copy. */
  raw(bytes: number): Uint8Array {
    const from = this.#offset;
    this.skip(bytes);
    return this.#bytes.subarray(from, this.#offset);
  }

  /** A view on what was read from `from` on. */
  since(from: number): Uint8Array {
    return this.#bytes.subarray(from, this.#offset);
  }

  /** A copy, for keeps. */
  copy(bytes: number): Uint8Array {
    const from = this.#offset;
    this.skip(bytes);
    return kept(this.#bytes, from, this.#offset);
  }

  text(): string {
    const length = this.varint();
    const from = this.#offset;
    this.skip(length);
    // As in writing.
    const short = length > SHORT_TEXT_MAX ? undefined : asciiIn(this.#bytes, from, length);
    return short ?? decodedText(this.#bytes.subarray(from, from + length));
  }

  end(): void {
    if (!this.atEnd) throw new RangeError(`${this.#bytes.length - this.#offset} bytes too many`);
  }
}

/** The number that `ByteWriter.uint32` has written at `at`. */
export const uint32At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;

/** The number that `ByteWriter.varint` has written at `at`. */
export const varintAt = (bytes: Uint8Array, at: number): number => {
  let low = 0;
  let next = at;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = bytes[next++]!;
    low |= (byte & 0x7f) << shift;
    if (byte < 0x80) return low;
  }
  let value = low;
  for (let scale = LOW_BITS; ; scale *= 0x80) {
    const byte = bytes[next++]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
};

/** Whether the first `count` of `others` lie at `at`: no view is made, which may cost a buffer. */
export const hasBytesAt = (
  bytes: Uint8Array,
  at: number,
  others: Uint8Array,
  count: number,
): boolean => {
  for (let i = 0; i < count; i++) if (bytes[at + i] !== others[i]) return false;
  return true;
};

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && hasBytesAt(a, 0, b, b.length);
