/** How a client's requests reach a store: over a socket, or by a call in the same process. */
import type { FinalReply, HandledRequest, PartReply } from '../wire/client-messages.ts';

/** How one try of a request ended. */
export type Ending =
  | { readonly type: 'replied'; readonly reply: FinalReply }
  /** No answer will come of this try; another may have one. */
  | { readonly type: 'lost'; readonly reason: string }
  /** So many requests wait for a node already that this one may not. */
  | { readonly type: 'full'; readonly waiting: number }
  /** The transport was closed: no try will have an answer. */
  | { readonly type: 'closed' };

export type Transport = {
  /**
   * Calls `build` when the request is about to be sent, once or never (until then nothing left this
   * process), and `ended` once, perhaps within this call, unless the try is cancelled before; of a
   * request for many, `part` with each answer before that.
   */
  request(
    build: () => HandledRequest,
    ended: (ending: Ending) => void,
    part?: (part: PartReply) => void,
  ): { cancel(): void };
  /** Why nothing could be sent lately, in words. */
  problem(): string | undefined;
  close(): void;
};
