/**
 * Rounds of agreement, numbered through the whole cluster, and the fence they put up (RULES A9.3).
 * Every message that carries a record is stamped with the round in which its data was read; once a
 * node has raised its floor it takes nothing of an earlier round, and says nothing about it.
 *
 *   requests      … 17 18 │ 19 20 21 │ 22 …     numbered as they are born
 *   round         4       │ 5        │ 6        a node adopts rounds, never goes back
 *   floor         ─────────────▲ 5              a write of request 18 comes too late from here on
 *
 * A round counts only once it is durable: no former life of this node can have used one that this
 * life calls its own. And a disk that brings records and was never in a round that others have
 * fenced is an older image of itself: what it holds may have been deleted and forgotten since.
 */
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import type { Clock } from '../ports/clock.ts';
import type { Storage } from '../ports/storage.ts';

const ROUND = new TextEncoder().encode('round');

export type RoundsParts = {
  readonly storage: Storage;
  readonly clock: Clock;
  /** The number the next request of this node will have. */
  readonly nextRequest: () => number;
  readonly failed: (reason: string) => void;
};

type Mark = { readonly round: number; readonly firstRequest: number; readonly atMs: number };

/** Rounds looked back at; requests older than that count as older still. */
const MARKS_MAX = 16;

export class Rounds {
  readonly #parts: RoundsParts;
  readonly #atStart: number;
  readonly #broughtRecords: boolean;
  /** The last round this node was asked to enter, or led: nothing was fenced without it. */
  #entered: number;
  #marks: readonly Mark[] = [];
  #floor = 0;
  #isCommitting = false;
  #waiting: { readonly round: number; readonly done: () => void }[] = [];

  constructor(parts: RoundsParts) {
    this.#parts = parts;
    const held = parts.storage.get('meta', ROUND);
    this.#atStart = held === undefined ? 0 : new ByteReader(held).varint();
    this.#entered = this.#atStart;
    this.#broughtRecords = parts.storage.range('records', { limit: 1 }).length > 0;
  }

  /** The round in force here: what is read now is stamped with it. */
  get current(): number {
    return this.#marks.at(-1)?.round ?? this.#atStart;
  }

  /** Records of earlier rounds are refused, unacknowledged. */
  get floor(): number {
    return this.#floor;
  }

  /** Enters `round`, if that is ahead; `done` once it is in force and survives a crash. */
  adopt(round: number, done: () => void = () => undefined): void {
    if (round <= this.current) return done();
    if (this.#isCommitting) {
      this.#waiting.push({ round, done });
      return;
    }
    this.#isCommitting = true;
    const { storage, clock, nextRequest, failed } = this.#parts;
    const writer = new ByteWriter();
    writer.varint(round);
    const op = { type: 'put', table: 'meta', key: ROUND, value: writer.take() } as const;
    storage.commit([op], (result) => {
      this.#isCommitting = false;
      if (result.type === 'failed') return failed(`commit failed: ${result.reason}`);
      const mark = { round, firstRequest: nextRequest(), atMs: clock.monotonicMs() };
      this.#marks = [...this.#marks, mark].slice(-MARKS_MAX);
      done();
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const each of waiting) this.adopt(each.round, each.done);
    });
  }

  /** Enters a round of agreement as one of those that are asked. */
  enter(round: number, done: () => void): void {
    this.#entered = Math.max(this.#entered, round);
    this.adopt(round, done);
  }

  /** Where a peer is, and the lowest round it takes records of. */
  hear(round: number, floor: number): void {
    if (this.#broughtRecords && floor > this.#entered) {
      return this.#parts.failed(
        `this data directory is an old image: others have forgotten deletes since (round ${floor}, ` +
          `here ${this.#entered}); start with an empty one, and it is refilled`,
      );
    }
    this.adopt(round);
    this.raiseFloor(floor);
  }

  /** From here on nothing of an earlier round is taken. */
  raiseFloor(round: number): void {
    this.#floor = Math.max(this.#floor, round);
  }

  /** The round in which request number `request` of this node was born. */
  ofRequest(request: number): number {
    const mark = this.#marks.findLast(({ firstRequest }) => firstRequest <= request);
    return mark?.round ?? (this.#marks.length < MARKS_MAX ? this.#atStart : 0);
  }

  /** A request under way got an answer of an earlier round: all that are under way count as older. */
  lower(round: number): void {
    if (round >= this.current) return;
    const firstRequest = this.#parts.nextRequest();
    this.#marks = this.#marks.map((mark) =>
      mark.round > round ? { ...mark, firstRequest } : mark,
    );
  }

  /**
   * When this life of the node first was in `round` or beyond, by its monotonic clock; undefined if
   * it never was, or if a former life may have been there too.
   */
  adoptedAtMs(round: number): number | undefined {
    if (round <= this.#atStart) return undefined;
    return this.#marks.find((mark) => mark.round >= round)?.atMs;
  }
}
