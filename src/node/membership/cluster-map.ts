/**
 * What this node knows of its cluster: the membership history, where the members are, and the
 * registers of the partitions; and what follows from that, the ring. Steps of the registers that
 * are this node's to take (RULES C5) are taken here.
 *
 *   history (gossip) ──┐
 *                      ├──▶ ring ──▶ RingView, read by everybody
 *   registers ─────────┘
 */
import { withBook } from '../../core/gossip.ts';
import type { Book } from '../../core/gossip.ts';
import { hexOf, partitionId } from '../../core/ids.ts';
import type { NodeId, PartitionId, StartId } from '../../core/ids.ts';
import { applyEvent, digestText, foldHistory, mergeHistories } from '../../core/members.ts';
import type {
  Announcement,
  Farewell,
  MembershipChange,
  MembershipEvent,
} from '../../core/members.ts';
import { bump, dropLeavers } from '../../core/registers.ts';
import type { Register } from '../../core/registers.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Storage } from '../../ports/storage.ts';
import type { Trace } from '../../ports/trace.ts';
import type { RegisterGossip } from '../../wire/peer-messages.ts';
import { foundingBook, loadBook } from '../store/book-store.ts';
import type { Founding } from '../store/book-store.ts';
import { RegisterBook, encodeRegisters } from './register-book.ts';
import { RingView, ringOf } from './ring-view.ts';

export type ClusterMapParts = {
  readonly self: NodeId;
  /** This life of it. */
  readonly start: StartId;
  readonly storage: Storage;
  readonly digest: Digest;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly founding: Founding | undefined;
  /** Where this life of the node is reached. */
  readonly announcement: Announcement;
  /**
   * Others know of a later life of this node than its directory does: it was wiped or put back. This
   * is where it is now, to be told.
   */
  readonly outlived: (announcement: Announcement) => void;
  /** A peer told of a register that cannot be; it is passed over. */
  readonly ignored: (what: 'register') => void;
  /** The ring is another one now. */
  readonly changed: () => void;
  /** To every linked node: one of our registers has changed. */
  readonly broadcast: (message: RegisterGossip) => void;
  readonly failed: (reason: string) => void;
};

export class ClusterMap {
  readonly ring: RingView;
  readonly registers: RegisterBook;
  readonly #parts: ClusterMapParts;
  #announcement: Announcement;
  #book: Book;
  /** Changes asked for here and not in force yet: the next one comes on top of them. */
  #issued: readonly MembershipEvent[] = [];
  #origin: Origin;

