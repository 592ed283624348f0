/** Tokens: what they open, how fast, how long. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { nodeDigest } from '../../src/adapters/node-digest.ts';
import { systemClock } from '../../src/adapters/system-clock.ts';
import { allows, parseGrant, parseTokens } from '../../src/core/access.ts';
import type { Role } from '../../src/core/access.ts';
import { keyOfBytes } from '../../src/core/ids.ts';
import { Rate } from '../../src/core/rate.ts';
import { admissionBy, tokenHash } from '../../src/node/clients/client-access.ts';
import type { HandledRequest } from '../../src/wire/client-messages.ts';

const access = suite('client access');

const key = (text: string) => keyOfBytes(new TextEncoder().encode(text));
const get = (name: string): HandledRequest => ({
  ...{ type: 'get', key: key(name), strict: false, timeoutMs: 1000 },
});
const file = (roles: readonly string[], more = {}) => ({
  tokens: [{ name: 'shop', hash: tokenHash(nodeDigest, 'right'), roles, ...more }],
});

access('a grant covers its role and those below it, on the keys with its prefix', () => {
  const cases: readonly (readonly [string, Role, string | undefined, boolean])[] = [
    ['read', 'read', 'cart:1', true],
    ['read', 'write', 'cart:1', false],
    ['write', 'read', 'cart:1', true],
    ['write', 'admin', undefined, false],
    ['write:cart:', 'write', 'cart:1', true],
    ['write:cart:', 'read', 'cart:1', true],
    ['write:cart:', 'write', 'car', false],
    ['write:cart:', 'read', undefined, false],
    ['write:ü', 'write', 'über', true],
    ['admin', 'admin', undefined, true],
    ['admin', 'write', 'any', true],
  ];
  for (const [grant, role, name, expected] of cases) {
    const need = { type: 'role', role, ...(name === undefined ? {} : { key: key(name) }) } as const;
    assert.equal(allows([parseGrant(grant)], need), expected, `${grant} → ${role} ${name}`);
  }
  assert.equal(allows([], { type: 'anyone' }), true);
});

access('the tokens file is refused by entry and field', () => {
  const hash = 'a'.repeat(64);
  for (const [content, message] of [
    [null, /expected \{"tokens"/],
    [{ tokens: [{ hash, roles: ['read'] }] }, /^token 1: name/],
    [{ tokens: [{ name: 'x', hash: 'plain text', roles: ['read'] }] }, /^token 1: hash/],
    [{ tokens: [{ name: 'x', hash, roles: [] }] }, /^token 1: roles/],
    [{ tokens: [{ name: 'x', hash, roles: ['own'] }] }, /found "own"/],
    [{ tokens: [{ name: 'x', hash, roles: ['admin:cart'] }] }, /found "admin:cart"/],
    [{ tokens: [{ name: 'x', hash, roles: ['read'], expires: 'soon' }] }, /^token 1: expires/],
    [{ tokens: [{ name: 'x', hash, roles: ['read'], role: 'read' }] }, /unknown field role/],
    [{ tokens: [{ name: 'x', hash, roles: ['read'], requestsPerSecondMax: 0 }] }, /above 0/],
  ] as const) {
    assert.throws(() => parseTokens(content), { name: 'RangeError', message });
  }
});

access('no or wrong token: nobody is let in; a token taken back ends what it began', () => {
  let tokens = parseTokens(file(['read:cart:']));
  const admit = admissionBy(() => tokens, { clock: systemClock, digest: nodeDigest });
  for (const token of [undefined, '', 'wrong', tokens[0]!.hash]) {
    assert.equal(admit(token), 'unauthorized');
  }
  const shop = admit('right');
  assert.ok(shop !== 'unauthorized');
  assert.equal(shop.refusalOf(get('cart:1')), undefined);
  const refusal = shop.refusalOf(get('user:1'));
  assert.ok(refusal !== 'unauthorized' && refusal?.code === 'FORBIDDEN');
  tokens = [];
  assert.equal(shop.refusalOf(get('cart:1')), 'unauthorized');
});

access('a token ends when it expires', () => {
  let wallMs = 0;
  const clock = { ...systemClock, wallMs: () => wallMs };
  const tokens = parseTokens(file(['read'], { expires: '1970-01-01T00:00:10Z' }));
  const admit = admissionBy(() => tokens, { clock, digest: nodeDigest });
  const shop = admit('right');
  assert.ok(shop !== 'unauthorized');
  assert.equal(shop.refusalOf(get('k')), undefined);
  wallMs = 10_000;
  assert.equal(shop.refusalOf(get('k')), 'unauthorized');
  assert.equal(admit('right'), 'unauthorized');
});

access('all connections of a token share its rate, and are told when to come back', () => {
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const tokens = parseTokens(file(['read'], { requestsPerSecondMax: 2 }));
  const admit = admissionBy(() => tokens, { clock, digest: nodeDigest });
  const [one, two] = [admit('right'), admit('right')];
  assert.ok(one !== 'unauthorized' && two !== 'unauthorized');
  assert.equal(one.refusalOf(get('k')), undefined);
  assert.equal(two.refusalOf(get('k')), undefined);
  const refusal = one.refusalOf(get('k'));
  assert.ok(refusal !== 'unauthorized' && refusal?.code === 'OVERLOADED');
  assert.equal(refusal.details['retryAfterMs'], 500);
  nowMs += 500;
  assert.equal(two.refusalOf(get('k')), undefined);
});

access('a rate saves up one second at most', () => {
  const rate = new Rate(10, 0);
  const taken = (nowMs: number): number => {
    let count = 0;
    while (rate.take(10, nowMs) === 0) count += 1;
    return count;
  };
  assert.deepEqual([taken(0), taken(100), taken(60_000)], [10, 1, 10]);
});

access.run();
