/**
 * What all nodes together hold, dead ones on their disks too, looked at in the middle of the faults:
 * nothing acknowledged may be nowhere, and no read may be able to miss a strict write.
 */
import { bytesOfKey, keyOfText } from '../core/ids.ts';
import { partitionOf } from '../core/ring.ts';
import type { RecordOfKey } from '../core/record.ts';
import { decodeStored, recordKey } from '../node/store/stored.ts';
import { recordThroughLog } from '../node/store/write-log.ts';
import type { Digest } from '../ports/digest.ts';
import { namesIn, servingHosts } from './checks.ts';
import type { History, WriteFate } from './history.ts';
import { demand } from './invariants.ts';
import type { RingsSeen } from './rings-seen.ts';
import type { Scenario } from './scenario.ts';
import { PARTITIONS } from './world.ts';
import type { Host, World } from './world.ts';

/** The cluster's default W, and with N = 3 the R that meets it. */
const W = 2;
/** Seconds beside all others after which a node has been told how far its disk once was. */
const TOLD_AFTER = 3;

export type HoldingsParts = {
  readonly world: World;
  readonly scenario: Scenario;
  readonly history: History;
  readonly digest: Digest;
  readonly rings: RingsSeen;
};

export class Holdings {
  readonly #parts: HoldingsParts;
  /** Of nodes with a disk that was rolled back: seconds in a row in which they saw all others. */
  readonly #together = new Map<Host, number>();

  constructor(parts: HoldingsParts) {
    this.#parts = parts;
  }

  /** Throws InvariantBroken. */
  check(): void {
    const { world, scenario } = this.#parts;
    // Who stops in good order is not asked any more.
    if (world.hosts.some(({ node }) => node?.state === 'draining' || node?.state === 'stopped')) {
      return;
    }
    for (const host of world.hosts) if (host.isRolledBack) this.#lookAround(host);
    for (const key of scenario.keys) this.#checkKey(key);
  }

  /** What nothing on a disk shows, those who remember have to tell: until then nothing is promised. */
  #lookAround(host: Host): void {
    const view = host.node?.ringView;
    const seesAll = view?.nodes().every((node) => view.healthOf(node) === 'healthy') === true;
    const seconds = seesAll ? (this.#together.get(host) ?? 0) + 1 : 0;
    this.#together.set(host, seconds);
    host.isRolledBack = seconds < TOLD_AFTER;
  }

  /** What a power loss would leave of a key. */
  onPlatter({ disk }: Host, key: string): RecordOfKey | undefined {
    const { digest } = this.#parts;
    const name = keyOfText(key);
    const position = digest.md5(bytesOfKey(name));
    const at = recordKey(partitionOf(position, PARTITIONS), position, name);
    const row = recordThroughLog(disk.platter, digest, at);
    const found = row === undefined ? 'corrupt' : decodeStored(digest, row);
    return found === 'corrupt' ? undefined : found.stored.record;
  }

  #checkKey(key: string): void {
    const { world, history } = this.#parts;
    const writes = history.ofKey(key).filter(({ outcome }) => outcome === 'applied');
    if (writes.length === 0) return;
    const held = world.hosts
      .filter(({ gone, node }) => !gone && node?.state !== 'removed')
      .map((host) => host.node?.recordOf(keyOfText(key)) ?? this.onPlatter(host, key));
    const there = namesIn(held, history);
    const past = history.pastOf(there);
    for (const write of writes) {
      if (past.has(write.name) || history.isForgiven(write)) continue;
      demand(
        history.isAccountedFor(write, there),
        'no acknowledged write lost',
        key,
        () => `${write.name} is nowhere; there is ${there.join() || 'nothing'}`,
      );
    }
    this.#checkOverlap(key, writes);
  }

  /** C4: fewer than R of the owners that may answer reads lack what W owners acknowledged. */
  #checkOverlap(key: string, writes: readonly WriteFate[]): void {
    const { history, scenario, rings, world } = this.#parts;
    if (scenario.limits === 'tiny') return;
    const strict = writes.filter(
      (write) => write.strict && write.w >= W && !history.isForgiven(write),
    );
    if (strict.length === 0) return;
    const owners = rings.ownersNow(key);
    const readable = servingHosts(world).filter(({ id, node, isRolledBack }) => {
      if (isRolledBack) return false;
      const view = node!.ringView;
      const { partition } = view.placeOf(keyOfText(key));
      const isOwner = owners.includes(id) && view.ring.table[partition]?.includes(id) === true;
      return isOwner && !node!.incomplete().includes(partition);
    });
    const pasts = readable.map(({ node }) => {
      const there = namesIn([node!.recordOf(keyOfText(key))], history);
      return { there, past: history.pastOf(there) };
    });
    for (const write of strict) {
      const lacking = pasts.filter(
        ({ there, past }) => !past.has(write.name) && !history.isAccountedFor(write, there),
      );
      demand(
        lacking.length < Math.max(2, owners.length - W + 1),
        'quorums overlap',
        key,
        () => `${lacking.length} complete owners of ${owners.join()} lack ${write.name}`,
      );
    }
  }
}
