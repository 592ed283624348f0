/**
 * A transport without a socket: requests go straight to a handler in this process. Bytes are copied
 * on both ways, since neither side may see the other change them later.
 */
import type { ClientHandler, FinalReply, HandledRequest } from '../wire/client-messages.ts';
import type { Ending, Transport } from './transport.ts';

export const directTransport = (handler: ClientHandler): Transport => {
  const underWay = new Set<(ending: Ending) => void>();
  let state: 'open' | 'closed' = 'open';
  return {
    request: (build, ended, part) => {
      if (state === 'closed') {
        ended({ type: 'closed' });
        return { cancel: () => undefined };
      }
      underWay.add(ended);
      const handled = handler.handle(withOwnBytes(build()), (reply) => {
        if (reply.type === 'part') {
          const answer = withOwnBytesOf(reply.answer);
          if (underWay.has(ended)) part?.({ ...reply, answer });
        } else if (underWay.delete(ended)) ended({ type: 'replied', reply: withOwnBytesOf(reply) });
      });
      return {
        cancel: () => {
          if (underWay.delete(ended)) handled.cancel();
        },
      };
    },
    problem: () => undefined,
    close: () => {
      state = 'closed';
      const left = [...underWay];
      underWay.clear();
      for (const ended of left) ended({ type: 'closed' });
    },
  };
};

/** The client made copies of its own already, but repeats them in each try. */
const withOwnBytes = (request: HandledRequest): HandledRequest =>
  request.type === 'put' && request.value !== 'tombstone'
    ? { ...request, value: copyOf(request.value) }
    : request;

const withOwnBytesOf = <R extends FinalReply>(reply: R): R => {
  if (reply.type === 'value') {
    return { ...reply, values: reply.values.map(copyOf), context: copyOf(reply.context) };
  }
  return reply.type === 'applied' ? { ...reply, context: copyOf(reply.context) } : reply;
};

const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);
