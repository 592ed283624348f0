/**
 * The simulated clients: they do what the scenario planned, try again through other nodes with the
 * same put id, and keep the oracle's history. Every value is unique, so that a later read tells
 * exactly which writes it is made of.
 */
import { hexOf, keyOfText, putId, showKey } from '../core/ids.ts';
import type { Random } from '../ports/random.ts';
import type { HandledReply } from '../wire/client-messages.ts';
import { EPOCH_MS } from './clock.ts';
import type { Baskets } from './baskets.ts';
import { History, basketIn, nameIn, shownIn, valueWith } from './history.ts';
import type { ReadFate, ScanFate, WriteFate } from './history.ts';
import { demand } from './invariants.ts';
import { TRIES_MAX, mayGo, modeOn } from './scenario.ts';
import type { OperationPlan, Scenario } from './scenario.ts';
import { TRY_TIMEOUT_MS, Tries } from './tries.ts';
import type { Request } from './tries.ts';
import type { Host, World } from './world.ts';

/** Judges what clients are told the moment they are told it. */
export type Judge = {
  applied(write: WriteFate, reply: Extract<HandledReply, { type: 'applied' }>, via: Host): void;
  /** Its condition is not met, says the node. */
  unmet(write: WriteFate, via: Host): void;
  read(read: ReadFate): void;
  scanned(scan: ScanFate): void;
};

/** What a client still does once the faults are over. */
const CALM_OPERATIONS = 4;
/** Beyond the index of every planned operation. */
const FAREWELL = 1_000_000;
/** More pages than keys: a scan that comes to no end. */
const PAGES_MAX = 50;

/** What a client has read, or written last: a put with it replaces just that. */
type Seen = { readonly contexts: readonly Uint8Array[]; readonly values: readonly Uint8Array[] };

const NOTHING_SEEN: Seen = { contexts: [], values: [] };

export class Workload {
  readonly history = new History();
  readonly counters = new Map<string, number>();
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #judge: Judge;
  readonly #random: Random;
  readonly #tries: Tries;
  readonly #n: number;
  /** By client and key, the last put and what it answered with. */
  readonly #lasts = new Map<string, Seen>();
  readonly #baskets: Baskets | undefined;
  /** By client, the key it wrote last. */
  readonly #written: string[] = [];
  /** Keys that operations choose from, and those that are still to be put. */
  readonly #keys: readonly string[];
  readonly #fresh: string[];
  #running = 0;
  #done = 0;
  /** How many operations each client may still begin. */
  #left: number[] = [];

  /** `baskets`: what the values hold, if a merger is on trial. */
  constructor(
    world: World,
    scenario: Scenario,
    judge: (history: History) => Judge,
    baskets?: Baskets,
  ) {
    this.#baskets = baskets;
    this.#world = world;
    this.#scenario = scenario;
    this.#judge = judge(this.history);
    this.#random = world.random('workload');
    const count = (name: string): void => this.#count(name);
    this.#tries = new Tries({ world, random: this.#random, count });
    this.#n = Math.min(3, scenario.founders);
    this.#fresh = [...scenario.freshKeys];
    this.#keys = scenario.keys.filter((key) => !scenario.freshKeys.includes(key));
  }

  get isDone(): boolean {
    return this.#running === 0;
  }

  /** Operations that ended. */
  get operations(): number {
    return this.#done;
  }

  /** Judges what a merger on trial has made of all that happened to `key`. Throws InvariantBroken. */
  checkFinal(key: string, values: readonly Uint8Array[]): void {
    this.#baskets?.checkFinal(key, values.map(basketIn), this.history);
  }

  /** The faults are over: each client does a few operations more. */
  wrapUp(): void {
    this.#left = this.#left.map((left) => Math.min(left, CALM_OPERATIONS));
  }

