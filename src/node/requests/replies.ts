/**
 * Who waits for the reply of which coordinator. Each is told once: what its coordinator says, or that
 * it crashed. The nursery knows of every reply, whatever the request: for the inspector and the log.
 */
import { NumberMap } from '../../core/number-map.ts';
import type { RequestId } from '../../wire/peer-messages.ts';
import type { Nursery } from './nursery.ts';

export class Replies<Reply extends object> {
  readonly #nursery: Nursery;
  readonly #waiting = new NumberMap<(reply: Reply) => void>();

  constructor(nursery: Nursery) {
    this.#nursery = nursery;
  }

  /** Requests that are not answered yet. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Gives one more request its number; `hear` is told its reply. */
  expect(hear: (reply: Reply) => void): RequestId {
    const request = this.#nursery.nextRequest();
    this.#waiting.set(request, hear);
    return request;
  }

  isExpected(request: RequestId): boolean {
    return this.#waiting.has(request);
  }

  /** The reply to `request`; nobody hears a second one. */
  answer(request: RequestId, reply: Reply): void {
    this.#nursery.answer(request, reply, this.#waiting.get(request));
    this.#waiting.delete(request);
  }
}
