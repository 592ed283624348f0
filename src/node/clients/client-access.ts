/**
 * What the bearer of a token may ask. Tokens are kept by the hash of their bytes: HMAC-SHA-256 under
 * a fixed word, enough for tokens of 256 random bits. Every request looks its token up anew, so one
 * that was taken out of the file is out with the reload.
 */
import { allows } from '../../core/access.ts';
import type { Need, TokenEntry } from '../../core/access.ts';
import { CoterieError, unreachable } from '../../core/errors.ts';
import { hexOf } from '../../core/ids.ts';
import type { Key } from '../../core/ids.ts';
import { Rate } from '../../core/rate.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Digest } from '../../ports/digest.ts';
import type { HandledRequest } from '../../wire/client-messages.ts';

/** What one connection may do. */
export type ClientAccess = {
  /** Whose token it is, for logs. */
  readonly name: string;
  /** Why this request may not be done now; `unauthorized`: the token is good no more. */
  readonly refusalOf: (request: HandledRequest) => CoterieError | 'unauthorized' | undefined;
};

export type Admission = (token: string | undefined) => ClientAccess | 'unauthorized';

const utf8 = new TextEncoder();
const HASH_WORD = utf8.encode('coterie token');

export const tokenHash = (digest: Digest, token: string): string =>
  hexOf(digest.keyed(HASH_WORD, utf8.encode(token)));

/** `tokens` answers with those that hold now. */
export const admissionBy = (
  tokens: () => readonly TokenEntry[],
  { clock, digest }: { readonly clock: Clock; readonly digest: Digest },
): Admission => {
  let list: readonly TokenEntry[] = [];
  let byHash = new Map<string, TokenEntry>();
  const rates = new Map<string, Rate>();
  const entryOf = (hash: string): TokenEntry | undefined => {
    const now = tokens();
    if (now !== list) {
      list = now;
      byHash = new Map(now.map((entry) => [entry.hash, entry]));
      rates.clear();
    }
    const entry = byHash.get(hash);
    const expired = entry?.expiresAtMs !== undefined && entry.expiresAtMs <= clock.wallMs();
    return expired ? undefined : entry;
  };
  const rateOf = (hash: string, perSecond: number): Rate => {
    const known = rates.get(hash) ?? new Rate(perSecond, clock.monotonicMs());
    rates.set(hash, known);
    return known;
  };
  return (token) => {
    const hash = tokenHash(digest, token ?? '');
    const admitted = entryOf(hash);
    if (token === undefined || admitted === undefined) return 'unauthorized';
    return {
      name: admitted.name,
      refusalOf: (request) => {
        const entry = entryOf(hash);
        if (entry === undefined) return 'unauthorized';
        const needs = needsOf(request);
        const missing = needs.find((need) => !allows(entry.grants, need));
        if (missing !== undefined) return forbidden(entry.name, missing);
        const { requestsPerSecondMax: perSecond } = entry;
        if (perSecond === undefined) return undefined;
        // Many in one frame count as many.
        const waits = needs.map(() => rateOf(hash, perSecond).take(perSecond, clock.monotonicMs()));
        const retryAfterMs = Math.max(...waits);
        return retryAfterMs === 0
          ? undefined
          : tooFast(`the token ${entry.name}`, perSecond, retryAfterMs);
      },
    };
  };
};

export const tooFast = (who: string, perSecond: number, retryAfterMs: number): CoterieError =>
  new CoterieError('OVERLOADED', `${who} may ask ${perSecond} requests a second`, { retryAfterMs });

const forbidden = (name: string, need: Need): CoterieError => {
  const wanted = need.type === 'role' ? need.role : 'access';
  return new CoterieError('FORBIDDEN', `the token ${name} does not grant ${wanted} here`);
};

/** Every key counts: one that is not granted refuses the whole. */
const needsOf = (request: HandledRequest): readonly Need[] => {
  switch (request.type) {
    case 'get':
    case 'replica-get':
    case 'repair':
      return [{ type: 'role', role: 'read', key: request.key }];
    case 'put':
      return [{ type: 'role', role: 'write', key: request.key }];
    case 'get-many':
    case 'put-many':
      return request.requests.flatMap(needsOf);
    case 'scan':
      // It shows every key: only a grant for all of them will do.
      return [{ type: 'role', role: 'read', key: ALL_KEYS }];
    case 'ring':
    case 'status':
      return [{ type: 'anyone' }];
    case 'admin':
      return [{ type: 'role', role: 'admin' }];
    default:
      return unreachable(request);
  }
};

/** Begins with no prefix but the empty one. */
const ALL_KEYS = '' as Key;
