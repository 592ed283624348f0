/**
 * What scrubbing means: which rows are looked at next, and what becomes of a bad one. It goes, and
 * its partition loses its mark in the same commit, so that the other owners refill it before it is
 * read here again (RULES C7); so does a partition of which the Merkle tree counts what is not there.
 *
 * A round begins with what is not in its place. Of rows in the log memory has what was written. A hint
 * is no data, it says who lacks what: one that still names a record that is here and a node is kept
 * anew, at worst for nobody; any other is dropped, and what it may have promised the owners find out
 * when they compare, or are offered as a copy that stands in for nobody (RULES C6).
 */
import type { ScrubEvent, ScrubPorts } from '../../../actors/scrub.ts';
import { hexOf, partitionId } from '../../core/ids.ts';
import type { PartitionId } from '../../core/ids.ts';
import { LEAVES } from '../../core/merkle.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Random } from '../../ports/random.ts';
import type { Trace } from '../../ports/trace.ts';
import type { Admission } from '../admission-desk.ts';
import type { Findings } from '../store/audit.ts';
import type { Completeness } from '../store/completeness.ts';
import type { Config } from '../config.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { Replica } from '../store/replica.ts';
import type { RingView } from '../membership/ring-view.ts';
import { nameOfHint } from '../store/stored.ts';

export type ScrubDeskParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly config: Pick<Config, 'scrubIntervalMs' | 'scrubPaceMs'>;
  readonly admission: Admission;
  readonly ring: RingView;
  readonly store: RecordStore;
  readonly replica: Replica;
  readonly completeness: Completeness;
  readonly tell: (event: ScrubEvent) => void;
};

export type ScrubReport = {
  readonly state: 'resting' | 'checking';
  /** Partitions not looked at yet in the round under way. */
  readonly left: number;
  /** Since the node started: whole rounds, rows looked at, and what was wrong with them. */
  readonly rounds: number;
  readonly rows: number;
  readonly damaged: number;
  readonly misplaced: number;
  /** Leaves of Merkle trees that did not count what was there. */
  readonly miscounted: number;
  /** Rows of the log that were not what was written, and written anew. */
  readonly logged: number;
  /** Hints that were not what was written: kept anew, or dropped. */
  readonly hints: number;
  /** Milliseconds since the last whole round ended; undefined: none has. */
  readonly roundEndedMs: number | undefined;
};

/** A slice is about so many rows, or so many partitions. */
const ROWS_PER_SLICE = 256;
/** A row of the log holds several records: so many keep a slice to about a millisecond. */
const LOG_ROWS_PER_SLICE = 32;
const PARTITIONS_PER_SLICE = 32;
/** The first round does not wait for a whole interval: a node that restarts often is scrubbed too. */
const FIRST_ROUND_MS = 60_000;

type Cursor = {
  /** What comes first: rows of the log, then hints. */
  phase: 'log' | 'hints' | 'records';
  hintsAfter: Uint8Array | undefined;
  partition: PartitionId;
  leaf: number;
  left: number;
};

export class ScrubDesk implements ScrubPorts {
  readonly #parts: ScrubDeskParts;
  readonly #found = { rows: 0, damaged: 0, misplaced: 0, miscounted: 0, logged: 0, hints: 0 };
  #cursor: Cursor | undefined;
  #rounds = 0;
  #roundEndedAtMs: number | undefined;
  #isHurried = false;

  constructor(parts: ScrubDeskParts) {
    this.#parts = parts;
  }

