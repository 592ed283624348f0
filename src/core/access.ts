/**
 * Who may do what: a token stands for a name and its grants, each a role on the keys with a prefix.
 *
 *     read            any key                  write:cart:     keys that begin with cart:
 *     admin           everything, and the cluster itself
 *
 * `write` includes `read` of the same keys (a put needs the context of a get), `admin` everything.
 */
import type { Key } from './ids.ts';
import { keyOfBytes } from './ids.ts';

export const ROLES = ['read', 'write', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export type Grant = {
  readonly role: Role;
  /** As a byte string, like a key; empty: every key. */
  readonly prefix: string;
};

/** A token as it is kept: its hash, never itself. */
export type TokenEntry = {
  readonly name: string;
  /** 64 hex digits (client-access.ts says of what). */
  readonly hash: string;
  readonly grants: readonly Grant[];
  readonly requestsPerSecondMax: number | undefined;
  readonly expiresAtMs: number | undefined;
};

/** What a request needs: `anyone` with a valid token, a role on a key, or a role on every key. */
export type Need =
  { readonly type: 'anyone' } | { readonly type: 'role'; readonly role: Role; readonly key?: Key };

export const allows = (grants: readonly Grant[], need: Need): boolean =>
  need.type === 'anyone' ||
  grants.some(
    ({ role, prefix }) =>
      role === 'admin' ||
      (ROLES.indexOf(role) >= ROLES.indexOf(need.role) && (need.key ?? '').startsWith(prefix)),
  );

/** `role` or `role:prefix`. Throws RangeError. */
export const parseGrant = (text: string): Grant => {
  const [name, ...rest] = text.split(':');
  const role = ROLES.find((each) => each === name);
  const prefix = rest.join(':');
  if (role === undefined || (role === 'admin' && prefix !== '')) {
    throw new RangeError(
      `expected read, write, read:prefix, write:prefix or admin, found ${JSON.stringify(text)}`,
    );
  }
  return { role, prefix: prefix === '' ? '' : keyOfBytes(new TextEncoder().encode(prefix)) };
};

/** The tokens of a parsed file, `{"tokens": [{name, hash, roles, …}]}`. Throws RangeError. */
export const parseTokens = (content: unknown): readonly TokenEntry[] => {
  const list = (content as { readonly tokens?: unknown } | null)?.tokens;
  if (!Array.isArray(list)) throw new RangeError('expected {"tokens": […]}');
  return list.map((each: unknown, index): TokenEntry => {
    const entry = (each ?? {}) as Readonly<Record<string, unknown>>;
    const wrong = (field: string, expected: string): RangeError =>
      new RangeError(
        `token ${index + 1}: ${field} is ${expected}, found ${JSON.stringify(entry[field])}`,
      );
    const unknown = Object.keys(entry).find((field) => !FIELDS.includes(field));
    if (unknown !== undefined) throw new RangeError(`token ${index + 1}: unknown field ${unknown}`);
    const { name, hash, roles, requestsPerSecondMax, expires } = entry;
    if (typeof name !== 'string' || name === '') throw wrong('name', 'a text');
    if (typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash))
      throw wrong('hash', '64 hex digits');
    if (!Array.isArray(roles) || roles.length === 0) throw wrong('roles', 'a list of grants');
    if (requestsPerSecondMax !== undefined && !isRate(requestsPerSecondMax)) {
      throw wrong('requestsPerSecondMax', 'a number above 0');
    }
    const expiresAtMs = expires === undefined ? undefined : Date.parse(String(expires));
    if (Number.isNaN(expiresAtMs)) throw wrong('expires', 'a time like 2030-01-01T00:00:00Z');
    const grants = roles.map((role) => parseGrant(String(role)));
    return { name, hash, grants, requestsPerSecondMax, expiresAtMs };
  });
};

const FIELDS = ['name', 'hash', 'roles', 'requestsPerSecondMax', 'expires'];

const isRate = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0;
