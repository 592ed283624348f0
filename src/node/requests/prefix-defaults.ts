/**
 * What a request that does not say otherwise gets, by the prefix of its key: quorums, the way
 * concurrent writes are resolved, time-to-live. The longest prefix that fits counts, as a whole.
 *
 *   session:=lww+ttl:1800000     cart:=r:2+w:2+dw:1
 */
import { CoterieError } from '../../core/errors.ts';
import { keyOfText } from '../../core/ids.ts';
import type { Key } from '../../core/ids.ts';
import type { PutRequest } from '../../wire/client-messages.ts';
import type { PutCommand } from '../../wire/peer-messages.ts';

export type KeyDefaults = {
  readonly r?: number;
  readonly w?: number;
  readonly dw?: number;
  readonly mode?: 'last-write-wins';
  /** Life of a value after its `writtenAt`, ms. */
  readonly ttlMs?: number;
};

/** As a client sent it: what is absent the defaults of the key's prefix say. */
export type ClientPut = Omit<PutRequest, 'type'>;

export type PrefixDefaults = readonly (KeyDefaults & { readonly prefix: Key })[];

const NONE: KeyDefaults = {};
const TTL_MS_MAX = 100 * 365 * 24 * 3_600_000;
const LEAST = { r: 1, w: 1, dw: 0, ttl: 1 } as const;
const MOST = { r: 16, w: 16, dw: 16, ttl: TTL_MS_MAX } as const;

/** `defaults` as `parsePrefixDefaults` made them: the longest prefix first. */
export const defaultsOf = (defaults: PrefixDefaults, key: Key): KeyDefaults =>
  defaults.find(({ prefix }) => key.startsWith(prefix)) ?? NONE;

/** `put` with all that `defaults` say; their quorums are cut to `n`, the owners of the key. */
export const resolved = (put: ClientPut, defaults: KeyDefaults, n: number): PutCommand => {
  const { w, dw, ttlMs } = defaults;
  // From the first try's time, so that a retry is the same put.
  const dueMs = ttlMs === undefined ? undefined : put.writtenAt + ttlMs;
  return commandOf(put, {
    mode: put.mode ?? (put.onlyIf === undefined ? (defaults.mode ?? 'causal') : 'causal'),
    expiresAt: put.expiresAt === 'never' ? undefined : (put.expiresAt ?? dueMs),
    w: put.w ?? (w === undefined ? undefined : Math.min(w, n)),
    dw: put.dw ?? (dw === undefined ? undefined : Math.min(dw, n)),
  });
};

/** The same with other quorums. */
export const withQuorums = (put: PutCommand, w: number, dw: number): PutCommand =>
  commandOf(put, { mode: put.mode, expiresAt: put.expiresAt, w, dw });

/**
 * Field by field: objects made by several spreads have a hidden class each, and whatever looks at
 * them later is slow.
 */
const commandOf = (
  put: ClientPut | PutCommand,
  { mode, expiresAt, w, dw }: Pick<PutCommand, 'mode' | 'expiresAt' | 'w' | 'dw'>,
): PutCommand => ({
  key: put.key,
  value: put.value,
  contexts: put.contexts,
  putId: put.putId,
  writtenAt: put.writtenAt,
  attempt: put.attempt,
  mode,
  onlyIf: put.onlyIf,
  expiresAt,
  w,
  dw,
  strict: put.strict,
  timeoutMs: put.timeoutMs,
});

/** Each of `texts` is `prefix=item+item`. Throws CoterieError BAD_ARGUMENT that names the text. */
export const parsePrefixDefaults = (texts: readonly string[]): PrefixDefaults =>
  texts.map(parseOne).sort((a, b) => b.prefix.length - a.prefix.length);

const parseOne = (text: string): PrefixDefaults[number] => {
  const at = text.lastIndexOf('=');
  const wrong = (why: string): CoterieError =>
    new CoterieError('BAD_ARGUMENT', `defaults ${JSON.stringify(text)}: ${why}`);
  if (at < 1) throw wrong('expected prefix=r:2+w:2+dw:1+lww+ttl:60000');
  const found: { -readonly [K in keyof KeyDefaults]: KeyDefaults[K] } = {};
  for (const item of text.slice(at + 1).split('+')) {
    const [name = '', value] = item.split(':');
    if (name === 'lww' && value === undefined) {
      found.mode = 'last-write-wins';
      continue;
    }
    if (!(name in LEAST)) throw wrong(`expected r, w, dw, lww or ttl, found ${item}`);
    const kind = name as keyof typeof LEAST;
    const number = value === undefined || !/^\d+$/.test(value) ? NaN : Number(value);
    if (!(number >= LEAST[kind] && number <= MOST[kind])) {
      throw wrong(`${kind} is ${LEAST[kind]}-${MOST[kind]}, found ${value}`);
    }
    found[kind === 'ttl' ? 'ttlMs' : kind] = number;
  }
  return { prefix: keyOfText(text.slice(0, at)), ...found };
};
