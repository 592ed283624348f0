/**
 * Simulated clients and the oracle of what they did: read-modify-write, blind puts, deletes, all
 * quorums, and retries through other nodes with the same put id. Every value is unique, so that a
 * later read tells exactly which writes it is made of.
 */
import { hexOf, keyOfText, putId } from '../core/ids.ts';
import type { Key } from '../core/ids.ts';
import type { Random } from '../ports/random.ts';
import type { HandledReply } from '../wire/client-messages.ts';
import type { Host, World } from './world.ts';

export type WriteFate = {
  /** The unique value, or of a delete its name. */
  readonly name: string;
  readonly key: string;
  readonly kind: 'put' | 'delete';
  readonly dw: number;
  /** Values that its context had seen. */
  readonly saw: readonly string[];
  outcome: 'open' | 'applied' | 'refused' | 'unknown';
};

export type WorkloadOptions = {
  readonly keys: number;
  readonly clients: number;
  readonly operations: number;
};

const ATTEMPTS_MAX = 4;
const ATTEMPT_TIMEOUT_MS = 1500;

export class Workload {
  readonly writes: WriteFate[] = [];
  readonly counters = new Map<string, number>();
  readonly #world: World;
  readonly #random: Random;
  readonly #options: WorkloadOptions;
  #left: number;
  #running = 0;

  constructor(world: World, options: WorkloadOptions) {
    this.#world = world;
    this.#options = options;
    this.#random = world.random('workload');
    this.#left = options.operations;
  }

  /** Whether every client has finished. */
  get isDone(): boolean {
    return this.#running === 0;
  }

  start(): void {
    for (let client = 0; client < this.#options.clients; client++) {
      this.#running += 1;
      this.#next(client);
    }
  }

  #next(client: number): void {
    if (this.#left-- <= 0) {
      this.#running -= 1;
      return;
    }
    this.#world.clock.schedule(() => this.#operate(client), this.#random.fraction() * 40);
  }

  #operate(client: number): void {
    const random = this.#random;
    // Half of the work goes to one hot key.
    const index = random.fraction() < 0.5 ? 0 : random.integer(this.#options.keys);
    const key = `key${index}`;
    const kind = random.fraction() < 0.15 ? 'delete' : 'put';
    if (kind === 'put' && random.fraction() < 0.2) {
      this.#write(client, key, kind, [], []);
      return;
    }
    this.#attempt(
      1,
      undefined,
      (host, reply) => {
        const get = {
          type: 'get',
          key: keyOfText(key),
          r: 1 + random.integer(3),
          strict: false,
        } as const;
        this.#world.ask(host, { ...get, timeoutMs: ATTEMPT_TIMEOUT_MS }, reply);
      },
      (reply) => {
        if (reply?.type !== 'value') {
          this.#count('read failed');
          return this.#next(client);
        }
        const saw = reply.values.map((value) => new TextDecoder().decode(value));
        if (saw.length > 1) this.#count('siblings read');
        this.#write(client, key, kind, saw, [reply.context]);
      },
    );
  }

  #write(
    client: number,
    key: string,
    kind: 'put' | 'delete',
    saw: readonly string[],
    contexts: readonly Uint8Array[],
  ): void {
    const random = this.#random;
    const name = `v${this.writes.length}`;
    const w = 1 + random.integer(3);
    const dw = random.fraction() < 0.7 ? 1 : random.integer(3);
    const fate: WriteFate = { name, key, kind, dw, saw, outcome: 'open' };
    this.writes.push(fate);
    const put = {
      type: 'put',
      key: keyOfText(key) satisfies Key,
      value: kind === 'put' ? new TextEncoder().encode(name) : ('tombstone' as const),
      contexts,
      putId: putId(hexOf(random.bytes(8))),
      writtenAt: 1_767_225_600_000 + Math.floor(this.#world.clock.nowMs),
      mode: 'causal',
      w,
      dw,
      strict: false,
      timeoutMs: ATTEMPT_TIMEOUT_MS,
    } as const;
    let maybeWritten = false;
    this.#attempt(
      1,
      undefined,
      (host, reply, attempt) => {
        this.#world.ask(host, { ...put, attempt }, (answer) => {
          if (answer.type === 'failed' && answer.details['outcome'] !== 'refused')
            maybeWritten = true;
          reply(answer);
        });
      },
      (reply, timedOut) => {
        if (reply?.type === 'applied') fate.outcome = 'applied';
        else fate.outcome = maybeWritten || timedOut ? 'unknown' : 'refused';
        this.#count(fate.outcome);
        this.#world.say(`client ${client} ${kind} ${name} on ${key}: ${fate.outcome}`);
        this.#next(client);
      },
    );
  }

  /** Tries one living node after another until one answers for good; `timedOut` if any was silent. */
  #attempt(
    attempt: number,
    silentBefore: true | undefined,
    send: (host: Host, reply: (reply: HandledReply) => void, attempt: number) => void,
    done: (reply: HandledReply | undefined, timedOut: boolean) => void,
  ): void {
    const { clock, hosts } = this.#world;
    const host = hosts[this.#random.integer(hosts.length)]!;
    let answered = false;
    const again = (reply: HandledReply | undefined, silent: true | undefined): void => {
      if (attempt >= ATTEMPTS_MAX) done(reply, silent === true);
      else {
        this.#count('retried');
        const pause = this.#random.fraction() * 100;
        clock.schedule(() => this.#attempt(attempt + 1, silent, send, done), pause);
      }
    };
    const silence = clock.schedule(() => {
      answered = true;
      again(undefined, true);
    }, ATTEMPT_TIMEOUT_MS + 200);
    send(
      host,
      (reply) => {
        if (answered) return;
        answered = true;
        silence.cancel();
        // Now and then a reply is lost on the way: the client tries again what was done already.
        if (this.#random.fraction() < 0.05) again(undefined, true);
        else if (reply.type === 'failed') again(reply, silentBefore);
        else done(reply, silentBefore === true);
      },
      attempt,
    );
  }

  #count(name: string): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + 1);
  }
}
