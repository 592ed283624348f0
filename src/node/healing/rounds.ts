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
 * life calls its own. And nothing is forgotten in a round that a member has not entered: a disk that
 * brings records and was not in a round in which others forgot something is an older image of
 * itself. What it holds may be what was deleted and forgotten: nobody takes it, and it stops.
 */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Storage } from '../../ports/storage.ts';
import type { NodeId } from '../../core/ids.ts';
import type { RoundAt } from '../../wire/peer-messages.ts';
import { META } from '../store/meta-rows.ts';

export type RoundsParts = {
  readonly storage: Storage;
  readonly clock: Clock;
  /** The number the next request of this node will have. */
  readonly nextRequest: () => number;
  readonly failed: (reason: string) => void;
};

type Step = { readonly round: number; readonly entered: number; readonly done: () => void };
type Mark = { readonly round: number; readonly firstRequest: number; readonly atMs: number };

/** Rounds looked back at; requests older than that count as older still. */
const MARKS_MAX = 16;

export class Rounds {
  readonly #parts: RoundsParts;
  readonly #atStart: number;
  /** Whether this life began with records: older ones than others have, perhaps. */
  readonly #broughtRecords: boolean;
  /** What this disk holds is of this round or newer, durably. */
  #entered: number;
  #forgotten: number;
  #marks: readonly Mark[] = [];
  #floor = 0;
  #isCommitting = false;
  #waiting: Step[] = [];
  /** Peers whose disks are older images. */
  readonly #images = new Set<NodeId>();

  constructor(parts: RoundsParts) {
    this.#parts = parts;
    const { storage } = parts;
    [this.#atStart, this.#entered] = decodeRound(storage.get('meta', META.round));
    this.#forgotten = decodeRound(storage.get('meta', META.forgotten))[0];
    this.#broughtRecords = storage.range('records', { limit: 1 }).length > 0;
  }

  /** The round in force here: what is read now is stamped with it. */
  get current(): number {
    return this.#marks.at(-1)?.round ?? this.#atStart;
  }

  /** Records of earlier rounds are refused, unacknowledged. */
  get floor(): number {
    return this.#floor;
  }

  /** What every link begins with. */
  get firstWord(): RoundAt {
    return {
      type: 'round.at',
      round: this.current,
      floor: this.#floor,
      entered: this.#broughtRecords ? this.#entered : this.current,
      forgotten: this.#forgotten,
    };
  }

  /** Enters `round` as one of those that are asked; `done` once it is in force and survives a crash. */
  enter(round: number, done: () => void): void {
    this.#reach({ round, entered: round, done });
  }

  /** Where a peer is, what it takes, and whether one of the two disks is an older image. */
  hear(
    from: NodeId,
    { round, floor, entered, forgotten }: RoundAt,
    reply: (word: RoundAt) => void,
  ): void {
    if (this.#broughtRecords && forgotten > this.#entered) {
      return this.#parts.failed(
        `this data directory is an old image: others have forgotten deletes since (round ` +
          `${forgotten}, here ${this.#entered}); start with an empty one, and it is refilled`,
      );
    }
    this.#forgotten = Math.max(this.#forgotten, forgotten);
    if (entered < this.#forgotten) this.#images.add(from);
    else this.#images.delete(from);
    // Who came with nothing holds nothing older than what it is told now.
    const reached = this.#broughtRecords ? this.#entered : round;
    const isNews = round > this.current || reached > this.#entered;
    const done = () => {
      if (isNews) reply(this.firstWord);
    };
    this.#reach({ round, entered: reached, done });
    this.raiseFloor(floor);
  }

  /** Whether what `node` says may be of before something was forgotten. */
  isImage(node: NodeId): boolean {
    return this.#images.has(node);
  }

  /** Something is forgotten in `round`: the value of the row `forgotten` from here on. */
  forgetting(round: number): Uint8Array {
    this.#forgotten = Math.max(this.#forgotten, round);
    return encodeRound(this.#forgotten);
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

  #reach({ round, entered, done }: Step): void {
    if (round <= this.current && entered <= this.#entered) return done();
    if (this.#isCommitting) {
      this.#waiting.push({ round, entered, done });
      return;
    }
    this.#isCommitting = true;
    const { storage, clock, nextRequest, failed } = this.#parts;
    const reached = Math.max(this.#entered, entered);
    const value = encodeRound(Math.max(this.current, round), reached);
    storage.commit([{ type: 'put', table: 'meta', key: META.round, value }], (result) => {
      this.#isCommitting = false;
      if (result.type === 'failed') return failed(`commit failed: ${result.reason}`);
      this.#entered = reached;
      if (round > this.current) {
        const mark = { round, firstRequest: nextRequest(), atMs: clock.monotonicMs() };
        this.#marks = [...this.#marks, mark].slice(-MARKS_MAX);
      }
      done();
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const step of waiting) this.#reach(step);
    });
  }
}

const encodeRound = (...numbers: readonly number[]): Uint8Array => {
  const writer = new ByteWriter();
  for (const each of numbers) writer.varint(each);
  return writer.take();
};

/** Of a disk that tells one number only, both are that one. */
const decodeRound = (bytes: Uint8Array | undefined): readonly [number, number] => {
  if (bytes === undefined) return [0, 0];
  const reader = new ByteReader(bytes);
  const round = reader.varint();
  return [round, reader.atEnd ? round : reader.varint()];
};
