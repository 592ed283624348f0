/** Serves client requests from this node's router, whether they came over a socket or not. */
import type { GetReply } from '../../actors/get.ts';
import type { NodeId } from '../core/ids.ts';
import { liveSiblings } from '../core/record.ts';
import type { AdminRequest, ClientHandler, HandledReply } from '../wire/client-messages.ts';
import type { Key } from '../core/ids.ts';
import type { FailedReply } from '../wire/peer-messages.ts';
import type { Config } from './config.ts';
import type { Replica } from './replica.ts';
import type { Router } from './router.ts';
import type { NodeState, Status } from './status.ts';

export type ClientHandlerParts = {
  readonly self: NodeId;
  readonly cluster: () => string;
  readonly state: () => NodeState;
  readonly router: Router;
  readonly replica: Replica;
  readonly status: () => Status;
  readonly admin: (request: AdminRequest, reply: (reply: HandledReply) => void) => void;
  readonly addresses: () => readonly string[];
  readonly config: Config;
};

export const clientHandler = (parts: ClientHandlerParts): ClientHandler => ({
  welcome: () => ({
    node: parts.self,
    cluster: parts.cluster(),
    limits: {
      keyBytesMax: 1024,
      valueBytesMax: parts.config.valueBytesMax,
      contextBytesMax: 8192,
      inFlightMax: parts.config.inFlightMax,
    },
    ringVersion: 1,
    addresses: parts.addresses(),
  }),
  handle: (request, reply) => {
    let cancelled = false;
    const answer = (result: HandledReply): void => {
      if (!cancelled) reply(result);
    };
    // What people need to see or to mend a node is answered in every state of it.
    const always = request.type === 'status' || request.type === 'admin';
    const refusal = always ? undefined : refusalIn(parts.state());
    if (refusal !== undefined) answer(refusal);
    else if (request.type === 'status') {
      answer({ type: 'status-is', status: parts.status() });
    } else if (request.type === 'admin') parts.admin(request, answer);
    else if (request.type === 'put') parts.router.put(request, 'client', answer);
    else {
      parts.router.get(request, (result) => answer(valueReply(parts, request.key, result)));
    }
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  },
});

const refusalIn = (state: NodeState): FailedReply | undefined => {
  if (state === 'serving') return undefined;
  const code = state === 'joining' ? 'NOT_READY' : 'GOING_AWAY';
  return {
    type: 'failed',
    code,
    message: `this node is ${state}`,
    details: { outcome: 'refused' },
  };
};

const valueReply = (
  { self, replica }: ClientHandlerParts,
  key: Key,
  reply: GetReply,
): HandledReply => {
  if (reply.type === 'failed') return reply;
  const { record, fastest } = reply;
  const values = liveSiblings(record).flatMap(({ value }) =>
    value instanceof Uint8Array ? [value] : [],
  );
  const known = record.vector.length > 0 || record.siblings.length > 0;
  return {
    type: 'value',
    state: values.length > 0 ? 'found' : known ? 'deleted' : 'never-seen',
    values,
    context: replica.readerContext(key, record, fastest),
    node: self,
  };
};