  constructor(parts: ClusterMapParts) {
    this.#parts = parts;
    const { self, storage, digest, founding, announcement } = parts;
    this.#announcement = announcement;
    const loaded = loadBook(storage);
    const known = loaded.history.length > 0 || founding === undefined;
    this.#book = withBook(known ? loaded : foundingBook(founding), [], [announcement]);
    this.registers = new RegisterBook({
      storage,
      digest,
      changed: () => this.#refresh(),
      isCredible: (partition, register) => {
        const isCredible = this.#mayBe(partition, register);
        if (!isCredible) parts.ignored('register');
        return isCredible;
      },
      failed: parts.failed,
    });
    this.ring = new RingView(self, digest, this.#ring());
    this.#origin = this.#originOf(this.#book);
  }

  get book(): Book {
    return this.#book;
  }

  /** Equal for all nodes of one founding; empty while this node does not know its cluster. */
  get cluster(): string {
    return this.#origin.cluster;
  }

  /** Removed nodes that may still come back: until they cannot, nothing is forgotten (A9, C8). */
  mayReturn(): readonly NodeId[] {
    const { removed } = this.ring.ring;
    return removed.flatMap(({ id, how }) => (how === 'may-return' ? [id] : []));
  }

  /** Whether nothing is taken from `node` any more: it has left, or was removed long ago. */
  isTooLate(node: NodeId): boolean {
    return this.ring.isRemoved(node) && !this.mayReturn().includes(node);
  }

  /** Whether `node` was declared dead, and may not come back any more; one that left is not meant. */
  isRetired(node: NodeId): boolean {
    return this.isTooLate(node) && !this.ring.hasLeft(node);
  }

  /** A few bytes that are equal on all nodes that know the same history. */
  historyDigest(): Uint8Array {
    return this.#parts.digest.md5(utf8(digestText(this.#book.history, [])));
  }

  /** The secret that seals contexts (A3). */
  contextSecret(): Uint8Array {
    return this.#origin.contextSecret;
  }

  /** What membership has persisted comes into force. */
  publish(book: Book): void {
    this.#book = book;
    this.#issued = this.#issued.filter((event) => !book.history.includes(event));
    if (this.#origin.cluster === '') this.#origin = this.#originOf(book);
    this.#refresh();
    this.#speakUp();
  }

  /** A change as the next event of this node; a refusal in words if it would be void. */
  eventOf(change: MembershipChange | Farewell): MembershipEvent | string {
    const { self, start: life, clock } = this.#parts;
    const history = mergeHistories(this.#book.history, this.#issued);
    const ours = history.filter((event) => event.issuer === self && event.life === life);
    const event: MembershipEvent = {
      ...change,
      issuer: self,
      life,
      lamport: 1 + Math.max(0, ...history.map(({ lamport }) => lamport)),
      sequence: 1 + Math.max(0, ...ours.map(({ sequence }) => sequence)),
      issuedAtMs: clock.wallMs(),
    };
    const before = foldHistory(history);
    if (before === undefined) return 'this node does not know its cluster yet';
    const isLast = before.members.length === 1 && /^(leave|remove)$/.test(event.type);
    if (isLast) return 'the last member cannot go: somebody has to own the keys';
    const isMember = (node: NodeId) => before.members.some(({ id }) => id === node);
    const isLate = event.type === 'replace' && !isMember(event.node);
    if (isLate || applyEvent(before, event) === before) {
      return `${change.type} changes nothing: the node is not as it would have to be`;
    }
    return event;
  }

  /** What `eventOf` made was issued: the next change comes on top of it. */
  noteIssued(event: MembershipEvent): void {
    this.#issued = [...this.#issued, event];
  }

  /** C5: this newcomer holds these partitions, and it is its turn; it takes its place among the owners. */
  stepIn(partitions: readonly PartitionId[]): void {
    const { self, trace } = this.#parts;
    const { ring, standing } = this.ring;
    trace.log('info', 'partitions.arrived', { partitions: partitions.length });
    this.#set(
      partitions.map((partition) => [
        partition,
        bump(this.ring.registerOf(partition), self, ring.target[partition]!, standing),
      ]),
    );
  }

  /** C5: where nobody is still to come, a complete owner in the target lets the leavers go. */
  dropLeavers(isComplete: (partition: PartitionId) => boolean): void {
    const { self } = this.#parts;
    const { table, target } = this.ring.ring;
    const steps = table.flatMap((owners, index): (readonly [PartitionId, Register])[] => {
      const partition = partitionId(index);
      const wanted = target[index]!;
      const hasLeavers = owners.some((owner) => !wanted.includes(owner));
      if (!hasLeavers || !wanted.includes(self) || !isComplete(partition)) return [];
      if (this.ring.newcomersOf(partition).length > 0) return [];
      return [[partition, dropLeavers(this.ring.registerOf(partition), wanted)]];
    });
    if (steps.length > 0) this.#set(steps);
  }

  /** Nobody may take a former life's word for where this one is. */
  #speakUp(): void {
    const { node, incarnation, address } = this.#announcement;
    const known = this.#book.announcements.find((each) => each.node === node);
    if (known === undefined || (known.incarnation <= incarnation && known.address === address))
      return;
    this.#announcement = { node, address, incarnation: known.incarnation + 1 };
    this.#parts.outlived(this.#announcement);
  }

  #set(steps: readonly (readonly [PartitionId, Register])[]): void {
    const registers = new Map(steps);
    if (this.registers.adopt(registers)) {
      this.#parts.broadcast({
        type: 'registers.known',
        registers: encodeRegisters(registers),
        answer: false,
      });
    }
  }

  /**
   * Whether the history knows of all it names. What comes ahead of its history is told again in the
   * next rounds of gossip.
   */
  #mayBe(partition: PartitionId, { owners }: Register): boolean {
    const { members, retired, table } = this.ring.ring;
    const isKnown = (node: NodeId) =>
      members.some(({ id }) => id === node) || retired.includes(node);
    return partition < table.length && owners.length > 0 && owners.every(isKnown);
  }

  #refresh(): void {
    this.ring.replaceRing(this.#ring());
    this.#parts.changed();
  }

  #ring() {
    return ringOf(this.#book.history, this.registers.registers);
  }

  /** Both derive from everything the creation event says. */
  #originOf({ history }: Book): Origin {
    const { digest } = this.#parts;
    const created = history.find(({ type }) => type === 'create');
    const text = created === undefined ? '' : JSON.stringify(created) + digestText([created], []);
    return {
      cluster: created === undefined ? '' : hexOf(digest.md5(utf8(text))).slice(0, 16),
      contextSecret: digest.keyed(utf8('coterie context'), utf8(text)),
    };
  }
}

type Origin = { readonly cluster: string; readonly contextSecret: Uint8Array };

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
