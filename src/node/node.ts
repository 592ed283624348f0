/**
 * One node: its parts composed, its actors supervised, its life from start to stop. It is handed its
 * ports, so the same node runs on real parts and in the simulator.
 *
 *   organs.ts: what it is made of    supervision.ts: its actors    mailroom.ts: where mail goes
 *   clients/compose-clients.ts: what clients meet
 */
import type { AnyActorRef } from 'xstate';
import type { NodePorts } from '../../actors/node.ts';
import { hexOf, partitionId, startId } from '../core/ids.ts';
import type { Key, NodeId, PartitionId } from '../core/ids.ts';
import { knownOf } from '../core/members.ts';
import type { Announcement, Farewell, MembershipChange, MembershipEvent } from '../core/members.ts';
import type { RecordOfKey } from '../core/record.ts';
import type { ClientHandler } from '../wire/client-messages.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import { runAdminCommand } from './operators/admin-commands.ts';
import type { AdminCommands } from './operators/admin-commands.ts';
import { DATA_FORMAT, lastEnd, loadIdentity, saveBook, saveIdentity } from './store/book-store.ts';
import type { Identity } from './store/book-store.ts';
import type { ClientPort } from './clients/client-port.ts';
import { composeClients } from './clients/compose-clients.ts';
import { Departure } from './membership/departure.ts';
import { handHintsOver } from './healing/hand-over.ts';
import { handOn } from './mailroom.ts';
import type { MailParts } from './mailroom.ts';
import { Meters } from './operators/meters.ts';
import type { Metric } from './operators/metrics.ts';
import { composeReports } from './operators/reports.ts';
import type { Reports } from './operators/reports.ts';
import type { HintGauge } from './store/hint-store.ts';
import { nodeCommands } from './operators/node-commands.ts';
import type { NodeParts } from './node-parts.ts';
import { composeOrgans } from './organs.ts';
import type { Organs } from './organs.ts';
import type { Reply } from './peers/peers.ts';
import { ringVersionOf } from './clients/ring-answer.ts';
import type { RingView } from './membership/ring-view.ts';
import type { NodeState, Status } from './status.ts';
import { superviseOrgans } from './supervision.ts';
import type { Supervisor } from './supervision.ts';
import type { Tell } from './mail.ts';

export class Node {
  readonly handler: ClientHandler;
  readonly #parts: NodeParts;
  readonly #organs: Organs;
  readonly #clientPort: ClientPort;
  readonly #reports: Reports;
  readonly #departure: Departure;
  readonly #mail: MailParts;
  readonly #meters = new Meters();
  readonly #supervisor: Supervisor;
  #incarnation: number;
  readonly #commands: AdminCommands;
  readonly #earlier: Identity | undefined;
  #state: NodeState = 'joining';
  /** What it is again, should the history make nothing of its removal. */
  #asMember: 'joining' | 'serving' = 'joining';
  /** The ring version clients were last told. */
  #announced = 0;
  #onStopped: (() => void) | undefined;

