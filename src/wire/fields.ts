/**
 * The checked readers of single fields of a decoded message. Each throws CoterieError BAD_ARGUMENT
 * (or the narrower code it names) that says what was expected and what was found, never the bytes.
 */
import { CoterieError } from '../core/errors.ts';
import { KEY_BYTES_MAX, isNodeId, keyOfBytes } from '../core/ids.ts';
import type { Key, NodeId } from '../core/ids.ts';
import { TIMEOUT_MS_MAX } from './client-messages.ts';

export type Fields = readonly unknown[];

/** An unsigned integer up to 2^53 - 1 however it was encoded, else undefined. */
export const uintOf = (item: unknown): number | undefined => {
  const value = typeof item === 'bigint' ? Number(item) : item;
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
};

/** A map as an object of unknown fields, else undefined. */
export const mapOf = (item: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof item === 'object' && item !== null && !Array.isArray(item) && !(item instanceof Uint8Array)
    ? (item as Readonly<Record<string, unknown>>)
    : undefined;

/** What a field holds, in a word, for messages of refusals: never its content. */
export const kindOf = (item: unknown): string => {
  if (item === undefined) return 'nothing';
  if (item === null) return 'null';
  if (item instanceof Uint8Array) return `${item.length} bytes`;
  if (Array.isArray(item)) return 'an array';
  if (typeof item === 'number' || typeof item === 'bigint') return String(item);
  if (typeof item === 'object') return 'a map';
  return typeof item === 'string' ? 'text' : String(item);
};

/** The key of 1–1,024 bytes; throws KEY_EMPTY or KEY_TOO_LONG. */
export const checkedKey = (bytes: Uint8Array): Key => {
  if (bytes.length === 0) {
    throw new CoterieError('KEY_EMPTY', `a key is 1-${KEY_BYTES_MAX} bytes, found none`);
  }
  if (bytes.length > KEY_BYTES_MAX) {
    const message = `a key is 1-${KEY_BYTES_MAX} bytes, found ${bytes.length}`;
    throw new CoterieError('KEY_TOO_LONG', message);
  }
  return keyOfBytes(bytes);
};

/** A whole number of ms in 1 … 600,000; throws BAD_TIMEOUT. */
export const checkedTimeoutMs = (item: unknown): number => {
  const ms = uintOf(item);
  if (ms !== undefined && ms >= 1 && ms <= TIMEOUT_MS_MAX) return ms;
  const message = `a timeout is a whole number of ms from 1 to ${TIMEOUT_MS_MAX}`;
  throw new CoterieError('BAD_TIMEOUT', `${message}, found ${kindOf(item)}`);
};

export const nodeAt = (fields: Fields, index: number): NodeId => {
  const node = fields[index];
  if (!isNodeId(node)) throw badArgument('the node', 'a node id', node);
  return node;
};

export const nodesAt = (fields: Fields, index: number): readonly NodeId[] => {
  const nodes = fields[index];
  if (Array.isArray(nodes) && nodes.every(isNodeId)) return nodes;
  throw badArgument('the nodes', 'an array of node ids', nodes);
};

export const bytesAt = (fields: Fields, index: number, what: string): Uint8Array => {
  const bytes = fields[index];
  if (!(bytes instanceof Uint8Array)) throw badArgument(what, 'a byte string', bytes);
  return bytes;
};

export const bytesListAt = (fields: Fields, index: number, what: string): readonly Uint8Array[] => {
  const list = fields[index];
  if (Array.isArray(list) && list.every((item) => item instanceof Uint8Array)) return list;
  throw badArgument(what, 'an array of byte strings', list);
};

export const uintAt = (fields: Fields, index: number, what: string): number => {
  const value = uintOf(fields[index]);
  if (value === undefined) throw badArgument(what, 'an unsigned integer', fields[index]);
  return value;
};

export const textAt = (fields: Fields, index: number, what: string): string => {
  const text = fields[index];
  if (typeof text !== 'string') throw badArgument(what, 'text', text);
  return text;
};

export const mapAt = (
  fields: Fields,
  index: number,
  what: string,
): Readonly<Record<string, unknown>> => {
  const map = mapOf(fields[index]);
  if (map === undefined) throw badArgument(what, 'a map', fields[index]);
  return map;
};

/** Absent options are no options. */
export const optionsAt = (fields: Fields, index: number): Readonly<Record<string, unknown>> =>
  fields[index] === undefined ? {} : mapAt(fields, index, 'the options');

export const flagOf = (options: Readonly<Record<string, unknown>>, name: string): boolean => {
  const flag = options[name] ?? false;
  if (typeof flag !== 'boolean') throw badArgument(`the option ${name}`, 'true or false', flag);
  return flag;
};

export const badArgument = (what: string, expected: string, found: unknown): CoterieError =>
  new CoterieError('BAD_ARGUMENT', `${what}: expected ${expected}, found ${kindOf(found)}`);
