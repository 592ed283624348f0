/**
 * Whether this data directory is the newest this node ever had (RULES C7). Every commit of records
 * is counted on disk; peers are told the count when it is durable, and remember it, on disk too. A
 * directory behind what a peer remembers was wiped, or put back from a backup or an image: it may
 * lack what the node acknowledged since, so nothing in it counts as complete until it is refilled.
 *
 *   this node ──progress: start, commits──▶ every peer, in each gossip round after it grew
 *   this node ◀──remembered: start, commits── a peer, as its first word on a link
 *
 * What was committed within the last round before a crash may not have been told: a backup taken
 * within that second is not recognised.
 */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { isNodeId, isStartId } from '../../core/ids.ts';
import type { NodeId, StartId } from '../../core/ids.ts';
import type { Storage, StorageOp } from '../../ports/storage.ts';
import type { Trace } from '../../ports/trace.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { Testimony } from '../../wire/peer-messages.ts';

const PROGRESS = new TextEncoder().encode('progress');
const REMEMBERED = new TextEncoder().encode('remembered');

export type WitnessParts = {
  readonly start: StartId;
  readonly storage: Storage;
  readonly trace: Trace;
  /** This directory lacks what an earlier life of the node had: nothing in it is complete. */
  readonly behind: () => void;
};

type Memory = { readonly start: StartId; readonly commits: number };

export class Witness {
  readonly #parts: WitnessParts;
  readonly #atStart: number;
  readonly #remembered: Map<NodeId, Memory>;
  #commits: number;
  #durable: number;
  #told: number;
  #written: number;
  #isBehind = false;
  #learned = false;

  constructor(parts: WitnessParts) {
    this.#parts = parts;
    const bytes = parts.storage.get('meta', PROGRESS);
    this.#atStart = bytes === undefined ? 0 : new ByteReader(bytes).varint();
    this.#commits = this.#durable = this.#told = this.#written = this.#atStart;
    this.#remembered = decodeMemories(parts.storage.get('meta', REMEMBERED));
  }

  /** Whether this life found its directory behind. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** What goes into a commit beside its changes; `records`: it carries records or hints. */
  commitOps(records: 'records' | 'none'): readonly StorageOp[] {
    if (records === 'records') this.#commits += 1;
    const ops: StorageOp[] = [];
    if (this.#commits > this.#written) {
      const writer = new ByteWriter();
      writer.varint(this.#commits);
      ops.push({ type: 'put', table: 'meta', key: PROGRESS, value: writer.take() });
      this.#written = this.#commits;
    }
    if (this.#learned) {
      const value = encodeMemories(this.#remembered);
      ops.push({ type: 'put', table: 'meta', key: REMEMBERED, value });
      this.#learned = false;
    }
    return ops;
  }

  /** How many commits there will have been once the one under way is durable. */
  get commits(): number {
    return this.#commits;
  }

  /** So many commits are durable. */
  committed(commits: number): void {
    this.#durable = Math.max(this.#durable, commits);
  }

  /** What every peer should hear, if there is anything new. */
  progress(): Testimony | undefined {
    if (this.#durable === this.#told) return undefined;
    this.#told = this.#durable;
    return { type: 'progress', start: this.#parts.start, commits: this.#durable };
  }

  /** The first word to a peer: what is remembered of it, if anything is. */
  greetingOf(peer: NodeId): readonly Testimony[] {
    const memory = this.#remembered.get(peer);
    return memory === undefined ? [] : [{ type: 'remembered', ...memory }];
  }

  /** What to answer, if anything. */
  hear(from: NodeId, { type, start, commits }: Testimony): Testimony | undefined {
    if (type === 'remembered') {
      this.#compare(from, { start, commits });
      return undefined;
    }
    const held = this.#remembered.get(from);
    // Still behind: the first word was lost on its way.
    if (held !== undefined && held.commits > commits) return this.greetingOf(from)[0];
    if (held?.start === start && held.commits === commits) return undefined;
    this.#remembered.set(from, { start, commits });
    // Written with the next commit: to write it at once would be progress of ours, without end.
    this.#learned = true;
    return undefined;
  }

  #compare(from: NodeId, { start, commits }: Memory): void {
    if (start === this.#parts.start || commits <= this.#atStart) return;
    // From here on it is ahead of all that anybody remembers, also after the next start.
    this.#commits = Math.max(this.#commits, commits);
    if (this.#isBehind) return;
    this.#isBehind = true;
    const facts = { peer: from, remembered: commits, found: this.#atStart };
    this.#parts.trace.log('warn', 'disk.behind', facts);
    this.#parts.behind();
  }
}

const encodeMemories = (memories: ReadonlyMap<NodeId, Memory>): Uint8Array =>
  encodeCbor([...memories].map(([node, { start, commits }]) => [node, start, commits]));

const decodeMemories = (bytes: Uint8Array | undefined): Map<NodeId, Memory> => {
  const memories = new Map<NodeId, Memory>();
  const rows = bytes === undefined ? [] : (decodeCbor(bytes) as readonly (readonly unknown[])[]);
  for (const [node, start, commits] of rows) {
    if (!isNodeId(node) || !isStartId(start) || typeof commits !== 'number') continue;
    memories.set(node, { start, commits });
  }
  return memories;
};
