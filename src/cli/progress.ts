/** How far a long command is, on stderr: a line that rewrites itself on a terminal, else one now and then. */
import { ageText } from './operator.ts';
import { bytesText } from './table.ts';

const TERMINAL_MS = 200;
const LOG_MS = 5000;

export class Progress {
  readonly #unit: string;
  readonly #total: number;
  readonly #isShown: boolean;
  readonly #beganMs = performance.now();
  readonly #pauseMs = process.stderr.isTTY ? TERMINAL_MS : LOG_MS;
  #done = 0;
  #bytes = 0;
  #toldMs = performance.now();

  constructor(unit: string, total: number, isShown: boolean) {
    this.#unit = unit;
    this.#total = total;
    this.#isShown = isShown;
  }

  step(by = 1): void {
    this.#done += by;
    this.#tell('now and then');
  }

  moved(bytes: number): void {
    this.#bytes += bytes;
    this.#tell('now and then');
  }

  end(): void {
    this.#tell('now');
    if (this.#isShown && process.stderr.isTTY) process.stderr.write('\n');
  }

  #tell(when: 'now' | 'now and then'): void {
    const nowMs = performance.now();
    if (!this.#isShown || (when !== 'now' && nowMs - this.#toldMs < this.#pauseMs)) return;
    this.#toldMs = nowMs;
    const tookMs = Math.max(1, nowMs - this.#beganMs);
    const leftMs =
      this.#done === 0 ? undefined : (tookMs / this.#done) * (this.#total - this.#done);
    const rate = `${bytesText((this.#bytes * 1000) / tookMs)}/s`;
    const left = when === 'now' ? `in ${ageText(tookMs)}` : `${ageText(leftMs)} left`;
    const line = `${this.#done} of ${this.#total} ${this.#unit}, ${bytesText(this.#bytes)}, ${rate}, ${left}`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  }
}
