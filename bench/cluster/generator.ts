/**
 * The load generator: a process of its own, so that its CPU and its pauses are not the servers'.
 * Takes orders over IPC (jobs.ts) and answers each with one message.
 */
import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { RecordableHistogram } from 'node:perf_hooks';
import { CoterieError, connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { chooserOf, exponential, seeded } from '../support/random.ts';
import { OPERATIONS, PERCENTILES, keyOf } from './jobs.ts';
import type { Coordination, Job, JobResult, Latencies, Operation, Order, Second } from './jobs.ts';

/** Latencies in whole microseconds. */
class Meter {
  readonly #histogram: RecordableHistogram = createHistogram();

  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * 1000)));
  }

  get latencies(): Latencies {
    const histogram = this.#histogram;
    if (histogram.count === 0) return { count: 0, meanMs: 0, percentilesMs: [] };
    return {
      count: histogram.count,
      meanMs: histogram.mean / 1000,
      percentilesMs: PERCENTILES.map((percent) => histogram.percentile(percent) / 1000),
    };
  }

  get second(): Pick<Second, 'meanMs' | 'p99Ms' | 'p999Ms'> {
    const histogram = this.#histogram;
    if (histogram.count === 0) return { meanMs: 0, p99Ms: 0, p999Ms: 0 };
    return {
      meanMs: histogram.mean / 1000,
      p99Ms: histogram.percentile(99) / 1000,
      p999Ms: histogram.percentile(99.9) / 1000,
    };
  }
}

const READY_SECONDS = { open: 0.5, closed: 0.2 };
const READY_SEED = 0x5eed;

class Generator {
  readonly #contexts = new Map<string, Uint8Array>();
  #clients: readonly Client[] = [];
  #keys = 0;
  #turn = 0;
  #siblingsMax = 0;

  async open(
    addresses: readonly string[],
    connections: number,
    coordination: Coordination,
    retriesMax: number | undefined,
  ): Promise<void> {
    const retries = retriesMax === undefined ? {} : { retriesMax };
    await Promise.all(this.#clients.map((client) => client.close()));
    // Each connection begins at another node, and learns there of those to go to when that one fails.
    this.#clients = Array.from({ length: connections }, (_, i) =>
      connect(addresses[i % addresses.length]!, { coordination, ...retries }),
    );
  }

  async fill(keys: number, valueBytes: number, inFlight: number): Promise<void> {
    let next = this.#keys;
    this.#keys = Math.max(keys, this.#keys);
    await Promise.all(
      Array.from({ length: inFlight }, async () => {
        while (next < keys) await this.#fillOne(keyOf(next++), valueBytes);
      }),
    );
  }

