/**
 * One node, composed: it is handed its ports and wires replica, router, nursery, peers and the
 * supervised actors together. The same composition runs on real parts and in the simulator.
 *
 *   clients ─▶ ClientPort ─▶ Router ─▶ Nursery (coordinators) ─▶ Peers ─▶ other nodes
 *                              └─────────────▶ Replica ◀─────────┘
 *   supervisor: membership · failure detector · write buffer · handoff · anti-entropy · admission
 */
import { createActor } from 'xstate';
import type { ActorRefFrom, AnyActorRef } from 'xstate';
import { nodeMachine } from '../../actors/node.ts';
import type { Book } from '../core/gossip.ts';
import { withBook } from '../core/gossip.ts';
import { hexOf, partitionId, startId } from '../core/ids.ts';
import type { Key, NodeId } from '../core/ids.ts';
import type { RecordOfKey } from '../core/record.ts';
import type { Random } from '../ports/random.ts';
import type { ClientHandler } from '../wire/client-messages.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import { AdmissionDesk } from './admission-desk.ts';
import { foundingBook, loadBook, loadIdentity, saveBook, saveIdentity } from './book-store.ts';
import { creationText, foldedRing } from './folded.ts';
import { clientHandler } from './client-handler.ts';
import { ClientPort } from './client-port.ts';
import { Completeness } from './completeness.ts';
import { ExchangeDesk } from './exchange-desk.ts';
import { HandoffDesk } from './handoff-desk.ts';
import type { NodeParts } from './node-parts.ts';
import type { Mail } from './mail.ts';
import { Nursery, xstateClock } from './nursery.ts';
import { TRUSTING } from './peer-greeting.ts';
import { PEER_PROTOCOL, Peers } from './peers.ts';
import type { Reply } from './peers.ts';
import { RecordStore } from './record-store.ts';
import { Replica } from './replica.ts';
import { RingView } from './ring-view.ts';
import { Router } from './router.ts';
import { statusOf } from './status.ts';
import type { NodeState, Status } from './status.ts';
import { answerTreeQuestion } from './tree-answers.ts';
import type { TreeParts } from './tree-answers.ts';

export class Node {
  readonly handler: ClientHandler;
  readonly #parts: NodeParts;
  readonly #ring: RingView;
  readonly #nursery: Nursery;
  readonly #admission: AdmissionDesk;
  readonly #store: RecordStore;
  readonly #replica: Replica;
  readonly #router: Router;
  readonly #peers: Peers;
  readonly #handoff: HandoffDesk;
  readonly #completeness: Completeness;
  readonly #trees: TreeParts;
  readonly #exchanges: ExchangeDesk;
  readonly #clientPort: ClientPort;
  readonly #supervisor: ActorRefFrom<typeof nodeMachine>;
  readonly #incarnation: number;
  #book: Book;
  #cluster: string;
  #state: NodeState = 'joining';
  #onStopped: (() => void) | undefined;

