/**
 * What a careless or hostile peer sends, and what it must get: every line of this list is a test
 * with the number in its name, `[bad input 5a]`. A refusal names what was expected, what was found
 * and where; nothing is written; the connection or node lives on unless the line says otherwise.
 */
import * as assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';

const LIST: Readonly<Record<string, string>> = {
  '1a': 'a plain GET on the client port: 426',
  '1b': 'a wrong path: 404',
  '1c': 'a wrong subprotocol: the upgrade is refused',
  '2a': 'an Origin not on the list: 403; an absent one is fine',
  '2b': 'a bad Host: 421',
  '3a': 'no or a wrong token: close 4401',
  '3b': 'a token in the URL: 400',
  '4a': 'huge headers: 431',
  '4b': 'dribbled headers: closed at 5 s',
  '4c': 'silence after the upgrade: close 4408',
  '5a': 'a text frame: close 1003',
  '5b': 'a bad opcode or reserved bits: close 1002',
  '6a': 'a frame over the limit: close 1009',
  '6b': 'thousands of fragments: close 1008',
  '7a': 'a flood of pings: close 4429',
  '7b': 'a client that never reads: OVERLOADED, then terminated; memory bounded',
  '8a': 'truncated CBOR: BAD_FRAME with offset and reason, as all of 8',
  '8b': 'trailing bytes',
  '8c': 'an empty message',
  '8d': 'indefinite lengths',
  '8e': 'tags',
  '8f': 'depth',
  '8g': 'giant lengths',
  '8h': 'bad UTF-8',
  '8i': 'duplicate or __proto__ keys',
  '8j': 'any of these, however large: quickly',
  '9a': 'an unknown op: UNKNOWN_OP',
  '9b': 'an unsupported version: UNSUPPORTED_VERSION',
  '9c': 'a missing id: BAD_REQUEST_ID',
  '9d': 'an id that is in flight: DUPLICATE_REQUEST',
  '10a': 'an empty key: KEY_EMPTY',
  '10b': 'a key of 1,025 bytes: KEY_TOO_LONG',
  '10c': 'NUL, newline, ../, any byte in a key: accepted, escaped in logs',
  '10d': 'the same, escaped on pages and in tables',
  '11a': 'a value of one byte too many: VALUE_TOO_LARGE',
  '11b': 'a missing value: BAD_ARGUMENT',
  '11c': 'null as a value: BAD_ARGUMENT (on the wire it is how a delete is written)',
  '12a': 'r > n, w = 0, -1, 1.5, "2", strict with dw < w: BAD_QUORUM with the rule',
  '12b': 'a negative, zero or infinite timeout: BAD_TIMEOUT',
  '13a': 'random bytes, an altered or oversized context: BAD_CONTEXT',
  '13b': "another key's context: CONTEXT_KEY_MISMATCH",
  '14a': 'a put id with other bytes: PUT_ID_REUSED',
  '14b': 'a retry older than the horizon: RETRY_TOO_OLD, outcome unknown',
  '14c': 'a timestamp far ahead: BAD_TIMESTAMP',
  '15a': 'requests over the in-flight cap: OVERLOADED with retry-after',
  '15b': 'too many siblings: TOO_MANY_SIBLINGS',
  '16': 'W or R unreachable: QUORUM_NOT_MET with wanted, got, who acked, unknown or refused',
  '17a': 'a disk under the floor: INSUFFICIENT_STORAGE, reads go on',
  '17b': 'a commit that fails: the node stops and says why',
  '17c': 'and its process exits with 3',
  '18a': "a peer's op on the client port: close 4403",
  '18b': 'a wrong, replayed or reflected peer proof: close 4401, one text for all',
  '19a': 'a wrong cluster: refused 4409',
  '19b': 'a duplicate node id: refused 4409',
  '19c': 'a retired id: refused 4410',
  '20a': 'a peer says incarnation 2^53: counted, never adopted, as all of 20',
  '20b': 'it says that somebody owns what he does not',
  '20c': 'hints for a non-member',
  '20d': 'a bad Merkle range',
  '20e': 'a duplicate ack',
  '21a': 'the inspector at /..%2f…: 404',
  '21b': 'POST: 405',
  '21c': 'a remote address without token: 403',
  '22a': 'port 70000: exit 2, naming the option',
  '22b': 'an unknown flag or config key: exit 2',
  '22c': 'a short secret: exit 2',
  '22d': 'N > nodes: a note, it serves with what is there',
  '23a': 'a data directory locked by another process: exit 3, naming the path, file untouched',
  '23b': 'a corrupt data file: exit 3',
  '23c': 'data of another cluster: exit 3',
  '24': 'a non-loopback listen address with neither TLS nor secret: refused without --insecure',
};

const inputs = suite('bad inputs');
const TESTS = fileURLToPath(new URL('../../test', import.meta.url));

/** Every number in brackets in the sources of the tests, this file left out. */
const numbered = (): ReadonlySet<string> => {
  const found = new Set<string>();
  for (const path of readdirSync(TESTS, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.test.ts') || path === 'bad-inputs.test.ts') continue;
    const text = readFileSync(join(TESTS, path), 'utf8');
    for (const [, numbers] of text.matchAll(/\[bad input ([0-9a-z, ]+)\]['"`]/g)) {
      for (const number of numbers!.split(', ')) found.add(number);
    }
  }
  return found;
};

inputs('each has a test that bears its number, and no test bears another', () => {
  assert.deepEqual([...numbered()].sort(), Object.keys(LIST).sort());
});

inputs.run();
