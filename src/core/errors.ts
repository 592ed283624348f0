/**
 * One error class with a closed set of codes, the same on the wire, in the client and on the
 * command line. Every code says whether trying again can help and whether the write may have
 * happened all the same.
 */

/** retryable: the same request may succeed later. outcome: what is known of the write (none: reads). */
type ErrorKind = { readonly retryable: boolean; readonly outcome: 'refused' | 'unknown' };

const refused = { retryable: false, outcome: 'refused' } as const;
const refusedForNow = { retryable: true, outcome: 'refused' } as const;
const unknown = { retryable: true, outcome: 'unknown' } as const;

export const ERROR_KINDS = {
  BAD_FRAME: refused,
  UNKNOWN_OP: refused,
  UNSUPPORTED_VERSION: refused,
  BAD_REQUEST_ID: refused,
  DUPLICATE_REQUEST: refused,
  BAD_ARGUMENT: refused,
  KEY_EMPTY: refused,
  KEY_TOO_LONG: refused,
  VALUE_TOO_LARGE: refused,
  BAD_QUORUM: refused,
  BAD_TIMEOUT: refused,
  BAD_TIMESTAMP: refused,
  BAD_CONTEXT: refused,
  CONTEXT_KEY_MISMATCH: refused,
  PUT_ID_REUSED: refused,
  TOO_MANY_SIBLINGS: refused,
  FORBIDDEN: refused,
  CONDITION_NOT_MET: refused,
  INSUFFICIENT_STORAGE: refusedForNow,
  OVERLOADED: refusedForNow,
  NOT_READY: refusedForNow,
  GOING_AWAY: refusedForNow,
  UNREACHABLE: refusedForNow,
  STALE_READ: refusedForNow,
  CANCELLED: unknown,
  QUORUM_NOT_MET: unknown,
  RETRY_TOO_OLD: { retryable: false, outcome: 'unknown' },
  TIMEOUT: unknown,
  CONNECTION_LOST: unknown,
  INTERNAL: unknown,
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

export const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === 'string' && Object.hasOwn(ERROR_KINDS, code);

/** Small facts beside the message: counts, ids, limits. Never value bytes. */
export type ErrorDetails = {
  readonly [name: string]: string | number | boolean | readonly string[];
};

export class CoterieError extends Error {
  override readonly name = 'CoterieError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }

  get retryable(): boolean {
    return marksOf(this.code, this.details).retryable;
  }

  /** Of a write: `refused` = nothing was written anywhere; `unknown` = it may have been. */
  get outcome(): 'refused' | 'unknown' {
    return marksOf(this.code, this.details).outcome;
  }
}

/**
 * Both marks without an error to throw, whose stack costs several times a whole refusal. One code
 * (`QUORUM_NOT_MET`) can be refused or unknown, before or after a dot was minted, and any refusal is
 * unknown once an earlier attempt of the same put was: then the details say which.
 */
export const marksOf = (code: ErrorCode, { outcome: said }: ErrorDetails): ErrorKind => {
  const kind = ERROR_KINDS[code];
  return said === 'refused' || said === 'unknown' ? { ...kind, outcome: said } : kind;
};

/** Ends a total switch: reached only if a type was lied about. */
export const unreachable = (value: never): never => {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
};
