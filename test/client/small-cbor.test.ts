/** The CBOR of the browser bundle against cbor-x and the gate: each reads what the other writes. */
import * as assert from 'node:assert/strict';
import fc from 'fast-check';
import { suite } from 'uvu';
import { Decoder, Encoder } from '../../src/client/small-cbor.ts';
import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import { readCbor } from '../../src/wire/gate.ts';

const small = suite('the CBOR of the browser bundle');
const { data } = fc.letrec((tie) => ({
  data: fc.oneof(
    { depthSize: 'small' },
    fc.integer(),
    fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }),
    fc.constantFrom(0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, -1, -24, -25, -(2 ** 31)),
    // cbor-x makes bigints of larger integers, and drops the sign of zero.
    fc.double().filter((n) => !Object.is(n, -0) && (!Number.isInteger(n) || Math.abs(n) < 2 ** 31)),
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('data'), { maxLength: 30 }),
    fc.dictionary(
      fc.string().filter((name) => name !== '__proto__'),
      tie('data'),
      {
        maxKeys: 5,
        noNullPrototype: true,
      },
    ),
  ),
}));

small('reads what cbor-x writes, and cbor-x what it writes', () => {
  fc.assert(
    fc.property(data, (value) => {
      const mine = new Encoder().encode(value);
      assert.deepEqual(
        readCbor(mine, { depthMax: 99, itemsMax: 1e6, mapEntriesMax: 99, mapKeyBytesMax: 999 }),
        { type: 'ok', item: value },
      );
      assert.deepEqual(decodeCbor(mine), value);
      assert.deepEqual(new Decoder().decode(encodeCbor(value)), value);
      assert.deepEqual(new Decoder().decode(mine), value);
    }),
    { numRuns: 2000 },
  );
});

small('reads floats of every width, integers of 64 bits, and gives copies', () => {
  const read = (hex: string) => new Decoder().decode(Buffer.from(hex, 'hex'));
  for (const [hex, value] of [
    ['f93c00', 1],
    ['f90001', 5.960464477539063e-8],
    ['f97c00', Infinity],
    ['f9fc00', -Infinity],
    ['f97e00', NaN],
    ['fa47c35000', 100000],
    ['fb3ff199999999999a', 1.1],
    ['1b000000e8d4a51000', 1000000000000],
    ['f6', null],
    ['f7', undefined],
  ] as const) {
    assert.deepEqual(read(hex), value, hex);
  }
  assert.equal(
    Buffer.from(new Encoder().encode(1760000000000n)).toString('hex'),
    '1b00000199c82cc000',
  );
  const frame = Buffer.from('43010203', 'hex');
  const bytes = new Decoder().decode(frame) as Uint8Array;
  frame.fill(0);
  assert.deepEqual(bytes, new Uint8Array([1, 2, 3]));
});

small('throws on what is cut short, and on what no encoder of ours would have written', () => {
  const whole = Buffer.from(new Encoder().encode({ a: [1, 'two', new Uint8Array(3)] }));
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => new Decoder().decode(whole.subarray(0, length)), RangeError);
  }
  for (const hex of ['c101', '9fff', 'a2616101616102']) {
    assert.throws(() => new Decoder().decode(Buffer.from(hex, 'hex')), RangeError);
  }
});

small('makes no room for more than the bytes can hold, however deep the counts stand', () => {
  const heads = new Uint8Array(65_536);
  for (let depth = 0; depth < 100; depth++) {
    heads.set([0x9a, 0, 0, 0xf0, 0], 5 * depth);
  }
  assert.throws(() => new Decoder().decode(heads), /more than 65536 items at offset 5$/);
});

small.run();
