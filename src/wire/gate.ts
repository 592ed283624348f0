/**
 * What stands before the CBOR decoder for bytes from strangers: one pass that lets through only
 * definite lengths, shallow nesting, few items, valid UTF-8, distinct text keys and nothing after
 * the one item. Quick whatever the size, since it stops at the first fault.
 */

export type GateVerdict =
  | { readonly type: 'pass' }
  | { readonly type: 'malformed'; readonly offset: number; readonly reason: string };

const DEPTH_MAX = 8;
const ITEMS_MAX = 4096;
const MAP_KEY_BYTES_MAX = 64;

class Fault extends Error {
  readonly offset: number;
  constructor(offset: number, reason: string) {
    super(reason);
    this.offset = offset;
  }
}

export const checkCbor = (bytes: Uint8Array): GateVerdict => {
  const gate = new Gate(bytes);
  try {
    gate.item(0);
    gate.end();
    return { type: 'pass' };
  } catch (fault) {
    if (fault instanceof Fault)
      return { type: 'malformed', offset: fault.offset, reason: fault.message };
    throw fault;
  }
};

class Gate {
  readonly #bytes: Uint8Array;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true });
  #at = 0;
  #items = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  end(): void {
    if (this.#at < this.#bytes.length) this.#fail('trailing bytes');
  }

  item(depth: number): void {
    if (depth > DEPTH_MAX) this.#fail('nested too deep');
    if (++this.#items > ITEMS_MAX) this.#fail('too many items');
    const head = this.#byte();
    const major = head >> 5;
    const info = head & 31;
    if (major === 7) {
      // false, true, null, undefined, and floats of 2, 4 or 8 bytes.
      if (info >= 20 && info <= 23) return;
      if (info >= 25 && info <= 27) return void this.#skip(1 << (info - 24));
      this.#fail('a simple value that is not spoken here');
    }
    const length = this.#length(info);
    if (major === 0 || major === 1) return;
    if (major === 2) return void this.#skip(length);
    if (major === 3) return void this.#text(length);
    if (major === 4) {
      for (let i = 0; i < length; i++) this.item(depth + 1);
      return;
    }
    if (major === 5) return this.#map(length, depth);
    this.#fail('tags are not spoken here');
  }

  #map(pairs: number, depth: number): void {
    const keys = new Set<string>();
    for (let i = 0; i < pairs; i++) {
      const head = this.#byte();
      if (head >> 5 !== 3) this.#fail('a map key that is no text');
      const length = this.#length(head & 31);
      if (length > MAP_KEY_BYTES_MAX) this.#fail('a map key that is too long');
      const key = this.#text(length);
      if (key === '__proto__') this.#fail('the map key __proto__');
      if (keys.has(key)) this.#fail('a map key twice');
      keys.add(key);
      this.item(depth + 1);
    }
  }

  #length(info: number): number {
    if (info < 24) return info;
    if (info > 27) this.#fail('an indefinite length');
    let length = 0;
    for (let i = 0; i < 1 << (info - 24); i++) length = length * 256 + this.#byte();
    if (length > Number.MAX_SAFE_INTEGER) this.#fail('an integer beyond 2^53');
    return length;
  }

  #text(length: number): string {
    const from = this.#at;
    this.#skip(length);
    try {
      return this.#utf8.decode(this.#bytes.subarray(from, this.#at));
    } catch {
      this.#at = from;
      return this.#fail('invalid UTF-8');
    }
  }

  #skip(length: number): void {
    if (this.#at + length > this.#bytes.length) this.#fail('truncated');
    this.#at += length;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) return this.#fail('truncated');
    this.#at += 1;
    return byte;
  }

  #fail(reason: string): never {
    throw new Fault(this.#at, reason);
  }
}
