/**
 * The links port on a simulated network: connections between addresses with delay, loss,
 * duplication and reordering of frames, cuts in one direction or both, clogs, resets, and hosts that
 * vanish without a word. Worse than TCP on purpose: every protocol of coterie is to survive it.
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

export const CALM_NETWORK: NetworkFaults = {
  delayMs: [0.1, 1],
  loss: 0,
  duplication: 0,
  reordering: 0,
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
  /** Bytes sent and not yet arrived or lost. */
  underWay: number;
};

/** What the kernels on the way take without the sender noticing. */
const KERNEL_BYTES = 256 * 1024;
/** The adapter's heartbeat finds out after two rounds that nobody is there any more. */
const SILENCE_MS = 30_000;

/** What became of a frame when it was sent. */
export type FrameFate = 'sent' | 'lost' | 'doubled';

export class SimNetwork {
  readonly faults: NetworkFaults = { ...CALM_NETWORK };
  /** Hears of every frame; the bytes are lent for the call. */
  observe: ((from: string, to: string, frame: Uint8Array, fate: FrameFate) => void) | undefined;
  /** How long the process of a host stands still: frames wait for it, ms. */
  pausedForMs: (host: string) => number = () => 0;
  readonly #clock: WorldClock;
  readonly #random: Random;
  readonly #acceptors = new Map<string, Acceptor>();
  readonly #ends = new Set<End>();
  readonly #cuts = new Set<string>();
  /** By direction, what has arrived at a clogged place and waits, in order. */
  readonly #clogs = new Map<string, (() => void)[]>();

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

  /** Frames from `from` to `to` vanish until `mend` or `heal`; a dial needs both directions. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
  }

  mend(from: string, to: string): void {
    this.#cuts.delete(`${from} ${to}`);
  }

  /** Frames from `from` to `to` are held until `unclog` or `heal`, as by a reader that does not read. */
  clog(from: string, to: string): void {
    const way = `${from} ${to}`;
    if (!this.#clogs.has(way)) this.#clogs.set(way, []);
  }

  unclog(from: string, to: string): void {
    const way = `${from} ${to}`;
    const held = this.#clogs.get(way) ?? [];
    this.#clogs.delete(way);
    for (const arrive of held) this.#clock.schedule(arrive, 0);
  }

  /** Ends all cuts and clogs. */
  heal(): void {
    this.#cuts.clear();
    for (const way of [...this.#clogs.keys()]) {
      const [from, to] = way.split(' ');
      this.unclog(from!, to!);
    }
  }

  /**
   * The host died and hears nothing more. The others hear a reset if its process died; if its
   * machine did (`silent`), their ends stay half open until a heartbeat is missed.
   */
  dropHost(host: string, how: 'reset' | 'silent' = 'reset'): void {
    this.#acceptors.delete(host);
    for (const end of this.#endsOf(host)) {
      end.events = undefined;
      if (how === 'reset') this.#hangUp(end, 1006, 'reset');
      else this.#fallSilent(end);
    }
  }

  /** Breaks one random connection. */
  resetOne(): void {
    const ends = [...this.#ends];
    if (ends.length > 0) this.#hangUp(ends[this.#random.integer(ends.length)]!, 1006, 'reset');
  }

  #dial(from: string, to: string, purpose: LinkPurpose, events: ConnectionEvents): Connection {
    const near = endAt(from, events, undefined);
    this.#ends.add(near);
    this.#clock.schedule(() => {
      const accept = this.#acceptors.get(to);
      if (!near.open) return;
      if (accept === undefined || this.#isCut(from, to) || this.#isCut(to, from)) {
        this.#hangUp(near, 1006, 'unreachable');
        return;
      }
      const far = endAt(to, undefined, near);
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
      send: (frame) => this.#send(end, frame),
      bufferedBytes: () => (end.open ? Math.max(0, end.underWay - KERNEL_BYTES) : 0),
      close: (code, reason) => this.#hangUp(end, code, reason),
      terminate: () => this.#hangUp(end, 1006, 'terminated'),
    };
  }

  #send(end: End, frame: Uint8Array): void {
    const { loss, duplication } = this.faults;
    if (!end.open || end.peer === undefined) return;
    const copies = this.#random.fraction() < duplication ? 2 : 1;
    let carried = 0;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random.fraction() < loss) continue;
      carried += 1;
      // Not slice(): that of a Buffer copies nothing.
      this.#carry(end, new Uint8Array(frame));
    }
    const fate = carried === 0 ? 'lost' : carried === 1 ? 'sent' : 'doubled';
    this.observe?.(end.host, end.peer.host, frame, fate);
  }

  #carry(end: End, frame: Uint8Array): void {
    const { peer } = end;
    if (peer === undefined) return;
    let due = this.#clock.nowMs + this.#delay();
    if (this.#random.fraction() >= this.faults.reordering) {
      due = Math.max(due, end.arrivesAfter);
      end.arrivesAfter = due;
    } else due += this.#delay() * 5;
    end.underWay += frame.length;
    this.#arrive(end, peer, due, () => {
      end.underWay -= frame.length;
      if (!peer.open || this.#isCut(end.host, peer.host)) return;
      peer.events?.received(frame);
      // The port lends the frame for the call only: who kept it sees rubbish.
      frame.fill(0xdb);
    });
  }

  /** Runs `arrive` at `due`, or after the clog in which it gets stuck. */
  #arrive(end: End, peer: End, due: number, arrive: () => void): void {
    this.#clock.schedule(() => {
      const held = this.#clogs.get(`${end.host} ${peer.host}`);
      const pausedMs = this.pausedForMs(peer.host);
      if (held !== undefined) held.push(arrive);
      else if (pausedMs > 0) this.#clock.schedule(arrive, pausedMs);
      else arrive();
    }, due - this.#clock.nowMs);
  }

  /**
   * Both ends hear it: this one soon, the other when the word has travelled, behind what was sent
   * before it. A word that meets a cut is never heard: the other end stays half open.
   */
  #hangUp(end: End, code: number, reason: string): void {
    if (!end.open) return;
    this.#shut(end, code, reason);
    const { peer } = end;
    if (peer === undefined || !peer.open) return;
    const due = Math.max(this.#clock.nowMs + this.#delay(), end.arrivesAfter);
    this.#arrive(end, peer, due, () => {
      if (this.#isCut(end.host, peer.host)) this.#fallSilent(end);
      else this.#hangUp(peer, code, reason);
    });
  }

  /** The end is gone and the other does not know: it finds out by its heartbeat. */
  #fallSilent(end: End): void {
    end.open = false;
    this.#ends.delete(end);
    const { peer } = end;
    if (peer === undefined) return;
    this.#clock.schedule(() => {
      if (peer.open) this.#shut(peer, 1006, 'no answer');
    }, SILENCE_MS);
  }

  #shut(end: End, code: number, reason: string): void {
    end.open = false;
    this.#ends.delete(end);
    const { events } = end;
    end.events = undefined;
    this.#clock.schedule(() => events?.closed(code, reason), this.pausedForMs(end.host));
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

const endAt = (host: string, events: ConnectionEvents | undefined, peer: End | undefined): End => ({
  host,
  events,
  peer,
  open: true,
  arrivesAfter: 0,
  underWay: 0,
});