  /** Throws Error if the storage belongs to another node id. */
  constructor(parts: NodeParts) {
    this.#parts = parts;
    const { self, config, clock, random, digest, storage, trace, links } = parts;
    const earlier = loadIdentity(storage);
    if (earlier !== undefined && earlier.id !== self) {
      throw new Error(`this data directory belongs to node ${earlier.id}, not to ${self}`);
    }
    this.#incarnation = (earlier?.incarnation ?? 0) + 1;
    const start = startId(hexOf(random.bytes(8)));
    this.#book = this.#firstBook();
    this.#cluster = this.#clusterId(this.#book);
    this.#ring = new RingView(self, digest, foldedRing(this.#book));
    this.#nursery = new Nursery(
      clock,
      trace,
      config.coordinatorsMax,
      firstNumber(random),
      parts.watch,
    );
    const inFlight = () => this.#nursery.alive;
    this.#admission = new AdmissionDesk({ clock, limits: config.admission, inFlight });
    this.#store = new RecordStore({
      storage,
      digest,
      trace,
      ring: this.#ring,
      limits: config.replica,
      tellBuffer: (type) => this.#tell('writeBuffer', { type }),
    });
    this.#completeness = new Completeness({
      self,
      storage,
      trace,
      ring: this.#ring,
      store: this.#store,
      defaultW: config.defaultW,
    });
    this.#replica = new Replica({
      self,
      start,
      store: this.#store,
      completeness: this.#completeness,
      clock,
      digest,
      trace,
      ring: this.#ring,
      contextSecret: () => digest.keyed(utf8('coterie context'), utf8(creationText(this.#book))),
      limits: config.replica,
    });
    this.#peers = new Peers({
      self,
      links,
      clock,
      random,
      trace,
      digest,
      config,
      trust: parts.peerTrust ?? TRUSTING,
      hello: () => ({
        type: 'hello',
        protocol: PEER_PROTOCOL,
        cluster: this.#cluster,
        node: self,
        start,
      }),
      receive: (from, message, reply) => this.#hear(from, message, reply),
      linksChanged: () => this.#tell('failureDetector', { type: 'links.changed' }),
    });
    const send = (to: NodeId, message: PeerMessage) =>
      this.#peers.send(to, parts.watch?.stamped(message) ?? message);
    this.#router = new Router({
      self,
      config,
      ring: this.#ring,
      replica: this.#replica,
      store: this.#store,
      nursery: this.#nursery,
      admission: this.#admission,
      send,
    });
    this.#handoff = new HandoffDesk(
      {
        replica: this.#replica,
        store: this.#store,
        ring: this.#ring,
        config,
        admission: this.#admission,
        send,
        tell: (event) => this.#tell('handoff', event),
      },
      firstNumber(random),
    );
    this.#trees = {
      self,
      digest,
      ring: this.#ring,
      store: this.#store,
      replica: this.#replica,
      completeness: this.#completeness,
      answerBytesMax: config.hintBatchBytesMax,
    };
    this.#exchanges = new ExchangeDesk(
      {
        ...this.#trees,
        clock,
        random,
        config,
        admission: this.#admission,
        send,
        tell: (event) => this.#tell('antiEntropy', event),
        tellExchange: (event) => this.#tell('exchange', event),
      },
      firstNumber(random),
    );
    this.handler = clientHandler({
      self,
      cluster: () => this.#cluster,
      state: () => this.#state,
      router: this.#router,
      replica: this.#replica,
      status: () => this.status(),
      addresses: () => this.#book.announcements.map(({ address }) => address),
      config,
    });
    const { admit } = parts;
    this.#clientPort = new ClientPort({ clock, config, handler: this.handler, trace, admit });
    this.#supervisor = this.#createSupervisor();
    parts.watch?.supervises(this.#supervisor);
  }

  get state(): NodeState {
    return this.#state;
  }

  /** Persists who this node is, then listens, greets its peers and serves as soon as it may. */
  start(): void {
    const { self, storage, links, seeds, advertise } = this.#parts;
    const announcement = { node: self, incarnation: this.#incarnation, address: advertise };
    this.#book = withBook(this.#book, [], [announcement]);
    saveIdentity(storage, { id: self, incarnation: this.#incarnation }, () => undefined);
    saveBook(storage, this.#book, (result) => {
      if (result.type === 'failed') return this.#fail(`commit failed: ${result.reason}`);
      this.#supervisor.start();
      links.listen((connection, purpose) =>
        purpose === 'peer' ? this.#peers.accept(connection) : this.#clientPort.accept(connection),
      );
      for (const seed of seeds) if (seed !== advertise) this.#peers.keepConnected(seed);
      this.#publishBook(this.#book);
    });
  }

  /** Refuses new requests, finishes those in flight, commits what is buffered; then `done`. */
  stop(done: () => void): void {
    this.#onStopped = done;
    this.#supervisor.send({ type: 'node.drain' });
  }

  status(): Status {
    return statusOf({
      self: this.#parts.self,
      state: this.#state,
      cluster: this.#cluster,
      ring: this.#ring,
      store: this.#store,
      completeness: this.#completeness,
      exchanges: this.#exchanges,
      admission: this.#admission.report(),
      coordinators: this.#nursery.alive,
      sessions: this.#clientPort.sessions,
      dropped: this.#peers.dropped,
      announcements: this.#book.announcements,
    });
  }

  /** Where keys live, as this node sees it. */
  get ringView(): RingView {
    return this.#ring;
  }

  /** Owners this node keeps a hint of `key` for. */
  hintTargetsOf(key: Key): readonly NodeId[] {
    return this.#store.hints
      .gauges()
      .map(({ target }) => target)
      .filter((target) => this.#store.hints.find(target, key) !== undefined);
  }

  /** Hands `message` to another node, if there is a link. */
  sendTo(to: NodeId, message: PeerMessage): void {
    this.#peers.send(to, message);
  }

  /** Who owns `key` and what this replica holds of it: for checkers and explanations. */
  ownersOf(key: Key): readonly NodeId[] {
    return this.#ring.ownersOf(key);
  }

  recordOf(key: Key): RecordOfKey | undefined {
    return this.#replica.read(key);
  }

  /** The root of each partition's Merkle tree, as kept and as the rows give it: for checkers. */
  merkleRoots(): readonly {
    readonly kept: bigint;
    readonly rebuilt: bigint;
    readonly owned: boolean;
  }[] {
    return this.#ring.ring.table.map((owners, partition) => ({
      ...this.#store.rootsOf(partitionId(partition)),
      owned: owners.includes(this.#parts.self),
    }));
  }

  #createSupervisor(): ActorRefFrom<typeof nodeMachine> {
    const { clock, config, trace } = this.#parts;
    const supervisor = createActor(nodeMachine, {
      clock: xstateClock(clock),
      input: {
        ports: {
          serve: () => {
            this.#state = 'serving';
            trace.log('info', 'node.serving', { cluster: this.#cluster });
          },
          drain: () => this.#drain(),
          stopped: () => this.#finish(),
          failed: (actor) => this.#fail(`the actor ${actor} crashed too often`),
          crashed: (actor, error) =>
            trace.log('error', 'actor.crashed', { actor, error: String(error) }),
        },
        membership: this.#membershipInput(),
        failureDetector: {
          tickMs: config.detectorTickMs,
          limits: config.suspicion,
          ports: {
            signs: () => this.#peers.signsOf(this.#otherMembers()),
            monotonicMs: () => clock.monotonicMs(),
            ping: (node) => this.#peers.send(node, { type: 'ping' }),
            publish: (table) => this.#ring.replaceHealth(table),
            recovered: (node) => {
              trace.log('info', 'peer.recovered', { node });
              this.#tell('handoff', { type: 'peer.recovered' });
              this.#exchanges.want([node]);
            },
          },
        },
        writeBuffer: {
          flushIntervalMs: config.flushIntervalMs,
          groupCommitMs: config.groupCommitMs,
          ports: {
            buffered: () => this.#store.buffered,
            commit: () => this.#commit(),
            committed: () => this.#store.releaseDurable(),
            failStop: (reason) => this.#fail(`commit failed: ${reason}`),
          },
        },
        handoff: {
          ports: this.#handoff,
          scanIntervalMs: config.hintScanIntervalMs,
          deliveryTimeoutMs: config.hintDeliveryTimeoutMs,
        },
        antiEntropy: {
          ports: this.#exchanges,
          exchange: {
            ports: this.#exchanges,
            answerTimeoutMs: config.exchangeAnswerTimeoutMs,
            repairTimeoutMs: config.exchangeRepairTimeoutMs,
          },
        },
        admission: this.#admission.actorInput(config.admissionTickMs),
        restartBackoffMs: config.restartBackoffMs,
        restartsMax: config.restartsMax,
        drainTimeoutMs: config.drainTimeoutMs,
      },
    });
    supervisor.subscribe({
      error: (error) => this.#fail(`the supervisor crashed: ${String(error)}`),
    });
    return supervisor;
  }

  #membershipInput() {
    const { config, storage, random } = this.#parts;
    return {
      gossipIntervalMs: config.gossipIntervalMs,
      load: () => this.#book,
      ports: {
        randomPeer: (): NodeId | undefined => {
          const { linked } = this.#peers;
          return linked.length === 0 ? undefined : linked[random.integer(linked.length)];
        },
        send: (to: NodeId, message: PeerMessage) => this.#peers.send(to, message),
        persist: (book: Book) =>
          saveBook(storage, book, (result) => {
            if (result.type === 'failed') this.#fail(`commit failed: ${result.reason}`);
            else this.#tell('membership', { type: 'book.persisted', book });
          }),
        publish: (book: Book) => this.#publishBook(book),
      },
    };
  }

  /** A message of a recorded request is followed by whoever inspects. */
  #hear(from: NodeId, message: PeerMessage, reply: Reply): void {
    const { watch } = this.#parts;
    if (watch === undefined || !('cause' in message)) this.#receive(from, message, reply);
    else {
      watch.follow(from, message, reply, (followed) => this.#receive(from, message, followed));
    }
  }

  #receive(from: NodeId, message: PeerMessage, reply: Reply): void {
    switch (message.type) {
      case 'write':
      case 'sync':
      case 'read':
        if (this.#state !== 'joining') this.#replica.receive(message, reply);
        return;
      case 'written':
      case 'answer':
      case 'refused':
        this.#router.replicaReplied(from, message);
        return;
      case 'forward': {
        const { request, put } = message;
        this.#router.put(put, 'node', (result) =>
          reply({ type: 'forwarded', request, reply: result }),
        );
        return;
      }
      case 'forwarded':
        this.#router.forwardReplied(from, message.request, message.reply);
        return;
      case 'gossip.digest':
      case 'gossip.known':
      case 'gossip.events':
        this.#tell('membership', { type: 'gossip.heard', from, message });
        return;
      case 'deliver':
        this.#replica.takeDelivery(message, () =>
          reply({ type: 'delivered', batch: message.batch }),
        );
        return;
      case 'delivered':
        this.#handoff.delivered(from, message.batch);
        this.#exchanges.delivered(from, message.batch);
        return;
      case 'roots.ask':
      case 'branches.ask':
      case 'leaves.ask':
      case 'records.ask':
      case 'fetch':
        if (this.#state !== 'joining') answerTreeQuestion(this.#trees, from, message, reply);
        return;
      case 'roots':
      case 'hashes':
      case 'records':
      case 'fetched':
        this.#exchanges.answered(from, message);
        return;
      case 'ping':
        reply({ type: 'pong' });
        return;
      case 'inspect.ask':
      case 'inspect.tell':
        this.#parts.watch?.receive(from, message);
        return;
      case 'pong':
      case 'hello':
      case 'proof':
        return;
    }
  }

  #commit(): void {
    this.#store.commit((failure) =>
      this.#tell(
        'writeBuffer',
        failure === undefined
          ? { type: 'commit.done' }
          : { type: 'commit.failed', reason: failure },
      ),
    );
  }

  /** What membership has persisted comes into force: addresses, ring, and the right to serve. */
  #publishBook(book: Book): void {
    const { self } = this.#parts;
    this.#book = book;
    this.#cluster = this.#clusterId(book);
    this.#ring.replaceRing(foldedRing(book));
    this.#completeness.ringChanged();
    const members = new Set(this.#ring.ring.members.map(({ id }) => id));
    for (const { node, address } of book.announcements) {
      if (node !== self && members.has(node)) this.#peers.keepConnected(address, node);
    }
    if (members.has(self)) this.#supervisor.send({ type: 'ring.known' });
  }

  #drain(): void {
    this.#state = 'draining';
    this.#clientPort.announceGoingAway();
    this.#nursery.whenEmpty(() =>
      this.#store.whenAllDurable(() => this.#supervisor.send({ type: 'node.drained' })),
    );
  }

  #finish(): void {
    this.#state = 'stopped';
    this.#nursery.stop();
    this.#peers.close();
    const { clock, links, storage } = this.#parts;
    // Not from within its own transition: the supervisor has just reached its last state.
    clock.endOfTurn(() => {
      this.#supervisor.stop();
      // Also after a drain that ran out of time: what was acknowledged from memory reaches the disk.
      if (this.#store.buffered > 0) this.#store.commit(() => undefined);
      links.close(() => storage.close(() => this.#onStopped?.()));
    });
  }

  #fail(reason: string): void {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#parts.trace.log('error', 'node.failed', { reason });
    // No more acks: nothing this node says from here on could be kept.
    this.#nursery.stop();
    this.#peers.close();
    this.#parts.links.close(() => undefined);
    this.#parts.failed(reason);
  }

  #tell<A extends keyof Mail>(actor: A, event: Mail[A]): void {
    // Mail to an actor that is backing off is lost: every protocol survives that.
    const ref = this.#supervisor.system.get(actor) as AnyActorRef | undefined;
    ref?.send(event);
  }

  #otherMembers(): readonly NodeId[] {
    const { self } = this.#parts;
    return this.#ring.ring.members.map(({ id }) => id).filter((id) => id !== self);
  }

  #firstBook(): Book {
    const { storage, founding } = this.#parts;
    const book = loadBook(storage);
    return book.history.length > 0 || founding === undefined ? book : foundingBook(founding);
  }

  #clusterId(book: Book): string {
    if (book.history.length === 0) return '';
    return hexOf(this.#parts.digest.md5(utf8(creationText(book)))).slice(0, 16);
  }
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Request and batch numbers start anywhere: an answer to a former life then finds nobody. */
const firstNumber = (random: Random): number => random.integer(2 ** 20) * 2 ** 32;
