/**
 * What the nodes of a world have taken for the ring so far, and since when they agree. While
 * partitions move they may see different owners: what a promise says of "the owners" then holds of
 * those that every node sees, or of any that some node saw.
 */
import { partitionId } from '../core/ids.ts';
import type { NodeId, PartitionId } from '../core/ids.ts';
import type { Ring } from '../node/membership/ring-view.ts';
import { servingHosts } from './checks.ts';
import type { Host, World } from './world.ts';

export class RingsSeen {
  readonly #world: World;
  readonly #seen = new Map<Host, Ring>();
  readonly #texts = new Map<Host, string>();
  /** Per partition every list of owners that some node had. */
  readonly #ever: Map<string, readonly NodeId[]>[] = [];
  /** Per partition the owners of which every node knows, and since when, virtual ms. */
  readonly #agreed: Map<NodeId, number>[] = [];
  /** Per node the partitions that it owns and has whole, and since when, virtual ms. */
  readonly #readable = new Map<
    Host,
    { readonly life: number; readonly since: ReadonlyMap<PartitionId, number> }
  >();
  /** When a partition last moved, or nodes last disagreed, virtual ms. */
  restlessMs = 0;
  /** How often some node was seen with another ring than before. */
  changes = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** To be called often: what nobody looks at is never seen. */
  look(): void {
    const { nowMs } = this.#world.clock;
    const hosts = servingHosts(this.#world);
    let isNew = false;
    for (const host of hosts) {
      const { ring } = host.node!.ringView;
      this.#lookAtWholes(host, nowMs);
      if (this.#seen.get(host) === ring) continue;
      this.#seen.set(host, ring);
      const text = JSON.stringify([ring.table, ring.target]);
      if (this.#texts.get(host) === text) continue;
      this.#texts.set(host, text);
      this.changes += 1;
      isNew = true;
      for (const [partition, owners] of ring.table.entries()) {
        (this.#ever[partition] ??= new Map()).set(owners.join(), owners);
      }
    }
    if (isNew)
      this.#compare(
        hosts.map(({ node }) => node!.ringView.ring),
        nowMs,
      );
    if (hosts.some(({ node }) => node!.ringView.moving().length > 0)) this.restlessMs = nowMs;
    else if (new Set(hosts.map((host) => this.#texts.get(host))).size > 1) this.restlessMs = nowMs;
  }

  /** Every list of owners of `key` that some node ever had. */
  ownersEver(key: string): readonly (readonly NodeId[])[] {
    return [...(this.#ever[this.#world.partitionOf(key)] ?? new Map()).values()];
  }

  /** The owners of `key` by the newest register that a serving node has. */
  ownersNow(key: string): readonly NodeId[] {
    const partition = this.#world.partitionOf(key);
    const views = servingHosts(this.#world).map(({ node }) => node!.ringView);
    const versions = views.map((view) => view.versionOf(partition));
    return views[versions.indexOf(Math.max(...versions))]?.ring.table[partition] ?? [];
  }

  /** Since when every node has seen `host` among the owners of `key`; undefined if not all do. */
  ownerSinceMs(key: string, { id }: Host): number | undefined {
    return this.#agreed[this.#world.partitionOf(key)]?.get(id);
  }

  /** Since when `host` may answer reads of `key` from what it holds itself; undefined if it may not. */
  readableSinceMs(key: string, host: Host): number | undefined {
    const since = this.#readable.get(host)?.since.get(this.#world.partitionOf(key));
    const agreed = this.ownerSinceMs(key, host);
    return since === undefined || agreed === undefined ? undefined : Math.max(since, agreed);
  }

  #lookAtWholes(host: Host, nowMs: number): void {
    const last = this.#readable.get(host);
    const before = last?.life === host.lives ? last.since : undefined;
    const missing = host.node!.incomplete();
    const { table } = host.node!.ringView.ring;
    const now = new Map<PartitionId, number>();
    for (const [index, owners] of table.entries()) {
      const partition = partitionId(index);
      if (!owners.includes(host.id) || missing.includes(partition)) continue;
      now.set(partition, before?.get(partition) ?? nowMs);
    }
    this.#readable.set(host, { life: host.lives, since: now });
  }

  #compare(rings: readonly Ring[], nowMs: number): void {
    this.restlessMs = nowMs;
    for (const partition of rings[0]!.table.keys()) {
      const before = this.#agreed[partition] ?? new Map<NodeId, number>();
      const lists = rings.map(({ table }) => table[partition] ?? []);
      const all = lists[0]!.filter((owner) => lists.every((list) => list.includes(owner)));
      this.#agreed[partition] = new Map(all.map((id) => [id, before.get(id) ?? nowMs]));
    }
  }
}
