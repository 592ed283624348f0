/** Where small results of the same kind are kept, side by side. */

/** The engine keeps so few bytes beside their array; whoever asks for its `buffer` has one made. */
const BYTES_WITHOUT_BUFFER_MAX = 64;

/**
 * An array buffer of its own costs more than all else about a small result, so results share
 * blocks; a kept one keeps its block, so what lives long has blocks of its own. Larger ones stand
 * alone, and the smallest need no buffer.
 */
export class Blocks {
  readonly #blockBytes: number;
  readonly #sharedBytesMax: number;
  #block = new Uint8Array(0);
  #used = 0;

  constructor(blockBytes: number, sharedBytesMax: number) {
    this.#blockBytes = blockBytes;
    this.#sharedBytesMax = sharedBytesMax;
  }

  room(bytes: number): Uint8Array {
    if (bytes <= BYTES_WITHOUT_BUFFER_MAX || bytes > this.#sharedBytesMax) {
      return new Uint8Array(bytes);
    }
    if (this.#used + bytes > this.#block.length) {
      this.#block = new Uint8Array(this.#blockBytes);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += bytes;
    return this.#block.subarray(from, this.#used);
  }
}