  /** However often a node refuses it: what is measured later needs every key. */
  async #fillOne(key: string, valueBytes: number): Promise<void> {
    for (;;) {
      try {
        return await this.#put(key, { valueBytes, timeoutMs: 30_000, dw: 0 });
      } catch (error) {
        if (!(error instanceof CoterieError) || error.code !== 'OVERLOADED') throw error;
        const pauseMs = Number(error.details['retryAfterMs'] ?? 100);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  /**
   * Collects what has gathered, and plays a moment that nobody looks at: the engine gives compiled code up
   * with the rest, and while it runs slowly requests gather; those of an open loop go out all at once.
   */
  async ready(job: Job): Promise<void> {
    globalThis.gc?.();
    // Other keys than those that follow, or these would be found where the last ones left them.
    const seed = job.seed ^ READY_SEED;
    await this.run({ ...job, seed, seconds: READY_SECONDS[job.pace.type] });
  }

  async run(job: Job): Promise<JobResult> {
    const run = new Run(job);
    this.#keys = Math.max(this.#keys, job.keys);
    this.#siblingsMax = 0;
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const chance = seeded(job.seed);
    const choose = chooserOf(job.choice, chance);
    const one = (intendedMs: number): Promise<void> => {
      const operation = run.choose(chance());
      const index = operation === 'insert' ? this.#keys++ : choose(this.#keys);
      return run.timed(operation, intendedMs, () => this.#operate(operation, keyOf(index), job));
    };
    if (job.pace.type === 'closed') await closedLoop(job.pace.inFlight, run, one);
    else await openLoop(job.pace, run, one, chance);
    delay.disable();
    const ms = (ns: number): number => ns / 1e6;
    return {
      ...run.result(),
      ...(job.pace.type === 'open' ? { targetPerSecond: job.pace.perSecond } : {}),
      ownDelayMs: {
        p50: ms(delay.percentile(50)),
        p99: ms(delay.percentile(99)),
        max: ms(delay.max),
      },
      siblingsMax: this.#siblingsMax,
    };
  }

  async #operate(operation: Operation, key: string, job: Job): Promise<void> {
    switch (operation) {
      case 'read':
        return this.#get(key, job);
      case 'update':
      case 'insert':
        return this.#put(key, job);
      case 'readModifyWrite':
        await this.#get(key, job);
        return this.#put(key, job);
    }
  }

  async #get(key: string, { r, timeoutMs }: Pick<Job, 'r' | 'timeoutMs'>): Promise<void> {
    const options = { timeoutMs, ...(r === undefined ? {} : { r }) };
    const found = await this.#client().get(key, options);
    this.#siblingsMax = Math.max(this.#siblingsMax, found.values.length);
    this.#contexts.set(key, found.context);
  }

  /** With the newest context this generator has seen of the key, as an application would. */
  async #put(
    key: string,
    { valueBytes, timeoutMs, w, dw }: Pick<Job, 'valueBytes' | 'timeoutMs' | 'w' | 'dw'>,
  ): Promise<void> {
    const context = this.#contexts.get(key);
    const done = await this.#client().put(key, valueOf(valueBytes), {
      timeoutMs,
      ...(w === undefined ? {} : { w }),
      ...(dw === undefined ? {} : { dw }),
      ...(context === undefined ? {} : { context }),
    });
    this.#contexts.set(key, done.context);
  }

  #client(): Client {
    return this.#clients[this.#turn++ % this.#clients.length]!;
  }
}

const values = new Map<number, Uint8Array>();
const valueOf = (bytes: number): Uint8Array => {
  const value = values.get(bytes) ?? new Uint8Array(bytes).map((_, i) => (i * 31) & 0xff);
  values.set(bytes, value);
  return value;
};

/** The books of one job. */
class Run {
  readonly startMs = performance.now();
  readonly endMs: number;
  readonly #job: Job;
  readonly #fromIntended = new Meter();
  readonly #fromStart = new Meter();
  readonly #startedLate = new Meter();
  readonly #byOperation = new Map<Operation, Meter>();
  readonly #errors: Record<string, number> = {};
  readonly #seconds: { meter: Meter; operations: number; errors: number }[] = [];
  #operations = 0;
  /** Of an open loop: begun only when another had ended. */
  heldBack = 0;

  constructor(job: Job) {
    this.#job = job;
    this.endMs = this.startMs + job.seconds * 1000;
  }

  choose(fraction: number): Operation {
    let left = fraction;
    for (const operation of OPERATIONS) {
      left -= this.#job.mix[operation];
      if (left < 0) return operation;
    }
    return 'read';
  }

  async timed(
    operation: Operation,
    intendedMs: number,
    operate: () => Promise<void>,
  ): Promise<void> {
    const startMs = performance.now();
    this.#startedLate.record(startMs - intendedMs);
    let failure: string | undefined;
    try {
      await operate();
    } catch (error) {
      failure = String((error as { readonly code?: unknown }).code ?? error);
    }
    const endMs = performance.now();
    const second = this.#second(endMs);
    if (failure !== undefined) {
      this.#errors[failure] = (this.#errors[failure] ?? 0) + 1;
      second.errors += 1;
      return;
    }
    this.#operations += 1;
    second.operations += 1;
    second.meter.record(endMs - intendedMs);
    this.#fromIntended.record(endMs - intendedMs);
    this.#fromStart.record(endMs - startMs);
    const meter = this.#byOperation.get(operation) ?? new Meter();
    this.#byOperation.set(operation, meter);
    meter.record(endMs - intendedMs);
  }

