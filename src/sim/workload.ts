/**
 * The simulated clients: they do what the scenario planned, try again through other nodes with the
 * same put id, and keep the oracle's history. Every value is unique, so that a later read tells
 * exactly which writes it is made of.
 */
import { CoterieError } from '../core/errors.ts';
import { hexOf, keyOfText, putId } from '../core/ids.ts';
import type { Random } from '../ports/random.ts';
import type { HandledReply, HandledRequest } from '../wire/client-messages.ts';
import { EPOCH_MS } from './clock.ts';
import { History, shownIn } from './history.ts';
import type { ReadFate, WriteFate } from './history.ts';
import { TRIES_MAX, modeOn } from './scenario.ts';
import type { OperationPlan, Scenario } from './scenario.ts';
import type { Host, World } from './world.ts';

/** Judges what clients are told the moment they are told it. */
export type Judge = {
  applied(write: WriteFate, reply: Extract<HandledReply, { type: 'applied' }>): void;
  read(read: ReadFate): void;
};

const TRY_TIMEOUT_MS = 1500;
/** How much longer a client waits than the node was told to. */
const SILENCE_MS = TRY_TIMEOUT_MS + 200;

/** What a client still does once the faults are over. */
const CALM_OPERATIONS = 4;

type Tries = {
  readonly plan: OperationPlan;
  /** The first of the plan's fractions that this request uses. */
  readonly from: number;
  readonly build: (attempt: number) => HandledRequest;
  /** Called in the node's own call, before the answer travels. */
  readonly answered?: (host: Host, reply: HandledReply) => void;
  /** `mayBeWritten`: some try was not refused for certain. */
  readonly done: (reply: HandledReply | undefined, host: Host, mayBeWritten: boolean) => void;
};

export class Workload {
  readonly history = new History();
  readonly counters = new Map<string, number>();
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #judge: Judge;
  readonly #random: Random;
  readonly #n: number;
  /** What each client's last put of a key answered with. */
  readonly #lastContexts = new Map<string, Uint8Array>();
  #running = 0;
  #done = 0;
  /** How many operations each client may still begin. */
  #left: number[] = [];

  constructor(world: World, scenario: Scenario, judge: (history: History) => Judge) {
    this.#world = world;
    this.#scenario = scenario;
    this.#judge = judge(this.history);
    this.#random = world.random('workload');
    this.#n = Math.min(3, scenario.founders);
  }

  get isDone(): boolean {
    return this.#running === 0;
  }

  /** Operations that ended. */
  get operations(): number {
    return this.#done;
  }