  /** Throws Error if the storage belongs to another node id. */
  constructor(parts: NodeParts) {
    this.#parts = parts;
    const { self, random, storage } = parts;
    const earlier = loadIdentity(storage);
    this.#earlier = earlier;
    if (earlier !== undefined && earlier.id !== self) {
      throw new Error(`this data directory belongs to node ${earlier.id}, not to ${self}`);
    }
    this.#incarnation = (earlier?.incarnation ?? 0) + 1;
    const start = startId(hexOf(random.bytes(8)));
    this.#organs = composeOrgans(
      parts,
      { start, incarnation: this.#incarnation },
      {
        tell: this.#tell,
        ringChanged: () => this.#ringChanged(),
        outlived: (announcement) => this.#outlived(announcement),
        gossipRegisters: () => this.#gossipRegisters(),
        receive: (from, message, reply) => this.#hear(from, message, reply),
        retired: (by) => this.#retire(by),
        ignored: (what) => this.#meters.ignored(what),
        failed: (reason) => this.#fail(reason),
      },
    );
    const clients = composeClients(parts, this.#organs, {
      meters: this.#meters,
      state: () => this.#state,
      status: () => this.status(),
      admin: (request, reply) => runAdminCommand(this.#commands, request, reply),
    });
    this.handler = clients.handler;
    this.#clientPort = clients.port;
    this.#reports = composeReports(parts, this.#organs, {
      meters: this.#meters,
      state: () => this.#state,
      sessions: () => this.#clientPort.sessions,
    });
    this.#departure = this.#departureOf();
    this.#mail = {
      organs: this.#organs,
      tell: this.#tell,
      watch: parts.watch,
      state: () => this.#state,
      isSilent: () => this.#departure.isSilent,
      ignored: (what) => this.#meters.ignored(what),
    };
    this.#supervisor = superviseOrgans(parts, this.#organs, this.#life, {
      tell: this.#tell,
      failed: (reason) => this.#fail(reason),
    });
    this.#commands = nodeCommands(parts, this.#organs, {
      meters: this.#meters,
      supervisor: this.#supervisor,
      issue: (event) => this.#issue(event),
    });
    parts.watch?.supervises(this.#supervisor);
  }

  get state(): NodeState {
    return this.#state;
  }

  /** Persists who this node is, then listens, greets its peers and serves as soon as it may. */
  start(): void {
    const { storage, links, seeds, advertise, trace } = this.#parts;
    this.#mark('running');
    trace.log('info', 'node.started', {
      ...{ incarnation: this.#incarnation, after: lastEnd(this.#earlier) },
      hints: this.#organs.store.hints.total,
      incomplete: this.#organs.completeness.missing().length,
      fileBytes: storage.usage().fileBytes,
    });
    saveBook(storage, this.#organs.map.book, (result) => {
      if (result.type === 'failed') return this.#fail(`commit failed: ${result.reason}`);
      // Before an actor opens a row: a damaged one would be the first to vouch for this file.
      this.#organs.completeness.begin();
      this.#supervisor.start();
      if (this.#organs.completeness.isCopy) this.#tell('antiEntropy', { type: 'exchange.wanted' });
      links.listen((connection, purpose) =>
        purpose === 'peer'
          ? this.#organs.peers.accept(connection)
          : this.#clientPort.accept(connection),
      );
      for (const seed of seeds) if (seed !== advertise) this.#organs.peers.keepConnected(seed);
      this.#ringChanged();
    });
  }

  /** An operator's change, persisted and spread from here; a refusal in words if it would be void. */
  changeMembership(change: MembershipChange): string | undefined {
    const event = this.#organs.map.eventOf(change);
    if (typeof event === 'string') return event;
    this.#issue(event);
    return undefined;
  }

  #issue(event: MembershipEvent): void {
    this.#organs.map.noteIssued(event);
    this.#tell('membership', { type: 'change.issued', event });
  }

  /** Refuses new requests, finishes those in flight, commits what is buffered; then `done`. */
  stop(done: () => void): void {
    this.#onStopped = done;
    this.#supervisor.send({ type: 'node.drain' });
  }

  status(): Status {
    return this.#reports.status();
  }

  /** What this node can say of itself; asks the peers how late it is there, for the next time. */
  metrics(): readonly Metric[] {
    return this.#reports.metrics();
  }

  /** Where keys live, as this node sees it. */
  get ringView(): RingView {
    return this.#organs.ring;
  }

  /** Owners this node keeps a hint of `key` for. */
  hintTargetsOf(key: Key): readonly NodeId[] {
    return this.#organs.store.hints
      .gauges()
      .map(({ target }) => target)
      .filter((target) => this.#organs.store.hints.find(target, key) !== undefined);
  }

  /** Requests under way: for checkers. */
  get coordinators(): number {
    return this.#organs.nursery.alive;
  }

  /** How many hints this node keeps for whom, and since when. */
  hintGauges(): readonly HintGauge[] {
    return this.#organs.store.hints.gauges();
  }

  /** Hands `message` to another node, if there is a link. */
  sendTo(to: NodeId, message: PeerMessage): void {
    this.#organs.peers.send(to, message);
  }

  /** What this replica holds of `key`: for checkers and explanations. */
  recordOf(key: Key): RecordOfKey | undefined {
    return this.#organs.replica.read(key);
  }

  /** Partitions it owns and does not have whole (C7): for checkers. */
  incomplete(): readonly PartitionId[] {
    return this.#organs.completeness.missing();
  }

  /** The root of each partition's Merkle tree, as kept and as the rows give it: for checkers. */
  merkleRoots(): readonly {
    readonly kept: bigint;
    readonly rebuilt: bigint;
    readonly owned: boolean;
  }[] {
    return this.#organs.ring.ring.table.map((owners, partition) => ({
      ...this.#organs.store.rootsOf(partitionId(partition)),
      owned: owners.includes(this.#parts.self),
    }));
  }

  readonly #life: NodePorts = {
    serve: () => {
      if (this.#departure.isSilent) return;
      this.#state = this.#asMember = 'serving';
      this.#parts.trace.log('info', 'node.serving', { cluster: this.#organs.map.cluster });
    },
    drain: () => this.#drain(),
    stopped: () => this.#finish(),
    failed: (actor) => this.#fail(`the actor ${actor} crashed too often`),
    crashed: (actor, error) =>
      this.#parts.trace.log('error', 'actor.crashed', { actor, error: String(error) }),
  };

  /** A message of a recorded request is followed by whoever inspects. */
  #hear(from: NodeId, message: PeerMessage, reply: Reply): void {
    const { watch } = this.#parts;
    if (watch === undefined || !('cause' in message)) handOn(this.#mail, from, message, reply);
    else {
      const followed = (via: Reply) => handOn(this.#mail, from, message, via);
      watch.follow(from, message, reply, followed);
    }
  }

  /** Another ring is in force: who is spoken to, what is held, and the right to serve. */
  #ringChanged(): void {
    const { self } = this.#parts;
    if (this.#supervisor.getSnapshot().status !== 'active') return;
    const nodes = this.#organs.ring.nodes();
    for (const { node, address } of this.#organs.map.book.announcements) {
      if (node === self) continue;
      if (nodes.includes(node) && !this.#organs.ring.isRemoved(node)) {
        this.#organs.peers.keepConnected(address, node);
      } else this.#organs.peers.forget(node);
    }
    if (this.#organs.map.isRetired(self)) return this.#retire('the history');
    const isStopping = this.#state === 'draining' || this.#state === 'stopped';
    if (this.#organs.ring.isRemoved(self)) {
      if (!isStopping) this.#state = this.#organs.ring.hasLeft(self) ? 'left' : 'removed';
    } else {
      // Of two changes that were made on two sides of a cut the earlier one may undo the later.
      if (this.#state === 'removed') this.#state = this.#asMember;
      if (nodes.includes(self)) this.#supervisor.send({ type: 'ring.known' });
    }
    this.#organs.completeness.ringChanged();
    this.#announceRing();
    this.#organs.map.dropLeavers((partition) => this.#organs.completeness.isComplete(partition));
    this.#tell('transfer', { type: 'transfer.wanted' });
    this.#tell('antiEntropy', { type: 'exchange.wanted' });
  }

  #announceRing(): void {
    const version = ringVersionOf(this.#organs.map);
    if (version > this.#announced) this.#clientPort.announceRing(version);
    this.#announced = version;
  }

  #outlived(announcement: Announcement): void {
    const { self, trace } = this.#parts;
    trace.log('warn', 'node.outlived', announcement);
    this.#incarnation = announcement.incarnation;
    this.#mark('running');
    const known = knownOf(this.#organs.map.book.history);
    const message = { type: 'gossip.known', known, announcements: [announcement] } as const;
    this.#tell('membership', {
      ...{ type: 'gossip.heard', from: self, message: { ...message, answer: false } },
    });
  }

  #departureOf(): Departure {
    const { self } = this.#parts;
    let before = this.#state;
    return new Departure({
      ...{ self, ...this.#organs },
      fellSilent: () => {
        before = this.#state;
        if (before === 'serving') this.#clientPort.announceGoingAway();
        this.#state = 'left';
      },
      spokeAgain: () => {
        if (this.#state === 'left') this.#state = before;
      },
      left: () => this.#bidFarewell({ type: 'left', node: self }),
    });
  }

  #gossipRegisters(): void {
    const { linked } = this.#organs.peers;
    const peer = linked[this.#parts.random.integer(Math.max(1, linked.length))];
    const digest = this.#organs.map.registers.digest();
    if (peer !== undefined) this.#organs.peers.send(peer, { type: 'registers.digest', digest });
    for (const each of linked) {
      for (const word of this.#organs.witness.progressFor(each))
        this.#organs.peers.send(each, word);
    }
    this.#organs.map.dropLeavers((partition) => this.#organs.completeness.isComplete(partition));
    if (this.#state === 'draining' || this.#state === 'stopped') return;
    this.#departure.step();
    for (const node of this.#organs.returns.step()) this.#bidFarewell({ type: 'gone', node });
  }

  #bidFarewell(farewell: Farewell): void {
    const event = this.#organs.map.eventOf(farewell);
    if (typeof event === 'string') return;
    this.#parts.trace.log('info', `node.${farewell.type}`, { node: farewell.node });
    this.#issue(event);
  }

  #drain(): void {
    this.#state = 'draining';
    this.#clientPort.announceGoingAway();
    const { nursery, store, ring } = this.#organs;
    const drained = () =>
      store.whenAllDurable(() => this.#supervisor.send({ type: 'node.drained' }));
    nursery.whenEmpty(() => {
      if (this.#parts.stopping !== 'hand-over') return drained();
      const isAwaited = () => this.#state === 'draining';
      const hurry = () => this.#tell('handoff', { type: 'peer.recovered' });
      handHintsOver({ clock: this.#parts.clock, store, ring, hurry, isAwaited }, drained);
    });
  }

  #finish(): void {
    this.#state = 'stopped';
    this.#organs.nursery.stop();
    this.#organs.admission.close();
    this.#organs.peers.close();
    const { clock, links, storage } = this.#parts;
    // Not from within its own transition: the supervisor has just reached its last state.
    clock.endOfTurn(() => {
      this.#supervisor.stop();
      // Also after a drain that ran out of time: what was acknowledged from memory reaches the disk.
      if (this.#organs.store.buffered > 0) this.#organs.store.commit(() => undefined);
      this.#mark('stopped');
      links.close(() => storage.close(() => this.#onStopped?.()));
    });
  }

  /** Leaves word on disk of this life, and how it ended; one whose number is not there must not last. */
  #mark(life: NonNullable<Identity['life']>): void {
    const { self, storage } = this.#parts;
    const identity = { id: self, incarnation: this.#incarnation, format: DATA_FORMAT, life };
    saveIdentity(storage, identity, (reason) => this.#fail(reason));
  }

  /** RULES C8: what it holds may have been deleted and forgotten since, so nobody takes it. */
  #retire(by: string): void {
    const { self } = this.#parts;
    this.#fail(
      `${by} says that ${self} was removed from the cluster too long ago to come back: nothing it ` +
        `holds is taken any more`,
      'retired',
    );
  }

  #fail(reason: string, end: 'failed' | 'retired' = 'failed'): void {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#parts.trace.log('error', 'node.failed', { reason });
    // No more acks: nothing this node says from here on could be kept.
    this.#organs.nursery.stop();
    this.#organs.peers.close();
    this.#parts.links.close(() => undefined);
    this.#parts.failed(reason, end);
  }

  readonly #tell: Tell = (actor, event) => {
    const ref = this.#supervisor.system.get(actor) as AnyActorRef | undefined;
    ref?.send(event);
  };
}
