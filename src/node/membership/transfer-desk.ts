/**
 * What the transfer actor's decisions mean (RULES C6): which records this node keeps without being
 * meant to, what each current owner says to them, and which may go. And the other side of the same:
 * what an owner says when a former one offers.
 */
import type { TransferEvent, TransferPorts } from '../../../actors/transfer.ts';
import { NOTHING_CARRIED } from '../../core/admission.ts';
import type { Carried } from '../../core/admission.ts';
import { partitionId } from '../../core/ids.ts';
import type { Key, NodeId, PartitionId } from '../../core/ids.ts';
import { decodeHashes, encodeHashes } from '../../core/merkle.ts';
import { encodeRecord } from '../../core/record-bytes.ts';
import type { Surrender } from '../../wire/peer-messages.ts';
import type { Admission } from '../admission-desk.ts';
import type { Config } from '../config.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { Replica } from '../store/replica.ts';
import type { RingView } from './ring-view.ts';
import type { Rounds } from '../healing/rounds.ts';
import { carriedOf } from '../healing/tree-answers.ts';

export type TransferDeskParts = {
  readonly self: NodeId;
  readonly ring: RingView;
  readonly store: RecordStore;
  readonly replica: Replica;
  readonly config: Config;
  readonly admission: Admission;
  readonly rounds: Rounds;
  readonly send: (to: NodeId, message: Surrender) => void;
  readonly gossip: () => void;
  readonly tell: (event: TransferEvent) => void;
};

/** Records in one offer. */
const BATCH_MAX = 64;
/** Partitions in which nothing is found to offer are looked through a few a round: all rows of each. */
const LOOKS_MAX = 16;

type Batch = {
  readonly number: number;
  readonly partition: PartitionId;
  readonly version: number;
  readonly entries: readonly { readonly key: Key; readonly hash: bigint }[];
  /** Owners that have not confirmed yet. */
  readonly waiting: Set<NodeId>;
};

export class TransferDesk implements TransferPorts {
  readonly #parts: TransferDeskParts;
  /** An owner of these did not confirm, or there was nothing to offer: the others come first. */
  readonly #passedOver = new Set<PartitionId>();
  #batch: Batch | undefined;
  #lastNumber: number;
  #given = 0;
  /** By the newest batch, and by all of them to owners that lacked something. */
  #carried: Carried = NOTHING_CARRIED;
  #sent = { records: 0, bytes: 0 };
  #paused = false;

  /** Batch numbers begin at `firstNumber`, drawn at random: no answer to a former life fits. */
  constructor(parts: TransferDeskParts, firstNumber: number) {
    this.#parts = parts;
    this.#lastNumber = firstNumber;
  }

  /** Records given away since the start. */
  get given(): number {
    return this.#given;
  }

  /** Records that an owner lacked, and their bytes; for each owner anew. */
  get sent(): { readonly records: number; readonly bytes: number } {
    return this.#sent;
  }

  get paused(): boolean {
    return this.#paused;
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.#parts.tell({ type: 'transfer.wanted' });
  }

  /** Partitions of which this node keeps records without being meant to. */
  departing(): readonly PartitionId[] {
    const { ring, store } = this.#parts;
    return [...store.partitionsHeld()].filter((partition) => !ring.isHolder(partition));
  }

  gossipRegisters(): void {
    this.#parts.gossip();
  }

  offerBatch(): void {
    const { ring, tell, send, admission } = this.#parts;
    admission.begin('transfer');
    const batch = this.#paused ? undefined : this.#nextBatch();
    this.#batch = batch;
    if (batch === undefined) return tell({ type: 'batch.none' });
    const { number, partition, version } = batch;
    const entries = batch.entries.map(({ key, hash }) => ({ key, hash: encodeHashes([hash]) }));
    this.#carried = { ...NOTHING_CARRIED, looked: entries.length };
    for (const owner of ring.ring.table[partition]!) {
      send(owner, { type: 'offer', batch: number, partition, version, entries });
    }
    tell({ type: 'batch.offered', batch: number });
  }

