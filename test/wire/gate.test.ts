/** The door for bytes from strangers: every row of the malformed kind, and a fuzz against the codec. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import { GATE_LIMITS, readCbor } from '../../src/wire/gate.ts';

const gate = suite('the gate for the CBOR of strangers');

const bytes = (hex: string): Uint8Array =>
  new Uint8Array(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
const text = (value: string): string => Buffer.from(encodeCbor(value)).toString('hex');

const GOOD: readonly (readonly [string, string])[] = [
  ['an array of small integers', '82 03 18 2a'],
  ['an empty array', '80'],
  ['an empty map', 'a0'],
  ['an empty byte string and an empty text', '82 40 60'],
  ['negative integers', '83 20 38 63 3b 001ffffffffffffe'],
  ['the largest safe integer', '1b 001fffffffffffff'],
  ['lengths longer than they need be', '9a 00000001 1b 0000000000000005'],
  ['floats of three sizes', '83 f9 3c00 fa 3f800000 fb 3ff0000000000000'],
  ['false, true, null, undefined', '84 f4 f5 f6 f7'],
  ['text beyond ASCII', text('Grüße, 世界 🌍')],
  ['a map with two keys', 'a2 61 61 01 61 62 02'],
  ['nesting to the limit', '81'.repeat(GATE_LIMITS.depthMax) + '00'],
];

const BAD: readonly (readonly [string, string, number, RegExp])[] = [
  ['nothing at all [bad input 8c]', '', 0, /input ends/],
  ['an array cut short [bad input 8a]', '82 03', 0, /2 items where 1 bytes are left/],
  ['an inner array that took all there was', '82 81 03', 3, /input ends/],
  ['a head cut short', '82 03 19 01', 2, /within a head/],
  ['a byte string cut short', '81 45 0102', 1, /length of 5 bytes where 2 are left/],
  ['a float cut short', '81 fb 00', 1, /length of 8 bytes/],
  ['bytes that follow [bad input 8b]', '81 03 00', 2, /1 bytes follow/],
  ['an indefinite array [bad input 8d]', '9f 03 ff', 0, /indefinite length/],
  ['an indefinite map', '81 bf ff', 1, /indefinite length/],
  ['an indefinite byte string', '5f 41 00 ff', 0, /indefinite length/],
  ['an indefinite text [bad input 8d]', '7f 61 61 ff', 0, /indefinite length/],
  ['a lone break', 'ff', 0, /break/],
  ['a break as an item', '82 01 ff', 2, /break/],
  ['a tag [bad input 8e]', '81 c2 41 01', 1, /a tag/],
  ['a regular expression of cbor-x', '82 00 d8 1b 81 61 61', 2, /a tag/],
  ['a record definition of cbor-x', 'd9 dfff 83 19 e000 80 80', 0, /a tag/],
  ['reserved additional information', '1c', 0, /reserved/],
  ['a simple value of one byte', 'f8 20', 0, /simple value/],
  ['an unassigned simple value', 'e0', 0, /simple value/],
  ['an integer beyond 2^53 - 1', '81 1b 0020000000000000', 1, /2\^53/],
  ['a negative integer beyond', '3b ffffffffffffffff', 0, /2\^53/],
  ['an array said to be huge [bad input 8g]', '9b ffffffffffffffff', 0, /items where 0 bytes/],
  ['a map said to be huge', 'ba 7fffffff 00', 0, /items where 1 bytes/],
  ['a byte string said to be huge [bad input 8g]', '5b 7fffffffffffffff', 0, /where 0 are left/],
  ['a text said to be huge', '7a ffffffff 61', 0, /where 1 are left/],
  ['invalid UTF-8 [bad input 8h]', '82 01 62 c3 28', 2, /UTF-8/],
  ['UTF-8 of a surrogate', '63 eda080', 0, /UTF-8/],
  ['overlong UTF-8', '62 c080', 0, /UTF-8/],
  ['UTF-8 cut within a character', '62 61 e2', 0, /UTF-8/],
  ['a duplicate key [bad input 8i]', 'a2 61 61 01 61 61 02', 4, /duplicate/],
  ['a duplicate key of another head', 'a2 61 61 01 78 01 61 02', 4, /duplicate/],
  ['the key __proto__ [bad input 8i]', `a1 ${text('__proto__')} 00`, 1, /__proto__/],
  ['a key that is an integer', 'a1 01 02', 1, /no text/],
  ['a key that is bytes', 'a1 41 61 02', 1, /no text/],
  ['a key without a value', 'a1 61 61', 3, /input ends/],
  [
    'one level too deep [bad input 8f]',
    '81'.repeat(GATE_LIMITS.depthMax + 1) + '00',
    8,
    /deeper than 8/,
  ],
  [
    'a level too deep within maps',
    'a1 61 61'.repeat(GATE_LIMITS.depthMax + 1) + '00',
    24,
    /deeper/,
  ],
];

for (const [name, hex] of GOOD) {
  gate(`${name} may pass`, () => {
    const result = readCbor(bytes(hex));
    assert.ok(result.type === 'ok');
    assert.deepEqual(normal(result.item), normal(decodeCbor(bytes(hex))));
  });
}

for (const [name, hex, offset, reason] of BAD) {
  gate(`${name} may not pass, and the answer says where`, () => {
    const result = readCbor(bytes(hex));
    assert.ok(result.type === 'malformed', 'it passed');
    assert.match(result.reason, reason);
    assert.equal(result.offset, offset);
  });
}

gate('caps the items, the entries of a map and the length of its keys', () => {
  const limits = { depthMax: 8, itemsMax: 10, mapEntriesMax: 2, mapKeyBytesMax: 3 };
  const reasonOf = (value: unknown): string => {
    const result = readCbor(encodeCbor(value), limits);
    return result.type === 'ok' ? 'ok' : result.reason;
  };
  assert.equal(reasonOf(new Array(10).fill(0)), 'ok');
  assert.equal(reasonOf(new Array(11).fill(0)), 'more than 10 items');
  assert.equal(
    reasonOf([
      [0, 0, 0, 0],
      [0, 0, 0, 0, 0],
    ]),
    'more than 10 items',
  );
  assert.equal(reasonOf({ abc: 1, d: 2 }), 'ok');
  assert.equal(reasonOf({ a: 1, b: 2, c: 3 }), 'a map of 3 entries');
  assert.equal(reasonOf({ abcd: 1 }), 'a map key of 4 bytes');
});

gate('answers quickly whatever the size [bad input 8j]', () => {
  const size = 4 * 1024 * 1024;
  const bignum = new Uint8Array(size).fill(0xff);
  bignum.set([0xc2, 0x5a, 0, 0x3f, 0xff, 0xfa]);
  const nested = new Uint8Array(size).fill(0x81);
  const flat = new Uint8Array(size);
  flat.set([0x9a, 0, 0x3f, 0xff, 0xfb]);
  const long = new Uint8Array(size).fill(0x61);
  long.set([0x7a, 0, 0x3f, 0xff, 0xfb]);
  const broken = Uint8Array.from(long);
  broken[size - 1] = 0xc3;
  const startedMs = performance.now();
  assert.equal(readCbor(bignum).type, 'malformed');
  assert.equal(readCbor(nested).type, 'malformed');
  assert.equal(readCbor(flat).type, 'malformed');
  assert.equal(readCbor(long).type, 'ok');
  assert.equal(readCbor(broken).type, 'malformed');
  // 20 MiB of the worst in some 20 ms; the bound leaves room for a busy machine.
  assert.ok(performance.now() - startedMs < 1000);
});

const plain: fc.Arbitrary<unknown> = fc.letrec<{ item: unknown }>((tie) => ({
  item: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.integer(),
    fc.maxSafeNat().map((n) => BigInt(n)),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('item'), { maxLength: 5 }),
    fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      tie('item'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
})).item;

gate('passes everything our own encoder writes, and gives it back', () => {
  fc.assert(
    fc.property(plain, (value) => {
      const encoded = encodeCbor(value);
      const result = readCbor(encoded);
      assert.ok(result.type === 'ok');
      assert.deepEqual(normal(result.item), normal(value));
    }),
  );
});

gate('never throws on random bytes, and reads what passed as cbor-x does', () => {
  let passed = 0;
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 24 }), (frame) => {
      const result = readCbor(frame);
      if (result.type === 'malformed') {
        assert.ok(result.offset >= 0 && result.offset <= frame.length);
        return;
      }
      passed += 1;
      assert.deepEqual(normal(result.item), normal(decodeCbor(frame)));
    }),
    { numRuns: 20_000 },
  );
  assert.ok(passed > 50, `only ${passed} random inputs passed`);
});

gate('refuses every proper beginning of a good message', () => {
  fc.assert(
    fc.property(plain, (value) => {
      const encoded = encodeCbor(value);
      for (let length = 0; length < encoded.length; length++) {
        assert.equal(readCbor(encoded.subarray(0, length)).type, 'malformed');
      }
    }),
    { numRuns: 50 },
  );
});

/** Bigints and negative zero do not come back as what they were. */
const normal = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number') return value + 0;
  if (Array.isArray(value)) return value.map(normal);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, normal(item)]));
};

gate.run();
