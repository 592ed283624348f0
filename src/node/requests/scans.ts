/**
 * The way of one page of a scan: a scan coordinator asks owners of the partition, each owner lists
 * what it holds there, memory and disk as one. The other side of it, too: listing for others.
 */
import { scanMachine } from '../../../actors/scan.ts';
import type { ScanInput, ScanPorts, ScanReply } from '../../../actors/scan.ts';
import { partitionId } from '../../core/ids.ts';
import type { NodeId } from '../../core/ids.ts';
import type { KeyPage } from '../../core/key-page.ts';
import { liveSiblings, withoutExpired } from '../../core/record.ts';
import type { Clock } from '../../ports/clock.ts';
import type { FailedReply, ReplicaReply, Scanning } from '../../wire/peer-messages.ts';
import type { KeysReply, ScanRequest } from '../../wire/client-messages.ts';
import { SCAN_LIMIT_MAX } from '../../wire/client-messages.ts';
import type { Completeness } from '../store/completeness.ts';
import type { Config } from '../config.ts';
import type { Nursery } from './nursery.ts';
import type { RecordStore } from '../store/record-store.ts';
import { Replies } from './replies.ts';
import { crashed, failed, overloaded } from './refusals.ts';
import type { RingView } from '../membership/ring-view.ts';
import { keyOfPlace } from '../store/stored.ts';

export type ScansParts = {
  readonly self: NodeId;
  readonly config: Config;
  readonly clock: Clock;
  readonly ring: RingView;
  readonly store: RecordStore;
  readonly nursery: Nursery;
  readonly completeness: Completeness;
  readonly send: (to: NodeId, message: Scanning) => void;
};

export class Scans {
  readonly #parts: ScansParts;
  readonly #replies: Replies<ScanReply>;

  constructor(parts: ScansParts) {
    this.#parts = parts;
    this.#replies = new Replies(parts.nursery);
  }

  scan(scan: ScanRequest, reply: (reply: KeysReply | FailedReply) => void): void {
    const { self, config, ring, nursery } = this.#parts;
    const { partitions, table } = ring.ring;
    if (scan.partition >= partitions) {
      const message = `a partition is 0-${partitions - 1}, found ${scan.partition}`;
      return reply(failed('BAD_ARGUMENT', message, { partitions }));
    }
    const owners = table[scan.partition] ?? [];
    const r = Math.min(config.defaultR, owners.length);
    const rank = (node: NodeId): number =>
      (node === self ? 0 : 1) + (ring.healthOf(node) === 'suspect' ? 2 : 0);
    const candidates = owners
      .filter((node) => ring.healthOf(node) !== 'down')
      .sort((a, b) => rank(a) - rank(b));
    if (candidates.length < r) {
      const message = `wanted ${r} owners of the partition, ${candidates.length} can be reached`;
      const details = { outcome: 'refused', wanted: r, got: candidates.length };
      return reply(failed('QUORUM_NOT_MET', message, details));
    }
    if (nursery.isFull) return reply(overloaded(nursery.alive));
    const request = this.#replies.expect((answer) => reply(keysOf(answer)));
    const { after, limit, timeoutMs } = scan;
    const input: ScanInput = {
      ...{ request, after, limit, candidates, r, timeoutMs },
      partition: partitionId(scan.partition),
      ports: this.#ports,
      patienceMs: config.patienceMs,
    };
    const onCrash = (): void => this.#replies.answer(request, crashed('refused'));
    nursery.bear(request, { logic: scanMachine, input, onCrash });
  }

  /** A message of a scan from another node, or from a coordinator here. */
  receive(
    from: NodeId,
    message: Scanning,
    reply: (message: Scanning | ReplicaReply) => void,
  ): void {
    if (message.type === 'list') return reply(this.#listed(message));
    const { request, names, next } = message;
    const keys = names.map(({ place, live }) => ({
      place,
      state: live ? ('live' as const) : ('dead' as const),
    }));
    const page: KeyPage = next === undefined ? { keys } : { keys, next };
    this.#parts.nursery.deliver(request, { type: 'replica.listed', node: from, page });
  }

  #listed(list: Scanning & { readonly type: 'list' }): Scanning | ReplicaReply {
    const { request, partition, after, limit } = list;
    const { store, clock, completeness } = this.#parts;
    // C7: an owner that may lack what it once acknowledged never says what there is not.
    if (!completeness.isComplete(partitionId(partition))) {
      return { type: 'refused', request, code: 'NOT_READY' };
    }
    const nowMs = clock.wallMs();
    const most = Math.min(limit, SCAN_LIMIT_MAX);
    const { entries, next } = store.recordsFrom(partitionId(partition), after, most);
    const names = entries.map(({ place, record }) => {
      // What cannot be read is listed: a get says what became of it.
      const live = record === 'corrupt' || liveSiblings(withoutExpired(record, nowMs)).length > 0;
      return { place, live };
    });
    return { type: 'listed', request, names, ...(next === undefined ? {} : { next }) };
  }

  readonly #ports: ScanPorts = {
    list: ({ request, partition, after, limit }, from) => {
      const { self, send } = this.#parts;
      const cursor = after === undefined ? {} : { after };
      const message = { type: 'list', request, partition, limit, ...cursor } as const;
      if (from !== self) send(from, message);
      else this.#toOwn(this.#listed(message));
    },
    reply: (request, reply) => this.#replies.answer(request, reply),
  };

  #toOwn(answer: Scanning | ReplicaReply): void {
    const { self, nursery } = this.#parts;
    if (answer.type === 'listed') this.receive(self, answer, () => undefined);
    else nursery.deliver(answer.request, { type: 'replica.refused', node: self });
  }
}

const keysOf = (reply: ScanReply): KeysReply | FailedReply => {
  if (reply.type === 'failed') return reply;
  const { keys, next } = reply.page;
  const names = keys.map(({ place }) => keyOfPlace(place));
  return { type: 'keys', keys: names, ...(next === undefined ? {} : { next }) };
};