  /** One client deletes every other key that may go, if it can; `deleted` are those it did. */
  deleteSome(deleted: (keys: readonly string[]) => void): void {
    const { keys, operations } = this.#scenario;
    const going = keys.filter((key, i) => i % 2 === 0 && this.#mayGo(key));
    const done: string[] = [];
    const next = (at: number): void => {
      const [key, first] = [going[at], operations[0]];
      if (key === undefined || first === undefined) return deleted(done);
      const plain = { ...first, strict: false, twice: 'no', onlyIf: undefined } as const;
      const plan = { ...plain, index: FAREWELL + at, kind: 'delete' } as const;
      this.#read(plan, key, (seen) => {
        if (seen === undefined) return next(at + 1);
        this.#write(plan, key, 'causal', seen, () => {
          if (this.history.get(`v${plan.index}`)?.outcome === 'applied') done.push(key);
          next(at + 1);
        });
      });
    };
    next(0);
  }

  start(): void {
    this.#left = Array.from({ length: this.#scenario.clients }, () => Infinity);
    for (let client = 0; client < this.#scenario.clients; client++) {
      const plans = this.#scenario.operations.filter((plan) => plan.client === client);
      this.#running += 1;
      this.#next(plans, 0);
    }
  }

  #next(plans: readonly OperationPlan[], at: number): void {
    const plan = plans[at];
    if (plan === undefined || this.#left[plan.client]!-- <= 0) {
      this.#running -= 1;
      return;
    }
    this.#world.clock.schedule(() => {
      this.#perform(plan, () => {
        this.#done += 1;
        this.#next(plans, at + 1);
      });
    }, plan.pauseMs);
  }

  #perform(plan: OperationPlan, ended: () => void): void {
    const key = this.#keys[Math.floor(plan.key * this.#keys.length)]!;
    const deletes = plan.kind === 'delete' && this.#mayGo(key);
    const mode = deletes ? 'causal' : modeOn(key, plan.mode);
    if (plan.kind === 'read') return this.#read(plan, key, ended);
    if (plan.kind === 'scan') {
      const fresh = this.#fresh.pop();
      if (fresh === undefined) return this.#scan(plan, this.#written[plan.client] ?? key, ended);
      return this.#write(plan, fresh, 'causal', NOTHING_SEEN, () => this.#scan(plan, fresh, ended));
    }
    if (deletes || ((plan.kind === 'update' || plan.kind === 'delete') && mode === 'causal')) {
      return this.#read(plan, key, (seen) =>
        seen === undefined ? ended() : this.#write(plan, key, mode, seen, ended),
      );
    }
    const last = this.#lasts.get(`${plan.client} ${key}`);
    const follows = plan.kind === 'follow' && mode === 'causal' && last !== undefined;
    this.#write(plan, key, mode, follows ? last : NOTHING_SEEN, ended);
  }

  /** What a merger keeps neither is deleted nor expires. */
  #mayGo(key: string): boolean {
    return this.#baskets === undefined && mayGo(key);
  }

  /** Hands on what it saw, or undefined if no try was answered with a value. */
  #read(plan: OperationPlan, key: string, then: (seen?: Seen) => void): void {
    const { r, strict } = plan;
    const wanted = this.#clamped(r ?? 2);
    const startedMs = this.#world.clock.nowMs;
    const get = { type: 'get', key: keyOfText(key), strict, timeoutMs: TRY_TIMEOUT_MS } as const;
    const request = r === undefined ? get : { ...get, r: wanted };
    this.#tries.begin({
      plan,
      from: TRIES_MAX,
      build: () => request,
      answered: (host, reply) => {
        if (reply.type !== 'value') return;
        const values = reply.values.map(nameIn);
        const shown = this.#namesIn(reply.context);
        if (shown.length > 1) this.#count('siblings read');
        const { id: via, lives: life } = host;
        this.#judge.read({ key, via, life, r: wanted, strict, startedMs, values, shown });
      },
      done: (reply, host) => {
        if (reply?.type !== 'value') {
          this.#count('read failed');
          this.#say(plan, `reads ${key} in vain`);
          return then(undefined);
        }
        const shown = this.#namesIn(reply.context);
        const found = shown.length === 0 ? 'nothing' : shown.join(' and ');
        this.#say(plan, `reads ${key} from ${host.id}: ${found}`);
        then({ contexts: [reply.context], values: reply.values });
      },
    });
  }

  #write(
    plan: OperationPlan,
    key: string,
    mode: OperationPlan['mode'],
    { contexts, values }: Seen,
    ended: () => void,
  ): void {
    const { clock, hosts } = this.#world;
    const name = `v${plan.index}`;
    const kind = plan.kind === 'delete' && this.#mayGo(key) ? 'delete' : 'put';
    const { ttlMs } = plan;
    const onlyIf = mode === 'last-write-wins' ? undefined : plan.onlyIf;
    const w = this.#clamped(plan.w ?? 2);
    const dw = this.#clamped(plan.strict ? Math.max(plan.dw ?? 1, w) : (plan.dw ?? 1));
    const isPlain = !plan.strict && plan.w === undefined;
    const saw = contexts.flatMap((context) => this.#namesIn(context));
    const skewMs = this.#scenario.clientSkewMs[plan.client] ?? 0;
    const writtenAt = EPOCH_MS + Math.floor(clock.nowMs) + skewMs;
    const isMortal = kind === 'put' && this.#mayGo(key) && ttlMs !== undefined;
    const fate: WriteFate = {
      name,
      key,
      kind,
      mode,
      putId: putId(hexOf(this.#random.bytes(8))),
      writtenAt,
      w,
      byDefault: isPlain,
      dw,
      strict: plan.strict,
      onlyIf,
      expiresAt: isMortal ? writtenAt + ttlMs : Infinity,
      tries: 0,
      past: this.history.pastOf(saw),
      startedMs: clock.nowMs,
      lives: new Map(hosts.map(({ id, lives }) => [id, lives])),
      outcome: 'open',
      endedMs: Infinity,
      acks: [],
      durable: [],
    };
    this.history.add(fate);
    this.#written[plan.client] = key;
    const [value, said] = this.#valueOf(plan, fate, values);
    const put = {
      type: 'put',
      key: keyOfText(key),
      value,
      contexts,
      putId: fate.putId,
      writtenAt: fate.writtenAt,
      mode,
      ...(isPlain ? {} : { w }),
      ...(isPlain && plan.dw === undefined ? {} : { dw }),
      strict: plan.strict,
      ...(onlyIf === undefined ? {} : { onlyIf }),
      ...(isMortal ? { expiresAt: fate.expiresAt } : {}),
      timeoutMs: TRY_TIMEOUT_MS,
    } as const;
    const word = kind === 'delete' ? 'deletes' : contexts.length > 0 ? 'updates' : 'puts';
    const over = saw.length === 0 ? '' : ` over ${saw.join(' and ')}`;
    const terms =
      (plan.strict ? ' strict' : '') +
      (onlyIf === undefined ? '' : ` only if ${onlyIf}`) +
      (isMortal ? ` for ${ttlMs} ms` : '');
    this.#say(plan, `${word} ${key} = ${name}${over} (w=${w} dw=${dw}${terms})${said}`);
    const request: Request = {
      plan,
      from: 0,
      build: (attempt) => ({ ...put, attempt }),
      asked: () => (fate.tries += 1),
      answered: (host, reply) => {
        if (reply.type === 'applied') this.#judge.applied(fate, reply, host);
        else if (isUnmet(reply)) this.#judge.unmet(fate, host);
      },
      done: (reply, host, mayBeWritten) => {
        fate.endedMs = clock.nowMs;
        if (reply?.type === 'applied') {
          fate.outcome = 'applied';
          fate.acks = reply.acks;
          fate.durable = reply.durable;
          const written = value === 'tombstone' ? [] : [value];
          const seen = { contexts: [reply.context], values: written };
          this.#lasts.set(`${plan.client} ${key}`, seen);
          const acks = `on ${reply.acks.join()}, on disk ${reply.durable.join()}`;
          this.#say(plan, `${name} of ${key} is applied by ${host.id}: ${acks}`);
        } else {
          fate.outcome = mayBeWritten ? 'unknown' : 'refused';
          const code = reply?.type === 'failed' ? ` (${reply.code})` : '';
          this.#say(plan, `${name} of ${key} is ${fate.outcome}${code}`);
        }
        this.#count(fate.outcome);
        ended();
      },
    };
    this.#tries.begin(plan.twice === 'again' ? this.#tries.repeated(request) : request);
  }

  /** What a write brings, and what the story says of that. */
  #valueOf(
    plan: OperationPlan,
    { kind, name, key }: WriteFate,
    values: readonly Uint8Array[],
  ): readonly [Uint8Array | 'tombstone', string] {
    if (kind === 'delete') return ['tombstone', ''];
    if (this.#baskets === undefined) return [new TextEncoder().encode(name), ''];
    const siblings = values.map(basketIn);
    const wish = plan.kind === 'delete' ? 'remove' : 'add';
    const change = { key, write: name, siblings, wish } as const;
    const [basket, said] = this.#baskets.changed(change, this.#world.clock.nowMs);
    return [valueWith(name, basket), ` ${said}`];
  }

  /** All keys of the partition in which `key` lies, page by page, each from any node. */
  #scan(plan: OperationPlan, key: string, ended: () => void): void {
    const partition = this.#world.partitionOf(key);
    const startedMs = this.#world.clock.nowMs;
    const keys: string[] = [];
    const limit = 1 + (plan.index % 3);
    const ask = (page: number, after?: Uint8Array): void =>
      this.#tries.begin({
        plan,
        from: TRIES_MAX,
        build: () => ({
          ...{ type: 'scan', partition, limit, timeoutMs: TRY_TIMEOUT_MS },
          ...(after === undefined ? {} : { after }),
        }),
        done: (reply) => {
          demand(
            page <= PAGES_MAX,
            'progress',
            key,
            () => `page ${page} of partition ${partition}`,
          );
          if (reply?.type !== 'keys') {
            this.#count('scan failed');
            this.#say(plan, `scans partition ${partition} in vain`);
            return ended();
          }
          keys.push(...reply.keys.map(showKey));
          if (page === 2) this.#count('scan of many pages');
          if (reply.next !== undefined) return ask(page + 1, reply.next);
          this.#say(plan, `scans partition ${partition}: ${keys.join() || 'nothing'}`);
          this.#count('scan');
          this.#judge.scanned({ partition, startedMs, keys });
          ended();
        },
      });
    ask(1);
  }

  #namesIn(context: Uint8Array): readonly string[] {
    return shownIn(context).map((put) => this.history.ofPut(put)?.name ?? `stranger ${put}`);
  }

  #clamped(quorum: number): number {
    return Math.min(quorum, this.#n);
  }

  #say({ client }: OperationPlan, text: string): void {
    this.#world.say(`client ${client} ${text}`);
  }

  #count(name: string): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + 1);
  }
}

const isUnmet = (reply: HandledReply): boolean =>
  reply.type === 'failed' && reply.code === 'CONDITION_NOT_MET';
