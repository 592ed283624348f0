/**
 * Nonsense for the three decoders that read what others sent: valid frames, altered at random, and
 * of what comes out whatever was answered in a new way is altered further. One seed, one run.
 *
 *   node --expose-gc dist/test/wire/fuzz.js 1000000 [seed]
 *
 * Passing means: each frame is understood or refused in words, quickly, and nothing is kept of it.
 */
import * as assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { keyOfText, nodeId, putId } from '../../src/core/ids.ts';
import { randomStream } from '../../src/sim/random.ts';
import { decodeServerReply } from '../../src/wire/reply-codec.ts';
import { decodeClientRequest } from '../../src/wire/request-codec.ts';
import { decodePeerFrame, encodePeerFrame } from '../../src/wire/peer-codec.ts';
import type { PeerMessage } from '../../src/wire/peer-messages.ts';
import { examples } from './examples.ts';

const LIMITS = { valueBytesMax: 1024 * 1024, requestTimeoutMs: 5000 };
/** What a decoder may take for one frame, ms; frames here are far below the size limit. */
const SLOW_MS = 50;
const FRAME_BYTES_MAX = 65_536;
const CORPUS_MAX = 5000;
/** Heads, lengths and signs on which decoders stumble. */
const NASTY = [
  ...[0x00, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1f, 0x20, 0x38, 0x3b, 0x40, 0x58, 0x5b, 0x5f],
  ...[0x60, 0x7b, 0x7f, 0x80, 0x84, 0x9b, 0x9f, 0xa0, 0xa1, 0xbb, 0xbf, 0xc0, 0xc2, 0xd8, 0xf4],
  ...[0xf6, 0xf7, 0xf9, 0xfb, 0xff],
];

export type FuzzReport = {
  readonly frames: number;
  /** Distinct ways in which frames were answered. */
  readonly answers: number;
  readonly understood: number;
  readonly slowestMs: number;
  /** Growth of the heap from a tenth of the run to its end; undefined without --expose-gc. */
  readonly grownBytes: number | undefined;
};

const SOME_BYTES = new Uint8Array([0, 1, 2, 255]);
const PEER_MESSAGES: readonly PeerMessage[] = [
  {
    type: 'write',
    request: 2 ** 40,
    key: keyOfText('k'),
    record: SOME_BYTES,
    durable: true,
    round: 3,
  },
  { type: 'gossip.known', known: { n1: 4 }, announcements: [], answer: true },
  { type: 'listed', request: 7, names: [{ place: SOME_BYTES, live: true }], next: SOME_BYTES },
  {
    type: 'forward',
    request: 9,
    put: {
      key: keyOfText('k'),
      value: 'tombstone',
      contexts: [SOME_BYTES],
      putId: putId('00112233445566ff'),
      writtenAt: 1_700_000_000_000,
      attempt: 2,
      mode: 'causal',
      w: 2,
      strict: true,
      timeoutMs: 12.5,
    },
  },
  {
    type: 'forwarded',
    request: 9,
    reply: {
      type: 'failed',
      code: 'QUORUM_NOT_MET',
      message: 'too few',
      details: { acks: [nodeId('n1')], wanted: 2 },
    },
  },
];
const SEEDS = [
  ...examples.map(([, text]) => new Uint8Array(Buffer.from(text, 'hex'))),
  ...PEER_MESSAGES.flatMap((message) => encodePeerFrame([message])),
  ...encodePeerFrame(PEER_MESSAGES),
];

/** What a decoder made of a frame, without the numbers in it; an error it may not throw is thrown. */
type Decoder = (frame: Uint8Array) => string;

const wordsOf = (text: string): string => text.replace(/[\d.]+|"[^"]*"|'[^']*'/g, '#').slice(0, 80);

const DECODERS: readonly Decoder[] = [
  (frame) => {
    const decoded = decodeClientRequest(frame, LIMITS);
    if (decoded.type === 'request') return `request ${decoded.request.type}`;
    if (decoded.type === 'foreign') return 'foreign';
    const { code, message } = decoded.error;
    return `${code} ${wordsOf(message)}`;
  },
  (frame) => {
    const decoded = decodeServerReply(frame);
    if (decoded.type === 'reply') return `reply ${decoded.reply.type}`;
    return decoded.type === 'bad' ? `bad ${wordsOf(decoded.reason)}` : decoded.type;
  },
  (frame) => {
    try {
      return `peers ${decodePeerFrame(frame)
        .map(({ type }) => type)
        .slice(0, 3)
        .join()}`;
    } catch (error) {
      if (error instanceof RangeError) return `peer nonsense ${wordsOf(error.message)}`;
      throw error;
    }
  },
];

