/** What listens to one coordinator, and what it leaves behind if the request was worth a look. */
import type { Key } from '../core/ids.ts';
import type { InspectionEvent } from 'xstate';
import { liveSiblings } from '../core/record.ts';
import type { RecordOfKey } from '../core/record.ts';
import type { RequestId } from '../wire/peer-messages.ts';
import type { Recorder } from './recorder.ts';
import type { StorySummary } from './records.ts';
import { withoutValues } from './story.ts';
import type { KeptEvent, Story } from './story.ts';
import { inputFacts, listenedPorts, replyFacts, translator } from './translate.ts';
import type { Happening } from './translate.ts';
import type { CoordinatorWatch } from './watch.ts';

/** The ear of one coordinator: keeps its events, and tells them at once if it is recorded. */
export class Ear implements CoordinatorWatch {
  readonly input: unknown;
  readonly inspect: ((event: InspectionEvent) => void) | undefined;
  readonly #recorder: Recorder;
  readonly #machine: string;
  readonly #request: RequestId;
  readonly #given: object;
  readonly #cause: string | undefined;
  /** Monotonic, as all it notes. */
  readonly #bornAtMs: number;
  #heard: Heard | undefined;
  #replyMs: number | undefined;
  #reply: object | undefined;

  constructor(
    recorder: Recorder,
    machine: string,
    request: RequestId,
    input: object,
    cause: string | undefined,
    sampled: boolean,
  ) {
    this.#recorder = recorder;
    this.#machine = machine;
    this.#request = request;
    this.#given = input;
    this.#bornAtMs = recorder.monotonicMs();
    this.input = input;
    if (recorder.isWatched) {
      const key = keyOf(input);
      if (key !== undefined) recorder.touched(key);
    }
    if (!sampled) return;
    this.#cause = cause ?? recorder.causeOf(request);
    const tell = (happening: Happening): void =>
      recorder.tellOf(`${machine} ${request}`, { ...happening, cause: this.#cause! });
    const { facts } = inputFacts(input);
    tell({ type: 'born', what: machine, facts });
    const { ports } = input as { readonly ports: object };
    const within = (task: () => void): void => recorder.within(this.#cause, task);
    this.input = { ...input, ports: listenedPorts(ports, recorder.self, tell, within) };
    this.inspect = translator(tell);
  }

  heard(event: Heard['event']): void {
    this.#heard = { event, atMs: this.#recorder.monotonicMs(), before: this.#heard };
  }

  replied(reply: object): void {
    this.#replyMs = this.#recorder.monotonicMs() - this.#bornAtMs;
    this.#reply = reply;
    this.#recorder.replied(this.#machine, this.#replyMs);
  }

  ended(how: 'done' | 'crashed' | 'stopped'): void {
    const recorder = this.#recorder;
    if (this.#cause !== undefined) {
      const actor = `${this.#machine} ${this.#request}`;
      recorder.tellOf(actor, { type: 'ended', what: how, cause: this.#cause });
    }
    const isNamed = recorder.takeNamed(this.#request);
    // Who names it has counted from an earlier moment than we.
    const why = this.#why() ?? (isNamed ? 'slow' : undefined);
    recorder.buried(this.#machine, why);
    if (why !== undefined && recorder.hasRoomFor(isNamed || this.#cause !== undefined)) {
      recorder.keep(this.#story(why, how));
    }
  }

  #story(why: StorySummary['why'], how: string): Story {
    const recorder = this.#recorder;
    const events: KeptEvent[] = [];
    for (let heard = this.#heard; heard !== undefined; heard = heard.before) {
      const { event, atMs } = heard;
      events.unshift({ atMs: recorder.wallMs(atMs), event: withoutValues(event) });
    }
    const input = withoutValues(this.#given);
    return { summary: this.#summary(why, how), input, events, endedAtMs: recorder.nowMs() };
  }

  #why(): StorySummary['why'] | undefined {
    const { type, record } = (this.#reply ?? {}) as { type?: string; record?: RecordOfKey };
    if (type === undefined || type === 'failed') return 'failed';
    // Mostly there is one, and no need to look whether it lives.
    if (type === 'value' && record !== undefined && record.siblings.length > 1) {
      if (liveSiblings(record).length > 1) return 'siblings';
    }
    if (this.#replyMs! > this.#recorder.slowMs) return 'slow';
    return this.#cause === undefined ? undefined : 'sampled';
  }

  #summary(why: StorySummary['why'], how: string): StorySummary {
    const outcome = this.#reply === undefined ? how : String(replyFacts(this.#reply)['outcome']);
    return {
      cause: this.#cause ?? this.#recorder.causeOf(this.#request),
      node: this.#recorder.self,
      machine: this.#machine,
      request: this.#request,
      key: inputFacts(this.#given).key,
      bornAtMs: this.#recorder.wallMs(this.#bornAtMs),
      ...(this.#replyMs === undefined ? {} : { replyMs: this.#replyMs }),
      outcome,
      why,
    };
  }
}

/** What it was sent, newest first: most requests are forgotten with what they heard. */
type Heard = {
  readonly event: KeptEvent['event'];
  readonly atMs: number;
  readonly before: Heard | undefined;
};

/** A scan has none. */
const keyOf = (input: object): Key | undefined => {
  const { key, put } = input as { readonly key?: Key; readonly put?: { readonly key: Key } };
  return put?.key ?? key;
};
