/**
 * A transport that knows the owners of a key (paper § 6.4): it keeps the ring, one connection to each
 * node, and hands puts to the owner that answered the read before, fastest, else to any. Gets go to an
 * owner, too, which coordinates them; or this transport coordinates them itself and reads from R owners
 * with a budgeted hedge. Whatever it cannot do so goes by way of one node, as ever.
 *
 *   get ─▶ ring known, owners connected? ─▶ an owner, or R replicas ─▶ value
 *   put ─▶ an owner connected? ───────────▶ that owner
 *          otherwise, or when R did not answer ─▶ the socket transport, any node coordinates
 */
import { bytesOfKey } from '../core/ids.ts';
import type { Key, NodeId } from '../core/ids.ts';
import { partitionOf } from '../core/ring.ts';
import { Timers } from '../host/timers.ts';
import type { GetRequest, HandledRequest, PartReply, RingReply } from '../wire/client-messages.ts';
import { readFromReplicas } from './client-read.ts';
import { NodeConnection } from './node-connection.ts';
import type { Answer } from './node-connection.ts';
import { Breakers } from './restraint.ts';
import { socketTransport, verdictOn } from './socket-transport.ts';
import type { SocketTransportOptions } from './socket-transport.ts';
import type { Ending, Transport } from './transport.ts';

export type RingTransportOptions = SocketTransportOptions & {
  /** The position of a key on the ring: MD5, 16 bytes. */
  readonly md5: (bytes: Uint8Array) => Uint8Array;
  /** Who coordinates gets: an owner of the key, or this client. */
  readonly gets: 'owner' | 'client';
};

/** Age at which the ring is asked for anew, ms (paper § 6.4: every 10 seconds). */
const RING_MAX_AGE_MS = 10_000;
const RING_TIMEOUT_MS = 2000;
/** Pause before one replica more is asked, at least and at first, ms. */
const PATIENCE_MS_MIN = 2;
const PATIENCE_MS_FIRST = 50;
/** Hedges are at most one in twenty reads, and this many at once. */
const HEDGES_MAX = 20;
const HEDGE_EARNED = 0.05;
/** Keys of which the fastest owner is remembered. */
const FASTEST_MAX = 10_000;

type Peer = { readonly connection: NodeConnection; readonly address: string; meanMs: number };

export const ringTransport = (seeds: readonly string[], options: RingTransportOptions): Transport =>
  new RingTransport(seeds, options);

class RingTransport implements Transport {
  readonly #options: RingTransportOptions;
  readonly #servers: Transport;
  readonly #peers = new Map<NodeId, Peer>();
  /** Waits of the reads that are coordinated here. */
  readonly #timers: Timers;
  readonly #breakers: Breakers<NodeId>;
  readonly #fastest = new Map<Key, NodeId>();
  readonly #ended = new Set<(ending: Ending) => void>();
  #ring: RingReply | undefined;
  #ringAtMs = -Infinity;
  #asking: 'ring' | 'nothing' = 'nothing';
  #hedges = HEDGES_MAX;
  #state: 'open' | 'closed' = 'open';

