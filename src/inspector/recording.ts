/**
 * A simulated run as a recording that the page replays: every request, every long-lived actor and
 * every fault, on the one true time that a simulator has.
 */
import type { NodeId } from '../core/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { InspectionRecord, Recording, StorySummary } from './records.ts';
import { Recorder } from './recorder.ts';
import type { Watch } from './watch.ts';

/** A run of a minute makes about 20,000. */
const RECORDS_MAX = 200_000;
/** A line of a transcript: when, and what, perhaps of which node. */
const LINE = /^(\d+\.\d+) ((n\d+)?.*)$/;
/** What nodes log and clients do is recorded where it happens; the rest the world itself has said. */
const NOT_OF_THE_WORLD = /^(?:n\d+ (?:debug|info|warn|error) |client |final )/;

export type RunToTell = {
  readonly seed: number;
  readonly virtualMs: number;
  readonly transcript: readonly string[];
  readonly broken?: { readonly key: string; readonly message: string };
};

export class RunRecorder {
  readonly #records: InspectionRecord[] = [];
  readonly #stories: StorySummary[] = [];
  readonly #nodes = new Set<NodeId>();
  #dropped = 0;

  /** The watch of one life of `node`; `nowMs` tells the time of the world. */
  readonly watch = (node: NodeId, nowMs: () => number): Watch => {
    this.#nodes.add(node);
    const recorder = new Recorder({
      self: node,
      clock: worldTime(nowMs),
      limits: { recordsMax: 1, actorRecordsPerSecond: Infinity },
    });
    recorder.sample(1);
    recorder.subscribe({
      record: (record) => {
        // Each life counts from 0.
        if (this.#records.length < RECORDS_MAX) this.#keep(record);
        else this.#dropped += 1;
      },
      story: (story) => this.#stories.push(story),
    });
    return recorder;
  };

  recording({ seed, virtualMs, transcript, broken }: RunToTell): Recording {
    for (const line of transcript) {
      const [, at, what, node] = LINE.exec(line) ?? [];
      if (what === undefined || NOT_OF_THE_WORLD.test(what)) continue;
      const world = { atMs: Number(at), node: node ?? '', actor: 'world', type: 'log' } as const;
      this.#keep({ ...world, what, state: 'warn', seq: 0 });
    }
    const records = [...this.#records].sort((a, b) => a.atMs - b.atMs || a.seq - b.seq);
    const title = this.#dropped === 0 ? '' : `, ${this.#dropped} records beyond the limit left out`;
    return {
      format: 'coterie recording 1',
      title: `simulated run of seed ${seed}${title}`,
      nodes: [...this.#nodes].sort(),
      records,
      stories: this.#stories,
      ...(broken === undefined
        ? {}
        : { broken: { atMs: virtualMs, key: broken.key, message: broken.message } }),
    };
  }

  #keep(record: InspectionRecord): void {
    this.#records.push({ ...record, seq: this.#records.length });
  }
}

/** A recorder only ever asks what time it is. */
const worldTime = (nowMs: () => number): Clock => {
  const never = (): never => {
    throw new Error('a recorder waits for nothing');
  };
  return {
    wallMs: nowMs,
    monotonicMs: nowMs,
    setTimeout: never,
    clearTimeout: never,
    endOfTurn: never,
  };
};
