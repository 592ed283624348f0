/**
 * Links to the other nodes: one connection per pair, hello first, mail of one turn in one frame,
 * bounded queues, redialling with jitter. Everything above it may lose mail.
 *
 *   address ──dial──▶ connection ──hello──▶ link to a node ──closed──▶ (pause) ──dial──▶ …
 *
 * Both sides may dial at once; of two connections between one pair the one that the smaller id
 * dialled stays, so both sides drop the same one.
 */
import type { NodeId } from '../../core/ids.ts';
import type { PeerSigns } from '../../core/suspicion.ts';
import type { Clock, Timer } from '../../ports/clock.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Connection, ConnectionEvents, Links } from '../../ports/links.ts';
import type { Random } from '../../ports/random.ts';
import type { Trace } from '../../ports/trace.ts';
import { decodePeerFrame } from '../../wire/peer-codec.ts';
import type { Hello, PeerMessage } from '../../wire/peer-messages.ts';
import type { Config } from '../config.ts';
import { Greeting } from './peer-greeting.ts';
import type { PeerTrust } from './peer-greeting.ts';
import { PeerLink, say, unlinked } from './peer-link.ts';

export const PEER_PROTOCOL = 1;

export const PEER_CLOSE = {
  duplicate: 4000,
  silent: 4408,
  wrongCluster: 4409,
  /** To one that was removed too long ago to come back (RULES C8): it stops. */
  retired: 4410,
  /** One code and one text for every proof that is missing, wrong, replayed or reflected. */
  unproved: 4401,
  malformed: 1008,
} as const;

const UNPROVED = 'not admitted';
/** What a stranger may say at once before he is met. */
const GREETING_BYTES_MAX = 4096;

export type PeersParts = {
  readonly self: NodeId;
  readonly links: Links;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly digest: Digest;
  readonly config: Config;
  readonly trust: PeerTrust;
  readonly hello: () => Hello;
  /** A link to `node` begins, or to another life of it; before its first words. */
  readonly met: (node: NodeId) => void;
  /** What every new link begins with, ahead of what was queued for it; every ping repeats it. */
  readonly firstWords: (node: NodeId) => readonly PeerMessage[];
  /** What goes with `messages` to a node, in the same frame. */
  readonly besides: (node: NodeId, messages: readonly PeerMessage[]) => readonly PeerMessage[];
  /**
   * `reply` answers on the very link the message came by, or not at all: an answer to a former
   * life of `from` must not count in its next one.
   */
  readonly receive: (from: NodeId, message: PeerMessage, reply: Reply) => void;
  readonly linksChanged: () => void;
  /** There is no link to `node` any more: what was asked of it there nobody will answer. */
  readonly lost: (node: NodeId) => void;
  /** Whether `node` was removed so long ago that it may not come back (RULES C8). */
  readonly isRetired: (node: NodeId) => boolean;
  /** `by`, whose word counts, says that this node was: 4410. */
  readonly retired: (by: NodeId) => void;
};

export type Reply = (message: PeerMessage) => void;

/** One address to be kept connected: a seed, or where a member says it is. */
type Route = {
  readonly address: string;
  node: NodeId | undefined;
  attempts: number;
  state: 'idle' | 'dialling' | 'linked' | 'own';
  timer: Timer | undefined;
};

export class Peers {
  readonly #parts: PeersParts;
  readonly #links = new Map<NodeId, PeerLink>();
  readonly #routes = new Map<string, Route>();
  readonly #connections = new Set<Connection>();
  #closed = false;
  #dropped = 0;

  constructor(parts: PeersParts) {
    this.#parts = parts;
  }

  /** Messages lost because a link was absent or full. */
  get dropped(): number {
    return this.#dropped;
  }

