/**
 * Several contexts of one key as one: what a client passes on that read the replicas itself (A3). A
 * context of a node begins with its format, never 0, so both are told apart.
 *
 *   0 │ length (2) │ context │ length (2) │ context …
 */

const BUNDLE = 0;

/** One context stays as it is. */
export const bundled = (contexts: readonly Uint8Array[]): Uint8Array => {
  const [only] = contexts;
  if (contexts.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(contexts.reduce((sum, { length }) => sum + 2 + length, 1));
  bytes[0] = BUNDLE;
  let at = 1;
  for (const context of contexts) {
    bytes[at] = context.length >> 8;
    bytes[at + 1] = context.length & 0xff;
    bytes.set(context, at + 2);
    at += 2 + context.length;
  }
  return bytes;
};

/** What was bundled; anything else is one context, for the node to judge. */
export const unbundled = (context: Uint8Array): readonly Uint8Array[] => {
  if (context[0] !== BUNDLE) return [context];
  const contexts: Uint8Array[] = [];
  let at = 1;
  while (at + 2 <= context.length) {
    const length = (context[at]! << 8) | context[at + 1]!;
    if (at + 2 + length > context.length) return [context];
    contexts.push(context.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return at === context.length ? contexts : [context];
};
