/**
 * The oracle: what each simulated client did and was told, and what follows from it. Causality
 * comes from contexts alone: a write's past is what its context had shown, and the past of that.
 *
 *   v1 ◀── v2 (saw v1) ◀── v4 (saw v2)      v4 accounts for v1 and v2: they may be gone
 *     ◀── v3 (saw v1)                       v3 it does not: it must still be there
 */
import { ByteReader } from '../core/bytes.ts';
import type { NodeId, PartitionId, PutId } from '../core/ids.ts';
import { readVector } from '../core/record-bytes.ts';
import { skipSeen } from '../core/seen-puts.ts';
import type { OperationPlan } from './scenario.ts';

/** Names are the unique values that the puts wrote; a delete has one too. */
export type WriteFate = {
  readonly name: string;
  readonly key: string;
  readonly kind: 'put' | 'delete';
  readonly mode: OperationPlan['mode'];
  readonly putId: PutId;
  readonly writtenAt: number;
  readonly w: number;
  /** Nobody asked for that w: the node's default, at most as many as the key has owners. */
  readonly byDefault: boolean;
  readonly dw: number;
  readonly strict: boolean;
  readonly onlyIf: OperationPlan['onlyIf'];
  /** From when on its value is nothing, wall clock in ms; Infinity: it lives for ever. */
  readonly expiresAt: number;
  /** How many nodes have been asked for it so far. */
  tries: number;
  /** Every write that lies in the past of its context. */
  readonly past: ReadonlySet<string>;
  readonly startedMs: number;
  /** How often each node had been started when it began. */
  readonly lives: ReadonlyMap<NodeId, number>;
  outcome: 'open' | 'applied' | 'refused' | 'unknown';
  /** When its client knew the outcome. */
  endedMs: number;
  /** What the first answer that said applied listed. */
  acks: readonly NodeId[];
  durable: readonly NodeId[];
};

export type ReadFate = {
  readonly key: string;
  readonly via: NodeId;
  /** Which life of that node answered. */
  readonly life: number;
  readonly r: number;
  readonly strict: boolean;
  readonly startedMs: number;
  /** Values, in the order they came. */
  readonly values: readonly string[];
  /** Names of the siblings its context covers: the values, and deletes beside them. */
  readonly shown: readonly string[];
};

/** The keys of one partition, as a client was told page by page. */
export type ScanFate = {
  readonly partition: PartitionId;
  readonly startedMs: number;
  readonly keys: readonly string[];
};

/** A node lost what it had in memory only, or (some of) what it had on disk. */
export type Loss = {
  readonly atMs: number;
  readonly node: NodeId;
  readonly of: 'memory' | 'disk';
};

/**
 * How long after its ack a write may be in memory only, ms: a flush interval, commits on the slowest
 * disk before and with it, and pauses.
 */
const BUFFERED_MS_MAX = 10_000;

const NOTHING: ReadonlySet<string> = new Set();

export class History {
  readonly writes: WriteFate[] = [];
  readonly losses: Loss[] = [];
  /** By key, deletes that the owners agreed to forget: they account for their past for ever. */
  readonly #forgotten = new Map<string, Set<string>>();
  /** Keys of which a write may replace what it has not seen. */
  readonly #lastWriteWins = new Set<string>();
  readonly #byName = new Map<string, WriteFate>();
  readonly #byPut = new Map<PutId, WriteFate>();
  readonly #byKey = new Map<string, WriteFate[]>();

  add(write: WriteFate): void {
    this.writes.push(write);
    this.#byName.set(write.name, write);
    this.#byPut.set(write.putId, write);
    if (write.mode === 'last-write-wins') this.#lastWriteWins.add(write.key);
    const ofKey = this.#byKey.get(write.key);
    if (ofKey === undefined) this.#byKey.set(write.key, [write]);
    else ofKey.push(write);
  }

  /** Owners forgot a record of nothing but these deletes (A9). */
  forget(puts: readonly PutId[]): void {
    for (const put of puts) {
      const write = this.#byPut.get(put);
      if (write === undefined) continue;
      const ofKey = this.#forgotten.get(write.key) ?? new Set();
      this.#forgotten.set(write.key, ofKey.add(write.name));
    }
  }

  ofKey(key: string): readonly WriteFate[] {
    return this.#byKey.get(key) ?? [];
  }

