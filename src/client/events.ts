/** What a client tells of itself while it works: to listeners, and to whoever iterates. */

export type ClientEvent =
  | { readonly type: 'connected'; readonly address: string; readonly node: string }
  /** A connection ended or could not be made; the client goes on with another node. */
  | { readonly type: 'disconnected'; readonly address: string; readonly reason: string }
  /** A node is stopping: what it has it still answers, new requests go elsewhere. */
  | { readonly type: 'going-away'; readonly address: string }
  /** A node failed so often in a row that it is left alone for a while. */
  | { readonly type: 'breaker-opened'; readonly address: string; readonly forMs: number }
  | { readonly type: 'ring-changed'; readonly ringVersion: number }
  /** Try number `attempt` of an operation failed in a way that may pass. */
  | { readonly type: 'retrying'; readonly attempt: number; readonly code: string }
  /** A retry waits, because this client has used up its budget of retries for now. */
  | { readonly type: 'retry-held-back'; readonly attempt: number }
  | { readonly type: 'closed' };

/** Events an iterator has not fetched yet; older ones are dropped. */
const BACKLOG_MAX = 256;

export class Events {
  readonly #listeners = new Set<(event: ClientEvent) => void>();
  #state: 'open' | 'closed' = 'open';

  emit(event: ClientEvent): void {
    if (this.#state === 'closed') return;
    if (event.type === 'closed') this.#state = 'closed';
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // Its fault, not that of the operation it was told of: reported as unhandled.
        void Promise.reject(error);
      }
    }
  }

  /** Calls `listener` with each event until the returned function is called. */
  on(listener: (event: ClientEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Every event from now on, `closed` being the last. */
  async *iterate(): AsyncGenerator<ClientEvent, void, void> {
    const backlog: ClientEvent[] = this.#state === 'closed' ? [{ type: 'closed' }] : [];
    let wake = (): void => undefined;
    const off = this.on((event) => {
      backlog.push(event);
      if (backlog.length > BACKLOG_MAX) backlog.shift();
      wake();
    });
    try {
      for (;;) {
        const event = backlog.shift();
        if (event === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else {
          yield event;
          if (event.type === 'closed') return;
        }
      }
    } finally {
      off();
    }
  }
}
