/**
 * The parts of one node, wired: who stores, who answers, who coordinates, who repairs. What they
 * tell each other by way of the node itself comes in as `OrganHooks`.
 *
 *   clients ─▶ ClientPort ─▶ Router ─▶ Nursery (coordinators) ─▶ CoordinatorPorts ─▶ Peers ─▶ others
 *                                                                      └──▶ Replica ◀──┘
 */
import type { StartId } from '../core/ids.ts';
import type { NodeId } from '../core/ids.ts';
import type { Announcement } from '../core/members.ts';
import type { Random } from '../ports/random.ts';
import type { PeerMessage } from '../wire/peer-messages.ts';
import { AdmissionDesk } from './admission-desk.ts';
import { ClusterMap } from './membership/cluster-map.ts';
import { Completeness } from './store/completeness.ts';
import { ExchangeDesk } from './healing/exchange-desk.ts';
import { HandoffDesk } from './healing/handoff-desk.ts';
import type { NodeParts } from './node-parts.ts';
import type { Nonsense } from './operators/meters.ts';
import { CoordinatorPorts } from './requests/coordinator-ports.ts';
import { Nursery } from './requests/nursery.ts';
import { TRUSTING } from './peers/peer-greeting.ts';
import { PeerClocks } from './peers/peer-clocks.ts';
import { PEER_PROTOCOL, Peers } from './peers/peers.ts';
import type { Reply } from './peers/peers.ts';
import { ReadRepairs } from './requests/read-repairs.ts';
import { ReapDesk } from './healing/reap-desk.ts';
import { ReapWatch } from './healing/reap-watch.ts';
import { RecordStore } from './store/record-store.ts';
import { Replica } from './store/replica.ts';
import type { RingView } from './membership/ring-view.ts';
import { Returns } from './membership/returns.ts';
import { Rounds } from './healing/rounds.ts';
import { Router } from './requests/router.ts';
import { Scans } from './requests/scans.ts';
import type { Tell } from './mail.ts';
import { ScrubDesk } from './healing/scrub-desk.ts';
import { TransferDesk } from './membership/transfer-desk.ts';
import type { TreeParts } from './healing/tree-answers.ts';
import { Witness } from './store/witness.ts';

export type Organs = {
  readonly map: ClusterMap;
  readonly ring: RingView;
  readonly witness: Witness;
  readonly store: RecordStore;
  readonly completeness: Completeness;
  readonly replica: Replica;
  readonly nursery: Nursery;
  readonly admission: AdmissionDesk;
  readonly peers: Peers;
  readonly clocks: PeerClocks;
  readonly returns: Returns;
  readonly router: Router;
  readonly coordinators: CoordinatorPorts;
  readonly readRepairs: ReadRepairs;
  readonly scans: Scans;
  readonly handoff: HandoffDesk;
  readonly trees: TreeParts;
  readonly exchanges: ExchangeDesk;
  readonly transfers: TransferDesk;
  readonly scrub: ScrubDesk;
  readonly rounds: Rounds;
  readonly reaping: ReapDesk;
};

export type OrganHooks = {
  /** Hands an event to a long-lived actor. */
  readonly tell: Tell;
  readonly ringChanged: () => void;
  /** Where this node is, after a life that its directory knows nothing of. */
  readonly outlived: (announcement: Announcement) => void;
  readonly gossipRegisters: () => void;
  readonly receive: (from: NodeId, message: PeerMessage, reply: Reply) => void;
  /** A member says that this node was removed too long ago to come back. */
  readonly retired: (by: NodeId) => void;
  /** A peer said what cannot be; it is passed over. */
  readonly ignored: (what: Nonsense) => void;
  readonly failed: (reason: string) => void;
};

/** Of one life of a node's process. */
export type Life = { readonly start: StartId; readonly incarnation: number };

