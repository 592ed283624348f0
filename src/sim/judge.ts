/**
 * What can be judged the moment it happens, while the story is still short: every answer to a
 * client, every row that reaches a disk, and the caps.
 */
import { keyOfText } from '../core/ids.ts';
import { sameBytes } from '../core/bytes.ts';
import type { NodeId, PutId } from '../core/ids.ts';
import { encodeRecord } from '../core/record-bytes.ts';
import type { RecordOfKey } from '../core/record.ts';
import { listed, sameSeen, seenPuts } from '../core/seen-puts.ts';
import { CHECKSUM_BYTES, decodeStored } from '../node/store/stored.ts';
import type { Digest } from '../ports/digest.ts';
import type { HandledReply } from '../wire/client-messages.ts';
import { Conditions } from './conditions.ts';
import type { History, ReadFate, ScanFate, WriteFate } from './history.ts';
import { Holdings } from './holdings.ts';
import { InvariantBroken, demand } from './invariants.ts';
import { RingsSeen } from './rings-seen.ts';
import { mayGo } from './scenario.ts';
import type { Scenario } from './scenario.ts';
import { Surrenders } from './surrenders.ts';
import type { Judge } from './workload.ts';
import type { Host, SimEvent, World } from './world.ts';

/** R of a look before a conditional put, and of a scan: the cluster's default. */
const DEFAULT_R = 2;
/** Clocks are looked at now and then: one may have been this much farther ahead, ms. */
const CLOCK_SAMPLING_MS = 1000;

export class OnlineJudge implements Judge {
  /** The first broken promise; what the nodes would catch is kept until the run looks. */
  broken: InvariantBroken | undefined;
  /** Rows committed of which something was truncated, or nearly. */
  atLimits = 0;
  /** Reads of what had expired, and was not forgotten yet. */
  expiredReads = 0;
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #history: History;
  readonly #digest: Digest;
  readonly #holdings: Holdings;
  readonly #rings: RingsSeen;
  readonly #surrenders: Surrenders;
  readonly #conditions: Conditions;
  /** The farthest that the wall clock of any node was ever seen. */
  #latestWallMs = 0;
  readonly #putOfDot = new Map<string, PutId>();

