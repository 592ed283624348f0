/**
 * The recorder of one node: what coordinators, long-lived actors, replica and log do becomes records
 * in a ring of fixed size, told to whoever watches.
 *
 *   nobody watches   each coordinator keeps its few events and leaves them behind if it was slow,
 *                    failed or met siblings; nothing else is done
 *   somebody does    one in so many requests is recorded on every node it touches, found by the
 *                    cause that travels with its messages; long-lived actors are observed
 */
import type { AnyActorRef } from 'xstate';
import { showKey } from '../core/ids.ts';
import { Rate } from '../core/rate.ts';
import { TopK } from '../core/top-k.ts';
import type { Key, NodeId } from '../core/ids.ts';
import { parseTraceparent } from '../core/traceparent.ts';
import type { Clock } from '../ports/clock.ts';
import type { Trace } from '../ports/trace.ts';
import type { PeerMessage, RequestId } from '../wire/peer-messages.ts';
import { ActorObserver } from './actor-observer.ts';
import { Ear } from './ear.ts';
import { messageFacts, shortFacts } from './facts.ts';
import { Histogram } from './histogram.ts';
import type {
  ActorGauge,
  InspectionRecord,
  Percentiles,
  RequestSeen,
  StorySummary,
} from './records.ts';
import { replay } from './replay.ts';
import type { Story } from './story.ts';
import type { Happening } from './translate.ts';
import { causeOf } from './watch.ts';
import type { CoordinatorWatch, Watch } from './watch.ts';

export type RecorderLimits = {
  /** Records kept for a viewer that comes later. */
  readonly recordsMax: number;
  /** Stories kept to be replayed. */
  readonly storiesMax: number;
  /**
   * How many a second are told of requests that nobody asked for by name or by recording. A node that has too much to do is slow all the time: to copy the story of
   * every request would cost it more than the requests.
   */
  readonly storiesPerSecond: number;
  /** A reply later than this makes a request slow. */
  readonly slowMs: number;
  /** Records a second of one long-lived actor; what is beyond is counted only. */
  readonly actorRecordsPerSecond: number;
};

export const RECORDER_LIMITS: RecorderLimits = {
  recordsMax: 4096,
  storiesMax: 256,
  storiesPerSecond: 20,
  slowMs: 100,
  actorRecordsPerSecond: 20,
};

export type RecorderParts = {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly limits?: Partial<RecorderLimits>;
  /** What peers' inspectors ask and tell: the desk. */
  readonly receive?: (from: NodeId, message: PeerMessage) => void;
};

export type Sink = {
  record(record: InspectionRecord): void;
  story(story: StorySummary): void;
};

export class Recorder implements Watch {
  readonly #self: NodeId;
  readonly #clock: Clock;
  readonly #limits: RecorderLimits;
  readonly #sinks = new Set<Sink>();
  readonly #records: InspectionRecord[] = [];
  readonly #stories = new Map<string, Story>();
  readonly #latencies = new Map<string, Histogram>();
  readonly #hotKeys = new TopK<Key>(256);
  readonly #actors: ActorObserver;
  readonly #alive: Record<string, number> = {};
  /** Of the epoch, at monotonic zero: records never go back when the wall clock does. */
  readonly #epochMs: number;
  #seq = 0;
  #sampleEvery = 0;
  #siblingsSeen = 0;
  readonly #storyRate: Rate;
  readonly #named = new Set<RequestId>();
  #traces = 0;
  /** The cause of what is being done right now: everything here is synchronous. */
  #cause: string | undefined;
  receive: (from: NodeId, message: PeerMessage) => void;

