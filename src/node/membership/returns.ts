/**
 * How much of their time to come back removed nodes have had (RULES C8). Each member counts for
 * itself how long it has run and known of a removal, by its monotonic clock, and keeps the count on
 * disk: no wall clock that is set wrong, the issuer's or its own, makes that time longer or shorter.
 * Whose count is full first says so as an event of the history, `gone`. That alone is what everybody
 * goes by, newcomers too, so that nobody takes what another has reason to refuse.
 *
 *   removed ──heard of──▶ may return ──somebody's count is full──▶ gone: nothing is taken from it
 *                             └──it came, gave all away and left──▶ left
 */
import { isNodeId } from '../../core/ids.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Storage, StorageOp } from '../../ports/storage.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import type { Config } from '../config.ts';
import { META } from '../store/meta-rows.ts';
import type { ClusterMap } from './cluster-map.ts';

/** A restart costs at most so much of a count, ms. */
const SAVE_MS = 60_000;
/** Of two members one speaks so much later, ms: it has heard of it by then. */
const STAGGER_MS = 5000;

export type ReturnsParts = {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly map: Pick<ClusterMap, 'mayReturn' | 'ring'>;
  readonly config: Pick<Config, 'removedReturnMs'>;
  readonly failed: (reason: string) => void;
};

export class Returns {
  readonly #parts: ReturnsParts;
  /** Of each removed node that may return: for how long this node has waited for it, ms. */
  #waited: ReadonlyMap<NodeId, number>;
  #steppedAtMs: number;
  #savedAtMs: number;

  constructor(parts: ReturnsParts) {
    this.#parts = parts;
    this.#waited = decodeCounts(parts.storage.get('meta', META.returns));
    this.#steppedAtMs = this.#savedAtMs = parts.clock.monotonicMs();
  }

  /** Counts on; those whose time is over by this count, to be said by this node now. */
  step(): readonly NodeId[] {
    const { self, clock, map, config } = this.#parts;
    const nowMs = clock.monotonicMs();
    const passedMs = nowMs - this.#steppedAtMs;
    this.#steppedAtMs = nowMs;
    const before = this.#waited;
    const waitedFor = (node: NodeId): number => {
      const earlierMs = before.get(node);
      return earlierMs === undefined ? 0 : earlierMs + passedMs;
    };
    this.#waited = new Map(map.mayReturn().map((node) => [node, waitedFor(node)]));
    const isOther =
      before.size !== this.#waited.size ||
      [...this.#waited.keys()].some((node) => !before.has(node));
    const isDue = this.#waited.size > 0 && nowMs - this.#savedAtMs >= SAVE_MS;
    if (isOther || isDue) this.#save(nowMs);
    const rank = map.ring.ring.members.findIndex(({ id }) => id === self);
    if (rank < 0) return [];
    const enoughMs = config.removedReturnMs + rank * STAGGER_MS;
    return [...this.#waited].flatMap(([node, waitedMs]) => (waitedMs >= enoughMs ? [node] : []));
  }

  #save(nowMs: number): void {
    const { storage, failed } = this.#parts;
    this.#savedAtMs = nowMs;
    const row = { table: 'meta', key: META.returns } as const;
    const op: StorageOp =
      this.#waited.size === 0
        ? { type: 'remove', ...row }
        : { type: 'put', ...row, value: encodeCbor([...this.#waited]) };
    storage.commit([op], (result) => {
      if (result.type === 'failed') failed(`commit failed: ${result.reason}`);
    });
  }
}

const decodeCounts = (bytes: Uint8Array | undefined): ReadonlyMap<NodeId, number> => {
  const rows = bytes === undefined ? [] : (decodeCbor(bytes) as readonly (readonly unknown[])[]);
  return new Map(
    rows.flatMap(([node, waitedMs]) =>
      isNodeId(node) && typeof waitedMs === 'number' ? [[node, waitedMs]] : [],
    ),
  );
};
