/**
 * The way of one client request: ask for room, validate, find the preference list, then let a
 * coordinator be born here or hand the put to one of the key's owners (paper §§ 4.5, 4.6, 6.4).
 * Nothing is born for a request that cannot succeed.
 *
 *   put ─▶ room? ─▶ valid? ─▶ enough reachable? ─▶ owner here ─────────▶ put coordinator
 *                                               └▶ owner elsewhere ─────▶ forward
 *   get ─▶ room? ─▶ valid? ─▶ enough reachable? ─▶ get coordinator, whoever we are
 */
import type { GetReply } from '../../../actors/get.ts';
import { getMachine } from '../../../actors/get.ts';
import { forwardMachine } from '../../../actors/forward.ts';
import { putMachine } from '../../../actors/put.ts';
import type { Key, NodeId } from '../../core/ids.ts';
import { LastSeen } from '../../core/last-seen.ts';
import { startWrite } from '../../core/quorum.ts';
import { startRead } from '../../core/read-tally.ts';
import { EMPTY_RECORD } from '../../core/record.ts';
import type { RecordOfKey } from '../../core/record.ts';
import type { Clock } from '../../ports/clock.ts';
import type { GetRequest } from '../../wire/client-messages.ts';
import type { FailedReply, PutCommand, PutReply, RequestId } from '../../wire/peer-messages.ts';
import type { AdmissionDesk } from '../admission-desk.ts';
import type { Config } from '../config.ts';
import type { RingView } from '../membership/ring-view.ts';
import type { Replica } from '../store/replica.ts';
import type { CoordinatorPorts } from './coordinator-ports.ts';
import type { Nursery } from './nursery.ts';
import { defaultsOf, resolved, withQuorums } from './prefix-defaults.ts';
import type { ClientPut, PrefixDefaults } from './prefix-defaults.ts';
import {
  crashed,
  expiryRefusal,
  overloaded,
  quorumRefusal,
  reachRefusal,
  valueRefusal,
} from './refusals.ts';
import { Throttle } from './throttle.ts';

export type GetCommand = Omit<GetRequest, 'type'>;

export type RouterParts = {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly config: Config;
  readonly ring: RingView;
  readonly replica: Replica;
  readonly nursery: Nursery;
  readonly ports: CoordinatorPorts;
  readonly admission: AdmissionDesk;
  readonly prefixDefaults: PrefixDefaults;
  readonly busyMs: (() => number) | undefined;
};

export class Router {
  readonly #parts: RouterParts;
  readonly #throttle: Throttle;
  /** Puts that other nodes handed on. */
  readonly #taken = new LastSeen<NodeId>(TAKEN_MAX);

  constructor(parts: RouterParts) {
    this.#parts = parts;
    const { clock, config, nursery, busyMs } = parts;
    const [waiting, begun] = [() => this.waiting, () => nursery.upcoming];
    this.#throttle = new Throttle({ clock, config, waiting, begun, busyMs });
  }

  put(put: ClientPut, reply: (reply: PutReply) => void): void {
    // Before all else: whoever refuses many has no time to look at each.
    const overload = this.#overload();
    if (overload !== undefined) return reply(overload);
    const { ring, prefixDefaults } = this.#parts;
    const n = ring.ownersOf(put.key).length;
    this.#route(resolved(put, defaultsOf(prefixDefaults, put.key), n), 'client', reply);
  }

  /**
   * A put that another node handed on: it was resolved there, and is not handed on again. Nor is it
   * taken twice when its message comes twice: what was refused for certain must stay refused.
   */
  forwarded(
    from: NodeId,
    request: RequestId,
    put: PutCommand,
    reply: (reply: PutReply) => void,
  ): void {
    if (this.#taken.seen(from, request)) return;
    const overload = this.#overload();
    if (overload !== undefined) reply(overload);
    else this.#route(put, 'node', reply);
  }

  /** Requests of clients that are not answered yet. */
  get waiting(): number {
    const { nursery, ports } = this.#parts;
    // Once the node has stopped nobody is left to answer.
    return nursery.alive === 0 ? 0 : ports.puts.size + ports.gets.size;
  }

  /** How many may be. */
  get room(): number {
    return this.#throttle.room;
  }

  #overload(): FailedReply | undefined {
    const { nursery } = this.#parts;
    if (nursery.isFull) return overloaded(nursery.alive);
    return this.#throttle.refusal();
  }

