/**
 * The links port on a simulated network: connections between addresses with delay, loss,
 * duplication and reordering of frames, cuts in one direction or both, and resets. Worse than TCP
 * on purpose: every protocol of coterie is to survive it.
 */
import type { Random } from '../ports/random.ts';
import type { Connection, ConnectionEvents, LinkPurpose, Links } from '../ports/links.ts';
import type { WorldClock } from './clock.ts';

export type NetworkFaults = {
  delayMs: readonly [number, number];
  /** Chances for each frame. */
  loss: number;
  duplication: number;
  reordering: number;
};

type Acceptor = (connection: Connection, purpose: LinkPurpose) => ConnectionEvents;

/** One end of a connection; `peer` is the other one. */
type End = {
  readonly host: string;
  events: ConnectionEvents | undefined;
  peer: End | undefined;
  open: boolean;
  /** Frames of this end arrive no earlier than this: in order, unless reordering strikes. */
  arrivesAfter: number;
};

export class SimNetwork {
  readonly faults: NetworkFaults = { delayMs: [0.1, 1], loss: 0, duplication: 0, reordering: 0 };
  readonly #clock: WorldClock;
  readonly #random: Random;
  readonly #acceptors = new Map<string, Acceptor>();
  readonly #ends = new Set<End>();
  readonly #cuts = new Set<string>();

  constructor(clock: WorldClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The links of one life of the node at `host` (its address without `ws://`). */
  linksOf(host: string): Links {
    return {
      dial: (address, purpose, events) => this.#dial(host, address.slice(5), purpose, events),
      listen: (accept) => this.#acceptors.set(host, accept),
      close: (done) => {
        this.#acceptors.delete(host);
        for (const end of this.#endsOf(host)) this.#hangUp(end, 1001, 'going away');
        this.#clock.schedule(done, 0);
      },
    };
  }

  /** Frames from `from` to `to` vanish until `heal`; a dial needs both directions. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  /** The host died: its own end hears nothing, the others hear a reset if they can. */
  dropHost(host: string): void {
    this.#acceptors.delete(host);
    for (const end of this.#endsOf(host)) {
      end.events = undefined;
      this.#hangUp(end, 1006, 'reset');
    }
  }

  /** Breaks one random connection. */
  resetOne(): void {
    const ends = [...this.#ends];
    if (ends.length > 0) this.#hangUp(ends[this.#random.integer(ends.length)]!, 1006, 'reset');
  }

  #dial(from: string, to: string, purpose: LinkPurpose, events: ConnectionEvents): Connection {
    const near: End = { host: from, events, peer: undefined, open: true, arrivesAfter: 0 };
    this.#ends.add(near);
    this.#clock.schedule(() => {
      const accept = this.#acceptors.get(to);
      if (!near.open) return;
      if (accept === undefined || this.#isCut(from, to) || this.#isCut(to, from)) {
        this.#hangUp(near, 1006, 'unreachable');
        return;
      }
      const far: End = { host: to, events: undefined, peer: near, open: true, arrivesAfter: 0 };
      near.peer = far;
      this.#ends.add(far);
      far.events = accept(this.#connection(far, from), purpose);
      near.events?.opened();
    }, this.#delay());
    return this.#connection(near, to);
  }

  #connection(end: End, remote: string): Connection {
    return {
      remote,
      send: (frame) => this.#send(end, frame.slice()),
      bufferedBytes: () => 0,
      close: (code, reason) => this.#hangUp(end, code, reason),
      terminate: () => this.#hangUp(end, 1006, 'terminated'),
    };
  }

  #send(end: End, frame: Uint8Array): void {
    const { loss, duplication } = this.faults;
    if (!end.open || end.peer === undefined) return;
    const copies = this.#random.fraction() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random.fraction() >= loss) this.#carry(end, frame);
    }
  }

  #carry(end: End, frame: Uint8Array): void {
    const { peer } = end;
    if (peer === undefined) return;
    let due = this.#clock.nowMs + this.#delay();
    if (this.#random.fraction() >= this.faults.reordering) {
      due = Math.max(due, end.arrivesAfter);
      end.arrivesAfter = due;
    } else due += this.#delay() * 5;
    this.#clock.schedule(() => {
      if (peer.open && !this.#isCut(end.host, peer.host)) peer.events?.received(frame);
    }, due - this.#clock.nowMs);
  }

  /** Both ends hear it: this one soon, the other when the word has travelled. */
  #hangUp(end: End, code: number, reason: string): void {
    if (!end.open) return;
    end.open = false;
    this.#ends.delete(end);
    const { events, peer } = end;
    end.events = undefined;
    this.#clock.schedule(() => events?.closed(code, reason), 0);
    if (peer !== undefined && peer.open) {
      this.#clock.schedule(() => this.#hangUp(peer, code, reason), this.#delay());
    }
  }

  #delay(): number {
    const [least, most] = this.faults.delayMs;
    return least + this.#random.fraction() * (most - least);
  }

  #isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from} ${to}`);
  }

  #endsOf(host: string): readonly End[] {
    return [...this.#ends].filter((end) => end.host === host);
  }
}