  constructor(seeds: readonly string[], options: RingTransportOptions) {
    this.#options = options;
    this.#servers = socketTransport(seeds, options);
    this.#timers = new Timers(options.clock);
    this.#breakers = new Breakers(options.clock, options.events);
    options.events?.on((event) => {
      if (event.type === 'ring-changed' && event.ringVersion > (this.#ring?.ringVersion ?? 0)) {
        this.#askForRing();
      }
    });
  }

  request(
    build: () => HandledRequest,
    ended: (ending: Ending) => void,
    part?: (part: PartReply) => void,
  ): { cancel(): void } {
    if (this.#state === 'closed') return this.#servers.request(build, ended, part);
    if (this.#options.clock.monotonicMs() - this.#ringAtMs > RING_MAX_AGE_MS) this.#askForRing();
    if (this.#ring === undefined || this.#peers.size === 0) {
      return this.#servers.request(build, ended, part);
    }
    // Built here, so it counts as sent even if it goes on by way of a server.
    const request = build();
    const again = (): { cancel(): void } => this.#servers.request(() => request, ended, part);
    if (request.type === 'get' && this.#options.gets === 'client') {
      return this.#get(request, ended, again);
    }
    if (request.type === 'get' || request.type === 'put') {
      return this.#toOwner(request, ended) ?? again();
    }
    return again();
  }

  problem(): string | undefined {
    return this.#servers.problem();
  }

  close(): void {
    this.#state = 'closed';
    for (const { connection } of this.#peers.values()) connection.close();
    this.#peers.clear();
    this.#servers.close();
    const left = [...this.#ended];
    this.#ended.clear();
    for (const ended of left) ended({ type: 'closed' });
  }

  #get(
    get: GetRequest,
    ended: (ending: Ending) => void,
    again: () => { cancel(): void },
  ): { cancel(): void } {
    const ring = this.#ring!;
    const owners = this.#ownersOf(get.key);
    const r = get.r ?? Math.min(ring.r ?? owners.length, owners.length);
    const ready = this.#inTurn(owners.filter((node) => this.#canAsk(node)));
    if (r < 1 || ready.length < r || this.#hasOwnDefaults(get)) return again();
    this.#hedges = Math.min(HEDGES_MAX, this.#hedges + HEDGE_EARNED);
    this.#ended.add(ended);
    let call: { cancel(): void } | undefined;
    const read = readFromReplicas(
      {
        clock: this.#timers,
        ask: (node, request, answered) => this.#ask(node, request, answered),
        mayHedge: () => this.#hedges >= 1 && this.#hedges-- > 0,
        patienceMs: this.#patienceOf(ready.slice(0, r)),
      },
      { r, ...get },
      ready,
      (result) => {
        if (!this.#ended.delete(ended)) return;
        if (result === undefined) {
          call = again();
          return;
        }
        this.#remember(get.key, result.fastest);
        ended({ type: 'replied', reply: result.value });
      },
    );
    return {
      cancel: () => {
        this.#ended.delete(ended);
        read.cancel();
        call?.cancel();
      },
    };
  }

  /** Undefined if no owner can be asked now. */
  #toOwner(
    request: Extract<HandledRequest, { type: 'get' | 'put' }>,
    ended: (ending: Ending) => void,
  ): { cancel(): void } | undefined {
    const { key, type } = request;
    const owners = this.#ownersOf(key).filter((node) => this.#canAsk(node));
    // A put goes where the key was read; reads of one key spread.
    const fastest = type === 'put' ? this.#fastest.get(key) : undefined;
    const chosen =
      fastest !== undefined && owners.includes(fastest) ? fastest : this.#inTurn(owners)[0];
    if (chosen === undefined) return undefined;
    this.#ended.add(ended);
    const call = this.#askCancellable(chosen, request, (answer) => {
      if (answer.type === 'part' || !this.#ended.delete(ended)) return;
      // Where it failed once it need not go again.
      if (answer.type === 'lost' || answer.reply.type === 'failed') this.#forget(key, chosen);
      else if (type === 'get') this.#remember(key, chosen);
      ended(answer);
    });
    return {
      cancel: () => {
        if (!this.#ended.delete(ended)) return;
        call?.cancel();
        this.#forget(key, chosen);
      },
    };
  }

  #forget(key: Key, node: NodeId): void {
    if (this.#fastest.get(key) === node) this.#fastest.delete(key);
  }

  #ask(
    node: NodeId,
    request: HandledRequest,
    answered: (answer: Answer) => void,
  ): 'sent' | 'unsent' {
    return this.#askCancellable(node, request, answered) === undefined ? 'unsent' : 'sent';
  }

  #askCancellable(
    node: NodeId,
    request: HandledRequest,
    answered: (answer: Answer) => void,
  ): { cancel(): void } | undefined {
    const peer = this.#peers.get(node);
    if (peer === undefined || !peer.connection.hasRoom) return undefined;
    const { clock } = this.#options;
    const fromMs = clock.monotonicMs();
    return peer.connection.ask(request, (answer) => {
      if (answer.type === 'replied') {
        const tookMs = clock.monotonicMs() - fromMs;
        peer.meanMs += (tookMs - peer.meanMs) / 8;
        if (verdictOn(answer.reply) === 'served') this.#breakers.served(node);
        else this.#breakers.failed(node, peer.address);
      }
      answered(answer);
    });
  }

  #canAsk(node: NodeId): boolean {
    return this.#peers.get(node)?.connection.hasRoom === true && !this.#breakers.isOpen(node);
  }

  /** Any of them first: reads spread over the replicas. */
  #inTurn(nodes: readonly NodeId[]): readonly NodeId[] {
    if (nodes.length < 2) return nodes;
    const first = this.#options.random.integer(nodes.length);
    return [...nodes.slice(first), ...nodes.slice(0, first)];
  }

  /** Three times what the slowest of them usually takes. */
  #patienceOf(nodes: readonly NodeId[]): number {
    const means = nodes.map((node) => this.#peers.get(node)?.meanMs ?? PATIENCE_MS_FIRST);
    // Whole: waits of one length share a timer.
    return Math.max(PATIENCE_MS_MIN, Math.ceil(3 * Math.max(...means)));
  }

  #ownersOf(key: Key): readonly NodeId[] {
    const { partitions, owners, nodes } = this.#ring!;
    const partition = partitionOf(this.#options.md5(bytesOfKey(key)), partitions);
    return (owners[partition] ?? []).map((place) => nodes[place]!.id);
  }

  /** Keys of some prefixes have defaults that only the nodes know. */
  #hasOwnDefaults({ key }: GetRequest): boolean {
    return this.#ring!.prefixes.some((prefix) => key.startsWith(prefix));
  }

