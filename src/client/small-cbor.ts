/**
 * CBOR for the browser bundle, in place of cbor-x: a fifth of its size, and no code made at run
 * time, which the content policy of many pages forbids. It has cbor-x's face, since the bundler puts
 * it where `cbor-x` is imported, and only what this protocol speaks: what the gate lets through.
 */
import { readCbor } from '../wire/gate.ts';

/** A count is never believed beyond the bytes that are there. */
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
  /** Throws RangeError on what the gate would not let through, but for its limits of size. */
  decode(bytes: Uint8Array): unknown {
    const read = readCbor(bytes, LIMITS, (whole, from, to) => whole.slice(from, to));
    if (read.type === 'ok') return read.item;
    throw new RangeError(`${read.reason} at offset ${read.offset}`);
  }
}

/** An application's own data may be larger than a message; deeper would overflow the stack. */
const LIMITS = {
  depthMax: 500,
  itemsMax: Infinity,
  mapEntriesMax: Infinity,
  mapKeyBytesMax: Infinity,
};

const UINT = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const SIMPLE = 7;

const utf8 = new TextEncoder();

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
    else if (typeof value === 'string') this.#raw(TEXT, utf8.encode(value));
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
