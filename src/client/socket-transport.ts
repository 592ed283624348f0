/**
 * A transport over one connection at a time: opened with the first request, to the next known node
 * when that one fails or goes away. A node that takes its time is not waited for alone: the next is
 * dialled beside it, and the first that welcomes is kept. Requests wait here until they can be sent; those already sent on
 * a connection that breaks are lost, and their operation decides what that means.
 */
import type { Clock, Timer } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { FinalReply, HandledRequest, PartReply } from '../wire/client-messages.ts';
import { NodeConnection, checkedAddresses, isAddress } from './node-connection.ts';
import type { Sockets } from './node-connection.ts';
import type { Events } from './events.ts';
import { jitteredMs } from './operation.ts';
import { Breakers } from './restraint.ts';
import type { Ending, Transport } from './transport.ts';

export type SocketTransportOptions = {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly random: Random;
  /** The client program, for the node's logs. */
  readonly name?: string;
  readonly token?: string;
  readonly events?: Events;
  /** How often a silent node is asked whether it is there, ms; absent: the sockets see to that. */
  readonly pingEveryMs?: number;
  /** Requests that may wait for a node or for room; one more is answered OVERLOADED. */
  readonly queueMax?: number;
  /** `given`: nobody but the seeds is ever asked. */
  readonly addresses?: 'learnt' | 'given';
};

const QUEUE_MAX = 10_000;
/** How long a node may take to welcome before the next is dialled too, ms: far away it takes this long. */
const BESIDE_MS = 500;
/** Addresses learnt from nodes beyond the seeds; more would only be noise. */
const ADDRESSES_MAX = 256;

type Waiting = {
  readonly build: () => HandledRequest;
  readonly ended: (ending: Ending) => void;
  readonly part: ((part: PartReply) => void) | undefined;
  call: { cancel(): void } | undefined;
};

/** `seeds` are `ws://host:port`, at least one. Throws CoterieError BAD_ARGUMENT. */
export const socketTransport = (
  seeds: readonly string[],
  options: SocketTransportOptions,
): Transport => new SocketTransport(checkedAddresses(seeds), options);

class SocketTransport implements Transport {
  readonly #options: SocketTransportOptions;
  readonly #addresses: string[];
  readonly #waiting = new Set<Waiting>();
  /** All that are not closed: being dialled, the current one, and those that only finish their answers. */
  readonly #connections = new Set<NodeConnection>();
  /** By address. */
  readonly #breakers: Breakers<string>;
  /** The one that welcomed. */
  #current: NodeConnection | undefined;
  #next: number;
  #failures = 0;
  #pause: Timer | undefined;
  #problem: string | undefined;
  #state: 'open' | 'closed' = 'open';

  constructor(seeds: readonly string[], options: SocketTransportOptions) {
    this.#options = options;
    this.#addresses = [...seeds];
    this.#breakers = new Breakers(options.clock, options.events);
    // Clients with equal seeds spread over the nodes.
    this.#next = options.random.integer(seeds.length);
  }