  get linked(): readonly NodeId[] {
    return [...this.#links.keys()];
  }

  /** Keeps a connection to whoever lives at `address`; `node` if that is known already. */
  keepConnected(address: string, node?: NodeId): void {
    const known = this.#routes.get(address);
    if (known !== undefined) {
      if (node !== undefined) known.node = node;
      return;
    }
    if (node !== undefined) this.#forgetOldRoutes(node, address);
    const route: Route = { address, node, attempts: 0, state: 'idle', timer: undefined };
    this.#routes.set(address, route);
    // The larger id of a pair waits a little, so that usually only one connection is made.
    const polite = node !== undefined && node < this.#parts.self;
    this.#dialLater(route, polite ? this.#parts.config.redialMaxMs / 2 : 0);
  }

  /** Nobody dials `node` any more; a link there may be stays until it breaks. */
  forget(node: NodeId): void {
    for (const route of this.#routes.values()) {
      if (route.node !== node) continue;
      this.#clearTimer(route);
      this.#routes.delete(route.address);
    }
  }

  /** The same to every linked node. */
  broadcast(message: PeerMessage): void {
    for (const node of this.#links.keys()) this.send(node, message);
  }

  /** A connection that another node dialled. */
  accept(connection: Connection): ConnectionEvents {
    return this.#eventsOf(connection, undefined);
  }

  /** Queues `message` for the frame that leaves at the end of this turn; drops it without a link. */
  send(to: NodeId, message: PeerMessage): void {
    const link = this.#links.get(to);
    if (link === undefined) {
      this.#dropped += 1;
      return;
    }
    const isFirst = link.outbox.length === 0;
    if (REPEATING.has(message.type)) link.repeat(this.#parts.firstWords(to), message);
    link.say(message, this.#parts.clock.monotonicMs());
    if (isFirst) this.#parts.clock.endOfTurn(() => this.#flush(link));
  }

  /** What is known of each of `nodes`, for the failure detector. */
  signsOf(nodes: readonly NodeId[]): readonly PeerSigns[] {
    const nowMs = this.#parts.clock.monotonicMs();
    return nodes.map((node) => this.#links.get(node)?.signs(nowMs) ?? unlinked(node));
  }

  close(): void {
    this.#closed = true;
    for (const route of this.#routes.values()) this.#clearTimer(route);
    for (const link of this.#links.values()) this.#flush(link);
    for (const connection of this.#connections) connection.close(1001, 'going away');
    this.#links.clear();
  }

  #flush(link: PeerLink): void {
    const besides = this.#parts.besides(link.node, link.outbox);
    if (besides.length > 0) link.outbox.unshift(...besides);
    this.#dropped += link.flush(this.#parts.config.peerBufferBytesMax);
  }

  #dialLater(route: Route, pauseMs: number): void {
    this.#clearTimer(route);
    route.timer = this.#parts.clock.setTimeout(() => this.#dial(route), pauseMs);
  }

  #dial(route: Route): void {
    route.timer = undefined;
    if (this.#closed || route.state !== 'idle') return;
    if (route.node !== undefined && this.#links.has(route.node)) {
      this.#redial(route);
      return;
    }
    route.state = 'dialling';
    // No event comes before dial has returned, so the handlers are there by then.
    const connection: Connection = this.#parts.links.dial(route.address, 'peer', {
      opened: () => handlers.opened(),
      received: (frame) => handlers.received(frame),
      closed: (code, reason) => handlers.closed(code, reason),
    });
    const handlers = this.#eventsOf(connection, route);
  }

  /** Looks at the route again after a growing, jittered pause. */
  #redial(route: Route): void {
    if (this.#closed || route.state === 'own') return;
    // A forgotten one's connection broke only now.
    if (this.#routes.get(route.address) !== route) return;
    const { redialMinMs, redialMaxMs } = this.#parts.config;
    const ceiling = Math.min(redialMaxMs, redialMinMs * 2 ** Math.min(route.attempts++, 10));
    route.state = 'idle';
    this.#dialLater(route, ceiling * (0.5 + this.#parts.random.fraction() / 2));
  }

  #eventsOf(connection: Connection, route: Route | undefined): ConnectionEvents {
    const { clock, config, trace, trust, digest, random } = this.#parts;
    let link: PeerLink | undefined;
    let reply: Reply = () => undefined;
    const greeting = new Greeting({
      role: route === undefined ? 'acceptor' : 'dialler',
      own: this.#parts.hello(),
      secrets: trust.secrets(),
      digest,
      random,
    });
    const replyOn = (via: PeerLink) => (message: PeerMessage) => {
      if (this.#links.get(via.node) === via) this.send(via.node, message);
    };
    this.#connections.add(connection);
    const silent = clock.setTimeout(
      () => connection.close(PEER_CLOSE.silent, 'no hello'),
      config.helloTimeoutMs,
    );
    return {
      opened: () => say(connection, greeting.opening),
      received: (frame) => {
        // No hello is as long: it is not even read.
        if (link === undefined && frame.length > GREETING_BYTES_MAX) {
          connection.close(PEER_CLOSE.malformed, 'hello expected first');
          return;
        }
        let messages: readonly PeerMessage[];
        try {
          messages = decodePeerFrame(frame);
        } catch (error) {
          trace.log('warn', 'peer.malformed', { remote: connection.remote, error: String(error) });
          connection.close(PEER_CLOSE.malformed, 'malformed frame');
          return;
        }
        const nowMs = clock.monotonicMs();
        for (const message of messages) {
          if (link !== undefined) {
            const how = link.heard(message, nowMs);
            if (how === 'hand-on') this.#handOn(link, message, reply);
            continue;
          }
          const step = greeting.take(message);
          if (step.type === 'say') {
            say(connection, step.message);
          } else if (step.type === 'met') {
            clock.clearTimeout(silent);
            link = this.#meet(connection, route, step.hello, step.say);
            if (link !== undefined) reply = replyOn(link);
          } else if (step.type === 'unproved') {
            return this.#turnAway(connection, step.reason);
          } else {
            connection.close(PEER_CLOSE.malformed, 'hello expected first');
            return;
          }
        }
      },
      closed: (code, reason) => {
        clock.clearTimeout(silent);
        this.#connections.delete(connection);
        if (link !== undefined && this.#links.get(link.node) === link) {
          this.#links.delete(link.node);
          trace.log('info', 'peer.unlinked', { node: link.node, code, reason });
          if (!this.#closed) this.#unlinked(link.node);
        }
        // A stranger's word would be anybody's: only of one that was met.
        if (code === PEER_CLOSE.retired && link !== undefined) this.#parts.retired(link.node);
        if (route !== undefined) this.#redial(route);
      },
    };
  }

  /** A message whose fields make no sense costs its sender the link, never this node its life. */
  #handOn({ node, connection }: PeerLink, message: PeerMessage, reply: Reply): void {
    try {
      this.#parts.receive(node, message, reply);
    } catch (error) {
      const facts = { node, type: message.type, error: String(error) };
      this.#parts.trace.log('error', 'peer.message.failed', facts);
      connection.close(PEER_CLOSE.malformed, 'a message that cannot be handled');
    }
  }

  #turnAway(connection: Connection, reason: string): undefined {
    this.#parts.trace.log('warn', 'peer.unproved', { remote: connection.remote, reason });
    connection.close(PEER_CLOSE.unproved, UNPROVED);
  }

  /** The other side is who it says: a link, a duplicate, a stranger or ourselves. */
  #meet(
    connection: Connection,
    route: Route | undefined,
    hello: Hello,
    welcome: PeerMessage | undefined,
  ): PeerLink | undefined {
    const { self, clock, trace, trust } = this.#parts;
    const own = this.#parts.hello();
    if (trust.certificates === 'required' && connection.names?.includes(hello.node) !== true) {
      return this.#turnAway(connection, `no certificate we trust names it ${hello.node}`);
    }
    if (hello.node === self) {
      // Either we dialled ourselves, or somebody else goes by our name.
      if (route !== undefined && hello.start === own.start) route.state = 'own';
      const mine = hello.start === own.start;
      if (!mine) trace.log('error', 'peer.duplicate', { remote: connection.remote });
      if (mine) connection.close(PEER_CLOSE.duplicate, 'myself');
      else connection.close(PEER_CLOSE.wrongCluster, 'duplicate node id');
      return undefined;
    }
    const strangers = hello.cluster !== own.cluster && hello.cluster !== '' && own.cluster !== '';
    if (strangers || hello.protocol !== PEER_PROTOCOL) {
      trace.log('warn', 'peer.refused', { node: hello.node, cluster: hello.cluster });
      connection.close(
        PEER_CLOSE.wrongCluster,
        `cluster ${own.cluster}, protocol ${PEER_PROTOCOL}`,
      );
      return undefined;
    }
    if (welcome !== undefined) say(connection, welcome);
    if (route !== undefined) this.#learn(route, hello.node);
    if (this.#parts.isRetired(hello.node)) {
      trace.log('warn', 'peer.retired', { node: hello.node });
      connection.close(PEER_CLOSE.retired, 'removed too long ago to come back');
      return undefined;
    }
    const dialledBy = route === undefined ? hello.node : self;
    // A link to a former life is dead, though nobody may have told us: its machine lost power.
    const held = this.#links.get(hello.node);
    if (held !== undefined && held.start !== hello.start) this.#cutOff(held);
    const earlier = this.#links.get(hello.node);
    if (earlier !== undefined && earlier.dialledBy !== dialledBy && earlier.dialledBy < dialledBy) {
      connection.close(PEER_CLOSE.duplicate, 'already linked');
      return undefined;
    }
    this.#parts.met(hello.node);
    for (const word of this.#parts.firstWords(hello.node)) say(connection, word);
    const { node, start } = hello;
    const link = new PeerLink({ node, start, connection, dialledBy, earlier }, clock.monotonicMs());
    this.#links.set(hello.node, link);
    this.#flush(link);
    earlier?.connection.close(PEER_CLOSE.duplicate, 'linked anew');
    if (earlier === undefined) {
      trace.log('info', 'peer.linked', { node: hello.node });
      this.#parts.linksChanged();
    }
    return link;
  }

  #cutOff(link: PeerLink): void {
    const { node, connection } = link;
    link.cutOff();
    this.#links.delete(node);
    this.#parts.trace.log('info', 'peer.unlinked', { node, reason: 'it started anew' });
    connection.close(PEER_CLOSE.duplicate, 'a former life');
    this.#unlinked(node);
  }

  #unlinked(node: NodeId): void {
    this.#parts.linksChanged();
    this.#parts.lost(node);
  }

  #learn(route: Route, node: NodeId): void {
    route.node = node;
    route.state = 'linked';
    route.attempts = 0;
  }

  /** A member moved: its former address is not dialled any more. */
  #forgetOldRoutes(node: NodeId, address: string): void {
    for (const route of this.#routes.values()) {
      if (route.node !== node || route.address === address) continue;
      this.#clearTimer(route);
      this.#routes.delete(route.address);
    }
  }

  #clearTimer(route: Route): void {
    if (route.timer !== undefined) this.#parts.clock.clearTimeout(route.timer);
    route.timer = undefined;
  }
}

/** What first words go with. Pongs, too: who is only asked, as a leaver is, answers no ping of ours. */
const REPEATING: ReadonlySet<PeerMessage['type']> = new Set(['ping', 'pong']);
