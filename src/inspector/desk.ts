/**
 * The inspector's desk of one node: it answers what pages ask about this node, whether they are served
 * here or by another node, and keeps records coming to those that renew their lease.
 *
 *   page ⇄ feed of the serving node ⇄ desk there, and by peer links the desks of all other nodes
 *
 * A lease lasts a few seconds and says how many records the viewer can take: what is beyond is
 * dropped here and counted. Without a lease nothing is observed, sampled or timed.
 */
import { hexOf, keyOfText, nodeId, putId } from '../core/ids.ts';
import type { NodeId } from '../core/ids.ts';
import type { Node } from '../node/node.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { picturedKey, picturedRing, ringVersionOf } from './pictures.ts';
import type { RingSeen } from './pictures.ts';
import type {
  Ask,
  Fault,
  FaultsView,
  Gauges,
  InspectionRecord,
  NodeStatusView,
  Operation,
  StorySummary,
  Tell,
} from './records.ts';
import type { Recorder } from './recorder.ts';

/** What breaks this node, or others, on purpose; only where that is allowed. */
export type FaultDesk = {
  /** Undefined if done, else why not. */
  apply(fault: Fault): string | undefined;
  view(): FaultsView;
};

export type DeskParts = {
  readonly self: NodeId;
  readonly node: Node;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly values: 'shown' | 'hidden';
  readonly faults?: FaultDesk;
};

type Viewer = {
  readonly tell: (tell: Tell) => void;
  expiresAtMs: number;
  sampleEvery: number;
  recordsLeft: number;
  records: InspectionRecord[];
  stories: StorySummary[];
  dropped: number;
};

const LEASE_MS = 4000;
const FLUSH_MS = 100;
const GAUGES_MS = 500;
const LATENCY_TURN_MS = 5000;
const LOOP_PROBE_MS = 20;
const LOOP_PROBES = 64;
const VIEWERS_MAX = 32;
const BACKLOG_MAX = 1000;
/** Records of one flush. */
const BATCH_MAX = 1000;
const STORIES_MAX = 256;
const OPERATION_TIMEOUT_MS = 5000;

export class Desk {
  readonly #parts: DeskParts;
  readonly #viewers = new Map<string, Viewer>();
  readonly #timers = new Set<Timer>();
  #unsubscribe: (() => void) | undefined;
  #loopDelays: number[] = [];
  #operations = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** Answers `ask` of `viewer` by `tell`, now or later. Throws nothing, whatever `ask` is. */
  ask(viewer: string, ask: Ask, tell: (tell: Tell) => void): void {
    if (ask.type === 'lease') return this.#renew(viewer, ask, tell);
    if (ask.type === 'leave') return this.#leave(viewer);
    const { id } = ask;
    const answer = (found: unknown): void => {
      if (found === undefined) tell({ type: 'refused', id, reason: 'nothing is known of that' });
      else tell({ type: 'answer', id, answer: found });
    };
    try {
      this.#answer(ask, answer, (reason) => tell({ type: 'refused', id, reason }));
    } catch (error) {
      tell({ type: 'refused', id, reason: (error as Error).message });
    }
  }

  close(): void {
    this.#viewers.clear();
    this.#rest();
  }

