/** Why a put is not minted (A2, A7, A10, A12): nothing is written then, here or elsewhere. */
import { CoterieError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { showKey } from '../../core/ids.ts';
import type { Key } from '../../core/ids.ts';
import { liveSiblings, unseenIn } from '../../core/record.ts';
import type { CausalContext, RecordOfKey } from '../../core/record.ts';
import type { PutCommand } from '../../wire/peer-messages.ts';
import type { ReplicaLimits } from '../config.ts';

export type MintRefusal = { readonly type: 'refused'; readonly error: CoterieError };

export const refuse = (code: ErrorCode, message: string): MintRefusal => ({
  type: 'refused',
  error: new CoterieError(code, message),
});

/** A7: a retry beyond the horizon, or a put of the future. */
export const timeRefusal = (
  put: PutCommand,
  nowMs: number,
  limits: ReplicaLimits,
): MintRefusal | undefined => {
  if (put.attempt > 1 && put.writtenAt < nowMs - limits.retryHorizonMs) {
    return refuse('RETRY_TOO_OLD', `a retry first tried ${nowMs - put.writtenAt} ms ago`);
  }
  if (put.writtenAt > nowMs + limits.writtenAtAheadMs) {
    return refuse('BAD_TIMESTAMP', `writtenAt is ${put.writtenAt - nowMs} ms ahead`);
  }
  return undefined;
};

/** A10: caps refuse here only; a merge never refuses. */
export const siblingRefusal = (
  key: Key,
  record: RecordOfKey,
  { siblingsMax, recordBytesMax }: ReplicaLimits,
): MintRefusal | undefined => {
  const { siblings } = record;
  const bytes = siblings.reduce(
    (sum, { value }) => sum + (value instanceof Uint8Array ? value.length : 0),
    0,
  );
  if (siblings.length <= siblingsMax && bytes <= recordBytesMax) return undefined;
  return refuse(
    'TOO_MANY_SIBLINGS',
    `${showKey(key)} would hold ${siblings.length} siblings of ${bytes} bytes; at most ` +
      `${siblingsMax} of ${recordBytesMax}: read, merge and put with the context`,
  );
};

/** A12: refuses truthfully for what this coordinator has seen; success proves nothing more. */
export const conditionRefusal = (
  { onlyIf, key }: PutCommand,
  record: RecordOfKey,
  context: CausalContext,
): MintRefusal | undefined => {
  if (onlyIf === undefined) return undefined;
  const inTheWay = onlyIf === 'absent' ? liveSiblings(record) : unseenIn(record, context);
  if (inTheWay.length === 0) return undefined;
  const found =
    onlyIf === 'absent' ? 'has a value already' : 'has a value that the context has not seen';
  return refuse('CONDITION_NOT_MET', `${showKey(key)} ${found}`);
};
