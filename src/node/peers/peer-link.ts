/**
 * A connection to another node once both know who is there: what is queued for it, which first words
 * both sides have heard, and what it says of its health for the failure detector.
 *
 *   ours    sent with every ping and pong until a pong confirms them, and again when they change
 *   theirs  waited for; an older one that a network brings late or twice is passed over
 */
import type { NodeId, StartId } from '../../core/ids.ts';
import type { PeerSigns } from '../../core/suspicion.ts';
import type { Connection } from '../../ports/links.ts';
import { encodePeerFrame } from '../../wire/peer-codec.ts';
import type { PeerMessage, RoundAt } from '../../wire/peer-messages.ts';

/** Messages that a living peer answers at once. */
const QUESTIONS: ReadonlySet<PeerMessage['type']> = new Set([
  'read',
  'write',
  'sync',
  'forward',
  'ping',
]);

/** Pings remembered for the round trip: the quickest of them counts. */
const ROUND_TRIPS = 3;

export type LinkEnds = {
  readonly node: NodeId;
  /** Which life of the node is at the other end. */
  readonly start: StartId;
  readonly connection: Connection;
  readonly dialledBy: NodeId;
  /** The link to the same life that this one replaces: what it had not sent, what it had heard. */
  readonly earlier: PeerLink | undefined;
};

/** What is heard first on every link: where the peer is in the rounds of forgetting. */
type FirstWord = RoundAt;
/** Of one life of a peer, whichever link it came by. */
type Heard = { newest: FirstWord | undefined };

export class PeerLink {
  readonly node: NodeId;
  readonly start: StartId;
  readonly connection: Connection;
  readonly dialledBy: NodeId;
  readonly outbox: PeerMessage[];
  #heardAtMs: number;
  /** The first question since the peer was last heard. */
  #askedAtMs: number | undefined;
  /** The ping that is not answered yet, and the last one. */
  #pingAtMs: number | undefined;
  #pingedAtMs: number;
  /** What the last pings took, ms. */
  readonly #roundTrips: number[] = [];
  #isIntroduced = false;
  #isCutOff = false;
  readonly #words: Heard;
  /** The first words that went with the ping under way, and those a pong has answered. */
  #wordsAsked: string | undefined;
  #wordsKnown: string | undefined;

  constructor(ends: LinkEnds, nowMs: number) {
    this.node = ends.node;
    this.start = ends.start;
    this.connection = ends.connection;
    this.dialledBy = ends.dialledBy;
    const { earlier } = ends;
    this.outbox = earlier === undefined ? [] : earlier.outbox.splice(0);
    this.#words = earlier === undefined ? { newest: undefined } : earlier.#words;
    this.#heardAtMs = this.#pingedAtMs = nowMs;
  }

  /**
   * Queues our first words once more, ahead of `message`, until the peer is known to have heard them:
   * a network may lose frames. Again when the first of them has changed.
   */
  repeat(words: readonly PeerMessage[], { type }: PeerMessage): void {
    const name = JSON.stringify(words[0]);
    if (name === this.#wordsKnown) return;
    this.outbox.push(...words);
    // A pong that comes may answer an earlier ping: it then confirms what went with that one.
    if (type === 'ping' && this.#pingAtMs === undefined) this.#wordsAsked = name;
  }

  /** Queues `message` for the next flush. */
  say(message: PeerMessage, nowMs: number): void {
    this.outbox.push(message);
    if (!QUESTIONS.has(message.type)) return;
    this.#askedAtMs ??= nowMs;
    if (message.type !== 'ping') return;
    this.#pingAtMs ??= nowMs;
    this.#pingedAtMs = nowMs;
  }

  /** The life at the other end is over: what is still to come of it is nobody's word any more. */
  cutOff(): void {
    this.#isCutOff = true;
  }

  /**
   * What came in, and what becomes of it. Frames may overtake each other: what a node must know first
   * is waited for, and a first word that a newer one has overtaken says what is no longer so.
   */
  heard(message: PeerMessage, nowMs: number): 'hand-on' | 'pass-over' {
    if (this.#isCutOff) return 'pass-over';
    this.#heardAtMs = nowMs;
    this.#askedAtMs = undefined;
    if (message.type === 'pong') this.#answered(nowMs);
    if (message.type === 'round.at') {
      this.#isIntroduced = true;
      if (isOlder(message, this.#words.newest)) return 'pass-over';
      this.#words.newest = message;
    }
    return this.#isIntroduced ? 'hand-on' : 'pass-over';
  }

  #answered(nowMs: number): void {
    if (this.#pingAtMs === undefined) return;
    this.#roundTrips.push(nowMs - this.#pingAtMs);
    if (this.#roundTrips.length > ROUND_TRIPS) this.#roundTrips.shift();
    this.#pingAtMs = undefined;
    this.#wordsKnown = this.#wordsAsked;
  }

  /** Sends what is queued in as few frames as may be; answers how many messages had to be dropped. */
  flush(bufferBytesMax: number): number {
    const messages = this.outbox.splice(0);
    if (messages.length === 0) return 0;
    if (this.connection.bufferedBytes() > bufferBytesMax) return messages.length;
    for (const frame of encodePeerFrame(messages)) this.connection.send(frame);
    return 0;
  }

  signs(nowMs: number): PeerSigns {
    return {
      node: this.node,
      linked: true,
      silentMs: nowMs - this.#heardAtMs,
      askedMs: this.#askedAtMs === undefined ? 0 : nowMs - this.#askedAtMs,
      roundTripMs: this.#roundTrips.length === 0 ? undefined : Math.min(...this.#roundTrips),
      pingedMs: nowMs - this.#pingedAtMs,
    };
  }
}

/** Within one life nothing in a first word ever goes down. An equal one is no older: it may be asked for. */
const isOlder = (word: FirstWord, newest: FirstWord | undefined): boolean =>
  newest !== undefined &&
  NUMBERS.every((name) => word[name] <= newest[name]) &&
  NUMBERS.some((name) => word[name] < newest[name]);

const NUMBERS = ['round', 'floor', 'entered', 'forgotten'] as const;

/** What the failure detector is told of a node there is no link to. */
export const unlinked = (node: NodeId): PeerSigns => ({
  ...{ node, linked: false, silentMs: Infinity, askedMs: 0 },
  ...{ roundTripMs: undefined, pingedMs: 0 },
});

/** One message in a frame of its own, ahead of everything that is queued. */
export const say = (connection: Connection, message: PeerMessage): void =>
  connection.send(encodePeerFrame([message])[0]!);