  result(): Omit<JobResult, 'ownDelayMs' | 'siblingsMax'> {
    const seconds = (performance.now() - this.startMs) / 1000;
    return {
      seconds,
      operations: this.#operations,
      perSecond: this.#operations / seconds,
      errors: this.#errors,
      fromIntended: this.#fromIntended.latencies,
      fromStart: this.#fromStart.latencies,
      startedLate: this.#startedLate.latencies,
      heldBack: this.heldBack,
      byOperation: Object.fromEntries(
        [...this.#byOperation].map(([operation, meter]) => [operation, meter.latencies]),
      ),
      timeline: this.#seconds.map(({ meter, operations, errors }, second) => ({
        ...{ second, operations, errors },
        ...meter.second,
      })),
    };
  }

  #second(nowMs: number): { meter: Meter; operations: number; errors: number } {
    const at = Math.floor((nowMs - this.startMs) / 1000);
    while (this.#seconds.length <= at) {
      this.#seconds.push({ meter: new Meter(), operations: 0, errors: 0 });
    }
    return this.#seconds[at]!;
  }
}

const closedLoop = async (
  inFlight: number,
  run: Run,
  one: (intendedMs: number) => Promise<void>,
): Promise<void> => {
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() < run.endMs) await one(performance.now());
    }),
  );
};

/** Looks every millisecond for what is due; each operation knows when it should have begun. */
const openLoop = (
  pace: Extract<Job['pace'], { type: 'open' }>,
  run: Run,
  one: (intendedMs: number) => Promise<void>,
  chance: () => number,
): Promise<void> =>
  new Promise((resolve) => {
    const meanPauseMs = 1000 / pace.perSecond;
    let dueMs = run.startMs;
    let inFlight = 0;
    const finished = (): void => {
      const wasFull = inFlight === pace.inFlightMax;
      inFlight -= 1;
      if (inFlight === 0 && dueMs >= run.endMs) resolve();
      else launch(wasFull);
    };
    const launch = (wasFull = false): void => {
      const nowMs = performance.now();
      while (dueMs <= nowMs && dueMs < run.endMs && inFlight < pace.inFlightMax) {
        inFlight += 1;
        if (wasFull) run.heldBack += 1;
        void one(dueMs).then(finished);
        dueMs += meanPauseMs * (pace.arrivals === 'fixed' ? 1 : exponential(chance));
      }
    };
    const tick = setInterval(() => {
      launch();
      if (dueMs < run.endMs) return;
      clearInterval(tick);
      if (inFlight === 0) resolve();
    }, 1);
  });

// A refusal is counted; its stack is read by nobody, and costs more than the request.
Error.stackTraceLimit = 0;
const generator = new Generator();
process.on('message', (order: Order) => {
  const answer = (value: unknown): void => void process.send!(value);
  const refuse = (error: unknown): void => answer({ failed: String(error) });
  if (order.type === 'open') {
    const { addresses, connections, coordination, retriesMax } = order;
    generator.open(addresses, connections, coordination, retriesMax).then(() => answer({}), refuse);
  } else if (order.type === 'fill') {
    const { keys, valueBytes, inFlight } = order;
    generator.fill(keys, valueBytes, inFlight).then(() => answer({}), refuse);
  } else if (order.type === 'ready') {
    generator.ready(order.job).then(() => answer({}), refuse);
  } else generator.run(order).then(answer, refuse);
});
process.on('disconnect', () => process.exit(0));
