/** Settings: who wins, what is refused and by which name, and the table in the documents. */
import * as assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { WS_LIMITS } from '../../src/adapters/ws-links.ts';
import { DEFAULT_CONFIG, LIMITS } from '../../src/node/config.ts';
import { namedLimits } from '../../src/node/operators/limits.ts';
import {
  SETTINGS,
  configFrom,
  configWith,
  effectiveSettings,
  flagOf,
  variableOf,
} from '../../src/node/operators/settings.ts';
import { settingsDocument } from '../../src/node/operators/settings-document.ts';
import type { Sources } from '../../src/node/operators/settings.ts';

const settings = suite('settings');
const DOCUMENT = fileURLToPath(new URL('../../../src/node/CONFIGURATION.md', import.meta.url));

const sources = (given: Partial<Sources> = {}): Sources => ({
  flags: new Map(),
  environment: {},
  ...given,
});
const file = (content: unknown) => ({ file: { path: 'node.json', content } });
const effective = (name: string, given: Partial<Sources>) =>
  effectiveSettings(sources(given)).find(({ setting }) => setting.name === name)!;

settings('a flag wins over the environment, that over the file, that over the default', () => {
  const flags = new Map([['patienceMs', '1s']]);
  const environment = { COTERIE_PATIENCE_MS: '2s', HOME: '/' };
  const content = { patienceMs: 3000 };
  const found = (given: Partial<Sources>) => {
    const { value, origin, source } = effective('patienceMs', given);
    return [value, origin, source];
  };
  assert.deepEqual(found({ flags, environment, ...file(content) }), [
    1000,
    'flag',
    '--patience-ms',
  ]);
  assert.deepEqual(found({ environment, ...file(content) }), [
    2000,
    'environment',
    'COTERIE_PATIENCE_MS',
  ]);
  assert.deepEqual(found(file(content)), [3000, 'file', 'node.json']);
  assert.deepEqual(found({}), [200, 'default', '']);
});

settings('every limit is reachable by a flag, a variable and a key of the file of its own', () => {
  for (const spell of [flagOf, variableOf]) {
    assert.equal(new Set(SETTINGS.map(spell)).size, SETTINGS.length);
  }
  const limits = namedLimits(LIMITS);
  assert.ok(limits.length > 40);
  for (const [name, { max, min, value }] of limits) {
    assert.ok(min <= value && value <= max, `${name}: its default is out of its bounds`);
    const setting = SETTINGS.find((each) => each.name === name)!;
    const other = value === max ? min : max;
    const said = { environment: { [variableOf(setting)]: String(other) } };
    assert.equal(effective(name, said).value, other, name);
    const nested = name.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), other);
    assert.equal(effective(name, file(nested)).value, other, name);
  }
  assert.deepEqual(configFrom(effectiveSettings(sources())), DEFAULT_CONFIG);
});

settings('durations and sizes take units', () => {
  for (const [text, value] of [
    ['250', 250],
    ['250ms', 250],
    ['1.5s', 1500],
    ['1 m', 60_000],
  ] as const) {
    assert.equal(effective('patienceMs', file({ patienceMs: text })).value, value, text);
  }
  assert.equal(effective('valueBytesMax', file({ valueBytesMax: '2MiB' })).value, 2 ** 21);
});

settings('an unknown name, a bad unit and a value out of bounds are refused by name', () => {
  const refused: readonly (readonly [Partial<Sources>, RegExp])[] = [
    [file({ patiencems: 5 }), /^patiencems in node\.json is no setting/],
    [file({ replica: { hints: 5 } }), /^replica\.hints in node\.json is no setting/],
    [file([]), /^the whole in node\.json: expected an object/],
    [file({ replica: 5 }), /^replica in node\.json: expected an object/],
    [{ environment: { COTERIE_PATIENCE: '5' } }, /^COTERIE_PATIENCE in the environment/],
    [{ environment: { COTERIE_PATIENCE_MS: '5 parsecs' } }, /^COTERIE_PATIENCE_MS: expected 1 ms/],
    [{ flags: new Map([['patienceMs', '5MiB']]) }, /^--patience-ms: expected .* found "5MiB"/],
    [{ flags: new Map([['patienceMs', '-5']]) }, /^--patience-ms: expected/],
    [file({ patienceMs: null }), /^patienceMs in node\.json: expected .* found null/],
    [file({ patienceMs: 1.5 }), /^patienceMs in node\.json: expected/],
    [file({ inFlightMax: 0 }), /^inFlightMax in node\.json: expected 1 to 65536/],
    [file({ insecure: 'maybe' }), /^insecure in node\.json: expected true or false/],
    [file({ logLevel: 'loud' }), /^logLevel in node\.json: expected one of debug, info/],
    [file({ seed: [5] }), /^seed in node\.json: expected texts/],
  ];
  for (const [given, message] of refused) {
    assert.throws(() => effectiveSettings(sources(given)), { name: 'RangeError', message });
  }
});

settings('a combination that cannot be is refused with both names', () => {
  for (const [config, names] of [
    [{ patienceMs: 6000 }, /patienceMs .* requestTimeoutMs/],
    [{ redialMinMs: 2000 }, /redialMinMs .* redialMaxMs/],
    [{ suspicion: { suspectAfterMs: 2000 } }, /suspectAfterMs .* suspicion\.downAfterMs/],
    [{ admission: { restMaxMs: 5001 } }, /restMaxMs .* exchangeRepairTimeoutMs/],
    [{ valueBytesMax: 8 * 2 ** 20 }, /valueBytesMax .* replica\.recordBytesMax/],
    [{ valueBytesMax: 2 ** 21 }, /links\.clientFrameBytesMax .* no room for valueBytesMax/],
    [{ links: { peerFrameBytesMax: 2 ** 21 } }, /peerFrameBytesMax .* replica\.recordBytesMax/],
  ] as const) {
    assert.throws(() => configWith(config), { name: 'RangeError', message: names });
  }
});

settings('variables that Kubernetes sets for a service called coterie are passed over', () => {
  const environment = {
    COTERIE_SERVICE_HOST: '10.0.0.1',
    COTERIE_PORT: 'tcp://10.0.0.1:7400',
    COTERIE_PORT_7400_TCP_ADDR: '10.0.0.1',
    COTERIE_URL: 'ws://127.0.0.1:7400',
  };
  assert.doesNotThrow(() => effectiveSettings(sources({ environment })));
});

settings("the sockets' own defaults are those of the table", () => {
  const { clientFrameBytesMax: client, peerFrameBytesMax: peer, ...links } = DEFAULT_CONFIG.links;
  assert.deepEqual(WS_LIMITS, { ...links, frameBytesMax: { client, peer } });
});

settings('CONFIGURATION.md is as `coterie config --markdown` prints it', () => {
  assert.equal(readFileSync(DOCUMENT, 'utf8'), settingsDocument());
});

settings.run();
