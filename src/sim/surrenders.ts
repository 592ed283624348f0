/**
 * What former owners let go (RULES C6): who neither owns a partition nor is to own it deletes a
 * record there only when every current owner has it on disk. Looked at as the delete is committed,
 * while the record still lies on the disk of the former owner. It was decided at some time since the
 * commit before, under the register of then, so only who was an owner at both is asked for the
 * record. A copy that was kept for one owner goes together with its hint, and is none of these.
 */
import { showKey } from '../core/ids.ts';
import type { Key, NodeId } from '../core/ids.ts';
import type { Ring } from '../node/membership/ring-view.ts';
import type { Node } from '../node/node.ts';
import { keyOfRecordKey, nameOfHint } from '../node/store/stored.ts';
import type { StorageOp } from '../ports/storage.ts';
import { namesIn } from './checks.ts';
import type { History } from './history.ts';
import type { Holdings } from './holdings.ts';
import { demand } from './invariants.ts';
import type { RingsSeen } from './rings-seen.ts';
import type { Host, World } from './world.ts';

/** Between an owner's word and the delete it allows lies less, ms: rounds, pauses, slow commits. */
const WORD_MS_MAX = 15_000;

export type SurrendersParts = {
  readonly world: World;
  readonly history: History;
  readonly holdings: Holdings;
  readonly rings: RingsSeen;
};

export class Surrenders {
  readonly #parts: SurrendersParts;
  /** Per life of a node the ring it saw when it last began a commit. */
  readonly #ringBefore = new WeakMap<Node, Ring>();

  constructor(parts: SurrendersParts) {
    this.#parts = parts;
  }

  /** Throws InvariantBroken; `ops` are about to be committed by `host`. */
  check(host: Host, ops: readonly StorageOp[]): void {
    if (host.node === undefined) return;
    const { ring } = host.node.ringView;
    const before = this.#ringBefore.get(host.node) ?? ring;
    this.#ringBefore.set(host.node, ring);
    const removed = ops.filter(({ type, table }) => type === 'remove' && table === 'records');
    if (removed.length === 0) return;
    const handedOff = new Set(
      ops.flatMap(({ type, table, key }) =>
        type === 'remove' && table === 'hints' ? [nameOfHint(key)?.key] : [],
      ),
    );
    for (const { key: name } of removed) {
      const key = keyOfRecordKey(name);
      if (!handedOff.has(key)) this.#checkKey(host, key, before);
    }
  }

  #checkKey(host: Host, key: Key, before: Ring): void {
    const { history, holdings, world } = this.#parts;
    const view = host.node?.ringView;
    if (view === undefined) return;
    const { partition } = view.placeOf(key);
    if (view.isHolder(partition)) return;
    const text = showKey(key);
    const gone = namesIn([holdings.onPlatter(host, text)], history);
    // Whoever has ceased to be one since it gave its word may have handed the record on.
    const owners = this.#parts.rings.ownersNow(text);
    for (const id of view.ring.table[partition]!) {
      if (!owners.includes(id) || this.#hasLostDisk(id)) continue;
      if (!before.table[partition]!.includes(id)) continue;
      const there = namesIn([holdings.onPlatter(world.hostOf(id), text)], history);
      const lacking = gone.find((each) => !history.isAccountedFor(history.get(each)!, there));
      demand(
        lacking === undefined,
        'former owners hold on',
        text,
        () => `${host.id} lets go of ${lacking}, and ${id} has ${there.join() || 'nothing'}`,
      );
    }
  }

  #hasLostDisk(id: NodeId): boolean {
    const { history, world } = this.#parts;
    const sinceMs = world.clock.nowMs - WORD_MS_MAX;
    return history.losses.some(
      ({ node, of, atMs }) => node === id && of === 'disk' && atMs >= sinceMs,
    );
  }
}
