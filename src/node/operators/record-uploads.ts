/**
 * Records that are too large for one frame of a client come back from a backup in pieces: kept here
 * until whole, few at a time, and forgotten when their sender falls silent.
 */
import { CoterieError } from '../../core/errors.ts';
import { bytesOfKey } from '../../core/ids.ts';
import type { Key } from '../../core/ids.ts';
import type { Clock, Timer } from '../../ports/clock.ts';
import { badArgument, checkedKey, uintOf } from '../../wire/fields.ts';
import type { AdminArguments } from './admin-commands.ts';

/** Uploads under way; one more is OVERLOADED. */
const UPLOADS_MAX = 4;
const SILENCE_MS = 30_000;

type Upload = { readonly bytes: Uint8Array; have: number; silence: Timer };

export type Uploaded =
  /** So many bytes are here; the next piece begins there. */
  | { readonly type: 'partly'; readonly have: number }
  | { readonly type: 'whole'; readonly key: Key; readonly record: Uint8Array };

export class RecordUploads {
  readonly #clock: Clock;
  /** What one frame between nodes may hold: a larger record could never be handed on. */
  readonly #recordBytesMax: number;
  readonly #uploads = new Map<Key, Upload>();

  constructor(clock: Clock, recordBytesMax: number) {
    this.#clock = clock;
    this.#recordBytesMax = recordBytesMax;
  }

  /** `{key, of, at, bytes}`: said again is the same as once. Throws BAD_ARGUMENT, OVERLOADED. */
  take(args: AdminArguments): Uploaded {
    const { key, of, at, bytes } = this.#checked(args);
    const begun = this.#uploads.get(key);
    const upload = begun !== undefined && begun.bytes.length === of ? begun : this.#begin(key, of);
    this.#clock.clearTimeout(upload.silence);
    // A piece that was heard before, or whose forerunner is gone: the sender is told where to go on.
    if (at === upload.have) {
      upload.bytes.set(bytes, at);
      upload.have += bytes.length;
    }
    if (upload.have === of) {
      this.#uploads.delete(key);
      return { type: 'whole', key, record: upload.bytes };
    }
    upload.silence = this.#silenceOf(key);
    return { type: 'partly', have: upload.have };
  }

  #begin(key: Key, of: number): Upload {
    this.#forget(key);
    if (this.#uploads.size >= UPLOADS_MAX) {
      const message = `${UPLOADS_MAX} large records are being restored here already`;
      throw new CoterieError('OVERLOADED', message, { retryAfterMs: 1000 });
    }
    const upload = { bytes: new Uint8Array(of), have: 0, silence: this.#silenceOf(key) };
    this.#uploads.set(key, upload);
    return upload;
  }

  #silenceOf(key: Key): Timer {
    return this.#clock.setTimeout(() => this.#uploads.delete(key), SILENCE_MS);
  }

  #forget(key: Key): void {
    const upload = this.#uploads.get(key);
    if (upload !== undefined) this.#clock.clearTimeout(upload.silence);
    this.#uploads.delete(key);
  }

  #checked({ key, of, at, bytes }: AdminArguments) {
    if (!(key instanceof Uint8Array)) throw badArgument('the argument key', 'a byte string', key);
    if (!(bytes instanceof Uint8Array)) {
      throw badArgument('the argument bytes', 'a byte string', bytes);
    }
    const name = checkedKey(key);
    const [whole, from] = [uintOf(of), uintOf(at)];
    const most = this.#recordBytesMax - bytesOfKey(name).length;
    if (whole === undefined || whole === 0 || whole > most) {
      throw badArgument('the argument of', `bytes of the whole record, 1 to ${most}`, of);
    }
    if (from === undefined || bytes.length === 0 || from + bytes.length > whole) {
      throw badArgument('the argument at', `a place in a record of ${whole} bytes`, at);
    }
    return { key: name, of: whole, at: from, bytes };
  }
}
