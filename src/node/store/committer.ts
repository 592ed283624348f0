/** What the write-buffer actor decides when to do: commits of the store, one at a time. */
import type { WriteBufferPorts, Waiting } from '../../../actors/write-buffer.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Random } from '../../ports/random.ts';
import type { Config } from '../config.ts';
import type { Tell } from '../mail.ts';
import type { RecordStore } from './record-store.ts';

export type CommitterParts = {
  readonly store: Pick<RecordStore, 'waiting' | 'commit' | 'releaseDurable'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly config: Pick<Config, 'flushIntervalMs' | 'groupCommitMs'>;
  readonly tell: Tell;
  /** Fail-stop: no more acks, and the process ends. */
  readonly failed: (reason: string) => void;
};

/** The longest rest after a commit, in windows of a group commit. */
const REST_WINDOWS = 5;

export class Committer implements WriteBufferPorts {
  readonly #parts: CommitterParts;
  /** How long the last commit took. */
  #tookMs = 0;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
  }

  waiting(): Waiting {
    return this.#parts.store.waiting;
  }

  commit(): void {
    const { store, clock, tell, failed } = this.#parts;
    const begunMs = clock.monotonicMs();
    store.commit((failure) => {
      this.#tookMs = clock.monotonicMs() - begunMs;
      tell('writeBuffer', { type: failure === undefined ? 'commit.done' : 'commit.failed' });
      if (failure !== undefined) failed(`commit failed: ${failure}`);
    });
  }

  committed(): void {
    this.#parts.store.releaseDurable();
  }

  flushAfterMs(): number {
    const { config, random } = this.#parts;
    return config.flushIntervalMs * (1 - random.fraction() / 2);
  }

  restMs(): number {
    return Math.min(this.#tookMs, REST_WINDOWS * this.#parts.config.groupCommitMs);
  }
}
