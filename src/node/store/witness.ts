/**
 * Whether this data directory is the newest this node ever had (RULES C7). Every commit of records
 * is counted on disk; peers are told the count when it is durable, and remember it, on disk too. A
 * directory behind what a peer remembers was wiped, or put back from a backup or an image: it may
 * lack what the node acknowledged since, so nothing in it counts as complete until it is refilled.
 *
 *   this node ──progress: life, commits────▶ a peer   in the frame that says that something is durable
 *                                                     here, first on a link, and in each gossip round
 *   this node ◀──remembered: life, commits── a peer   until this comes: the peer has it on disk
 *
 * A peer that remembers another life than the one that speaks says so, instead, and keeps its memory
 * until it hears that the node has looked at it (`after`): frames may be lost, and come late.
 *
 * So whoever counts an acknowledgement knows how far the disk behind it was: in memory at once, on
 * disk with the next flush. What a node acknowledged itself it tells with the next round; a strict
 * write's owners hear it at once. If nobody who was told lives to write it down, a backup taken in
 * that moment is not recognised.
 */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { isNodeId, isStartId } from '../../core/ids.ts';
import type { NodeId, StartId } from '../../core/ids.ts';
import type { Storage, StorageOp } from '../../ports/storage.ts';
import type { Trace } from '../../ports/trace.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { DiskAge, PeerMessage, Testimony } from '../../wire/peer-messages.ts';
import { Lives } from './lives.ts';
import { META } from './meta-rows.ts';

export type WitnessParts = {
  readonly start: StartId;
  readonly storage: Storage;
  readonly trace: Trace;
  /** This directory lacks what an earlier life of the node had: nothing in it is complete. */
  readonly behind: () => void;
  /** There is something to write, by the next flush. */
  readonly wantsCommit: () => void;
};

type Memories = ReadonlyMap<NodeId, DiskAge>;

/** What goes into a commit beside its changes, and what follows once it is durable. */
export type CountedCommit = { readonly ops: readonly StorageOp[]; readonly durable: () => void };

export class Witness {
  readonly #parts: WitnessParts;
  readonly #atStart: number;
  readonly #lives: Lives;
  /** How far each peer's disk was last heard to be, and as much of that as is on disk here. */
  readonly #remembered: Map<NodeId, DiskAge>;
  #kept: Memories;
  /** Up to where each peer has this life on its disk. */
  readonly #confirmed = new Map<NodeId, number>();
  /** The life that each peer remembered, once this directory was held against it. */
  readonly #judged = new Map<NodeId, StartId>();
  /** The same, where what was lacking is not given up durably yet. */
  readonly #unsettled = new Map<NodeId, StartId>();
  #commits: number;
  #durable: number;
  #written: number;
  /** That this life is one of the directory's is on disk: from then on it may be told. */
  #isNamed = false;
  #isBehind = false;
  #learned = false;

  constructor(parts: WitnessParts) {
    this.#parts = parts;
    const { storage, start } = parts;
    const bytes = storage.get('meta', META.progress);
    this.#atStart = bytes === undefined ? 0 : new ByteReader(bytes).varint();
    this.#commits = this.#durable = this.#written = this.#atStart;
    this.#lives = new Lives(storage, start, this.#atStart);
    this.#remembered = decodeMemories(storage.get('meta', META.remembered));
    this.#kept = new Map(this.#remembered);
  }

