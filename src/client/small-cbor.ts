/**
 * CBOR for the browser bundle, in place of cbor-x: a fifth of its size, and no code made at run
 * time, which the content policy of many pages forbids. It has cbor-x's face, since the bundler puts
 * it where `cbor-x` is imported, and only what this protocol speaks: what the gate lets through.
 */

import { halfOf } from '../wire/gate.ts';

/** A count is bounded by the gate already. */
export const setSizeLimits = (): void => undefined;

export class Encoder {
  /** Integers within 2^53 - 1, other numbers as doubles, bigints of 64 bits, text, bytes, plain data. */
  encode(value: unknown): Uint8Array {
    const writer = new Writer();
    writer.item(value);
    return writer.take();
  }
}

export class Decoder {
  /** Definite lengths and no tags, as the gate has seen to. */
  decode(bytes: Uint8Array): unknown {
    return new Reader(bytes).item();
  }
}

const UINT = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const SIMPLE = 7;

const utf8 = {
  encoder: new TextEncoder(),
  decoder: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }),
};

class Writer {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  item(value: unknown): void {
    if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'bigint')
      this.#head(value < 0n ? NEGATIVE : UINT, value < 0n ? -1n - value : value);
    else if (typeof value === 'string') this.#raw(TEXT, utf8.encoder.encode(value));
    else if (typeof value === 'boolean') this.#byte((SIMPLE << 5) | (value ? 21 : 20));
    else if (value === undefined) this.#byte((SIMPLE << 5) | 23);
    else if (value === null) this.#byte((SIMPLE << 5) | 22);
    else if (value instanceof Uint8Array) this.#raw(BYTES, value);
    else if (Array.isArray(value)) {
      this.#head(ARRAY, value.length);
      for (const each of value) this.item(each);
    } else this.#map(Object.entries(value as object));
  }

  #map(entries: readonly (readonly [string, unknown])[]): void {
    this.#head(MAP, entries.length);
    for (const [name, each] of entries) {
      this.item(name);
      this.item(each);
    }
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      if (value < 0) this.#head(NEGATIVE, -1 - value);
      else this.#head(UINT, value);
      return;
    }
    this.#byte((SIMPLE << 5) | 27);
    this.#room(8);
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
  }

  #head(major: number, argument: number | bigint): void {
    const first = major << 5;
    if (argument < 24) return this.#byte(first | Number(argument));
    this.#room(9);
    const at = this.#length + 1;
    const width = argument < 0x100 ? 0 : argument < 0x10000 ? 1 : argument < 0x100000000 ? 2 : 3;
    this.#bytes[this.#length] = first | (24 + width);
    if (width === 0) this.#bytes[at] = Number(argument);
    else if (width === 1) this.#view.setUint16(at, Number(argument));
    else if (width === 2) this.#view.setUint32(at, Number(argument));
    else this.#view.setBigUint64(at, BigInt(argument));
    this.#length += 1 + (1 << width);
  }

  #raw(major: number, bytes: Uint8Array): void {
    this.#head(major, bytes.length);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  item(): unknown {
    const first = this.#bytes[this.#at++]!;
    const [major, info] = [first >> 5, first & 0x1f];
    if (major === SIMPLE) return this.#simple(info);
    const argument = this.#argument(info);
    switch (major) {
      case UINT:
        return argument;
      case NEGATIVE:
        return -1 - argument;
      case BYTES:
        return new Uint8Array(this.#take(argument));
      case TEXT:
        return utf8.decoder.decode(this.#take(argument));
      case ARRAY:
        return Array.from({ length: argument }, () => this.item());
      case MAP:
        return Object.fromEntries(
          Array.from({ length: argument }, () => [this.item(), this.item()]),
        );
      default:
        throw new RangeError('a tag');
    }
  }

  #argument(info: number): number {
    if (info < 24) return info;
    const at = this.#at;
    this.#at += 1 << (info - 24);
    if (info === 24) return this.#view.getUint8(at);
    if (info === 25) return this.#view.getUint16(at);
    if (info === 26) return this.#view.getUint32(at);
    return Number(this.#view.getBigUint64(at));
  }

  #simple(info: number): unknown {
    const at = this.#at;
    if (info >= 25) this.#at += 1 << (info - 24);
    if (info === 25) return halfOf(this.#view.getUint16(at));
    if (info === 26) return this.#view.getFloat32(at);
    if (info === 27) return this.#view.getFloat64(at);
    return info === 22 ? null : info === 23 ? undefined : info === 21;
  }

  #take(length: number): Uint8Array {
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }
}
