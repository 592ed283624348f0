/**
 * The way of one client request: validate, find the preference list, then let a coordinator be born
 * here or hand the put to one of the key's owners (paper §§ 4.5, 4.6, 6.4). Nothing is born for a
 * request that cannot succeed.
 *
 *   put ─▶ valid? ─▶ enough reachable? ─▶ owner here ─────────▶ put coordinator
 *                                      └▶ owner elsewhere ─────▶ forward
 *   get ─▶ valid? ─▶ enough reachable? ─▶ get coordinator, whoever we are
 */
import type { GetPorts, GetReply } from '../../actors/get.ts';
import { getMachine } from '../../actors/get.ts';
import type { ForwardPorts } from '../../actors/forward.ts';
import { forwardMachine } from '../../actors/forward.ts';
import type { PutPorts } from '../../actors/put.ts';
import { putMachine } from '../../actors/put.ts';
import type { ErrorCode, ErrorDetails } from '../core/errors.ts';
import type { Key, NodeId } from '../core/ids.ts';
import type { PreferenceEntry } from '../core/preference.ts';
import { startWrite } from '../core/quorum.ts';
import { startRead } from '../core/read-tally.ts';
import { decodeRecord, encodeRecord } from '../core/record-bytes.ts';
import type { RecordOfKey } from '../core/record.ts';
import type {
  FailedReply,
  Forwarding,
  PutCommand,
  PutReply,
  ReplicaReply,
  ReplicaRequest,
  RequestId,
} from '../wire/peer-messages.ts';
import type { AdmissionDesk } from './admission-desk.ts';
import type { Config } from './config.ts';
import type { Nursery } from './nursery.ts';
import type { RecordStore } from './record-store.ts';
import type { Replica } from './replica.ts';
import type { RingView } from './ring-view.ts';

export type GetCommand = {
  readonly key: Key;
  readonly r?: number;
  readonly strict: boolean;
  readonly timeoutMs: number;
};

export type RouterParts = {
  readonly self: NodeId;
  readonly config: Config;
  readonly ring: RingView;
  readonly replica: Replica;
  readonly store: RecordStore;
  readonly nursery: Nursery;
  readonly admission: AdmissionDesk;
  readonly send: (to: NodeId, message: ReplicaRequest | Forwarding) => void;
};

export class Router {
  readonly #parts: RouterParts;
  readonly #putReplies = new Map<RequestId, (reply: PutReply) => void>();
  readonly #getReplies = new Map<RequestId, (reply: GetReply) => void>();

  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  /** `from`: `client`, or a node that handed the put on, which is not handed on again. */
  put(put: PutCommand, from: 'client' | 'node', reply: (reply: PutReply) => void): void {
    const { self, config, ring, nursery, admission } = this.#parts;
    const list = ring.preferenceOf(put.key);
    const owners = list.filter(({ role }) => role === 'owner');
    const w = put.w ?? Math.min(config.defaultW, owners.length);
    const dw = put.dw ?? (put.strict ? w : Math.min(config.defaultDw, owners.length));
    const refusal =
      valueRefusal(put, config.valueBytesMax) ??
      quorumRefusal({ w, dw }, owners.length, put.strict) ??
      reachRefusal(list, Math.max(w, dw), put.strict);
    if (refusal !== undefined) return reply(refusal);
    if (nursery.isFull) return reply(overloaded(nursery.alive));

    const reachable = list.filter((entry) => entry.health !== 'down').map(({ node }) => node);
    const isOwner = owners.some(({ node }) => node === self);
    const mayForward = from === 'client' && !isOwner;
    const coordinators = mayForward ? this.#coordinatorsOf(put, owners) : [];
    const request = nursery.nextRequest();
    this.#putReplies.set(request, admission.timed('write', reply));
    const onCrash = () => this.#replyPut(request, crashed('unknown'));
    if (coordinators.length > 0) {
      const input = {
        request,
        put: { ...put, w, dw },
        coordinators,
        ports: this.#forwardPorts,
        patienceMs: Math.max(config.patienceMs, put.timeoutMs / 4),
      };
      nursery.bear(request, { logic: forwardMachine, input, onCrash });
      return;
    }
    const fallbacks = reachable.filter((node) => !owners.some((owner) => owner.node === node));
    // A coordinator that is no owner holds the record: it is the first to stand in for one.
    const { partition } = ring.placeOf(put.key);
    const arriving = ring.newcomersOf(partition).filter((node) => node !== self);
    const others = fallbacks.filter((node) => node !== self && !arriving.includes(node));
    const spares = isOwner ? others : [self, ...others];
    const slots = owners.map(({ node, health }) => ({ node, reachable: health !== 'down' }));
    const counting = put.strict ? ('real-owners' as const) : ('anyone' as const);
    const input = {
      request,
      self,
      put,
      tally: startWrite(
        slots,
        spares,
        { w, dw, counting },
        { newcomers: arriving, target: put.strict ? (ring.ring.target[partition] ?? []) : [] },
      ),
      ports: this.#putPorts,
      patienceMs: config.patienceMs,
      lingerMs: config.lingerMs,
    };
    nursery.bear(request, { logic: putMachine, input, onCrash });
  }

