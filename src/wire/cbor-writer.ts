/**
 * CBOR (RFC 8949) written item by item, for the messages there are most of: their arrays and maps are
 * never made, only their heads are written.
 *
 *   array(2) uint(3) ascii('a')     82 03 61 61
 */
import { ByteWriter } from '../core/bytes.ts';

const UINT = 0;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;

export class CborWriter {
  readonly #writer = new ByteWriter();

  /** Up to 2^32 - 1. */
  uint(value: number): void {
    this.#head(UINT, value);
  }

  bytes(bytes: Uint8Array): void {
    this.#head(BYTES, bytes.length);
    this.#writer.raw(bytes);
  }

  /** Text of ASCII only: names, and words of the protocol. */
  ascii(text: string): void {
    this.#head(TEXT, text.length);
    this.#writer.byteString(text);
  }

  /** `length` items follow. */
  array(length: number): void {
    this.#head(ARRAY, length);
  }

  /** `entries` times a key and a value follow. */
  map(entries: number): void {
    this.#head(MAP, entries);
  }

  /** An item that is written already. */
  item(encoded: Uint8Array): void {
    this.#writer.raw(encoded);
  }

  take(): Uint8Array {
    return this.#writer.take();
  }

  #head(major: number, argument: number): void {
    const writer = this.#writer;
    const first = major << 5;
    if (argument < 24) writer.byte(first | argument);
    else if (argument < 0x100) {
      writer.byte(first | 24);
      writer.byte(argument);
    } else if (argument < 0x10000) {
      writer.byte(first | 25);
      writer.byte(argument >> 8);
      writer.byte(argument & 0xff);
    } else {
      writer.byte(first | 26);
      writer.uint32(argument);
    }
  }
}
