/**
 * How values of a program become bytes of the store and back: bytes as they are, text, JSON, CBOR.
 *
 *   const carts = client.as(json<Cart>());
 *   await carts.put('cart:alice', { milk: 2 });
 */
import { CoterieError } from '../core/errors.ts';
import { decodeCbor, encodeCbor } from '../wire/cbor.ts';

/** Both throw on what they cannot turn: `decode` CoterieError BAD_ARGUMENT. */
export type Codec<T> = {
  readonly encode: (value: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => T;
};

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const bytes: Codec<Uint8Array> = { encode: (value) => value, decode: (value) => value };

/** UTF-8; other bytes are refused. */
export const text: Codec<string> = {
  encode: (value) => utf8.encode(value),
  decode: (value) => orRefuse('UTF-8 text', () => strictUtf8.decode(value)),
};

/** JSON as UTF-8. `undefined` and functions have no JSON: encoding them throws TypeError. */
export const json = <T = unknown>(): Codec<T> => ({
  encode: (value) => {
    const made = JSON.stringify(value) as string | undefined;
    if (made === undefined) throw new TypeError(`no JSON for ${typeof value}`);
    return utf8.encode(made);
  },
  decode: (value) => orRefuse('JSON', () => JSON.parse(strictUtf8.decode(value)) as T),
});

/** CBOR of plain data (RFC 8949): as JSON, and byte strings (Uint8Array) besides. */
export const cbor = <T = unknown>(): Codec<T> => ({
  encode: (value) => encodeCbor(value),
  decode: (value) => orRefuse('CBOR', () => decodeCbor(value) as T),
});

const orRefuse = <T>(what: string, decode: () => T): T => {
  try {
    return decode();
  } catch (error) {
    throw new CoterieError('BAD_ARGUMENT', `a stored value is no ${what}: ${String(error)}`);
  }
};
