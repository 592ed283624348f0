/** What a request is told that cannot succeed, before any coordinator is born for it. */
import type { ErrorCode, ErrorDetails } from '../../core/errors.ts';
import type { NodeId } from '../../core/ids.ts';
import type { FailedReply, PutCommand } from '../../wire/peer-messages.ts';
import type { NodeState } from '../status.ts';

export const failed = (
  code: ErrorCode,
  message: string,
  details: ErrorDetails = {},
): FailedReply => ({
  type: 'failed',
  code,
  message,
  details,
});

/** A node that does not serve takes no request, neither from clients nor handed on by nodes. */
export const stateRefusal = (state: NodeState): FailedReply | undefined => {
  if (state === 'serving') return undefined;
  const code = state === 'joining' ? 'NOT_READY' : 'GOING_AWAY';
  return failed(code, `this node is ${state}`, { outcome: 'refused' });
};

export const overloaded = (alive: number): FailedReply =>
  failed('OVERLOADED', `${alive} requests are in flight on this node`, { retryAfterMs: 100 });

export const crashed = (outcome: 'refused' | 'unknown'): FailedReply =>
  failed('INTERNAL', 'the coordinator of this request crashed', { outcome });

export const valueRefusal = (put: PutCommand, valueBytesMax: number): FailedReply | undefined => {
  if (put.value === 'tombstone' || put.value.length <= valueBytesMax) return undefined;
  return failed(
    'VALUE_TOO_LARGE',
    `a value is at most ${valueBytesMax} bytes, found ${put.value.length}`,
  );
};

/** The last moment of a Date: what is meant to stay for ever has no expiry. */
const EXPIRES_AT_MS_MAX = 8.64e15;

export const expiryRefusal = ({ expiresAt = 0 }: PutCommand): FailedReply | undefined => {
  if (Number.isSafeInteger(expiresAt) && expiresAt <= EXPIRES_AT_MS_MAX) return undefined;
  const message = `expires is at most ${EXPIRES_AT_MS_MAX} ms since 1970, found ${expiresAt}`;
  return failed('BAD_ARGUMENT', message);
};

const QUORUM_WORDS = ['r', 'w', 'dw'] as const;

/** r and w from 1, dw from 0, none above n, and strict only with dw ≥ w. */
export const quorumRefusal = (
  wish: { readonly r?: number; readonly w?: number; readonly dw?: number },
  n: number,
  strict: boolean,
): FailedReply | undefined => {
  for (const name of QUORUM_WORDS) {
    const value = wish[name];
    if (value === undefined) continue;
    const least = name === 'dw' ? 0 : 1;
    if (!Number.isInteger(value) || value < least || value > n) {
      return failed(
        'BAD_QUORUM',
        `${name} must be an integer from ${least} to n = ${n}, found ${value}`,
        { n },
      );
    }
  }
  if (strict && wish.w !== undefined && (wish.dw ?? 0) < wish.w) {
    return failed(
      'BAD_QUORUM',
      `a strict put needs dw >= w, found dw = ${wish.dw}, w = ${wish.w}`,
      { n },
    );
  }
  return undefined;
};

/** Refused before anything is born: too few nodes can be reached for this quorum. */
export const reachRefusal = (
  reachable: readonly NodeId[],
  wanted: number,
): FailedReply | undefined => {
  if (reachable.length >= wanted) return undefined;
  return failed('QUORUM_NOT_MET', `wanted ${wanted} nodes, ${reachable.length} can be reached`, {
    outcome: 'refused',
    wanted,
    got: reachable.length,
    reachable,
  });
};
