/** Reading and writing of the store's own binary forms: records, contexts, storage keys. */
import { hexOf, writeHex } from './ids.ts';

const utf8 = new TextEncoder();

/**
 * An array buffer of its own costs more than all else about a small result, so results share
 * blocks; a kept one keeps its block. Larger ones stand alone.
 */
const BLOCK_BYTES = 16_384;
const SHARED_BYTES_MAX = 1024;
let block = new Uint8Array(BLOCK_BYTES);
let blockUsed = 0;

/** What the last writer wrote into, ready for the next. */
let scratch: Uint8Array | undefined;
const SCRATCH_BYTES = 1024;
const SCRATCH_BYTES_MAX = 65_536;
const NO_BYTES = new Uint8Array(0);

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
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** The bytes of `hex`, whose length the reader knows. */
  hex(hex: string): void {
    this.#room(hex.length >> 1);
    writeHex(this.#bytes, this.#length, hex);
    this.#length += hex.length >> 1;
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** UTF-8 with its length ahead. */
  text(text: string): void {
    const bytes = utf8.encode(text);
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** Eight bytes, high first. */
  uint64(value: bigint): void {
    this.uint32(Number(value >> 32n));
    this.uint32(Number(value & 0xffffffffn));
  }

  /** Four bytes, high first. */
  uint32(value: number): void {
    this.#room(4);
    this.#bytes[this.#length++] = value >>> 24;
    this.#bytes[this.#length++] = (value >>> 16) & 0xff;
    this.#bytes[this.#length++] = (value >>> 8) & 0xff;
    this.#bytes[this.#length++] = value & 0xff;
  }

  /** What was written so far, valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  take(): Uint8Array {
    const bytes = this.#bytes;
    const length = this.#length;
    this.#bytes = NO_BYTES;
    this.#length = 0;
    if (bytes.length <= SCRATCH_BYTES_MAX) scratch = bytes;
    if (length > SHARED_BYTES_MAX) return bytes.slice(0, length);
    if (blockUsed + length > BLOCK_BYTES) {
      block = new Uint8Array(BLOCK_BYTES);
      blockUsed = 0;
    }
    const taken = block.subarray(blockUsed, blockUsed + length);
    blockUsed += length;
    for (let i = 0; i < length; i++) taken[i] = bytes[i]!;
    return taken;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Throws RangeError at the first read beyond the end or out of range: callers refuse the whole. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get offset(): number {
    return this.#offset;
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw new RangeError(`1 byte wanted at ${this.#offset}`);
    this.#offset += 1;
    return byte;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('an integer beyond 2^53');
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  uint64(): bigint {
    const { buffer, byteOffset } = this.raw(8);
    return new DataView(buffer, byteOffset).getBigUint64(0);
  }

  hex(bytes: number): string {
    const at = this.#offset;
    if (at + bytes > this.#bytes.length) throw new RangeError(`${bytes} bytes wanted at ${at}`);
    this.#offset = at + bytes;
    return hexOf(this.#bytes, at, bytes);
  }

  /** A view, not a copy. */
  raw(bytes: number): Uint8Array {
    const end = this.#offset + bytes;
    if (end > this.#bytes.length) throw new RangeError(`${bytes} bytes wanted at ${this.#offset}`);
    const view = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return view;
  }

  text(): string {
    return new TextDecoder('utf-8', { fatal: true }).decode(this.raw(this.varint()));
  }

  end(): void {
    if (!this.atEnd) throw new RangeError(`${this.#bytes.length - this.#offset} bytes too many`);
  }
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};
