/**
 * Read repair, counted and bounded (paper § 5): an owner that a read found behind is sent the newer
 * record. A burst of reads of stale replicas must not become a storm of writes: what is above the
 * rate is left to anti-entropy, or to the next read.
 */
import { Rate } from '../../core/rate.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Config } from '../config.ts';

export type ReadRepairReport = {
  /** Records sent to owners that a read found behind, since the start. */
  readonly sent: number;
  /** Such owners that were left to anti-entropy because there were too many. */
  readonly skipped: number;
};

export class ReadRepairs {
  readonly #clock: Clock;
  readonly #config: Pick<Config, 'readRepairsPerSecondMax'>;
  readonly #rate: Rate;
  #sent = 0;
  #skipped = 0;

  constructor(clock: Clock, config: Pick<Config, 'readRepairsPerSecondMax'>) {
    this.#clock = clock;
    this.#config = config;
    this.#rate = new Rate(config.readRepairsPerSecondMax, clock.monotonicMs());
  }

  /** Whether one more may be sent now; it counts as sent. */
  take(): boolean {
    const waitMs = this.#rate.take(this.#config.readRepairsPerSecondMax, this.#clock.monotonicMs());
    if (waitMs === 0) this.#sent += 1;
    else this.#skipped += 1;
    return waitMs === 0;
  }

  report(): ReadRepairReport {
    return { sent: this.#sent, skipped: this.#skipped };
  }
}