  get(name: string): WriteFate | undefined {
    return this.#byName.get(name);
  }

  /** The write of a put id; what nobody put has none. */
  ofPut(putId: PutId): WriteFate | undefined {
    return this.#byPut.get(putId);
  }

  /** The writes shown, and all that lies in their past. */
  pastOf(shown: readonly string[]): Set<string> {
    const past = new Set<string>();
    for (const name of shown) {
      past.add(name);
      for (const earlier of this.#byName.get(name)?.past ?? []) past.add(earlier);
    }
    return past;
  }

  /**
   * Whether `write` is among what is there, or rightly replaced by it: in its past, or older than a
   * last-write-wins put that is there or was itself rightly replaced (A8).
   */
  isAccountedFor(write: WriteFate, there: readonly string[]): boolean {
    const forgotten = this.#forgotten.get(write.key) ?? NOTHING;
    if (there.some((name) => this.#knows(name, write))) return true;
    for (const name of forgotten) if (this.#knows(name, write)) return true;
    if (!this.#lastWriteWins.has(write.key)) return false;
    const past = this.pastOf([...there, ...forgotten]);
    const known = new Set(past);
    const queue = [...past];
    while (queue.length > 0) {
      const winner = this.#byName.get(queue.pop()!);
      if (winner?.mode !== 'last-write-wins') continue;
      if (isOlder(write, winner)) return true;
      for (const other of this.ofKey(write.key)) {
        if (known.has(other.name) || !isOlder(other, winner)) continue;
        for (const name of this.pastOf([other.name])) {
          if (name === write.name) return true;
          if (!known.has(name)) queue.push(name);
          known.add(name);
        }
      }
    }
    return false;
  }

  /** Whether the write of this name is `write`, or had seen it. */
  #knows(name: string, write: WriteFate): boolean {
    return name === write.name || this.#byName.get(name)?.past.has(write.name) === true;
  }

  /**
   * Whether the durability budget lets an applied write be lost: as many disks lost since it began
   * as had it when it was acknowledged; or, if none had, as many memories and disks as held it.
   */
  isForgiven(write: WriteFate): boolean {
    const since = this.losses.filter(({ atMs }) => atMs >= write.startedMs);
    const disks = since.filter((loss) => loss.of === 'disk').length;
    if (write.durable.length > 0) return disks >= write.durable.length;
    const memories = since.filter(
      ({ node, of, atMs }) =>
        of === 'memory' && atMs < write.endedMs + BUFFERED_MS_MAX && write.acks.includes(node),
    );
    return disks + memories.length >= write.acks.length;
  }

  hasLostDiskSince(ms: number): boolean {
    return this.losses.some(({ of, atMs }) => of === 'disk' && atMs >= ms);
  }

  /** Whether `node` may have lost what it said it holds of `write`, by these losses. */
  mayHaveLost(node: NodeId, write: WriteFate, of: 'memory' | 'disk'): boolean {
    return this.losses.some(
      (loss) =>
        loss.node === node &&
        loss.atMs >= write.startedMs &&
        (loss.of === 'disk' || of === 'memory'),
    );
  }
}

/** The put ids that a context shows, read without its seal. */
export const shownIn = (context: Uint8Array): readonly PutId[] => {
  const reader = new ByteReader(context);
  reader.byte();
  reader.raw(8);
  reader.text();
  readVector(reader);
  skipSeen(reader);
  return Array.from({ length: reader.varint() }, () => reader.hex(8) as PutId);
};

/** The name of the write that a value is of; a basket may follow it. */
export const nameIn = (value: Uint8Array): string => {
  const end = value.indexOf(NAME_END);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
};

/** The value that a write of this name brings, with a basket in it. */
export const valueWith = (name: string, basket: Uint8Array): Uint8Array =>
  new Uint8Array([...new TextEncoder().encode(name), NAME_END, ...basket]);

/** The basket in a value that `valueWith` made. */
export const basketIn = (value: Uint8Array): Uint8Array => value.slice(value.indexOf(NAME_END) + 1);

const NAME_END = 10;

const isOlder = (a: WriteFate, b: WriteFate): boolean =>
  a.writtenAt < b.writtenAt || (a.writtenAt === b.writtenAt && a.putId < b.putId);