  #answer(
    ask: Exclude<Ask, { type: 'lease' | 'leave' }>,
    answer: (found: unknown) => void,
    refuse: (reason: string) => void,
  ): void {
    const { node, recorder, values, faults } = this.#parts;
    switch (ask.type) {
      case 'ring':
        return answer(picturedRing(ringSeenBy(node)));
      case 'key':
        return answer(picturedKey(node, keyOfText(ask.key), values));
      case 'story':
        return answer(recorder.replay(ask.cause));
      case 'context':
        return answer(recorder.contextOf(ask.actor));
      case 'operate':
        if (faults === undefined) return refuse('writing from the page needs --allow-faults');
        return this.#operate(ask.operation, answer);
      case 'fault': {
        if (faults === undefined) return refuse('faults need --allow-faults');
        const refusal = this.#apply(faults, ask.fault);
        return refusal === undefined ? answer('done') : refuse(refusal);
      }
      default:
        return refuse('no such question');
    }
  }

  /** A further node is started and joins; whoever leaves hands over first, and stops by itself. */
  #apply(faults: FaultDesk, fault: Fault): string | undefined {
    const { node } = this.#parts;
    if (fault.type === 'leave') {
      return node.changeMembership({ type: 'leave', node: nodeId(fault.node) });
    }
    if (fault.type !== 'add') return faults.apply(fault);
    const joined = nodeId(fault.node);
    const refusal = faults.apply(fault);
    if (refusal !== undefined) return refusal;
    return node.changeMembership({ type: 'join', node: joined, zone: 'default', weight: 1 });
  }

  /** One client request, recorded whatever the sampling. */
  #operate(operation: Operation, answer: (found: unknown) => void): void {
    const { node, recorder, clock, random, self, values } = this.#parts;
    const cause = `${self}.page${++this.#operations}`;
    const key = keyOfText(operation.key);
    const request = { key, strict: false, timeoutMs: OPERATION_TIMEOUT_MS } as const;
    recorder.within(cause, () => {
      const { handle } = node.handler;
      if (operation.type === 'get') {
        handle({ type: 'get', ...request }, (reply) => answer(shownReply(reply, cause, values)));
        return;
      }
      const { value, context } = operation;
      const writtenAt = clock.wallMs();
      handle(
        {
          type: 'put',
          ...request,
          value: new TextEncoder().encode(value),
          contexts: context === undefined ? [] : [bytesOfBase64(context)],
          putId: putId(hexOf(random.bytes(8))),
          writtenAt,
          attempt: 1,
          mode: 'causal',
        },
        (reply) => answer(shownReply(reply, cause, values)),
      );
    });
  }

  #renew(name: string, ask: Extract<Ask, { type: 'lease' }>, tell: (tell: Tell) => void): void {
    const { clock, recorder } = this.#parts;
    const expiresAtMs = clock.monotonicMs() + LEASE_MS;
    const sampleEvery = Math.max(0, Math.floor(Number(ask.sampleEvery) || 0));
    const recordsLeft = Math.max(0, Math.floor(Number(ask.recordsMax) || 0));
    const known = this.#viewers.get(name);
    if (known !== undefined) Object.assign(known, { expiresAtMs, sampleEvery, recordsLeft });
    else {
      if (this.#viewers.size >= VIEWERS_MAX) return;
      const records = recorder.backlog().slice(-Math.min(BACKLOG_MAX, recordsLeft));
      const stories = recorder.stories().slice(-STORIES_MAX);
      const left = recordsLeft - records.length;
      this.#viewers.set(name, {
        ...{ tell, expiresAtMs, sampleEvery, recordsLeft: left, dropped: 0 },
        records: [...records],
        stories: [...stories],
      });
      tell({ type: 'gauges', gauges: this.#gauges() });
    }
    this.#sample();
    if (this.#unsubscribe === undefined) this.#wake();
  }

  #leave(name: string): void {
    if (!this.#viewers.delete(name)) return;
    this.#sample();
    if (this.#viewers.size === 0) this.#rest();
  }

  /** The most curious viewer decides; a viewer that wants nothing counts for nothing. */
  #sample(): void {
    const wishes = [...this.#viewers.values()].map(({ sampleEvery }) => sampleEvery);
    const wanted = wishes.filter((every) => every > 0);
    this.#parts.recorder.sample(wanted.length === 0 ? 0 : Math.min(...wanted));
  }

  #wake(): void {
    const { recorder } = this.#parts;
    this.#unsubscribe = recorder.subscribe({
      record: (record) => {
        for (const viewer of this.#viewers.values()) {
          if (viewer.recordsLeft <= 0 || viewer.records.length >= BATCH_MAX) viewer.dropped += 1;
          else {
            viewer.recordsLeft -= 1;
            viewer.records.push(record);
          }
        }
      },
      story: (story) => {
        for (const { stories } of this.#viewers.values()) {
          if (stories.length < STORIES_MAX) stories.push(story);
        }
      },
    });
    this.#every(FLUSH_MS, () => this.#flush());
    this.#every(GAUGES_MS, () => {
      const gauges = this.#gauges();
      for (const { tell } of this.#viewers.values()) tell({ type: 'gauges', gauges });
    });
    this.#every(LATENCY_TURN_MS, () => recorder.turn());
    this.#probeLoop();
  }

  #rest(): void {
    const { clock, recorder } = this.#parts;
    for (const timer of this.#timers) clock.clearTimeout(timer);
    this.#timers.clear();
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    recorder.sample(0);
  }

  #flush(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    for (const [name, viewer] of this.#viewers) {
      if (viewer.expiresAtMs < nowMs) this.#viewers.delete(name);
      const { records, stories, dropped, tell } = viewer;
      if (records.length + stories.length + dropped === 0) continue;
      tell({ type: 'records', records, stories, dropped });
      viewer.records = [];
      viewer.stories = [];
      viewer.dropped = 0;
    }
    this.#sample();
    if (this.#viewers.size === 0) this.#rest();
  }

  #gauges(): Gauges {
    const { node, recorder, faults, clock } = this.#parts;
    const wallMs = clock.wallMs();
    const status = node.status() as unknown as NodeStatusView;
    const delays = [...this.#loopDelays].sort((a, b) => a - b);
    return {
      atMs: recorder.nowMs(),
      status,
      ringVersion: ringVersionOf(node.ringView.ring),
      loopDelay: { p50: delays[delays.length >> 1] ?? 0, max: delays.at(-1) ?? 0 },
      hintsByTarget: node
        .hintGauges()
        .filter(({ count }) => count > 0)
        .map(({ target, count, sinceMs }) => ({
          ...{ target, count },
          ...(sinceMs === undefined ? {} : { oldestMs: Math.max(0, wallMs - sinceMs) }),
        })),
      ...recorder.gauges(),
      ...(faults === undefined ? {} : { faults: faults.view() }),
    };
  }

  /** How late timers fire while somebody watches: what every request waits for besides its work. */
  #probeLoop(): void {
    const { clock } = this.#parts;
    let dueMs = clock.monotonicMs() + LOOP_PROBE_MS;
    this.#every(LOOP_PROBE_MS, () => {
      const nowMs = clock.monotonicMs();
      this.#loopDelays.push(Math.max(0, nowMs - dueMs));
      if (this.#loopDelays.length > LOOP_PROBES) this.#loopDelays.shift();
      dueMs = nowMs + LOOP_PROBE_MS;
    });
  }

  #every(ms: number, task: () => void): void {
    const { clock } = this.#parts;
    const again = (): void => {
      const timer = clock.setTimeout(() => {
        this.#timers.delete(timer);
        if (this.#unsubscribe === undefined) return;
        again();
        task();
      }, ms);
      this.#timers.add(timer);
    };
    again();
  }
}

const ringSeenBy = ({ ringView }: Node): RingSeen => ({
  ring: ringView.ring,
  nodes: ringView.nodes(),
  moving: ringView.moving(),
});

const shownReply = (reply: object, cause: string, values: 'shown' | 'hidden'): object => {
  const { type, code, message, context, acks, durable, state } = reply as Record<string, unknown>;
  const bytes = (reply as { readonly values?: readonly Uint8Array[] }).values;
  return {
    cause,
    type,
    ...(code === undefined ? {} : { code, message }),
    ...(context instanceof Uint8Array ? { context: base64Of(context) } : {}),
    ...(acks === undefined ? {} : { acks, durable }),
    ...(state === undefined ? {} : { state, siblings: bytes?.length }),
    ...(bytes === undefined || values === 'hidden'
      ? {}
      : { values: bytes.map((value) => new TextDecoder().decode(value)) }),
  };
};

const base64Of = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

const bytesOfBase64 = (text: string): Uint8Array =>
  Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
