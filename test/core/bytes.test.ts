/** Numbers and ids in bytes: what is written is read, at the edges, too. */
import * as assert from 'node:assert/strict';
import { suite } from 'uvu';
import { ByteReader, ByteWriter } from '../../src/core/bytes.ts';
import { actorId, bytesOfHex, hexOf, startId } from '../../src/core/ids.ts';

const forms = suite('numbers and ids in bytes');

const EDGES = [7, 14, 21, 28, 31, 32, 35, 42, 49, 53].flatMap((bits) => [2 ** bits - 1, 2 ** bits]);
const NUMBERS = [0, 1, 1_795_000_000_000, ...EDGES].filter(Number.isSafeInteger);

const written = (write: (writer: ByteWriter) => void): Uint8Array => {
  const writer = new ByteWriter();
  write(writer);
  return writer.take();
};

forms('a number takes seven bits a byte, and is read again', () => {
  for (const number of NUMBERS) {
    const bytes = written((writer) => writer.varint(number));
    const groups = Math.max(1, Math.ceil(number.toString(2).length / 7));
    assert.equal(bytes.length, groups, `${number}`);
    assert.equal(new ByteReader(bytes).varint(), number);
  }
});

forms('a number of eight bytes is what a big one would be', () => {
  for (const number of NUMBERS) {
    const bytes = written((writer) => writer.uint53(number));
    assert.deepEqual(
      bytes,
      written((writer) => writer.uint64(BigInt(number))),
    );
  }
});

forms('hex digits are lower case, and nothing else', () => {
  assert.equal(hexOf(bytesOfHex('00ff1a')), '00ff1a');
  for (const wrong of ['g0', '0g', 'A0', '0/', ':0', 'é0', '0é', '0ā', '0']) {
    assert.throws(() => bytesOfHex(wrong), RangeError, wrong);
  }
});

forms('an actor is named by its start and its birth', () => {
  const start = startId('00112233445566ff');
  assert.equal(actorId(start, 0), '00112233445566ff000000000000');
  assert.equal(actorId(start, 2 ** 48 - 1), '00112233445566ffffffffffffff');
});

forms('short text is read as long text is', () => {
  for (const text of ['', 'n1', 'é', 'x'.repeat(64), 'x'.repeat(65), `${'x'.repeat(63)}é`]) {
    const bytes = written((writer) => writer.text(text));
    assert.equal(new ByteReader(bytes).text(), text);
  }
});

forms.run();
