/** Counts requests as they pass, and says which were slow; never looks at a value, only at its size. */
import { Buckets } from '../../core/buckets.ts';
import { bytesOfKey, showKey, hexOf } from '../../core/ids.ts';
import type { Key } from '../../core/ids.ts';
import { Rate } from '../../core/rate.ts';
import { TopK } from '../../core/top-k.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Trace } from '../../ports/trace.ts';
import type { ClientHandler, HandledReply, HandledRequest } from '../../wire/client-messages.ts';
import type { Labels } from './metrics.ts';

const SECONDS = [
  ...[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
];
const BYTES = [64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];
const SIBLINGS = [0, 1, 2, 4, 8, 16, 32, 64];
/** More than this many slow requests a second tell nothing new. */
const SLOW_LOGS_PER_SECOND = 10;

/** On average one request in so many is counted by key: finding the least of the kept ones costs a microsecond. */
const KEYS_SAMPLED_OF = 8;
const KEYS_KEPT = 256;
const KEYS_PERIOD_MS = 60_000;

type Series = { readonly labels: Labels; readonly buckets: Buckets };

/** How keys are written into the log. */
export type KeyDisplay = 'escaped' | 'hashed';

/** What a peer said that cannot be, and that is passed over. */
export type Nonsense = 'incarnation' | 'register' | 'tree';

export class Meters {
  readonly #durations = new Map<string, Series>();
  readonly #written = new Buckets(BYTES);
  readonly #read = new Buckets(BYTES);
  readonly #siblings = new Buckets(SIBLINGS);
  readonly #keys = new TopK<Key>(KEYS_KEPT);
  readonly #nonsense = new Map<Nonsense, number>([
    ['incarnation', 0],
    ['register', 0],
    ['tree', 0],
  ]);
  #asked = 0;
  #askedBefore = 0;
  #periodEndsMs = 0;
  #step = 0;
  #untilSample = 0;

  /** By operation and outcome: a closed set, whatever clients send. */
  answered(request: HandledRequest, reply: HandledReply, ms: number): void {
    const outcome = reply.type === 'failed' ? reply.code : 'ok';
    const name = `${request.type} ${outcome}`;
    let series = this.#durations.get(name);
    if (series === undefined) {
      series = { labels: { op: request.type, outcome }, buckets: new Buckets(SECONDS) };
      this.#durations.set(name, series);
    }
    series.buckets.record(ms / 1000);
    if (reply.type === 'applied' && request.type === 'put' && request.value !== 'tombstone') {
      this.#written.record(request.value.length);
    }
    if (reply.type === 'value') {
      this.#siblings.record(reply.values.length);
      for (const value of reply.values) this.#read.record(value.length);
    }
  }

  ignored(what: Nonsense): void {
    this.#nonsense.set(what, this.#nonsense.get(what)! + 1);
  }

  /** How often peers said what cannot be. */
  get nonsense(): ReadonlyMap<Nonsense, number> {
    return this.#nonsense;
  }

  /** A request for `key`, for the list of the keys asked for most. */
  asked(key: Key, nowMs: number): void {
    if (nowMs >= this.#periodEndsMs) this.#turn(nowMs);
    this.#asked += 1;
    if (--this.#untilSample > 0) return;
    // At uneven steps, or clients that ask in turns would be seen with one of their keys only.
    this.#step = (this.#step * 5 + 3) % (2 * KEYS_SAMPLED_OF);
    this.#untilSample = this.#step === 0 ? KEYS_SAMPLED_OF : this.#step;
    this.#keys.touch(key);
  }

  /** Requests of the last one or two minutes, and in a sample of them how often for which key. */
  topKeys(many: number): {
    readonly asked: number;
    readonly sampledOf: number;
    readonly keys: readonly { readonly key: Key; readonly count: number }[];
  } {
    const keys = this.#keys.top(many).map(({ item, count }) => ({ key: item, count }));
    return { asked: this.#asked + this.#askedBefore, sampledOf: KEYS_SAMPLED_OF, keys };
  }

  #turn(nowMs: number): void {
    // After a silence of a whole period what came before it is old news, too.
    const stale = nowMs >= this.#periodEndsMs + KEYS_PERIOD_MS;
    this.#keys.turn();
    if (stale) this.#keys.turn();
    this.#askedBefore = stale ? 0 : this.#asked;
    this.#asked = 0;
    this.#periodEndsMs = nowMs + KEYS_PERIOD_MS;
  }

  get durations(): readonly Series[] {
    return [...this.#durations.values()];
  }

  get valueBytes(): readonly Series[] {
    return [
      { labels: { op: 'put' }, buckets: this.#written },
      { labels: { op: 'get' }, buckets: this.#read },
    ];
  }

  get siblings(): readonly Series[] {
    return [{ labels: {}, buckets: this.#siblings }];
  }
}

export type MeteringParts = {
  readonly meters: Meters;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly trace: Trace;
  readonly slowRequestMs: () => number;
  readonly keys: KeyDisplay;
  /** The request that is being answered right now, as `coterie story` names it; its story is kept. */
  readonly named?: () => string | undefined;
};

/** `inner` with every answered request counted, and the slow ones logged. */
export const metered = (inner: ClientHandler, parts: MeteringParts): ClientHandler => {
  const { meters, clock, digest, trace, slowRequestMs, keys } = parts;
  const rate = new Rate(SLOW_LOGS_PER_SECOND, clock.monotonicMs());
  let silent = 0;
  const tell = (request: HandledRequest, reply: HandledReply, ms: number, nowMs: number): void => {
    if (rate.take(SLOW_LOGS_PER_SECOND, nowMs) > 0) {
      silent += 1;
      return;
    }
    const name = parts.named?.();
    trace.log('warn', 'request.slow', {
      op: request.type,
      ms: Math.round(ms),
      outcome: reply.type === 'failed' ? reply.code : 'ok',
      ...('key' in request ? { key: shown(request.key, keys, digest) } : {}),
      ...(reply.type === 'applied' ? { acks: reply.acks, durable: reply.durable } : {}),
      ...(reply.type === 'failed' ? { reason: reply.message, details: reply.details } : {}),
      ...(name === undefined ? {} : { request: name }),
      ...(silent === 0 ? {} : { unsaid: silent }),
    });
    silent = 0;
  };
  return {
    welcome: () => inner.welcome(),
    handle: (request, reply) => {
      const beganMs = clock.monotonicMs();
      if ('key' in request) meters.asked(request.key, beganMs);
      if ('requests' in request) for (const { key } of request.requests) meters.asked(key, beganMs);
      return inner.handle(request, (whole) => {
        const nowMs = clock.monotonicMs();
        const [asked, answer] = partOf(request, whole);
        meters.answered(asked, answer, nowMs - beganMs);
        if (nowMs - beganMs >= slowRequestMs()) tell(asked, answer, nowMs - beganMs, nowMs);
        reply(whole);
      });
    },
  };
};

/** One of many is counted as what it is, a get or a put; the whole when it is done. */
const partOf = (
  request: HandledRequest,
  reply: HandledReply,
): readonly [HandledRequest, HandledReply] =>
  reply.type === 'part' && 'requests' in request
    ? [request.requests[reply.index]!, reply.answer]
    : [request, reply];

/** As text of bounded length; hashed where keys are nobody's business (equal keys stay equal). */
const shown = (key: Key, how: KeyDisplay, digest: Digest): string => {
  if (how === 'hashed') return `#${hexOf(digest.md5(bytesOfKey(key))).slice(0, 12)}`;
  const text = showKey(key);
  return text.length > KEY_CHARACTERS_MAX ? `${text.slice(0, KEY_CHARACTERS_MAX)}…` : text;
};

const KEY_CHARACTERS_MAX = 256;
