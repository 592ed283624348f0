/** protocol.cddl is normative: the worked examples and whatever the codecs write obey it. */
import * as assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { suite } from 'uvu';
import { ERROR_KINDS } from '../../src/core/errors.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { keyOfBytes, putId } from '../../src/core/ids.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import { OPS } from '../../src/wire/client-messages.ts';
import { encodeServerReply } from '../../src/wire/reply-codec.ts';
import { encodeClientRequest } from '../../src/wire/request-codec.ts';
import { parseCddl } from './cddl.ts';

const cddl = suite('the CDDL of the client protocol');
const wire = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../src/wire/${file}`, import.meta.url)), 'utf8');
const RULES = parseCddl(wire('protocol.cddl'));
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7);

const obeys = (rule: string, frame: Uint8Array): void =>
  assert.equal(RULES.mismatch(rule, decodeCbor(frame)), undefined);

cddl('is obeyed by every worked example of PROTOCOL.md', () => {
  const examples = [...wire('PROTOCOL.md').matchAll(/```hex (\S+)\n([^`]*)```/g)];
  assert.ok(examples.length >= Object.keys(OPS).length, `${examples.length} examples`);
  for (const [, name, block] of examples) {
    const hex = block!.split('\n').map((line) => /^(?:\s*[0-9a-f]{2,}(?=\s|$))*/.exec(line)![0]);
    const frame = Buffer.from(hex.join('').replace(/\s/g, ''), 'hex');
    obeys(name!.toLowerCase().replaceAll('_', '-'), frame);
    obeys('message', frame);
  }
});

cddl('is obeyed by whatever put the codec writes', () => {
  const put = fc.record({
    type: fc.constant('put' as const),
    key: fc.uint8Array({ minLength: 1, maxLength: 1024 }).map(keyOfBytes),
    value: fc.oneof(fc.constant('tombstone' as const), fc.uint8Array({ maxLength: 50 })),
    contexts: fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 16 }),
    putId: fc
      .bigInt({ min: 0n, max: 2n ** 64n - 1n })
      .map((id) => putId(id.toString(16).padStart(16, '0'))),
    writtenAt: fc.maxSafeNat(),
    attempt: fc.integer({ min: 1, max: 1000 }),
    mode: fc.constantFrom('causal' as const, 'last-write-wins' as const),
    w: fc.integer({ min: 1, max: 9 }),
    dw: fc.integer({ min: 0, max: 9 }),
    strict: fc.boolean(),
    timeoutMs: fc.integer({ min: 1, max: 600_000 }),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 32 - 1 }), put, (id, request) =>
      obeys('put', encodeClientRequest(id, request)),
    ),
  );
});

cddl('is obeyed by every failure', () => {
  for (const code of Object.keys(ERROR_KINDS) as ErrorCode[]) {
    const details = { wanted: 2, acks: ['n1'], reason: 'r' };
    obeys('failed', encodeServerReply(3, { type: 'failed', code, message: 'm', details }));
  }
});

const get = (...rest: unknown[]): unknown[] => [2, 8, bytes(1), ...rest];
const put = (at: number, item: unknown): unknown[] => {
  const fields: unknown[] = [3, 8, bytes(1), bytes(1), [], bytes(8), 1, 1, {}];
  fields[at] = item;
  return fields;
};

for (const [claim, rule, message] of [
  ['an unknown op', 'request', [15, 8, {}]],
  ['the id 0 of a request', 'get', [2, 0, bytes(1), {}]],
  ['an id beyond 2^32 - 1', 'get', [2, 2 ** 32, bytes(1), {}]],
  ['an empty key', 'get', [2, 8, bytes(0), {}]],
  ['a key of 1,025 bytes', 'get', [2, 8, bytes(1025), {}]],
  ['a key that is text', 'get', [2, 8, 'k', {}]],
  ['an option that no rule names', 'get', get({ shiny: 1 })],
  ['an option of the wrong type', 'get', get({ strict: 1 })],
  ['a timeout of 0', 'get', get({ timeout: 0 })],
  ['an element too many', 'get', get({}, 1)],
  ['an element too few', 'get', get()],
  ['a put id of 7 bytes', 'put', put(5, bytes(7))],
  ['a context that is text', 'put', put(4, ['c'])],
  ['a value that is text', 'put', put(3, 'v')],
  ['a negative time', 'put', put(6, -1)],
  ['a failure without its marks', 'failed', [21, 1, 'TIMEOUT', 'm', { outcome: 'unknown' }, {}]],
  [
    'an outcome of another name',
    'failed',
    [21, 1, 'X', 'm', { retryable: true, outcome: 'no' }, {}],
  ],
  ['a state of another name', 'value', [17, 1, 'lost', [], bytes(1), {}]],
  ['a map where an array is due', 'applied', [18, 1, {}, [], bytes(1), {}]],
] as const) {
  cddl(`rules out ${claim}`, () => {
    assert.equal(typeof RULES.mismatch(rule, message), 'string');
  });
}

cddl('names every message, and nothing it does not define', () => {
  for (const name of Object.keys(OPS)) assert.ok(RULES.names.includes(name), name);
  assert.throws(() => parseCddl('a = [b: 1, c]'), /nothing defines c/);
  assert.throws(() => parseCddl('a = 1\na = 2'), /defined twice/);
  assert.throws(() => parseCddl('a = #6.1(tstr)'), /not understood/);
});

cddl.run();