export const composeOrgans = (parts: NodeParts, life: Life, hooks: OrganHooks): Organs => {
  const { self, config, clock, random, digest, storage, trace, links } = parts;
  const { tell } = hooks;
  const { start, incarnation } = life;
  const map = new ClusterMap({
    self,
    start,
    storage,
    digest,
    clock,
    trace,
    founding: parts.founding,
    announcement: { node: self, incarnation, address: parts.advertise },
    outlived: hooks.outlived,
    ignored: hooks.ignored,
    changed: hooks.ringChanged,
    broadcast: (message) => peers.broadcast(message),
    failed: (reason) => hooks.failed(`commit failed: ${reason}`),
  });
  const { ring } = map;
  const number = firstNumber(random);
  const { coordinatorsMax } = config;
  const { watch, actorHost } = parts;
  const nursery = new Nursery(clock, trace, coordinatorsMax, number, watch, actorHost);
  const inFlight = () => nursery.alive;
  const admission = new AdmissionDesk({ clock, limits: config.admission, inFlight });
  const nextRequest = () => nursery.upcoming;
  const rounds = new Rounds({ storage, clock, nextRequest, failed: hooks.failed });
  const reapWatch = new ReapWatch({
    ...{ self, clock, ring, store: () => store, limits: config.reap },
    restMs: config.replica.retryHorizonMs + config.replica.writtenAtAheadMs,
  });
  const witness = new Witness({
    ...{ start, storage, trace },
    behind: () => completeness.forgetAll(),
    wantsCommit: () => store.wantCommit(),
  });
  const store: RecordStore = new RecordStore({
    witness,
    storage,
    digest,
    trace,
    ring,
    limits: config.replica,
    changed: (key, place) => reapWatch.changed(key, place),
    tellBuffer: (type) => tell('writeBuffer', { type }),
  });
  const completeness: Completeness = new Completeness({
    self,
    storage,
    trace,
    ring,
    store,
    defaultW: config.defaultW,
    movesArePaused: () => transfers.paused,
    filled: (partitions) => map.stepIn(partitions),
    lost: () => tell('antiEntropy', { type: 'exchange.wanted' }),
  });
  const replica = new Replica({
    self,
    start,
    store,
    completeness,
    rounds,
    clock,
    digest,
    trace,
    ring,
    contextSecret: () => map.contextSecret(),
    limits: config.replica,
  });
  const peers: Peers = new Peers({
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
      cluster: map.cluster,
      node: self,
      start,
    }),
    met: (node) => witness.met(node),
    firstWords: (node) => [rounds.firstWord, ...witness.greetingOf(node)],
    besides: (node, messages) => witness.besides(node, messages),
    receive: hooks.receive,
    linksChanged: () => tell('failureDetector', { type: 'links.changed' }),
    lost: (node) => nursery.deliverToAll({ type: 'replica.lost', node }),
    isRetired: (node) => map.isRetired(node),
    retired: hooks.retired,
  });
  const send = (to: NodeId, message: PeerMessage): void =>
    peers.send(to, parts.watch?.stamped(message) ?? message);
  const { prefixDefaults = [] } = parts;
  const readRepairs = new ReadRepairs(clock, config);
  const coordinators = new CoordinatorPorts({
    ...{ self, replica, store, nursery, rounds, readRepairs, send },
    madeDurable: (key) => {
      for (const owner of ring.ownersOf(key)) {
        if (owner === self) continue;
        for (const word of witness.progressFor(owner)) peers.send(owner, word);
      }
    },
  });
  const requests = { self, clock, config, ring, nursery };
  const router = new Router({
    ...{ ...requests, replica, ports: coordinators, admission, prefixDefaults },
    busyMs: parts.busyMs,
  });
  const scans = new Scans({ ...requests, store, completeness, send });
  const common = { self, replica, store, ring, config, admission, rounds, send };
  const handoff = new HandoffDesk(
    { ...common, tell: (event) => tell('handoff', event) },
    firstNumber(random),
  );
  const answerBytesMax = config.hintBatchBytesMax;
  const trees: TreeParts = {
    ...{ self, digest, ring, store, replica, completeness, rounds, admission, answerBytesMax },
  };
  const exchanges = new ExchangeDesk(
    {
      ...trees,
      clock,
      random,
      config,
      movesArePaused: () => transfers.paused,
      suspect: (partition, leaves) => scrub.suspect(partition, leaves),
      send,
      tell: (event) => tell('antiEntropy', event),
      tellExchange: (event) => tell('exchange', event),
    },
    // Both it and the handoff number batches: an answer to the one must never fit the other.
    firstNumber(random) + 2 ** 31,
  );
  const transfers: TransferDesk = new TransferDesk(
    { ...common, gossip: hooks.gossipRegisters, tell: (event) => tell('transfer', event) },
    firstNumber(random),
  );
  const scrub: ScrubDesk = new ScrubDesk({
    ...{ clock, random, trace, config, admission, ring, store, replica, completeness },
    tell: (event) => tell('scrub', event),
  });
  const reaping = new ReapDesk(
    {
      ...{ ...common, clock, trace, watch: reapWatch, map },
      tell: (event) => tell('reap', event),
    },
    firstNumber(random),
  );
  return {
    ...{ map, ring, witness, store, completeness, replica, nursery, admission, rounds },
    ...{ peers, router, coordinators, readRepairs, scans, handoff, trees, exchanges },
    ...{ transfers, scrub, reaping },
    clocks: new PeerClocks(clock),
    returns: new Returns({ self, clock, storage, map, config, failed: hooks.failed }),
  };
};

/**
 * Request and batch numbers start anywhere: an answer to a former life then finds nobody. Not beyond
 * what the engine keeps without an object, and a message in five bytes: each request looks its own up.
 */
const firstNumber = (random: Random): number => random.integer(2 ** 30);