  /** The faults are over: each client does a few operations more. */
  wrapUp(): void {
    this.#left = this.#left.map((left) => Math.min(left, CALM_OPERATIONS));
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
    const { keys } = this.#scenario;
    const key = keys[Math.floor(plan.key * keys.length)]!;
    const mode = modeOn(key, plan.mode);
    if (plan.kind === 'read') return this.#read(plan, key, ended);
    if (plan.kind === 'delete') {
      return this.#read(plan, key, (context) =>
        context === undefined ? ended() : this.#write(plan, key, 'causal', [context], ended),
      );
    }
    if (plan.kind === 'update' && mode === 'causal') {
      return this.#read(plan, key, (context) =>
        context === undefined ? ended() : this.#write(plan, key, mode, [context], ended),
      );
    }
    const last = this.#lastContexts.get(`${plan.client} ${key}`);
    const follows = plan.kind === 'follow' && mode === 'causal' && last !== undefined;
    this.#write(plan, key, mode, follows ? [last] : [], ended);
  }

  /** Hands on the context, or undefined if no try was answered with a value. */
  #read(plan: OperationPlan, key: string, then: (context?: Uint8Array) => void): void {
    const { r, strict } = plan;
    const wanted = this.#clamped(r ?? 2);
    const startedMs = this.#world.clock.nowMs;
    const get = { type: 'get', key: keyOfText(key), strict, timeoutMs: TRY_TIMEOUT_MS } as const;
    const request = r === undefined ? get : { ...get, r: wanted };
    this.#try({
      plan,
      from: TRIES_MAX,
      build: () => request,
      answered: (host, reply) => {
        if (reply.type !== 'value') return;
        const values = reply.values.map((value) => new TextDecoder().decode(value));
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
        then(reply.context);
      },
    });
  }

  #write(
    plan: OperationPlan,
    key: string,
    mode: OperationPlan['mode'],
    contexts: readonly Uint8Array[],
    ended: () => void,
  ): void {
    const { clock, hosts } = this.#world;
    const name = `v${plan.index}`;
    const kind = plan.kind === 'delete' ? 'delete' : 'put';
    const w = this.#clamped(plan.w ?? 2);
    const dw = this.#clamped(plan.strict ? Math.max(plan.dw ?? 1, w) : (plan.dw ?? 1));
    const isPlain = !plan.strict && plan.w === undefined;
    const saw = contexts.flatMap((context) => this.#namesIn(context));
    const skewMs = this.#scenario.clientSkewMs[plan.client] ?? 0;
    const fate: WriteFate = {
      name,
      key,
      kind,
      mode,
      putId: putId(hexOf(this.#random.bytes(8))),
      writtenAt: EPOCH_MS + Math.floor(clock.nowMs) + skewMs,
      w,
      byDefault: isPlain,
      dw,
      strict: plan.strict,
      past: this.history.pastOf(saw),
      startedMs: clock.nowMs,
      lives: new Map(hosts.map(({ id, lives }) => [id, lives])),
      outcome: 'open',
      endedMs: Infinity,
      acks: [],
      durable: [],
    };
    this.history.add(fate);
    const put = {
      type: 'put',
      key: keyOfText(key),
      value: kind === 'put' ? new TextEncoder().encode(name) : ('tombstone' as const),
      contexts,
      putId: fate.putId,
      writtenAt: fate.writtenAt,
      mode,
      ...(isPlain ? {} : { w }),
      ...(isPlain && plan.dw === undefined ? {} : { dw }),
      strict: plan.strict,
      timeoutMs: TRY_TIMEOUT_MS,
    } as const;
    const word = kind === 'delete' ? 'deletes' : contexts.length > 0 ? 'updates' : 'puts';
    const over = saw.length === 0 ? '' : ` over ${saw.join(' and ')}`;
    this.#say(
      plan,
      `${word} ${key} = ${name}${over} (w=${w} dw=${dw}${plan.strict ? ' strict' : ''})`,
    );
    const tries: Tries = {
      plan,
      from: 0,
      build: (attempt) => ({ ...put, attempt }),
      answered: (_, reply) => {
        if (reply.type === 'applied') this.#judge.applied(fate, reply);
      },
      done: (reply, host, mayBeWritten) => {
        fate.endedMs = clock.nowMs;
        if (reply?.type === 'applied') {
          fate.outcome = 'applied';
          fate.acks = reply.acks;
          fate.durable = reply.durable;
          this.#lastContexts.set(`${plan.client} ${key}`, reply.context);
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
    this.#try(plan.twice === 'again' ? this.#repeated(tries) : tries);
  }

  /** The same put once more, through another node, after it was applied: it must change nothing. */
  #repeated(tries: Tries): Tries {
    return {
      ...tries,
      done: (reply, host, mayBeWritten) => {
        if (reply?.type !== 'applied') return tries.done(reply, host, mayBeWritten);
        this.#count('put again');
        this.#send(tries, TRIES_MAX + 2, () => tries.done(reply, host, mayBeWritten));
      },
    };
  }

  /** Tries one node after another until one answers for good. */
  #try(tries: Tries, attempt = 1, maybeBefore = false): void {
    this.#send(tries, attempt, (reply, host, mayBeWritten) => {
      const maybe = maybeBefore || mayBeWritten;
      const ends =
        attempt >= TRIES_MAX ||
        (reply !== undefined && (reply.type !== 'failed' || !errorOf(reply).retryable));
      if (ends) return tries.done(reply, host, maybe);
      this.#count('retried');
      const pauseMs = this.#random.fraction() * 100;
      this.#world.clock.schedule(() => this.#try(tries, attempt + 1, maybe), pauseMs);
    });
  }

  /** One try, at one node or at two at once; the first answer that is no failure counts. */
  #send(tries: Tries, attempt: number, ended: Tries['done']): void {
    const { plan, from, build, answered } = tries;
    const { clock } = this.#world;
    const hosts = this.#world.hosts.filter(({ gone }) => !gone);
    const nth = (attempt - 1) % TRIES_MAX;
    const first = Math.floor(plan.via[from + nth]! * hosts.length);
    const targets = [hosts[first]!];
    if (plan.twice === 'hedged' && attempt === 1) {
      this.#count('hedged');
      targets.push(hosts[(first + 1) % hosts.length]!);
    }
    let awaited = targets.length;
    let mayBeWritten = false;
    let isOver = false;
    const finish = (reply: HandledReply | undefined, host: Host): void => {
      if (isOver) return;
      isOver = true;
      silence.cancel();
      ended(reply, host, mayBeWritten || awaited > 0);
    };
    const silence = clock.schedule(() => finish(undefined, targets[0]!), SILENCE_MS);
    targets.forEach((host, i) => {
      this.#world.ask(
        host,
        build(attempt + i),
        (reply) => {
          // Now and then an answer is lost on the way: the client tries again what was done already.
          if (plan.deaf[from + nth] === true || isOver) return;
          awaited -= 1;
          if (reply.type !== 'failed') return finish(reply, host);
          mayBeWritten ||= errorOf(reply).outcome === 'unknown';
          if (awaited === 0) finish(reply, host);
        },
        (reply) => answered?.(host, reply),
      );
    });
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

const errorOf = ({ code, message, details }: Extract<HandledReply, { type: 'failed' }>) =>
  new CoterieError(code, message, details);
