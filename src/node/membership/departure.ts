/**
 * The end of a membership by the node's own hand (RULES C8). Once it is a member no more, owns
 * nothing and has given away all it held, it takes no part any more, and says for ever that it has
 * left: nobody has to ask it before a delete is forgotten (A9), or wait for it to come back.
 *
 *   taking part ──retired, owns nothing, holds nothing──▶ silent ──requests over, still empty──▶ left
 *        ▲                                                  └──something had come in──┐
 *        └────────────────────────────────────────────────────────────────────────────┘
 */
import type { NodeId } from '../../core/ids.ts';
import type { Nursery } from '../requests/nursery.ts';
import type { HintStore } from '../store/hint-store.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { Ring, RingView } from './ring-view.ts';

export type DepartureParts = {
  readonly self: NodeId;
  readonly ring: Pick<RingView, 'nodes' | 'hasLeft' | 'isRemoved'> & {
    readonly ring: Pick<Ring, 'retired'>;
  };
  readonly store: Pick<RecordStore, 'isEmpty' | 'whenAllDurable'> & {
    readonly hints: Pick<HintStore, 'total'>;
  };
  readonly nursery: Pick<Nursery, 'whenEmpty'>;
  /** Clients are sent elsewhere: nothing new is taken from here on. */
  readonly fellSilent: () => void;
  /** Something had come in before: it has to be given away first. */
  readonly spokeAgain: () => void;
  /** The farewell, as an event of the membership history. */
  readonly left: () => void;
};

export class Departure {
  readonly #parts: DepartureParts;
  #isSilent = false;

  constructor(parts: DepartureParts) {
    this.#parts = parts;
  }

  /** Whether nothing may be taken any more, neither from clients nor from nodes. */
  get isSilent(): boolean {
    return this.#isSilent || this.#parts.ring.isRemoved(this.#parts.self);
  }

  /** Looks whether the time has come. */
  step(): void {
    if (this.#isSilent || !this.#isEmptied()) return;
    const { nursery, store, fellSilent, spokeAgain, left } = this.#parts;
    this.#isSilent = true;
    fellSilent();
    nursery.whenEmpty(() =>
      store.whenAllDurable(() => {
        if (this.#isEmptied()) return left();
        this.#isSilent = false;
        spokeAgain();
      }),
    );
  }

  #isEmptied(): boolean {
    const { self, ring, store } = this.#parts;
    const isOut = ring.ring.retired.includes(self) && !ring.nodes().includes(self);
    return isOut && !ring.hasLeft(self) && store.isEmpty && store.hints.total === 0;
  }
}
