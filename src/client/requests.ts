/** How an operation's options become a request, and its answer what the caller gets. */
import { CoterieError } from '../core/errors.ts';
import type { Key } from '../core/ids.ts';
import type { PutRequest } from '../wire/client-messages.ts';
import { bytesOf } from './inputs.ts';
import type { Mergeable } from './mergeable.ts';
import type { Answered } from './operation.ts';
import type { Applied, GetOptions, Merge, PutOptions, WriteOptions } from './options.ts';
import { Values } from './values.ts';

/** A put but for what differs from try to try. */
export type NewPut = Omit<PutRequest, 'timeoutMs' | 'attempt'>;
/** What came of a put before the operation that goes on with it. */
export type Earlier = { readonly attempts: number; readonly error?: CoterieError | undefined };

export const newGet = (
  key: Key,
  { r, strict = false, lastWriteWins, traceparent }: GetOptions,
) => ({
  type: 'get' as const,
  key,
  strict,
  ...(r === undefined ? {} : { r }),
  ...modeOf(lastWriteWins),
  ...(traceparent === undefined ? {} : { traceparent }),
});

export const valuesOf = (reply: Answered): Values => {
  if (reply.type !== 'value') throw unexpected(reply);
  return new Values(reply);
};

export const appliedOf = (reply: Answered): Applied => {
  if (reply.type !== 'applied') throw unexpected(reply);
  const { acks, durable, context } = reply;
  return { outcome: 'applied', acks, durable, context };
};

export const modeOf = (lastWriteWins: boolean | undefined) =>
  lastWriteWins === undefined
    ? {}
    : { mode: lastWriteWins ? ('last-write-wins' as const) : ('causal' as const) };

export const conditionOf = ({ ifAbsent = false, ifContext = false }: PutOptions) => {
  if (ifAbsent) return { onlyIf: 'absent' as const };
  return ifContext ? { onlyIf: 'seen' as const } : {};
};

export const expiryOf = ({ ttlMs }: PutOptions, writtenAt: number) => {
  if (ttlMs === undefined) return {};
  if (ttlMs === Infinity) return { expiresAt: 'never' as const };
  if (Number.isInteger(ttlMs) && ttlMs > 0) return { expiresAt: writtenAt + ttlMs };
  throw new CoterieError('BAD_ARGUMENT', `ttlMs is a whole number of ms from 1, found ${ttlMs}`);
};

/** What the read before a delete takes over: W and dw say nothing about it. */
export const readingOf = ({ strict, signal }: WriteOptions): GetOptions => ({
  ...(strict === undefined ? {} : { strict }),
  ...(signal === undefined ? {} : { signal }),
});

export const mergedOf = (siblings: readonly Uint8Array[], merge: Merge): Uint8Array | undefined =>
  siblings.length < 2 ? siblings[0] : bytesOf(merge(siblings));

/** Nothing was written, and a fresh read may mend it: its context is newer. */
export const isStale = (error: unknown): boolean =>
  error instanceof CoterieError && error.outcome === 'refused' && STALE.has(error.code);

export const STALE: ReadonlySet<string> = new Set([
  'BAD_CONTEXT',
  'TOO_MANY_SIBLINGS',
  'CONDITION_NOT_MET',
]);

export const unexpected = (reply: Answered): CoterieError =>
  new CoterieError('INTERNAL', `the node answered with ${reply.type}`);

export type AnyMergeable = Mergeable<unknown, never, never>;
