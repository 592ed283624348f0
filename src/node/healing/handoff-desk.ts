/**
 * What the handoff actor's decisions mean: which hints make the next batch, and what is forgotten
 * once their owner has made them durable (paper § 4.6).
 */
import type { HandoffEvent, HandoffPorts } from '../../../actors/handoff.ts';
import { NOTHING_CARRIED } from '../../core/admission.ts';
import type { Carried } from '../../core/admission.ts';
import type { NodeId } from '../../core/ids.ts';
import { encodeRecord } from '../../core/record-bytes.ts';
import type { RecordOfKey } from '../../core/record.ts';
import type { Handoff } from '../../wire/peer-messages.ts';
import type { Admission } from '../admission-desk.ts';
import type { Config } from '../config.ts';
import type { Hint } from '../store/memtable.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { Replica } from '../store/replica.ts';
import type { RingView } from '../membership/ring-view.ts';
import type { Rounds } from './rounds.ts';
import { carriedOf } from './tree-answers.ts';

export type HandoffDeskParts = {
  readonly self: NodeId;
  readonly replica: Replica;
  readonly store: RecordStore;
  readonly ring: RingView;
  readonly config: Config;
  readonly admission: Admission;
  readonly rounds: Rounds;
  readonly send: (to: NodeId, message: Handoff) => void;
  readonly tell: (event: HandoffEvent) => void;
};

type Batch = {
  readonly number: number;
  readonly target: NodeId;
  readonly entries: readonly { readonly hint: Hint; readonly record: RecordOfKey }[];
};

export class HandoffDesk implements HandoffPorts {
  readonly #parts: HandoffDeskParts;
  readonly #passedOver = new Set<NodeId>();
  #batch: Batch | undefined;
  /** By the newest batch. */
  #carried: Carried = NOTHING_CARRIED;
  #lastNumber: number;

  /** Batch numbers begin at `firstNumber`, drawn at random: no answer to a former life fits. */
  constructor(parts: HandoffDeskParts, firstNumber: number) {
    this.#parts = parts;
    this.#lastNumber = firstNumber;
  }

  sendBatch(): void {
    const { store, ring, rounds, tell, send, admission } = this.#parts;
    admission.begin('handoff');
    const targets = store.hints.gauges().map((gauge) => gauge.target);
    const nodes = ring.nodes();
    for (const former of targets) if (!nodes.includes(former)) this.#retarget(former);
    const batch = firstOf(
      targets.filter((node) => !this.#passedOver.has(node) && ring.healthOf(node) === 'healthy'),
      (target) => this.#batchFor(target),
    );
    if (batch === undefined) {
      this.#passedOver.clear();
      tell({ type: 'batch.none' });
      return;
    }
    const entries = batch.entries.map(({ hint, record }) => ({
      key: hint.key,
      record: encodeRecord(record, 'with-values'),
    }));
    this.#batch = batch;
    this.#carried = carriedOf(entries);
    send(batch.target, { type: 'deliver', batch: batch.number, round: rounds.current, entries });
    tell({ type: 'batch.sent', batch: batch.number });
  }

  forgetBatch(number: number): void {
    if (this.#batch?.number !== number) return;
    for (const { hint } of this.#batch.entries) this.#forget(hint);
    this.#batch = undefined;
  }

  giveUpBatch(number: number): void {
    if (this.#batch?.number !== number) return;
    this.#passedOver.add(this.#batch.target);
    this.#batch = undefined;
  }

  paceMs(): number {
    return this.#parts.admission.grant('handoff', this.#carried);
  }

  /** `from` says a batch is durable there; only the batch under way to that very node counts. */
  delivered(from: NodeId, number: number): void {
    if (this.#batch?.number !== number || this.#batch.target !== from) return;
    this.#parts.tell({ type: 'batch.delivered', batch: number });
  }

  /** Whether the target of a hint still owns the key, or is about to. */
  #isMeantFor({ target, key }: Hint): boolean {
    const { ring } = this.#parts;
    return ring.holdersOf(ring.placeOf(key).partition).includes(target);
  }

  /** Hints for a node that is gone are never forgotten: they become hints for the owners (C6). */
  #retarget(former: NodeId): void {
    const { store, config } = this.#parts;
    for (const hint of store.hints.next(former, config.hintBatchMax)) this.#retargetOne(hint);
  }

  /**
   * In a full store an owner leaves it to anti-entropy to tell the others; a node that is none keeps
   * the hint until it has given the record away (C6).
   */
  #retargetOne(hint: Hint): void {
    const { self, store, ring, replica } = this.#parts;
    // A hint whose record is gone promises nothing any more.
    if (replica.read(hint.key) === undefined) return this.#forget(hint);
    const all = ring.ownersOf(hint.key);
    const others = all.filter((owner) => owner !== self);
    const hasRoom = store.hints.hasRoomFor(others, hint.key);
    if (!hasRoom && !all.includes(self)) return;
    const owners = hasRoom ? others : [];
    store.change(() => {
      for (const owner of owners) store.hints.keep(owner, hint.key, hint.sinceMs);
      store.hints.forget(hint);
    });
  }

  /** The copy it refers to stays until every owner has it: the transfer desk sees to that (C6). */
  #forget(hint: Hint): void {
    const { store } = this.#parts;
    store.change(() => store.hints.forget(hint));
  }

  #batchFor(target: NodeId): Batch | undefined {
    const { replica, store, config } = this.#parts;
    const entries: { hint: Hint; record: RecordOfKey }[] = [];
    let bytes = 0;
    for (const hint of store.hints.next(target, config.hintBatchMax)) {
      if (!this.#isMeantFor(hint)) {
        this.#retargetOne(hint);
        continue;
      }
      const record = replica.read(hint.key);
      // A hint whose record is gone promises nothing any more.
      if (record === undefined) this.#forget(hint);
      else {
        entries.push({ hint, record });
        bytes += valueBytes(record);
      }
      if (bytes >= config.hintBatchBytesMax) break;
    }
    if (entries.length === 0) return undefined;
    return { number: ++this.#lastNumber, target, entries };
  }
}

const firstOf = <A, B>(many: readonly A[], find: (each: A) => B | undefined): B | undefined => {
  for (const each of many) {
    const found = find(each);
    if (found !== undefined) return found;
  }
  return undefined;
};

const valueBytes = (record: RecordOfKey): number =>
  record.siblings.reduce(
    (sum, { value }) => sum + (value instanceof Uint8Array ? value.length : 0),
    0,
  );
