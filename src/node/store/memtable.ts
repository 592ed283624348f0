/**
 * What this node has taken in and not yet committed (paper § 6.1). A stack of layers: one open, and
 * those whose commit is under way. Reads look here first, newest layer first; a layer goes when its
 * commit is durable.
 */
import type { ActorId, Key, NodeId, PartitionId } from '../../core/ids.ts';
import type { RecordForm } from '../../core/record-bytes.ts';
import type { RecordOfKey } from '../../core/record.ts';

/** A record as this replica stores it: with its own living actor, which never leaves the node (A4). */
export type StoredRecord = {
  readonly record: RecordOfKey;
  readonly me?: { readonly actor: ActorId; readonly n: number } | undefined;
};

/** "The owner `target` has not got this key yet." The stamp changes each time that is said anew. */
export type Hint = {
  readonly target: NodeId;
  readonly key: Key;
  readonly stamp: number;
  /** Wall clock when the first hint for this target and key was made, ms: the age gauge. */
  readonly sinceMs: number;
};

/** Where a key's record lies, and what of it counted in the Merkle tree when it was looked at. */
export type Place = {
  readonly partition: PartitionId;
  readonly leaf: number;
  /** The record's key in storage. */
  readonly name: Uint8Array;
};

export type RecordChange = {
  readonly place: Place;
  readonly stored: StoredRecord | 'removed';
  readonly sequence: number;
  /** The form of that very record, with its values, if whoever brought it had it. */
  readonly form: RecordForm | undefined;
  /** The record's hash before this layer; `unknown` where a corrupt row lay. */
  readonly before: bigint | 'unknown';
  /** Its hash now, known once the layer is sealed. */
  hash?: bigint;
  /** And its row; undefined if it goes. */
  row?: Uint8Array | undefined;
};
export type HintChange = { readonly hint: Hint; readonly state: 'kept' | 'removed' };

/** One batch of changes, committed as one transaction. */
export type Layer = {
  readonly records: Map<Key, RecordChange>;
  readonly hints: Map<string, HintChange>;
  /** Small facts of the node's own that go with them, by name. */
  readonly meta: Map<string, { readonly name: Uint8Array; readonly value: Uint8Array }>;
  lastSequence: number;
};

export class Memtable {
  #open: Layer = newLayer(0);
  #committing: Layer[] = [];
  #sequence = 0;
  #durableSequence = 0;

  /** Changes in the open layer. */
  get openSize(): number {
    return sizeOf(this.#open);
  }

  /** Changes not durable yet, in all layers. */
  get size(): number {
    return this.#layers().reduce((sum, layer) => sum + sizeOf(layer), 0);
  }

  /** Whether a commit is under way. */
  get isCommitting(): boolean {
    return this.#committing.length > 0;
  }

  get durableSequence(): number {
    return this.#durableSequence;
  }

  record(key: Key): RecordChange | undefined {
    let found = this.#open.records.get(key);
    for (let at = this.#committing.length - 1; found === undefined && at >= 0; at--) {
      found = this.#committing[at]!.records.get(key);
    }
    return found;
  }

  hint(target: NodeId, key: Key): HintChange | undefined {
    const name = hintName(target, key);
    return this.#layers()
      .find(({ hints }) => hints.has(name))
      ?.hints.get(name);
  }

  /** Every changed hint, the newest word on each. */
  hints(): readonly HintChange[] {
    const newest = new Map<string, HintChange>();
    for (const layer of this.#layers().reverse()) {
      for (const [name, change] of layer.hints) newest.set(name, change);
    }
    return [...newest.values()];
  }

  /** `before`: the record's hash as the layers below and the storage have it. */
  putRecord(
    key: Key,
    place: Place,
    stored: StoredRecord | 'removed',
    before: bigint | 'unknown',
    form?: RecordForm,
  ): void {
    const earlier = this.#open.records.get(key);
    const sequence = this.#next();
    const since = earlier === undefined ? before : earlier.before;
    this.#open.records.set(key, { place, stored, sequence, form, before: since });
  }

  /** Every changed record, the newest word on each. */
  records(): ReadonlyMap<Key, RecordChange> {
    if (this.#committing.length === 0) return this.#open.records;
    return new Map(
      this.#layers()
        .reverse()
        .flatMap(({ records }) => [...records]),
    );
  }

  putHint(hint: Hint, state: 'kept' | 'removed'): void {
    this.#open.hints.set(hintName(hint.target, hint.key), { hint, state });
    this.#next();
  }

  putMeta(name: Uint8Array, value: Uint8Array): void {
    this.#open.meta.set(name.join(), { name, value });
    this.#next();
  }

  /** The newest change made so far: durable once `durableSequence` reaches it. */
  get lastSequence(): number {
    return this.#sequence;
  }

  /** The newest change that a commit under way (or done) carries. */
  get sealedSequence(): number {
    return this.#committing.at(-1)?.lastSequence ?? this.#durableSequence;
  }

  /** Closes the open layer, to be committed now; a new one takes what follows. */
  seal(): Layer {
    const layer = this.#open;
    this.#committing.push(layer);
    this.#open = newLayer(this.#sequence);
    return layer;
  }

  /** The oldest layer under way is durable. */
  settle(): void {
    const layer = this.#committing.shift();
    if (layer !== undefined) this.#durableSequence = layer.lastSequence;
  }

  #next(): number {
    this.#sequence += 1;
    this.#open.lastSequence = this.#sequence;
    return this.#sequence;
  }

  /** Newest first. */
  #layers(): Layer[] {
    return [this.#open, ...this.#committing.slice().reverse()];
  }
}

const sizeOf = ({ records, hints, meta }: Layer): number => records.size + hints.size + meta.size;

const newLayer = (lastSequence: number): Layer => ({
  records: new Map(),
  hints: new Map(),
  meta: new Map(),
  lastSequence,
});

const hintName = (target: NodeId, key: Key): string => `${target}\0${key}`;