  /** How concurrent writes of `key` are shown to a reader that does not say. */
  readingModeOf(key: Key): PutCommand['mode'] {
    return defaultsOf(this.#parts.prefixDefaults, key).mode ?? 'causal';
  }

  #route(put: PutCommand, from: 'client' | 'node', reply: (reply: PutReply) => void): void {
    const { self, config, ring, nursery } = this.#parts;
    const owners = ring.ownersOf(put.key);
    const reachable = ring.readersOf(put.key, put.strict ? 'real-owners' : 'anyone');
    const w = put.w ?? Math.min(config.defaultW, owners.length);
    const dw = put.dw ?? (put.strict ? w : Math.min(config.defaultDw, owners.length));
    const refusal =
      valueRefusal(put, config.valueBytesMax) ??
      expiryRefusal(put) ??
      quorumRefusal({ w, dw }, owners.length, put.strict) ??
      reachRefusal(reachable, Math.max(w, dw));
    if (refusal !== undefined) return reply(refusal);

    const mayForward = from === 'client' && !owners.includes(self);
    const coordinators = mayForward ? this.#coordinatorsOf(put) : [];
    if (coordinators.length > 0) return this.#forward(withQuorums(put, w, dw), coordinators, reply);
    if (!looksFirst(put) || owners.length === 1) {
      return this.#coordinate(put, { w, dw }, EMPTY_RECORD, reply);
    }
    this.#look(put, Math.min(config.defaultR, owners.length), (looked) => {
      if (looked.type === 'failed') reply(looked);
      // Others were born while it looked; nothing is written yet.
      else if (nursery.isFull) reply(overloaded(nursery.alive));
      else this.#coordinate(looked.put, { w, dw }, looked.known, reply);
    });
  }

  #forward(
    put: PutCommand,
    coordinators: readonly NodeId[],
    reply: (reply: PutReply) => void,
  ): void {
    const { config, nursery, admission, ports } = this.#parts;
    const request = ports.puts.expect(admission.timed('write', reply));
    const onCrash = () => ports.puts.answer(request, crashed('unknown'));
    const patienceMs = Math.max(config.patienceMs, put.timeoutMs / 4);
    const input = { request, put, coordinators, ports: ports.forward, patienceMs };
    nursery.bear(request, { logic: forwardMachine, input, onCrash });
  }

  #coordinate(
    put: PutCommand,
    { w, dw }: { readonly w: number; readonly dw: number },
    known: RecordOfKey,
    reply: (reply: PutReply) => void,
  ): void {
    const { self, config, ring, nursery, admission, ports } = this.#parts;
    const { partition } = ring.placeOf(put.key);
    const counting = put.strict ? ('real-owners' as const) : ('anyone' as const);
    // C2: counted under this register alone, and W of its owners after the next step have it too.
    const strictly = put.strict
      ? { next: ring.nextOwnersOf(partition), register: ring.versionOf(partition) }
      : undefined;
    const request = ports.puts.expect(admission.timed('write', reply));
    if (known !== EMPTY_RECORD) ports.know(request, known);
    const input = {
      request,
      self,
      put: withQuorums(put, w, dw),
      tally: startWrite(ring.writePlanOf(put.key), { w, dw, counting }, strictly),
      ports: ports.put,
      patienceMs: config.patienceMs,
      lingerMs: config.lingerMs,
    };
    const onCrash = () => ports.puts.answer(request, crashed('unknown'));
    nursery.bear(request, { logic: putMachine, input, onCrash });
  }

  /**
   * A11, A12: a put that depends on what is there reads R first. For last-write-wins that is best
   * effort; a condition that could not be checked refuses.
   */
  #look(put: PutCommand, r: number, done: (looked: Looked) => void): void {
    const timeoutMs = Math.max(1, Math.floor(Math.min(put.timeoutMs / 2, LOOK_MS)));
    const { key, strict } = put;
    this.get({ key, r, strict, timeoutMs }, (answer) => {
      if (answer.type === 'failed' && put.onlyIf !== undefined) return done(answer);
      const known = answer.type === 'failed' ? EMPTY_RECORD : answer.record;
      done({ type: 'looked', known, put: { ...put, timeoutMs: put.timeoutMs - timeoutMs } });
    });
  }

  get(get: GetCommand, reply: (reply: GetReply) => void): void {
    const overload = this.#overload();
    if (overload !== undefined) return reply(overload);
    const { config, ring, nursery, admission, ports } = this.#parts;
    const n = ring.ownersOf(get.key).length;
    const { r: prefixR = config.defaultR } = defaultsOf(this.#parts.prefixDefaults, get.key);
    const r = get.r ?? Math.min(prefixR, n);
    const counting = get.strict ? ('real-owners' as const) : ('anyone' as const);
    const candidates = ring.readersOf(get.key, counting);
    const refusal = quorumRefusal({ r }, n, false) ?? reachRefusal(candidates, r);
    if (refusal !== undefined) return reply(refusal);
    const request = ports.gets.expect(admission.timed('read', reply));
    const input = {
      request,
      key: get.key,
      tally: startRead(candidates, { r, counting }),
      ports: ports.get,
      limits: config.replica.record,
      timeoutMs: get.timeoutMs,
      patienceMs: config.patienceMs,
      lingerMs: config.lingerMs,
    };
    nursery.bear(request, {
      logic: getMachine,
      input,
      onCrash: () => ports.get.reply(request, crashed('refused')),
    });
  }

  /** Reads from all owners that can be reached; those behind are brought up to date after it. */
  repair(key: Key, timeoutMs: number, reply: (reply: GetReply) => void): void {
    const owners = this.#parts.ring
      .preferenceOf(key)
      .filter(({ role, health }) => role === 'owner' && health !== 'down');
    this.get({ key, r: Math.max(1, owners.length), strict: true, timeoutMs }, reply);
  }

  /** Owners that can be reached, the healthy first, of those the one that answered the get first. */
  #coordinatorsOf(put: PutCommand): readonly NodeId[] {
    const { ring, replica } = this.#parts;
    const fastest = replica.fastestIn(put);
    const rank = (node: NodeId): number =>
      (ring.healthOf(node) === 'healthy' ? 0 : 2) + (node === fastest ? 0 : 1);
    return [...ring.readersOf(put.key, 'real-owners')].sort((a, b) => rank(a) - rank(b));
  }
}

type Looked =
  { readonly type: 'looked'; readonly known: RecordOfKey; readonly put: PutCommand } | FailedReply;

/** Duplicates come soon or never. */
const TAKEN_MAX = 4096;
/** Longest look before a put that depends on what is there, ms. */
const LOOK_MS = 1000;

const looksFirst = ({ mode, onlyIf }: PutCommand): boolean =>
  mode === 'last-write-wins' || onlyIf !== undefined;