  /** Only if the register is still the one they confirmed under, and only what has not changed. */
  deleteBatch(number: number): void {
    const batch = this.#batch;
    if (batch?.number !== number) return;
    this.#batch = undefined;
    const { ring, store } = this.#parts;
    const { partition, version, entries } = batch;
    if (ring.versionOf(partition) !== version || ring.isHolder(partition)) return;
    const before = this.#given;
    store.change(() => {
      for (const { key, hash } of entries) {
        const slot = store.open(key);
        if (slot.held === 'nothing' || store.hashOf(slot) !== hash) continue;
        store.put(slot, 'removed');
        // Every owner has this very record: nobody waits for it any more.
        store.hints.forgetAll(key);
        this.#given += 1;
      }
    });
    // All of it changed meanwhile, or the disk says of it what memory does not: not at once again.
    if (this.#given === before) this.#passedOver.add(partition);
  }

  giveUpBatch(number: number): void {
    if (this.#batch?.number !== number) return;
    this.#passedOver.add(this.#batch.partition);
    this.#batch = undefined;
  }

  /** What an owner says to the offer under way; anything else is ignored. */
  answered(from: NodeId, answer: Surrender): void {
    const batch = this.#batch;
    if (batch === undefined || answer.batch !== batch.number || !batch.waiting.has(from)) return;
    const { tell, replica, rounds, send } = this.#parts;
    const { number, partition, version } = batch;
    if (answer.type === 'offer.refused') {
      tell({ type: 'batch.refused', batch: number });
    } else if (answer.type === 'offer.answered' && answer.wanted.length > 0) {
      const entries = answer.wanted.flatMap((index) => {
        const key = batch.entries[index]?.key;
        const held = key === undefined ? undefined : replica.read(key);
        if (key === undefined || held === undefined) return [];
        return [{ key, record: encodeRecord(held, 'with-values') }];
      });
      const round = rounds.current;
      this.#count(carriedOf(entries));
      send(from, { type: 'surrender', batch: number, round, partition, version, entries });
    } else if (answer.type === 'offer.answered' || answer.type === 'surrendered') {
      batch.waiting.delete(from);
      if (batch.waiting.size === 0) tell({ type: 'batch.confirmed', batch: number });
    }
  }

  /** The owner's side: confirms only as owner, under the same register, and only what is durable. */
  asked(message: Surrender, say: (answer: Surrender) => void): void {
    const { ring, store, replica, self, admission } = this.#parts;
    if (message.type !== 'offer' && message.type !== 'surrender') return;
    const { batch, version } = message;
    // A node that leaves has no clients to consider; whoever it gives to has.
    const reply = admission.paced('transfer', () => takenBy(message), say);
    const partition = partitionId(message.partition);
    const agrees = (): boolean =>
      ring.versionOf(partition) === version && (ring.ring.table[partition] ?? []).includes(self);
    if (!agrees()) return reply({ type: 'offer.refused', batch });
    if (message.type === 'surrender') {
      if (!replica.takeAll(message)) return;
      store.whenAllDurable(() => {
        if (agrees()) reply({ type: 'surrendered', batch });
      });
      return;
    }
    const wanted = message.entries.flatMap(({ key, hash }, index) => {
      const slot = store.open(key);
      return store.hashOf(slot) === decodeHashes(hash)[0] ? [] : [index];
    });
    store.whenAllDurable(() => {
      if (agrees()) reply({ type: 'offer.answered', batch, wanted });
    });
  }

  paceMs(): number {
    const { admission, config } = this.#parts;
    return Math.max(config.repairPaceMs, admission.grant('transfer', this.#carried));
  }

  #count({ records, bytes }: Carried): void {
    const { looked, ...before } = this.#carried;
    this.#carried = { looked, records: before.records + records, bytes: before.bytes + bytes };
    this.#sent = { records: this.#sent.records + records, bytes: this.#sent.bytes + bytes };
  }

  #nextBatch(): Batch | undefined {
    const { ring, store, config } = this.#parts;
    let looks = 0;
    for (const partition of this.departing()) {
      const owners = ring.ring.table[partition]!;
      // All of them have to confirm.
      const isHopeless =
        owners.length === 0 || owners.some((owner) => ring.healthOf(owner) === 'down');
      if (isHopeless || this.#passedOver.has(partition)) continue;
      if (looks++ === LOOKS_MAX) return undefined;
      // A copy that stands in for an owner is handed off by its hint.
      const isHinted = (key: Key): boolean => owners.some((o) => store.hints.find(o, key));
      // An owner that lacks all of them gets them in one message.
      const most = { records: BATCH_MAX, bytes: config.hintBatchBytesMax };
      const entries = store.someOf(partition, most, (key) => !isHinted(key));
      if (entries.length === 0) {
        this.#passedOver.add(partition);
        continue;
      }
      const version = ring.versionOf(partition);
      const waiting = new Set(owners);
      return { number: ++this.#lastNumber, partition, version, entries, waiting };
    }
    this.#passedOver.clear();
    return undefined;
  }
}

/** What an owner does for a batch: it compares, or it takes. */
const takenBy = (message: Extract<Surrender, { readonly entries: unknown }>): Carried =>
  message.type === 'surrender'
    ? carriedOf(message.entries)
    : { ...NOTHING_CARRIED, looked: message.entries.length };
