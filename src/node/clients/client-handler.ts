/** Serves client requests from this node, whether they came over a socket or not. */
import type { GetReply } from '../../../actors/get.ts';
import type { NodeId } from '../../core/ids.ts';
import { decodeRecord } from '../../core/record-bytes.ts';
import { EMPTY_RECORD, shownValues, withoutExpired } from '../../core/record.ts';
import { unreachable } from '../../core/errors.ts';
import type { Clock } from '../../ports/clock.ts';
import { MANY_MAX } from '../../wire/client-messages.ts';
import type {
  AdminRequest,
  AppliedReply,
  ClientHandler,
  GetRequest,
  HandledReply,
  HandledRequest,
  ManyRequest,
  ReplicaGetRequest,
  RingReply,
  ValueReply,
} from '../../wire/client-messages.ts';
import type { FailedReply } from '../../wire/peer-messages.ts';
import type { Config } from '../config.ts';
import { failed, stateRefusal } from '../requests/refusals.ts';
import type { Replica } from '../store/replica.ts';
import type { Router } from '../requests/router.ts';
import type { Scans } from '../requests/scans.ts';
import type { NodeState, Status } from '../status.ts';

export type ClientHandlerParts = {
  readonly self: NodeId;
  readonly cluster: () => string;
  readonly state: () => NodeState;
  readonly router: Router;
  readonly scans: Scans;
  readonly replica: Replica;
  readonly status: () => Status;
  readonly admin: (request: AdminRequest, reply: (reply: HandledReply) => void) => void;
  /** The ring as clients are told it. */
  readonly ring: () => RingReply;
  readonly config: Config;
  readonly clock: Clock;
  /** Does a request as part of the trace that its client names. */
  readonly traced?: ((traceparent: string, task: () => void) => void) | undefined;
};

export const clientHandler = (parts: ClientHandlerParts): ClientHandler => ({
  welcome: () => {
    const { ringVersion, nodes } = parts.ring();
    return {
      node: parts.self,
      cluster: parts.cluster(),
      limits: {
        keyBytesMax: 1024,
        valueBytesMax: parts.config.valueBytesMax,
        contextBytesMax: 8192,
        inFlightMax: parts.config.inFlightMax,
        manyMax: MANY_MAX,
      },
      ringVersion,
      addresses: nodes.flatMap(({ address }) => (address === '' ? [] : [address])),
    };
  },
  handle: (request, reply) => {
    let cancelled = false;
    const answer = (result: HandledReply): void => {
      if (!cancelled) reply(result);
    };
    // What people need to see or to mend a node is answered in every state of it.
    const always = request.type === 'status' || request.type === 'admin';
    const refusal = always ? undefined : stateRefusal(parts.state());
    if (refusal !== undefined) answer(refusal);
    else handle(parts, request, answer);
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  },
});

type Answer = (reply: HandledReply) => void;

const handle = (parts: ClientHandlerParts, request: HandledRequest, answer: Answer): void => {
  const { router, scans } = parts;
  switch (request.type) {
    case 'get':
    case 'put':
      return one(parts, request, answer);
    case 'get-many':
    case 'put-many':
      return many(parts, request, answer);
    case 'scan':
      return scans.scan(request, answer);
    case 'ring':
      return answer(parts.ring());
    case 'replica-get':
      return replicaGet(parts, request, answer);
    case 'repair':
      return router.repair(request.key, request.timeoutMs, (result) =>
        answer(result.type === 'failed' ? result : { type: 'done' }),
      );
    case 'status':
      return answer({ type: 'status-is', status: parts.status() });
    case 'admin':
      return parts.admin(request, answer);
    default:
      return unreachable(request);
  }
};

type One = ManyRequest['requests'][number];
type OneReply = ValueReply | AppliedReply | FailedReply;

const one = (parts: ClientHandlerParts, request: One, answer: (reply: OneReply) => void): void => {
  const { traceparent } = request;
  if (traceparent !== undefined && parts.traced !== undefined) {
    const { traceparent: _, ...rest } = request;
    return parts.traced(traceparent, () => one(parts, rest as One, answer));
  }
  if (request.type === 'put') return parts.router.put(request, answer);
  parts.router.get(request, (result) => answer(valueReply(parts, request, result)));
};

/** A coordinator each, all born at once; each answers when it can. */
const many = (parts: ClientHandlerParts, { requests }: ManyRequest, answer: Answer): void => {
  let left = requests.length;
  requests.forEach((request, index) =>
    one(parts, request, (reply) => {
      answer({ type: 'part', index, answer: reply });
      left -= 1;
      if (left === 0) answer({ type: 'done' });
    }),
  );
};

const valueReply = (
  { self, replica, router, clock }: ClientHandlerParts,
  { key, mode = router.readingModeOf(key) }: GetRequest,
  reply: GetReply,
): ValueReply | FailedReply => {
  if (reply.type === 'failed') return reply;
  const { fastest } = reply;
  const record = withoutExpired(reply.record, clock.wallMs());
  const values = shownValues(record, mode);
  const known = record.vector.length > 0 || record.siblings.length > 0;
  return {
    type: 'value',
    state: values.length > 0 ? 'found' : known ? 'deleted' : 'never-seen',
    values,
    context: replica.readerContext(key, record, fastest),
    node: self,
  };
};

/** What this replica would answer a coordinator, with a context of its own. */
const replicaGet = (
  { self, replica }: ClientHandlerParts,
  { key, want }: ReplicaGetRequest,
  answer: Answer,
): void =>
  replica.receive({ type: 'read', request: 0, key, want }, (reply) => {
    if (reply.type !== 'answer') return answer(failed('NOT_READY', 'this replica cannot answer'));
    const { role, record: bytes } = reply;
    const record = bytes === undefined ? EMPTY_RECORD : decodeRecord(bytes);
    const context = replica.readerContext(key, record, self);
    const is = { type: 'replica-is', role, context } as const;
    answer(bytes === undefined ? is : { record: bytes, ...is });
  });