  get(get: GetCommand, reply: (reply: GetReply) => void): void {
    const { self, config, ring, nursery, admission } = this.#parts;
    const list = ring.preferenceOf(get.key);
    const owners = list.filter(({ role }) => role === 'owner');
    const r = get.r ?? Math.min(config.defaultR, owners.length);
    const refusal = quorumRefusal({ r }, owners.length, false) ?? reachRefusal(list, r, get.strict);
    if (refusal !== undefined) return reply(refusal);
    if (nursery.isFull) return reply(overloaded(nursery.alive));
    const rank = ({ node, role, health }: PreferenceEntry): number =>
      (role === 'owner' ? 0 : 4) + (health === 'suspect' ? 2 : 0) + (node === self ? 0 : 1);
    const candidates = list
      .filter((entry) => entry.health !== 'down' && (!get.strict || entry.role === 'owner'))
      .sort((a, b) => rank(a) - rank(b))
      .map(({ node }) => node);
    const counting = get.strict ? ('real-owners' as const) : ('anyone' as const);
    const request = nursery.nextRequest();
    this.#getReplies.set(request, admission.timed('read', reply));
    const input = {
      request,
      key: get.key,
      tally: startRead(candidates, { r, counting }),
      ports: this.#getPorts,
      timeoutMs: get.timeoutMs,
      patienceMs: config.patienceMs,
      lingerMs: config.lingerMs,
    };
    nursery.bear(request, {
      logic: getMachine,
      input,
      onCrash: () => this.#replyGet(request, crashed('refused')),
    });
  }

  /** An answer of a replica, ours or a peer's, to one of our coordinators. */
  replicaReplied(node: NodeId, reply: ReplicaReply): void {
    const { nursery } = this.#parts;
    switch (reply.type) {
      case 'written':
        nursery.deliver(reply.request, { type: 'replica.acked', node, durable: reply.durable });
        return;
      case 'refused':
        nursery.deliver(reply.request, { type: 'replica.refused', node });
        return;
      case 'answer': {
        const record = decoded(reply.record);
        const event =
          record === 'malformed'
            ? ({ type: 'replica.refused', node } as const)
            : ({ type: 'replica.answered', node, role: reply.role, record } as const);
        nursery.deliver(reply.request, event);
        return;
      }
    }
  }

  /** The reply of the coordinator a put was handed to. */
  forwardReplied(node: NodeId, request: RequestId, reply: PutReply): void {
    this.#parts.nursery.deliver(request, { type: 'put.answered', node, reply });
  }

