/** How a client's requests reach a store: over a socket, or by a call in the same process. */
import type { HandledReply, HandledRequest } from '../wire/client-messages.ts';

/** No reply came. `sent` tells whether the store may have got the request. */
export class NoReply extends Error {
  override readonly name = 'NoReply';
  readonly sent: boolean;

  constructor(message: string, sent: boolean) {
    super(message);
    this.sent = sent;
  }
}

export type Transport = {
  /** Resolves with the reply of the store; rejects with NoReply after `timeoutMs` or a lost connection. */
  request(request: HandledRequest, timeoutMs: number): Promise<HandledReply>;
  close(): Promise<void>;
};

/** The part of Clock a client needs. */
export type Timers = {
  wallMs(): number;
  monotonicMs(): number;
  setTimeout(task: () => void, delayMs: number): object | number;
  clearTimeout(timer: object | number): void;
};

/** The part of Random a client needs. */
export type Chance = { bytes(length: number): Uint8Array; fraction(): number };