  request(
    build: () => HandledRequest,
    ended: (ending: Ending) => void,
    part?: (part: PartReply) => void,
  ): { cancel(): void } {
    if (this.#state === 'closed') {
      ended({ type: 'closed' });
      return { cancel: () => undefined };
    }
    if (this.#waiting.size >= (this.#options.queueMax ?? QUEUE_MAX)) {
      ended({ type: 'full', waiting: this.#waiting.size });
      return { cancel: () => undefined };
    }
    const waiting: Waiting = { build, ended, part, call: undefined };
    this.#waiting.add(waiting);
    this.#sendWaiting();
    return {
      cancel: () => {
        if (!this.#waiting.delete(waiting)) waiting.call?.cancel();
      },
    };
  }

  problem(): string | undefined {
    return this.#problem;
  }

  close(): void {
    this.#state = 'closed';
    this.#endPause();
    const unsent = [...this.#waiting];
    this.#waiting.clear();
    for (const connection of this.#connections) connection.close();
    for (const { ended } of unsent) ended({ type: 'closed' });
  }

  #sendWaiting(): void {
    if (this.#state === 'closed' || this.#waiting.size === 0) return;
    if (this.#current === undefined) {
      if (this.#pause === undefined) this.#dial();
      return;
    }
    for (const waiting of this.#waiting) {
      if (!this.#current.hasRoom) return;
      this.#waiting.delete(waiting);
      const connection = this.#current;
      const call = connection.ask(waiting.build(), (answer) => {
        if (answer.type === 'part') return waiting.part?.(answer.part);
        const closed = this.#state === 'closed' && answer.type === 'lost';
        if (answer.type === 'replied') this.#judge(connection, verdictOn(answer.reply));
        waiting.ended(closed ? { type: 'closed' } : answer);
        this.#sendWaiting();
      });
      waiting.call = {
        cancel: () => {
          call.cancel();
          // Given up while the node was silent: again and again, and it is left.
          this.#judge(connection, 'failed');
        },
      };
    }
  }

  /** A node that welcomes everybody and then serves nobody is left for another one. */
  #judge(connection: NodeConnection, verdict: 'served' | 'failed'): void {
    const { address } = connection;
    if (verdict === 'served') return this.#breakers.served(address);
    this.#breakers.failed(address, address);
    if (this.#breakers.isOpen(address) && this.#addresses.length > 1) connection.leave();
  }

  /**
   * Of those that are not being dialled the next in turn whose breaker lets somebody pass; the one that
   * opens first if none.
   */
  #choose(): string | undefined {
    const nowMs = this.#options.clock.monotonicMs();
    const all = this.#addresses;
    const turn = all
      .map((_, i) => all[(this.#next + i) % all.length]!)
      .filter((address) => this.#dialled.every((each) => each.address !== address));
    const openUntil = (address: string): number =>
      Math.max(nowMs, this.#breakers.openUntilMs(address));
    const [chosen] = turn.sort((a, b) => openUntil(a) - openUntil(b));
    if (chosen !== undefined) this.#next = all.indexOf(chosen) + 1;
    return chosen;
  }

  get #dialled(): readonly NodeConnection[] {
    return [...this.#connections].filter(({ wasReady }) => wasReady === 'no');
  }

  #dial(): void {
    const { sockets, clock, name = 'coterie.js', token, pingEveryMs } = this.#options;
    const address = this.#choose();
    if (address === undefined) return;
    const connection: NodeConnection = new NodeConnection({
      sockets,
      clock,
      address,
      name,
      ...(token === undefined ? {} : { token }),
      ...(pingEveryMs === undefined ? {} : { pingEveryMs }),
      ready: (welcome) => {
        this.#endPause();
        this.#current = connection;
        for (const slower of this.#dialled) slower.close();
        this.#failures = 0;
        this.#problem = undefined;
        this.#options.events?.emit({ type: 'connected', address, node: welcome.node });
        this.#learn(welcome.addresses);
        this.#sendWaiting();
      },
      pushed: (push) => {
        this.#options.events?.emit(push.type === 'going-away' ? { ...push, address } : push);
      },
      leaving: () => {
        if (this.#current === connection) this.#current = undefined;
        this.#problem = `${address}: it is going away`;
        this.#redialSoon();
      },
      closed: (reason) => {
        this.#connections.delete(connection);
        this.#options.events?.emit({ type: 'disconnected', address, reason });
        const isNew = connection.wasReady === 'no';
        // One that was left behind, or was too slow, may go as it likes.
        if (this.#current !== (isNew ? undefined : connection)) return;
        if (isNew) this.#breakers.failed(address, address);
        this.#current = undefined;
        this.#problem = `${address}: ${reason}`;
        this.#redialSoon();
      },
    });
    this.#connections.add(connection);
    this.#sendLater(BESIDE_MS);
  }

  /** A crowd of clients that lost the same node must not come to the next one all at once. */
  #redialSoon(): void {
    this.#failures += 1;
    this.#sendLater(jitteredMs(this.#options.random, this.#failures));
  }

  #sendLater(delayMs: number): void {
    if (this.#state === 'closed') return;
    this.#endPause();
    this.#pause = this.#options.clock.setTimeout(() => {
      this.#endPause();
      this.#sendWaiting();
    }, delayMs);
  }

  #endPause(): void {
    if (this.#pause !== undefined) this.#options.clock.clearTimeout(this.#pause);
    this.#pause = undefined;
  }

  #learn(addresses: readonly string[]): void {
    if (this.#options.addresses === 'given') return;
    for (const address of addresses) {
      if (this.#addresses.length >= ADDRESSES_MAX) return;
      if (isAddress(address) && !this.#addresses.includes(address)) this.#addresses.push(address);
    }
  }
}

/** Whether an answer tells that the node serves: its own bug or its own silence do not. */
export const verdictOn = (reply: FinalReply): 'served' | 'failed' =>
  reply.type === 'failed' && (reply.code === 'INTERNAL' || reply.code === 'TIMEOUT')
    ? 'failed'
    : 'served';
