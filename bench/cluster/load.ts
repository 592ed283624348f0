/** The generator's process as its user sees it, and what servers spent while a job ran. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ended } from '../support/processes.ts';
import type { Cpu } from '../support/processes.ts';
import type { Coordination, Job, JobResult, Order } from './jobs.ts';

/**
 * So that the collector of the generator is not what is measured: young collections of 2 ms, and no full
 * one, whose threads take both processors of a small machine for 20 to 40 ms, below a heap of 1 GiB.
 * What has gathered is collected before each run: a GiB takes a second.
 */
const GENERATOR_FLAGS = ['--max-semi-space-size=4', '--initial-heap-size=1024', '--expose-gc'];

export class LoadGenerator {
  readonly #child: ChildProcess;

  constructor() {
    const path = fileURLToPath(new URL('./generator.js', import.meta.url));
    this.#child = fork(path, [], { execArgv: GENERATOR_FLAGS });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async open(
    addresses: readonly string[],
    connections: number,
    coordination: Coordination = 'server',
    retriesMax?: number,
  ): Promise<void> {
    const retries = retriesMax === undefined ? {} : { retriesMax };
    await this.#ask({ type: 'open', addresses, connections, coordination, ...retries });
  }

  async fill(keys: number, valueBytes: number): Promise<void> {
    await this.#ask({ type: 'fill', keys, valueBytes, inFlight: 64 });
  }

  /** Plays `job` once the generator is ready for it, which `begun` is told. */
  async run(job: Job, begun: () => unknown = () => undefined): Promise<JobResult> {
    await this.#ask({ type: 'ready', job });
    await begun();
    return this.runAtOnce(job);
  }

  /** Where the beginning is what is looked at, the generator's own beginning included. */
  runAtOnce(job: Job): Promise<JobResult> {
    return this.#ask(job) as Promise<JobResult>;
  }

  close(): Promise<void> {
    return ended(this.#child);
  }

  #ask(order: Order): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const gone = (code: number | null): void =>
        reject(new Error(`the load generator ended with ${code}`));
      this.#child.once('exit', gone);
      this.#child.once('message', (answer: { readonly failed?: string }) => {
        this.#child.off('exit', gone);
        if (answer.failed === undefined) resolve(answer);
        else reject(new Error(answer.failed));
      });
      this.#child.send(order);
    });
  }
}

export type Measured = JobResult & {
  /** CPU of all servers for one operation, µs. */
  readonly serverMicroseconds: number;
  /** Of these, on the event loops. */
  readonly loopMicroseconds: number;
};

export const measured = async (
  generator: LoadGenerator,
  spent: () => Cpu,
  job: Job,
  begun: () => void = () => undefined,
): Promise<Measured> => {
  let before = spent();
  const result = await generator.run(job, () => {
    before = spent();
    begun();
  });
  const after = spent();
  const each = (seconds: number): number => (seconds * 1e6) / Math.max(1, result.operations);
  return {
    ...result,
    serverMicroseconds: each(after.seconds - before.seconds),
    loopMicroseconds: each(after.loopSeconds - before.loopSeconds),
  };
};
