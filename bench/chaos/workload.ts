/**
 * Clients that read, modify, write, delete and write blindly on few keys, every value unique; what
 * became of each write is kept for the oracle.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CoterieError } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import type { FinalValues, WriteFate } from './oracle.ts';

const KEYS = 48;
/** Siblings enough: a blind put more would be refused one day. */
const SIBLINGS_WANTED = 8;

export class Workload {
  readonly writes: WriteFate[] = [];
  readonly counts = { reads: 0, readsFailed: 0, applied: 0, refused: 0, unknown: 0 };
  /** How often each error code was heard. */
  readonly errors = new Map<string, number>();
  readonly #latenciesMs: number[] = [];
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** One client, until `signal`; it rests so long before each operation. */
  async run(client: Client, name: string, signal: AbortSignal, restMs = 0): Promise<void> {
    for (let i = 0; !signal.aborted; i++) {
      if (restMs > 0) await sleep(restMs);
      const key = `k${Math.floor(this.#random() * KEYS)}`;
      const began = performance.now();
      const dice = this.#random();
      try {
        if (dice < 0.25) await this.#write(client, key, `${name}.${i}`, 'put', undefined);
        else {
          const read = await client.get(key, { timeoutMs: 3000 });
          this.counts.reads += 1;
          const saw = read.values.map((value) => Buffer.from(value).toString());
          if (dice < 0.4 && saw.length < SIBLINGS_WANTED) continue;
          const kind = dice < 0.5 && saw.length > 0 ? 'delete' : 'put';
          await this.#write(client, key, `${name}.${i}`, kind, { context: read.context, saw });
        }
        this.#latenciesMs.push(performance.now() - began);
      } catch (error) {
        if (!(error instanceof CoterieError)) throw error;
        this.counts.readsFailed += 1;
        this.#heard(error);
      }
    }
  }

  /** What reads of all replicas show once it is calm. */
  async finalValues(client: Client): Promise<FinalValues> {
    const values = new Map<string, readonly string[]>();
    for (let i = 0; i < KEYS; i++) {
      const read = await client.get(`k${i}`, { r: 3, strict: true, timeoutMs: 30_000 });
      values.set(
        `k${i}`,
        read.values.map((value) => Buffer.from(value).toString()),
      );
    }
    return values;
  }

  /** Operations that did what they were to do. */
  get done(): number {
    return this.counts.reads + this.counts.applied;
  }

  percentileMs(part: number): number {
    const sorted = [...this.#latenciesMs].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length * part)] ?? 0;
  }

  #heard({ code }: CoterieError): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }

  async #write(
    client: Client,
    key: string,
    name: string,
    kind: 'put' | 'delete',
    seen: { readonly context: Uint8Array; readonly saw: readonly string[] } | undefined,
  ): Promise<void> {
    const dw = 1 + Math.floor(this.#random() * 2);
    const fate: WriteFate = { name, key, kind, saw: seen?.saw ?? [], outcome: 'open' };
    this.writes.push(fate);
    const options = {
      dw,
      timeoutMs: 3000,
      ...(seen === undefined ? {} : { context: seen.context }),
    };
    try {
      if (kind === 'put') await client.put(key, name, options);
      else await client.delete(key, options);
      fate.outcome = 'applied';
    } catch (error) {
      if (!(error instanceof CoterieError)) throw error;
      fate.outcome = error.outcome;
      this.#heard(error);
    }
    this.counts[fate.outcome] += 1;
  }
}