/** Throws at the first frame that breaks a promise, with its bytes. */
export const fuzz = (frames: number, seed: number): FuzzReport => {
  const random = randomStream(seed, 'fuzz');
  const corpus: Uint8Array[] = [...SEEDS];
  const answers = new Set<string>();
  let [understood, slowestMs, heapBytes]: [number, number, number | undefined] = [0, 0, undefined];
  for (let count = 0; count < frames; count++) {
    const frame = altered(corpus, random);
    for (const decode of DECODERS) {
      const startMs = performance.now();
      const answer = told(decode, frame);
      let tookMs = performance.now() - startMs;
      // Once more where the machine was busy with something else.
      for (let again = 0; tookMs > SLOW_MS / 10 && again < 3; again++) {
        const againMs = performance.now();
        decode(frame);
        tookMs = Math.min(tookMs, performance.now() - againMs);
      }
      assert.ok(tookMs <= SLOW_MS, `${tookMs} ms for ${hex(frame)}`);
      slowestMs = Math.max(slowestMs, tookMs);
      if (/^(request|reply|peers)/.test(answer)) understood += 1;
      if (answers.has(answer) || answers.size >= CORPUS_MAX) continue;
      answers.add(answer);
      if (corpus.length < CORPUS_MAX) corpus.push(frame);
    }
    if (count === Math.floor(frames / 10)) heapBytes = heapNow();
  }
  const end = heapNow();
  const grownBytes = end === undefined || heapBytes === undefined ? undefined : end - heapBytes;
  return { frames, answers: answers.size, understood, slowestMs, grownBytes };
};

const told = (decode: Decoder, frame: Uint8Array): string => {
  try {
    return decode(frame);
  } catch (error) {
    throw new Error(`a decoder threw for ${hex(frame)}`, { cause: error });
  }
};

const hex = (frame: Uint8Array): string => Buffer.from(frame).toString('hex').slice(0, 4000);

const heapNow = (): number | undefined => {
  if (globalThis.gc === undefined) return undefined;
  globalThis.gc();
  return process.memoryUsage().heapUsed;
};

type Chance = ReturnType<typeof randomStream>;

/** One to six changes of one frame, few more often than many. */
const altered = (corpus: readonly Uint8Array[], random: Chance): Uint8Array => {
  let bytes = [...corpus[random.integer(corpus.length)]!];
  const changes = 1 + random.integer(1 + random.integer(6));
  for (let i = 0; i < changes; i++) bytes = changed(bytes, corpus, random);
  return new Uint8Array(bytes.slice(0, FRAME_BYTES_MAX));
};

const nastyOf = (random: Chance): number => NASTY[random.integer(NASTY.length)]!;

const changed = (bytes: number[], corpus: readonly Uint8Array[], random: Chance): number[] => {
  if (bytes.length === 0) return [nastyOf(random)];
  const at = random.integer(bytes.length + 1);
  const one = random.integer(bytes.length);
  const length = random.integer(Math.min(16, bytes.length - at) + 1);
  const nasty = nastyOf(random);
  switch (random.integer(8)) {
    case 0:
      return bytes.with(one, bytes[one]! ^ (1 << random.integer(8)));
    case 1:
      return bytes.with(one, nasty);
    case 2:
      return bytes.toSpliced(at, 0, nasty);
    case 3:
      return bytes.toSpliced(at, length);
    case 4:
      return bytes.toSpliced(at, 0, ...bytes.slice(at, at + length));
    case 5:
      return bytes.slice(0, at);
    case 6: {
      const other = corpus[random.integer(corpus.length)]!;
      return [...bytes.slice(0, at), ...other.subarray(random.integer(other.length + 1))];
    }
    default:
      return bytes.toSpliced(at, 0, ...random.bytes(1 + random.integer(8)));
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [frames = '1000000', seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2);
  process.stdout.write(`seed ${seed}\n`);
  const report = fuzz(Number(frames), Number(seed));
  process.stdout.write(`${JSON.stringify(report)}\n`);
  assert.ok((report.grownBytes ?? 0) < 16 * 1024 * 1024, 'memory is flat');
}
