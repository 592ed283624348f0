/** What callers may pass for keys, values and contexts, checked before anything is sent. */
import { CoterieError } from '../core/errors.ts';
import type { Key } from '../core/ids.ts';
import { unbundled } from './context-bundle.ts';
import { checkedKey, kindOf } from '../wire/fields.ts';

/** Text stands for its UTF-8 bytes; a key is 1–1,024 of them. */
export type KeyInput = string | Uint8Array;
export type ValueInput = string | Uint8Array;

const utf8 = new TextEncoder();

/** Throws CoterieError KEY_EMPTY, KEY_TOO_LONG, BAD_ARGUMENT. */
export const keyOf = (key: KeyInput): Key => {
  if (typeof key === 'string') return checkedKey(utf8.encode(key));
  if (key instanceof Uint8Array) return checkedKey(key);
  throw new CoterieError('BAD_ARGUMENT', `a key is text or bytes, found ${kindOf(key)}`);
};

/** A copy: a retry must send what the first try sent, whatever the caller does meanwhile. */
export const bytesOf = (value: ValueInput): Uint8Array => {
  if (typeof value === 'string') return utf8.encode(value);
  if (value instanceof Uint8Array) return new Uint8Array(value);
  throw new CoterieError('BAD_ARGUMENT', `a value is text or bytes, found ${kindOf(value)}`);
};

export const contextsOf = (
  context: Uint8Array | readonly Uint8Array[] | undefined,
): readonly Uint8Array[] => {
  if (context === undefined) return [];
  const contexts = context instanceof Uint8Array ? [context] : context;
  return contexts.flatMap((each) => unbundled(new Uint8Array(each)));
};
