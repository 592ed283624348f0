/** What records tell of messages, log lines and contexts: short, plain, without value bytes. */
import type { TraceFacts } from '../ports/trace.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import type { Facts } from './records.ts';

export const messageFacts = (message: PeerMessage): { readonly facts?: Facts } => {
  switch (message.type) {
    case 'write':
      return {
        facts: {
          bytes: message.record.length,
          durable: message.durable,
          ...(message.hintFor === undefined ? {} : { hintFor: message.hintFor }),
        },
      };
    case 'written':
      return { facts: { durable: message.durable } };
    case 'read':
      return { facts: { want: message.want } };
    case 'answer':
      return { facts: { role: message.role, bytes: message.record?.length ?? 0 } };
    case 'refused':
      return { facts: { code: message.code } };
    default:
      return {};
  }
};

export const shortFacts = (facts: TraceFacts | undefined): Facts =>
  Object.fromEntries(
    Object.entries(facts ?? {}).map(([name, value]) => [
      name,
      typeof value === 'number' || typeof value === 'boolean' ? value : String(value).slice(0, 200),
    ]),
  );

/** Maps and sets as lists, nothing deep, nothing long: fit for JSON. */
export const plain = (value: unknown, depth: number): unknown => {
  if (value instanceof Map) return plain([...value], depth);
  if (value instanceof Set) return plain([...value], depth);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'function') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (depth > 5) return '…';
  if (Array.isArray(value)) return value.slice(0, 32).map((each) => plain(each, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, plain(inner, depth + 1)]),
  );
};