  constructor(world: World, scenario: Scenario, history: History, digest: Digest) {
    this.#world = world;
    this.#scenario = scenario;
    this.#history = history;
    this.#digest = digest;
    this.#rings = new RingsSeen(world);
    this.#holdings = new Holdings({ world, scenario, history, digest, rings: this.#rings });
    const holdings = this.#holdings;
    this.#surrenders = new Surrenders({ world, history, holdings, rings: this.#rings });
    this.#conditions = new Conditions({
      history,
      limits: scenario.limits,
      isSeenByStrict: (write) => this.#isSeenByStrict(write, DEFAULT_R),
      isHeldBy: (host, write) => this.#isHeldBy(host, write),
      isOwner: (host, key) =>
        host.node?.ringView.ownersOf(keyOfText(key)).includes(host.id) === true,
      mayHaveExpired: ({ expiresAt }) => expiresAt <= this.#latestWallMs + CLOCK_SAMPLING_MS,
    });
    world.observe((event) => this.#hear(event));
  }

  applied(
    write: WriteFate,
    { acks, durable }: Extract<HandledReply, { type: 'applied' }>,
    via: Host,
  ): void {
    this.#try(() => {
      const { key, name, w, byDefault, dw, strict } = write;
      this.#rings.look();
      const isMet = (owners: readonly NodeId[]): boolean => {
        const counted = (nodes: readonly NodeId[]): number =>
          new Set(strict ? nodes.filter((node) => owners.includes(node)) : nodes).size;
        const wanted = byDefault ? Math.min(w, owners.length) : w;
        return counted(acks) >= wanted && counted(durable) >= dw;
      };
      demand(
        this.#rings.ownersEver(key).some(isMet) && durable.every((n) => acks.includes(n)),
        'quorums are met',
        key,
        () => `${name} wanted w=${w} dw=${dw}, got ${acks.join()}, durable ${durable.join()}`,
      );
      for (const host of this.#world.hosts) {
        if (this.#rings.ownerSinceMs(key, host) === undefined) continue;
        if (durable.includes(host.id)) this.#demandOnDisk(host, write);
        if (acks.includes(host.id)) this.#demandInMemory(host, write);
      }
      this.#lookAtClocks();
      this.#conditions.applied(write, via);
    });
  }

  unmet(write: WriteFate, via: Host): void {
    this.#try(() => {
      this.#rings.look();
      this.#conditions.unmet(write, via);
    });
  }

  scanned({ partition, startedMs, keys }: ScanFate): void {
    this.#try(() => {
      const history = this.#history;
      this.#rings.look();
      for (const key of keys) {
        demand(
          history.ofKey(key).some(({ kind, outcome }) => kind === 'put' && outcome !== 'refused'),
          'no invention',
          key,
          () => `a scan lists ${key}, which nobody put`,
        );
      }
      for (const key of this.#scenario.keys) {
        if (this.#world.partitionOf(key) !== partition || keys.includes(key) || mayGo(key))
          continue;
        const missed = history
          .ofKey(key)
          .find((write) => write.endedMs <= startedMs && this.#isSeenByStrict(write, DEFAULT_R));
        demand(
          missed === undefined,
          'scans are complete',
          key,
          () =>
            `a scan of partition ${partition} lacks ${key}, of which ${missed!.name} is applied`,
        );
      }
    });
  }

  read(read: ReadFate): void {
    this.#try(() => {
      const { key, values, shown } = read;
      this.#judgeValues(read);
      const host = this.#world.hosts.find(({ id }) => id === read.via)!;
      this.#rings.look();
      this.#judgeTimes(host, read);
      for (const write of this.#history.ofKey(key)) {
        if (write.outcome !== 'applied' || write.endedMs > read.startedMs) continue;
        const holder = this.#isHeldBy(host, write);
        const overlap = read.strict && this.#isSeenByStrict(write, read.r);
        if (!holder && !overlap) continue;
        demand(
          this.#history.isAccountedFor(write, shown),
          holder ? 'own writes are read' : 'strict reads see strict writes',
          key,
          () => `${host.id} shows ${values.join() || 'nothing'}, and not ${write.name}`,
        );
      }
    });
  }

  /** Whether anything is lost, or could be missed by a read: looked at now and then. */
  lookAtHoldings(): void {
    this.#try(() => this.#holdings.check());
  }

  /** How often nodes saw the ring change: the moment to look at the holdings. */
  get ringChanges(): number {
    return this.#rings.changes;
  }

  /** The caps, looked at now and then. */
  lookAtCaps(): void {
    this.#rings.look();
    this.#lookAtClocks();
    const { coordinatorsMax, replica } = this.#scenario.config;
    for (const { id, node } of this.#world.hosts) {
      if (node === undefined) continue;
      const { coordinators } = node;
      const hints = node.hintGauges().reduce((sum, { count }) => sum + count, 0);
      this.#try(() =>
        demand(
          coordinators <= coordinatorsMax && hints <= replica.hintsMax,
          'bounded',
          '',
          () => `${id} has ${coordinators} coordinators and ${hints} hints`,
        ),
      );
    }
  }

  #judgeValues({ key, values, shown }: ReadFate): void {
    const history = this.#history;
    const stranger = [...values, ...shown].find((name) => history.get(name)?.key !== key);
    demand(stranger === undefined, 'no invention', key, () => `${stranger} was never put`);
    demand(
      new Set(values).size === values.length,
      'no false sibling',
      key,
      () => `a put appears twice in ${values.join()}`,
    );
    if (this.#scenario.limits === 'tiny') return;
    for (const name of shown) {
      const past = shown.find((other) => history.get(name)!.past.has(other));
      demand(
        past === undefined,
        'no false sibling',
        key,
        () => `${past} lies in the past of ${name}, and both are shown`,
      );
    }
  }

  /** What has expired is nothing at the node that answers; what cannot have is shown. */
  #judgeTimes(host: Host, { key, values, shown }: ReadFate): void {
    this.#lookAtClocks();
    const nowMs = host.clock.wallMs();
    const late = values.find((name) => this.#history.get(name)!.expiresAt <= nowMs);
    demand(late === undefined, 'expired is invisible', key, () => {
      const agoMs = nowMs - this.#history.get(late!)!.expiresAt;
      return `${host.id} shows ${late}, which expired ${agoMs} ms ago`;
    });
    const latestMs = this.#latestWallMs + CLOCK_SAMPLING_MS;
    const hidden = shown.find((name) => {
      const { kind, expiresAt } = this.#history.get(name)!;
      return kind === 'put' && expiresAt > latestMs && !values.includes(name);
    });
    demand(
      hidden === undefined,
      'nothing is hidden',
      key,
      () => `${host.id} knows of ${hidden} and shows ${values.join() || 'nothing'}`,
    );
    if (shown.some((name) => this.#history.get(name)!.expiresAt <= nowMs)) this.expiredReads += 1;
  }

  #lookAtClocks(): void {
    for (const { clock } of this.#world.hosts) {
      this.#latestWallMs = Math.max(this.#latestWallMs, clock.wallMs());
    }
  }

  /** Whether `host` must show a write: it acked it, has lost nothing since, and may answer reads. */
  #isHeldBy(host: Host, write: WriteFate): boolean {
    const { id } = host;
    const sinceMs = this.#rings.readableSinceMs(write.key, host);
    if (sinceMs === undefined || sinceMs > write.startedMs) return false;
    if (write.durable.includes(id)) return !this.#history.mayHaveLost(id, write, 'disk');
    return write.acks.includes(id) && !this.#history.mayHaveLost(id, write, 'memory');
  }

  /** Whether any `r` owners that answer a strict read have to know of a write: R + W > N. */
  #isSeenByStrict(write: WriteFate, r: number): boolean {
    if (write.outcome !== 'applied') return false;
    // C9: while the ring is stable.
    if (this.#rings.restlessMs >= write.startedMs) return false;
    const owners = this.#rings.ownersNow(write.key);
    const enough = owners.length - Math.min(r, owners.length) + 1;
    const holders = this.#world.hosts.filter((host) => this.#isHeldBy(host, write));
    if (holders.length >= enough) return true;
    return write.strict && write.w >= enough && !this.#history.hasLostDiskSince(write.startedMs);
  }

  #demandOnDisk(host: Host, write: WriteFate): void {
    if (this.#history.mayHaveLost(host.id, write, 'disk')) return;
    const record = this.#holdings.onPlatter(host, write.key);
    this.#demandHeld(write, record, () => `${host.id} is said to have ${write.name} on disk`);
  }

  #demandInMemory(host: Host, write: WriteFate): void {
    if (host.node === undefined || this.#history.mayHaveLost(host.id, write, 'memory')) return;
    const record = host.node.recordOf(keyOfText(write.key));
    this.#demandHeld(write, record, () => `${host.id} is said to have ${write.name}`);
  }

  #demandHeld(write: WriteFate, record: RecordOfKey | undefined, claim: () => string): void {
    const names = (record?.siblings ?? []).map(({ putId }) => this.#history.ofPut(putId)?.name);
    const there = names.filter((name) => name !== undefined);
    demand(
      this.#history.isAccountedFor(write, there),
      'acks are true',
      write.key,
      () => `${claim()}, and has ${there.join() || 'nothing'}`,
    );
  }

  #hear(event: SimEvent): void {
    if (event.type === 'lost') {
      const { node, of, atMs } = event;
      this.#history.losses.push({ node, of, atMs });
    } else if (event.type === 'committing') {
      this.#try(() => this.#surrenders.check(event.host, event.ops));
    } else if (event.type === 'committed') {
      for (const op of event.ops) {
        if (op.type === 'put' && op.table === 'records') this.#try(() => this.#judgeRow(op.value));
      }
    } else if (event.type === 'said' && event.text.includes(' delete.forgotten ')) {
      const { puts } = JSON.parse(event.text.slice(event.text.indexOf('{'))) as { puts: string };
      this.#history.forget(puts.split(',') as PutId[]);
    } else if (event.type === 'said' && event.text.includes("'s clock jumps ")) {
      this.#lookAtClocks();
    } else if (event.type === 'said' && / warn disk\.(behind|copied) /.test(event.text)) {
      const isTrue = this.#history.losses.some(
        ({ node, of }) => of === 'disk' && event.text.startsWith(`${node} `),
      );
      this.#try(() => demand(isTrue, 'no crash', '', () => `a false alarm: ${event.text}`));
    } else if (event.type === 'said' && isCrash(event.text)) {
      this.#try(() => demand(false, 'no crash', '', () => event.text));
    }
  }

  #judgeRow(row: Uint8Array): void {
    const found = decodeStored(this.#digest, row);
    if (found === 'corrupt') throw new InvariantBroken('no crash', '', 'a damaged row was written');
    const { vector, siblings, seen } = found.stored.record;
    // A flush may write a form that came from elsewhere: it must be the one its trees hash.
    const form = encodeRecord(found.stored.record, 'with-values');
    const written = row.subarray(row.length - CHECKSUM_BYTES - form.length, -CHECKSUM_BYTES);
    demand(sameBytes(form, written), 'trees equal a rebuild', '', () => 'a row in another form');
    const puts = listed(seen);
    const inOrder = new Set(puts.map(({ putId }) => putId)).size === puts.length;
    const isSound = inOrder && sameSeen(seenPuts(puts), seen);
    demand(isSound, 'trees equal a rebuild', '', () => 'seen puts in another form');
    const { vectorEntriesMax, seenPutsMax } = this.#scenario.config.replica.record;
    if (vector.length >= vectorEntriesMax || seen.count >= seenPutsMax) this.atLimits += 1;
    const key = this.#history.ofPut(siblings[0]?.putId ?? ('' as PutId))?.key ?? '';
    demand(
      vector.length <= vectorEntriesMax + siblings.length && seen.count <= seenPutsMax,
      'vectors are bounded',
      key,
      () => `${vector.length} entries and ${seen.count} seen puts`,
    );
    for (const { dot, putId } of siblings) {
      const name = `${dot.actor} ${dot.n}`;
      const earlier = this.#putOfDot.get(name);
      this.#putOfDot.set(name, putId);
      demand(earlier === undefined || earlier === putId, 'dots are unique', key, () => {
        const puts = [earlier!, putId].map((put) => this.#history.ofPut(put)?.name);
        return `one dot names ${puts.join(' and ')}`;
      });
    }
  }

  /** A throw inside a node's call would be the node's: it is kept, and the run looks for it. */
  #try(judge: () => void): void {
    if (this.broken !== undefined) return;
    try {
      judge();
    } catch (error) {
      if (!(error instanceof InvariantBroken)) throw error;
      this.broken = error;
    }
  }
}

/** Every warning and error of a node, but those that its faults and limits must lead to. */
const isCrash = (line: string): boolean =>
  / (?:error|warn) (?!node\.failed|node\.outlived|disk\.(?:low|behind|copied)|hint\.refused|request\.slow)/.test(
    line,
  ) || / fails: (?!commit failed)/.test(line);
