/**
 * The registers of the partitions on this node (RULES C1): persisted before they are acted on, told
 * to everybody when one changes here, and compared with a random peer every round, so that whoever
 * missed a change hears of it.
 */
import { ByteReader, ByteWriter, sameBytes } from '../../core/bytes.ts';
import { nodeId, partitionId } from '../../core/ids.ts';
import type { NodeId, PartitionId } from '../../core/ids.ts';
import { mergeRegisters } from '../../core/registers.ts';
import type { Register, Registers } from '../../core/registers.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Storage, StorageOp } from '../../ports/storage.ts';
import type { RegisterGossip } from '../../wire/peer-messages.ts';
import { eachEntry } from '../store/stored.ts';

/** In the members table, before the partition: the book itself lies under another name. */
const PREFIX = 0x01;

export type RegisterBookParts = {
  readonly storage: Storage;
  readonly digest: Digest;
  /** What a peer says of a partition may be nonsense: that is not adopted. */
  readonly isCredible: (partition: PartitionId, register: Register) => boolean;
  /** Registers have changed and are durable. */
  readonly changed: () => void;
  readonly failed: (reason: string) => void;
};

export class RegisterBook {
  readonly #parts: RegisterBookParts;
  #registers: Registers;
  /** What is being made durable already counts when more arrives. */
  #known: Registers;
  /**
   * A newcomer that is through steps in for hundreds of partitions within a moment, and each change
   * makes another ring: of the node, and of every client that hears of it.
   */
  #waiting = new Map<PartitionId, Register>();
  #isCommitting = false;

  /** Throws RangeError if the storage holds something else under these names. */
  constructor(parts: RegisterBookParts) {
    this.#parts = parts;
    const bounds = { from: new Uint8Array([PREFIX]), to: new Uint8Array([PREFIX + 1]) };
    const held = [...eachEntry(parts.storage, 'members', bounds)].flatMap(({ value }) => [
      ...decodeRegisters(value),
    ]);
    this.#registers = new Map(held);
    this.#known = this.#registers;
  }

  get registers(): Registers {
    return this.#registers;
  }

  /** Takes in newer registers; `changed` hears once they are durable. Whether there were any. */
  adopt(theirs: Registers): boolean {
    const merged = mergeRegisters(this.#known, theirs);
    if (merged === this.#known) return false;
    const news = [...merged].filter(
      ([partition, register]) => this.#known.get(partition) !== register,
    );
    this.#known = merged;
    for (const [partition, register] of news) this.#waiting.set(partition, register);
    if (!this.#isCommitting) this.#commit();
    return true;
  }

  /** Whatever came in during a commit comes into force with the next one, all at once. */
  #commit(): void {
    const news = this.#waiting;
    this.#waiting = new Map();
    this.#isCommitting = true;
    this.#parts.storage.commit(
      [...news].map(([partition, register]): StorageOp => {
        const key = new Uint8Array([PREFIX, partition >> 8, partition & 0xff]);
        const value = encodeRegisters(new Map([[partition, register]]));
        return { type: 'put', table: 'members', key, value };
      }),
      (result) => {
        this.#isCommitting = false;
        if (result.type === 'failed') return this.#parts.failed(result.reason);
        this.#registers = mergeRegisters(this.#registers, news);
        if (this.#waiting.size > 0) this.#commit();
        this.#parts.changed();
      },
    );
  }

  /** A few bytes that are equal where all registers are. */
  digest(): Uint8Array {
    return this.#parts.digest.md5(encodeRegisters(this.#registers));
  }

  /** What to answer a peer's message with, if anything. Throws RangeError on nonsense. */
  hear(message: RegisterGossip): RegisterGossip | undefined {
    if (message.type === 'registers.digest') {
      if (sameBytes(message.digest, this.digest())) return undefined;
      return { type: 'registers.known', registers: encodeRegisters(this.#registers), answer: true };
    }
    const credible = [...decodeRegisters(message.registers)].filter((each) =>
      this.#parts.isCredible(...each),
    );
    this.adopt(new Map(credible));
    if (!message.answer) return undefined;
    return { type: 'registers.known', registers: encodeRegisters(this.#known), answer: false };
  }
}

/** Partition, version and owners of each, in order of partitions: equal registers, equal bytes. */
export const encodeRegisters = (registers: Registers): Uint8Array => {
  const writer = new ByteWriter();
  for (const [partition, { version, owners }] of [...registers].sort(([a], [b]) => a - b)) {
    writer.varint(partition);
    writer.varint(version);
    writer.varint(owners.length);
    for (const owner of owners) writer.text(owner);
  }
  return writer.take();
};

/** Throws RangeError on what `encodeRegisters` did not make. */
export const decodeRegisters = (bytes: Uint8Array): Registers => {
  const reader = new ByteReader(bytes);
  const registers = new Map<PartitionId, Register>();
  while (!reader.atEnd) {
    const partition = partitionId(reader.varint());
    const version = reader.varint();
    const owners = Array.from({ length: reader.varint() }, (): NodeId => nodeId(reader.text()));
    registers.set(partition, { version, owners });
  }
  return registers;
};
