/**
 * The storage port on a simulated disk. The platter outlives the process: what was committed stays
 * through a crash; a commit under way when the process dies is there in whole or not at all.
 */
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type {
  CommitResult,
  Storage,
  StorageEntry,
  StorageOp,
  StorageTable,
} from '../ports/storage.ts';

export type DiskFaults = {
  /** How long a commit takes, ms: from, to. */
  commitMs: readonly [number, number];
  freeBytes: number;
  failing: boolean;
};

export class SimDisk {
  readonly faults: DiskFaults = { commitMs: [0.2, 3], freeBytes: 2 ** 40, failing: false };
  /** Commits begun in all lives. */
  commits = 0;
  #tables = new Map<StorageTable, Map<string, Uint8Array>>();
  /** Commits of the present life that have not reached the platter. */
  #underWay: (readonly StorageOp[])[] = [];

  /** The platter as one life of a process sees it. */
  open(clock: Clock, random: Random): Storage {
    let lastDue = 0;
    let failure: string | undefined;
    return {
      get: (table, key) => this.#table(table).get(nameOf(key))?.slice(),
      range: (table, { from, to, limit }) => this.#range(table, from, to, limit),
      commit: (ops, done) => {
        const copies = ops.map(copyOf);
        this.commits += 1;
        this.#underWay.push(copies);
        const [least, most] = this.faults.commitMs;
        const due = clock.monotonicMs() + least + random.fraction() * (most - least);
        // In the order of the commits, whatever each of them takes.
        lastDue = Math.max(lastDue, due);
        clock.setTimeout(() => {
          let result: CommitResult = { type: 'durable' };
          if (this.faults.failing) failure ??= 'EIO';
          if (failure === undefined) this.#apply(copies);
          else result = { type: 'failed', reason: failure };
          this.#underWay = this.#underWay.filter((each) => each !== copies);
          done(result);
        }, lastDue - clock.monotonicMs());
      },
      usage: () => ({ fileBytes: 0, freeBytes: this.faults.freeBytes }),
      close: (done) => clock.endOfTurn(done),
    };
  }

  /** The process died: each commit under way made it or did not, in order. */
  crash(random: Random): void {
    const made = random.integer(this.#underWay.length + 1);
    for (const ops of this.#underWay.slice(0, made)) this.#apply(ops);
    this.#underWay = [];
  }

  wipe(): void {
    this.#tables = new Map();
    this.#underWay = [];
  }

  /** A copy of the platter, to be put back later as an old backup. */
  snapshot(): () => void {
    const copy = new Map([...this.#tables].map(([name, table]) => [name, new Map(table)]));
    return () => {
      this.#tables = new Map([...copy].map(([name, table]) => [name, new Map(table)]));
    };
  }

  #apply(ops: readonly StorageOp[]): void {
    for (const op of ops) {
      if (op.type === 'put') this.#table(op.table).set(nameOf(op.key), op.value);
      else this.#table(op.table).delete(nameOf(op.key));
    }
  }

  #range(
    table: StorageTable,
    from: Uint8Array | undefined,
    to: Uint8Array | undefined,
    limit: number,
  ): readonly StorageEntry[] {
    const least = from === undefined ? '' : nameOf(from);
    const end = to === undefined ? undefined : nameOf(to);
    return [...this.#table(table)]
      .filter(([name]) => name >= least && (end === undefined || name < end))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([name, value]) => ({ key: bytesOf(name), value: value.slice() }));
  }

  #table(name: StorageTable): Map<string, Uint8Array> {
    let table = this.#tables.get(name);
    if (table === undefined) this.#tables.set(name, (table = new Map()));
    return table;
  }
}

const copyOf = (op: StorageOp): StorageOp =>
  op.type === 'put' ? { ...op, key: op.key.slice(), value: op.value.slice() } : op;

/** One char a byte: sorts as bytes do. */
const nameOf = (bytes: Uint8Array): string => {
  let name = '';
  for (const byte of bytes) name += String.fromCharCode(byte);
  return name;
};

const bytesOf = (name: string): Uint8Array =>
  Uint8Array.from({ length: name.length }, (_, i) => name.charCodeAt(i));