  /** Whether this life found its directory behind. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Counts a commit that is about to begin; `records`: it carries records or hints. */
  commit(carries: 'records' | 'none'): CountedCommit {
    if (carries === 'records') this.#commits += 1;
    const commits = this.#commits;
    const ops: StorageOp[] = [...this.#lives.takeOps()];
    if (commits > this.#written) {
      const writer = new ByteWriter();
      writer.varint(commits);
      ops.push({ type: 'put', table: 'meta', key: META.progress, value: writer.take() });
      this.#written = commits;
    }
    const kept = this.#learned ? new Map(this.#remembered) : undefined;
    if (kept !== undefined) {
      ops.push({ type: 'put', table: 'meta', key: META.remembered, value: encodeMemories(kept) });
      this.#learned = false;
    }
    const settled = [...this.#unsettled];
    return {
      ops,
      durable: () => {
        this.#isNamed = true;
        this.#durable = Math.max(this.#durable, commits);
        this.#kept = kept ?? this.#kept;
        for (const [peer, life] of settled) {
          if (this.#unsettled.get(peer) === life) this.#unsettled.delete(peer);
          this.#judged.set(peer, life);
        }
      },
    };
  }

  /** A new link to a peer, perhaps to a new life of it: what it confirmed it may have lost. */
  met(peer: NodeId): void {
    this.#confirmed.delete(peer);
  }

  /** First on a link: what is remembered of the peer, and what it should remember. */
  greetingOf(peer: NodeId): readonly Testimony[] {
    const memory = this.#remembered.get(peer);
    const words = memory === undefined ? [] : [{ type: 'remembered', ...memory } as const];
    return [...words, ...this.progressFor(peer)];
  }

  /** What `peer` should hear, unless it has it on disk. */
  progressFor(peer: NodeId): readonly Testimony[] {
    if (this.#durable <= (this.#confirmed.get(peer) ?? 0)) return [];
    if (!this.#isNamed) {
      this.#parts.wantsCommit();
      return [];
    }
    const after = this.#judged.get(peer);
    const told = { type: 'progress', start: this.#parts.start, commits: this.#durable } as const;
    return [after === undefined ? told : { ...told, after }];
  }

  /** What has to go with `messages` to a peer: whoever counts on this disk knows how far it is. */
  besides(peer: NodeId, messages: readonly PeerMessage[]): readonly Testimony[] {
    return messages.some(saysDurable) ? this.progressFor(peer) : [];
  }

  /** What to answer, if anything. */
  hear(from: NodeId, message: Testimony): Testimony | undefined {
    if (message.type === 'remembered') {
      this.#compare(from, message);
      return undefined;
    }
    const { start, commits, after } = message;
    const held = this.#remembered.get(from);
    const isAnother = held !== undefined && held.start !== start;
    // It has not heard, or not put right, what is remembered of another life of it.
    if (isAnother && held.start !== after) return { type: 'remembered', ...held };
    if (isAnother || held === undefined || held.commits < commits) {
      this.#remembered.set(from, { start, commits });
      this.#learned = true;
    }
    const kept = this.#kept.get(from);
    if (kept?.start === start && kept.commits >= commits) return { type: 'remembered', ...kept };
    // No progress of ours, which others would have to be told in turn: it is no commit of records.
    if (this.#learned) this.#parts.wantsCommit();
    return undefined;
  }

  #compare(from: NodeId, { start, commits }: DiskAge): void {
    if (start === this.#parts.start) {
      this.#confirmed.set(from, Math.max(this.#confirmed.get(from) ?? 0, commits));
      return;
    }
    if (this.#lives.has(start, commits)) {
      if (!this.#unsettled.has(from)) this.#judged.set(from, start);
      return;
    }
    this.#lives.makeUpFor(start);
    this.#unsettled.set(from, start);
    // From here on it is ahead of all that anybody remembers, also after the next start.
    this.#commits = Math.max(this.#commits, commits);
    this.#parts.wantsCommit();
    if (this.#isBehind) return;
    this.#isBehind = true;
    const facts = { peer: from, remembered: commits, found: this.#atStart };
    this.#parts.trace.log('warn', 'disk.behind', facts);
    this.#parts.behind();
  }
}

/** Whether somebody may count on it that something is on this node's disk. */
const saysDurable = (message: PeerMessage): boolean =>
  DURABLE.has(message.type) || (message.type === 'written' && message.durable);

const DURABLE: ReadonlySet<PeerMessage['type']> = new Set([
  'delivered',
  'surrendered',
  'offer.answered',
  'fence.up',
]);

const encodeMemories = (memories: Memories): Uint8Array =>
  encodeCbor([...memories].map(([node, { start, commits }]) => [node, start, commits]));

const decodeMemories = (bytes: Uint8Array | undefined): Map<NodeId, DiskAge> => {
  const memories = new Map<NodeId, DiskAge>();
  const rows = bytes === undefined ? [] : (decodeCbor(bytes) as readonly (readonly unknown[])[]);
  for (const [node, start, commits] of rows) {
    if (!isNodeId(node) || !isStartId(start) || typeof commits !== 'number') continue;
    memories.set(node, { start, commits });
  }
  return memories;
};