  #remember(key: Key, node: NodeId): void {
    this.#fastest.delete(key);
    this.#fastest.set(key, node);
    if (this.#fastest.size <= FASTEST_MAX) return;
    for (const oldest of this.#fastest.keys()) {
      this.#fastest.delete(oldest);
      return;
    }
  }

  #askForRing(): void {
    if (this.#asking === 'ring' || this.#state === 'closed') return;
    this.#asking = 'ring';
    const { clock } = this.#options;
    this.#ringAtMs = clock.monotonicMs();
    const done = (ring: RingReply | undefined): void => {
      clock.clearTimeout(timer);
      this.#asking = 'nothing';
      if (ring !== undefined && this.#state === 'open') this.#adopt(ring);
    };
    const ended = (answer: Ending | Answer): void => {
      const reply = answer.type === 'replied' ? answer.reply : undefined;
      done(reply?.type === 'ring-is' ? reply : undefined);
    };
    const ready = [...this.#peers.keys()].filter((node) => this.#canAsk(node));
    const chosen = this.#inTurn(ready)[0];
    const call =
      (chosen === undefined ? undefined : this.#askCancellable(chosen, { type: 'ring' }, ended)) ??
      this.#servers.request(() => ({ type: 'ring' }), ended);
    const timer = clock.setTimeout(() => {
      call.cancel();
      done(undefined);
    }, RING_TIMEOUT_MS);
  }

  #adopt(ring: RingReply): void {
    // An older node's word does not undo a newer one's.
    if (ring.ringVersion < (this.#ring?.ringVersion ?? 0)) return;
    this.#ring = ring;
    const known = new Map(ring.nodes.map(({ id, address }) => [id, address]));
    for (const [node, { connection, address }] of this.#peers) {
      if (known.get(node) !== address) connection.close();
    }
    for (const [node, address] of known) {
      if (address !== '' && !this.#peers.has(node)) this.#connect(node, address);
    }
  }

  #connect(node: NodeId, address: string): void {
    const { sockets, clock, name = 'coterie.js', token, events, pingEveryMs } = this.#options;
    if (this.#breakers.isOpen(node)) return;
    const gone = (): void => {
      if (this.#peers.get(node)?.connection !== connection) return;
      this.#peers.delete(node);
      this.#askForRing();
    };
    const connection: NodeConnection = new NodeConnection({
      ...{ sockets, clock, address, name },
      ...(token === undefined ? {} : { token }),
      ...(pingEveryMs === undefined ? {} : { pingEveryMs }),
      ready: (welcome) => {
        // Another node lives there now: what it owns is not what we thought.
        if (welcome.node !== node) connection.close();
      },
      pushed: (push) => events?.emit(push.type === 'going-away' ? { ...push, address } : push),
      leaving: gone,
      closed: () => {
        this.#breakers.failed(node, address);
        gone();
      },
    });
    this.#peers.set(node, { connection, address, meanMs: PATIENCE_MS_FIRST / 3 });
  }
}