  readonly #putPorts: PutPorts = {
    mint: (request, put) => {
      const { replica, store, nursery, self } = this.#parts;
      const minted = replica.mint(put);
      if (minted.type === 'refused') {
        const failure = failed(minted.error.code, minted.error.message, minted.error.details);
        nursery.deliver(request, { type: 'mint.refused', failure });
        return;
      }
      const { record, context } = minted;
      nursery.deliver(request, { type: 'replica.minted', record, context });
      store.whenDurable(put.key, () =>
        this.replicaReplied(self, { type: 'written', request, durable: true }),
      );
    },
    write: (request, { key }, record, { node, hintFor }, durable) =>
      this.#ask(node, {
        type: 'write',
        request,
        key,
        record,
        durable,
        ...(hintFor === undefined ? {} : { hintFor }),
      }),
    sync: (request, { key }, to) => this.#ask(to, { type: 'sync', request, key }),
    keepHint: ({ key }, owner) => this.#parts.replica.keepHint(key, owner),
    reply: (request, reply) => this.#replyPut(request, reply),
  };

  readonly #forwardPorts: ForwardPorts = {
    forward: (request, put, to) => this.#parts.send(to, { type: 'forward', request, put }),
    reply: (request, reply) => this.#replyPut(request, reply),
  };

  readonly #getPorts: GetPorts = {
    read: (request, key, from, want) => this.#ask(from, { type: 'read', request, key, want }),
    // Nobody waits for a repair: its request number is nobody's.
    repair: (key, record, to) =>
      this.#ask(to, {
        type: 'write',
        request: 0,
        key,
        record: encodeRecord(record, 'with-values'),
        durable: false,
      }),
    reply: (request, reply) => this.#replyGet(request, reply),
  };

  #ask(node: NodeId, message: ReplicaRequest): void {
    const { self, replica, send } = this.#parts;
    if (node !== self) send(node, message);
    else replica.receive(message, (reply) => this.replicaReplied(self, reply));
  }

  /** Reachable owners: the one that answered the reader fastest, then the healthy, then the suspect. */
  #coordinatorsOf(put: PutCommand, owners: readonly PreferenceEntry[]): readonly NodeId[] {
    const fastest = this.#parts.replica.fastestIn(put);
    const rank = ({ node, health }: PreferenceEntry): number =>
      (health === 'healthy' ? 0 : 2) + (node === fastest ? 0 : 1);
    return owners
      .filter(({ health }) => health !== 'down')
      .sort((a, b) => rank(a) - rank(b))
      .map(({ node }) => node);
  }

  #replyPut(request: RequestId, reply: PutReply): void {
    this.#parts.nursery.replied(request, reply);
    this.#putReplies.get(request)?.(reply);
    this.#putReplies.delete(request);
  }

  #replyGet(request: RequestId, reply: GetReply): void {
    this.#parts.nursery.replied(request, reply);
    this.#getReplies.get(request)?.(reply);
    this.#getReplies.delete(request);
  }
}

const failed = (code: ErrorCode, message: string, details: ErrorDetails = {}): FailedReply => ({
  type: 'failed',
  code,
  message,
  details,
});

const overloaded = (alive: number): FailedReply =>
  failed('OVERLOADED', `${alive} requests are in flight on this node`, { retryAfterMs: 100 });

const crashed = (outcome: 'refused' | 'unknown'): FailedReply =>
  failed('INTERNAL', 'the coordinator of this request crashed', { outcome });

const valueRefusal = (put: PutCommand, valueBytesMax: number): FailedReply | undefined => {
  if (put.value === 'tombstone' || put.value.length <= valueBytesMax) return undefined;
  return failed(
    'VALUE_TOO_LARGE',
    `a value is at most ${valueBytesMax} bytes, found ${put.value.length}`,
  );
};

/** r and w from 1, dw from 0, none above n, and strict only with dw ≥ w. */
const quorumRefusal = (
  wish: { readonly r?: number; readonly w?: number; readonly dw?: number },
  n: number,
  strict: boolean,
): FailedReply | undefined => {
  for (const [name, value] of Object.entries(wish)) {
    const least = name === 'dw' ? 0 : 1;
    if (!Number.isInteger(value) || value < least || value > n) {
      return failed(
        'BAD_QUORUM',
        `${name} must be an integer from ${least} to n = ${n}, found ${value}`,
        { n },
      );
    }
  }
  if (strict && wish.w !== undefined && (wish.dw ?? 0) < wish.w) {
    return failed(
      'BAD_QUORUM',
      `a strict put needs dw >= w, found dw = ${wish.dw}, w = ${wish.w}`,
      { n },
    );
  }
  return undefined;
};

/** Refused before anything is born: too few nodes can be reached for this quorum. */
const reachRefusal = (
  list: readonly PreferenceEntry[],
  wanted: number,
  strict: boolean,
): FailedReply | undefined => {
  const reachable = list.filter(
    ({ health, role }) => health !== 'down' && (!strict || role === 'owner'),
  );
  if (reachable.length >= wanted) return undefined;
  return failed('QUORUM_NOT_MET', `wanted ${wanted} nodes, ${reachable.length} can be reached`, {
    outcome: 'refused',
    wanted,
    got: reachable.length,
    reachable: reachable.map(({ node }) => node),
  });
};

const decoded = (bytes: Uint8Array | undefined): RecordOfKey | undefined | 'malformed' => {
  if (bytes === undefined) return undefined;
  try {
    return decodeRecord(bytes);
  } catch {
    return 'malformed';
  }
};