  /** A whole round from now on, only as slow as clients need it. */
  hurry(): void {
    if (this.#isHurried) return;
    this.#isHurried = true;
    if (this.#cursor !== undefined) this.#cursor.left = this.#parts.ring.ring.partitions;
    this.#parts.tell({ type: 'scrub.wanted' });
  }

  /** Looks at these leaves at once: an exchange found something that cannot be. */
  suspect(partition: PartitionId, leaves: readonly number[]): void {
    let next = 0;
    for (const leaf of leaves) {
      if (leaf < next) continue;
      const found = this.#parts.store.audit.look(partition, leaf, 1);
      this.#mend(partition, found);
      next = found.next;
    }
  }

  report(): ScrubReport {
    const endedAtMs = this.#roundEndedAtMs;
    return {
      state: this.#cursor === undefined && !this.#isHurried ? 'resting' : 'checking',
      left: this.#cursor?.left ?? 0,
      rounds: this.#rounds,
      ...this.#found,
      roundEndedMs:
        endedAtMs === undefined ? undefined : this.#parts.clock.monotonicMs() - endedAtMs,
    };
  }

  restMs(): number {
    const { config, random } = this.#parts;
    const { scrubIntervalMs } = config;
    if (this.#rounds > 0) return scrubIntervalMs * (0.5 + random.fraction());
    return Math.min(scrubIntervalMs, FIRST_ROUND_MS) * random.fraction();
  }

  paceMs(): number {
    const { admission, config } = this.#parts;
    const grantedMs = admission.grant('scrub');
    return this.#isHurried ? grantedMs : Math.max(config.scrubPaceMs, grantedMs);
  }

  checkSlice(): void {
    const { ring, admission, store, tell } = this.#parts;
    const { partitions, table } = ring.ring;
    // Before the ring is known nobody can say where a row belongs.
    if (table.length === 0) {
      this.#isHurried = false;
      return tell({ type: 'round.done' });
    }
    admission.begin('scrub');
    const cursor = (this.#cursor ??= this.#newRound(partitions));
    if (cursor.phase !== 'records') {
      if (cursor.phase === 'log') this.#checkLog(cursor);
      else this.#checkHints(cursor);
      return tell({ type: 'slice.checked' });
    }
    let rows = 0;
    for (let looks = 0; looks < PARTITIONS_PER_SLICE && rows < ROWS_PER_SLICE; looks++) {
      if (cursor.left === 0) return this.#endRound();
      const { partition, leaf } = cursor;
      const found = store.audit.look(partition, leaf, ROWS_PER_SLICE - rows);
      rows += found.rows;
      this.#mend(partition, found);
      cursor.leaf = found.next;
      if (found.next < LEAVES) continue;
      cursor.partition = partitionId((partition + 1) % partitions);
      cursor.leaf = 0;
      cursor.left -= 1;
    }
    tell({ type: 'slice.checked' });
  }

  /** Begins anywhere, so that every partition has its turn even if no round ever ends. */
  #newRound(partitions: number): Cursor {
    const partition = partitionId(this.#parts.random.integer(partitions));
    return { phase: 'log', hintsAfter: undefined, partition, leaf: 0, left: partitions };
  }

  #checkLog(cursor: Cursor): void {
    const { store, trace } = this.#parts;
    const { rows, damaged, done } = store.audit.checkLog(LOG_ROWS_PER_SLICE);
    this.#found.rows += rows;
    this.#found.logged += damaged;
    if (damaged > 0) trace.log('error', 'log.corrupt', { rows: damaged });
    if (done) cursor.phase = 'hints';
  }

  #checkHints(cursor: Cursor): void {
    const { rows, damaged, next } = this.#parts.store.hints.look(cursor.hintsAfter, ROWS_PER_SLICE);
    this.#found.rows += rows;
    this.#found.hints += damaged.length;
    if (damaged.length > 0) this.#mendHints(damaged);
    cursor.hintsAfter = next;
    if (next === undefined) cursor.phase = 'records';
  }

  #mendHints(damaged: readonly Uint8Array[]): void {
    const { store, replica, ring, clock, trace } = this.#parts;
    const lost: Uint8Array[] = [];
    for (const name of damaged) {
      trace.log('error', 'hint.corrupt', { name: hexOf(name) });
      const hint = nameOfHint(name);
      const isTrue =
        hint !== undefined &&
        ring.nodes().includes(hint.target) &&
        replica.read(hint.key) !== undefined;
      if (isTrue) store.change(() => store.hints.keep(hint.target, hint.key, clock.wallMs()));
      else lost.push(name);
    }
    if (lost.length > 0) store.hints.drop(lost);
    store.hints.recount();
  }

  #endRound(): void {
    const { store, clock, trace, tell } = this.#parts;
    this.#removeMisplaced(store.audit.beyond(ROWS_PER_SLICE));
    this.#cursor = undefined;
    this.#isHurried = false;
    this.#rounds += 1;
    this.#roundEndedAtMs = clock.monotonicMs();
    trace.log('info', 'scrub.done', this.#found);
    tell({ type: 'round.done' });
  }

  #mend(partition: PartitionId, { rows, damaged, misplaced, miscounted }: Findings): void {
    const { replica, completeness, store, ring, trace } = this.#parts;
    this.#found.rows += rows;
    this.#found.damaged += damaged.length;
    this.#found.miscounted += miscounted.length;
    for (const key of damaged) replica.readDamaged(key);
    this.#removeMisplaced(misplaced);
    if (miscounted.length === 0) return;
    const leaves = miscounted.map(({ leaf }) => leaf);
    trace.log('error', 'tree.miscounted', { partition, leaves });
    store.distrustRows();
    for (const { leaf, held } of miscounted) store.audit.recount(partition, leaf, held);
    if (ring.isHolder(partition)) completeness.forget([partition]);
  }

  #removeMisplaced(names: readonly Uint8Array[]): void {
    const { store, trace } = this.#parts;
    this.#found.misplaced += names.length;
    for (const name of names) {
      trace.log('error', 'record.misplaced', { name: hexOf(name) });
      store.audit.remove(name);
    }
  }
}
