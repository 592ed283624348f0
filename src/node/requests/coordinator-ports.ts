/**
 * What the coordinators of requests act through, and what comes back to them: replicas here and on
 * other nodes, read repairs, hints, and whoever waits for the reply.
 *
 *   coordinator ──mint, write, read──▶ replica, ours or a peer's ──answer──▶ nursery ─▶ coordinator
 *        └───────reply───────▶ Replies ─▶ whoever asked
 */
import type { ForwardPorts } from '../../../actors/forward.ts';
import type { GetPorts, GetReply } from '../../../actors/get.ts';
import type { PutPorts } from '../../../actors/put.ts';
import type { Key, NodeId } from '../../core/ids.ts';
import { NumberMap } from '../../core/number-map.ts';
import { decodeForm, encodeRecord, isHeaderOf } from '../../core/record-bytes.ts';
import type { RecordOfKey } from '../../core/record.ts';
import type {
  Forwarding,
  PutReply,
  ReplicaReply,
  ReplicaRequest,
  RequestId,
} from '../../wire/peer-messages.ts';
import type { Rounds } from '../healing/rounds.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { ReadAnswer, Replica } from '../store/replica.ts';
import type { Nursery } from './nursery.ts';
import type { ReadRepairs } from './read-repairs.ts';
import { failed } from './refusals.ts';
import { Replies } from './replies.ts';

export type CoordinatorPortsParts = {
  readonly self: NodeId;
  readonly replica: Replica;
  readonly store: RecordStore;
  readonly nursery: Nursery;
  readonly rounds: Rounds;
  readonly readRepairs: ReadRepairs;
  readonly send: (to: NodeId, message: ReplicaRequest | Forwarding) => void;
  /** A strict write of `key` is on this node's own disk: the other owners are to know how far it is. */
  readonly madeDurable: (key: Key) => void;
};

type Decoded = ReturnType<typeof decodeForm>;
type WriteRequest = Extract<ReplicaRequest, { type: 'write' }>;
type Draft<T> = { -readonly [Name in keyof T]: T[Name] };

export class CoordinatorPorts {
  readonly puts: Replies<PutReply>;
  readonly gets: Replies<GetReply>;
  readonly #parts: CoordinatorPortsParts;
  /** What was read before a put that looks first, until its dot is minted. */
  readonly #known = new NumberMap<RecordOfKey>();
  /** What the first replica answered to a get, until that is answered itself. */
  readonly #first = new NumberMap<Decoded>();

  constructor(parts: CoordinatorPortsParts) {
    this.#parts = parts;
    this.puts = new Replies(parts.nursery);
    this.gets = new Replies(parts.nursery);
  }

  /** What the put `request` is to mint on: the record that was read before it. */
  know(request: RequestId, known: RecordOfKey): void {
    this.#known.set(request, known);
  }

  readonly put: PutPorts = {
    mint: (request, put) => {
      const { replica, store, nursery } = this.#parts;
      const known = this.#known.get(request);
      this.#known.delete(request);
      const minted = replica.mint(put, known);
      if (minted.type === 'refused') {
        const failure = failed(minted.error.code, minted.error.message, minted.error.details);
        nursery.deliver(request, { type: 'mint.refused', failure });
        return;
      }
      nursery.deliver(request, { ...minted, type: 'replica.minted' });
      // With dw = 0 nobody waits for the one durable write: it shares the next flush.
      const strict = put.strict ? put.key : undefined;
      const when = put.dw === 0 ? 'in-time' : 'hurried';
      store.whenDurable(put.key, this.#ackOf(request, strict), when);
    },
    write: (request, { key }, { record, over }, { node, hintFor }, durable, under) => {
      const round = this.#parts.rounds.ofRequest(request);
      // Most have neither a hint nor a register: field by field those are all of one shape.
      const message: Draft<WriteRequest> = {
        type: 'write',
        request,
        key,
        record,
        durable,
        round,
      };
      if (hintFor !== undefined) message.hintFor = hintFor;
      if (over !== undefined) message.over = over;
      if (under !== undefined) {
        message.register = under.register;
        message.next = under.next;
        message.owners = under.owners;
      }
      this.#ask(node, message);
    },
    sync: (request, { key, putId }, to) => this.#ask(to, { type: 'sync', request, key, putId }),
    keepHint: ({ key }, owner) => this.#parts.replica.keepHint(key, owner),
    reply: (request, reply) => this.puts.answer(request, reply),
  };

  readonly forward: ForwardPorts = {
    forward: (request, put, to) => this.#parts.send(to, { type: 'forward', request, put }),
    reply: (request, reply) => this.puts.answer(request, reply),
  };

  readonly get: GetPorts = {
    read: (request, key, from, want) => {
      const { self, replica, nursery, send } = this.#parts;
      if (from !== self) return send(from, { type: 'read', request, key, want });
      const answer = replica.answerOf(key, want);
      if (answer === 'not-ready') nursery.deliver(request, { type: 'replica.refused', node: self });
      else this.#answered(self, request, answer);
    },
    // Nobody waits for a repair: its request number is nobody's.
    repair: (key, record, to, request) => {
      if (!this.#parts.readRepairs.take()) return;
      this.#ask(to, {
        type: 'write',
        request: 0,
        key,
        record: encodeRecord(record, 'with-values'),
        durable: false,
        round: this.#parts.rounds.ofRequest(request),
      });
    },
    reply: (request, reply) => {
      this.#first.delete(request);
      this.gets.answer(request, reply);
    },
  };

  /** Waits for a flush, perhaps longer than the put lives: so it holds nothing else of it. */
  #ackOf(request: RequestId, strict: Key | undefined): () => void {
    return () => {
      if (strict !== undefined) this.#parts.madeDurable(strict);
      this.replicaReplied(this.#parts.self, { type: 'written', request, durable: true });
    };
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
      case 'answer':
        this.#parts.rounds.lower(reply.round);
        this.#answered(node, reply.request, { role: reply.role, record: reply.record });
        return;
    }
  }

  #answered(node: NodeId, request: RequestId, { role, record: bytes }: ReadAnswer): void {
    const { nursery } = this.#parts;
    const record = bytes === undefined ? undefined : this.#recordIn(bytes, request);
    if (record === 'malformed') nursery.deliver(request, { type: 'replica.refused', node });
    else nursery.deliver(request, { type: 'replica.answered', node, role, record });
  }

  /** Replicas mostly agree: what only says the same as the first answer is not decoded. */
  #recordIn(bytes: Uint8Array, request: RequestId): RecordOfKey | 'malformed' {
    const first = this.#first.get(request);
    if (first !== undefined && isHeaderOf(bytes, first.form, first.record)) return first.record;
    try {
      const decoded = decodeForm(bytes);
      if (first === undefined && this.gets.isExpected(request)) this.#first.set(request, decoded);
      return decoded.record;
    } catch {
      return 'malformed';
    }
  }

  /** The reply of the coordinator a put was handed to. */
  forwardReplied(node: NodeId, request: RequestId, reply: PutReply): void {
    this.#parts.nursery.deliver(request, { type: 'put.answered', node, reply });
  }

  #ask(node: NodeId, message: ReplicaRequest): void {
    const { self, replica, send } = this.#parts;
    if (node !== self) send(node, message);
    else replica.receive(message, (reply) => this.replicaReplied(self, reply));
  }
}