  constructor({ self, clock, limits, receive }: RecorderParts) {
    this.#self = self;
    this.#clock = clock;
    this.#limits = { ...RECORDER_LIMITS, ...limits };
    this.#storyRate = new Rate(this.#limits.storiesPerSecond, clock.monotonicMs());
    this.#epochMs = clock.wallMs() - clock.monotonicMs();
    this.#actors = new ActorObserver({
      clock,
      nowMs: () => this.nowMs(),
      recordsPerSecond: this.#limits.actorRecordsPerSecond,
      tell: (actor, happening) => this.#tell(actor, happening),
    });
    this.receive = receive ?? (() => undefined);
  }

  nowMs(): number {
    return this.wallMs(this.#clock.monotonicMs());
  }

  /** A monotonic time as one of the epoch. */
  wallMs(monotonicMs: number): number {
    return this.#epochMs + monotonicMs;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  get sampleEvery(): number {
    return this.#sampleEvery;
  }

  /** One in `every` requests born here is recorded; 0: none. */
  sample(every: number): void {
    this.#sampleEvery = every;
  }

  /** Tells `sink` everything from now on, until the answer is called. */
  subscribe(sink: Sink): () => void {
    this.#sinks.add(sink);
    this.#actors.observe();
    return () => {
      this.#sinks.delete(sink);
      if (this.#sinks.size === 0) this.#actors.rest();
    };
  }

  /** What is still in the ring, oldest first. */
  backlog(): readonly InspectionRecord[] {
    const { recordsMax } = this.#limits;
    const from = this.#seq % recordsMax;
    return this.#seq < recordsMax
      ? [...this.#records]
      : [...this.#records.slice(from), ...this.#records.slice(0, from)];
  }

  stories(): readonly StorySummary[] {
    return [...this.#stories.values()].map(({ summary }) => summary);
  }

  requestsOn(key: Key): readonly RequestSeen[] {
    const shown = showKey(key);
    return this.stories()
      .filter((story) => story.key === shown)
      .map(({ cause, machine, bornAtMs, replyMs, outcome, why }) => ({
        ...{ cause, machine, bornAtMs: Math.round(bornAtMs), outcome, why },
        ...(replyMs === undefined ? {} : { replyMs }),
      }))
      .reverse();
  }

  /** Runs the kept events of a request through its machine again; undefined if it is not kept. */
  replay(cause: string): readonly InspectionRecord[] | undefined {
    const story = this.#stories.get(cause);
    return story === undefined ? undefined : replay(story);
  }

  /** A trace that writes to `trace` and is recorded. */
  listening(trace: Trace): Trace {
    return {
      log: (level, event, facts) => {
        trace.log(level, event, facts);
        if (event === 'actor.crashed') this.#actors.crashed(String(facts?.['actor']));
        this.#tell('log', { type: 'log', what: event, state: level, facts: shortFacts(facts) });
      },
    };
  }

  born(request: RequestId, machine: string, input: unknown): CoordinatorWatch {
    const every = this.#sampleEvery;
    const sampled = this.#cause !== undefined || (every > 0 && request % every === 0);
    const ear = new Ear(this, machine, request, input as object, this.#cause, sampled);
    this.#alive[machine] = (this.#alive[machine] ?? 0) + 1;
    return ear;
  }

  supervises(supervisor: AnyActorRef): void {
    this.#actors.supervises(supervisor);
    if (this.isWatched) this.#actors.observe();
  }

  stamped<T extends PeerMessage>(message: T): T {
    return this.#cause === undefined ? message : { ...message, cause: this.#cause };
  }

  follow(
    from: NodeId,
    message: PeerMessage & { readonly cause?: string },
    reply: (message: PeerMessage) => void,
    task: (reply: (message: PeerMessage) => void) => void,
  ): void {
    const { cause, type } = message;
    if (cause === undefined) return task(reply);
    const actor = type === 'forward' ? 'router' : 'replica';
    this.#tell(actor, { type: 'heard', what: type, peer: from, cause, ...messageFacts(message) });
    this.within(cause, () =>
      task((answer) => {
        this.#tell(actor, {
          type: 'sent',
          what: answer.type,
          peer: from,
          cause,
          ...messageFacts(answer),
        });
        reply(answer);
      }),
    );
  }

  /** Recorded if the client records its trace and somebody watches here. */
  traced(traceparent: string, task: () => void): void {
    const parent = parseTraceparent(traceparent);
    if (parent?.sampled !== true || this.#sinks.size === 0) return task();
    this.within(`${this.#self}.t${++this.#traces}/${traceparent}`, task);
  }

  /** Does `task` as part of the recorded request `cause`. */
  within(cause: string | undefined, task: () => void): void {
    const before = this.#cause;
    this.#cause = cause;
    try {
      task();
    } finally {
      this.#cause = before;
    }
  }

  /** Records and tells; for the ears of coordinators. */
  tellOf(actor: string, happening: Happening): void {
    this.#tell(actor, happening);
  }

  /** A coordinator has been answered: counts, for whoever watches. */
  replied(machine: string, ms: number): void {
    if (!this.isWatched) return;
    let latencies = this.#latencies.get(machine);
    if (latencies === undefined) this.#latencies.set(machine, (latencies = new Histogram()));
    latencies.record(ms);
  }

  /** One has ended; `why` it is worth a look, if it is. */
  buried(machine: string, why: StorySummary['why'] | undefined): void {
    this.#alive[machine] = (this.#alive[machine] ?? 1) - 1;
    if (why === 'siblings') this.#siblingsSeen += 1;
  }

  /** Whether one more story is to be made; each that somebody wants is. */
  hasRoomFor(isWanted: boolean): boolean {
    const { storiesPerSecond } = this.#limits;
    return isWanted || this.#storyRate.take(storiesPerSecond, this.#clock.monotonicMs()) === 0;
  }

  keep(story: Story): void {
    this.#stories.set(story.summary.cause, story);
    if (this.#stories.size > this.#limits.storiesMax) {
      for (const oldest of this.#stories.keys()) {
        this.#stories.delete(oldest);
        break;
      }
    }
    for (const sink of this.#sinks) sink.story(story.summary);
  }

  /** The log has told people the name of a request here: they will look for its story. */
  named(request: RequestId): void {
    this.#named.add(request);
  }

  /** Whether it was named; once. */
  takeNamed(request: RequestId): boolean {
    return this.#named.size > 0 && this.#named.delete(request);
  }

  causeOf(request: RequestId): string {
    return causeOf(this.#self, request);
  }

  get self(): NodeId {
    return this.#self;
  }

  get isWatched(): boolean {
    return this.#sinks.size > 0;
  }

  get slowMs(): number {
    return this.#limits.slowMs;
  }

  touched(key: Key): void {
    this.#hotKeys.touch(key);
  }

  gauges(): {
    readonly latencies: Readonly<Record<string, Percentiles>>;
    readonly actors: readonly ActorGauge[];
    readonly coordinators: Readonly<Record<string, number>>;
    readonly siblingsSeen: number;
    readonly hotKeys: readonly { readonly key: string; readonly count: number }[];
    readonly sampleEvery: number;
  } {
    const latencies = [...this.#latencies].map(([name, each]) => [name, each.percentiles()]);
    return {
      latencies: Object.fromEntries(latencies) as Record<string, Percentiles>,
      actors: this.#actors.gauges(),
      coordinators: { ...this.#alive },
      siblingsSeen: this.#siblingsSeen,
      hotKeys: this.#hotKeys.top(10).map(({ item, count }) => ({ key: showKey(item), count })),
      sampleEvery: this.#sampleEvery,
    };
  }

  /** Once every few seconds while somebody watches: percentiles forget what is older than two turns. */
  turn(): void {
    for (const latencies of this.#latencies.values()) latencies.turn();
  }

  /** The context of a long-lived actor as text; undefined if there is none of that name. */
  contextOf(actor: string): unknown {
    return this.#actors.contextOf(actor);
  }

  #tell(actor: string, happening: Happening): void {
    const seq = this.#seq++;
    const record = { seq, atMs: this.nowMs(), node: this.#self, actor, ...happening };
    this.#records[seq % this.#limits.recordsMax] = record;
    for (const sink of this.#sinks) sink.record(record);
  }
}
