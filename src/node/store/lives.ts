/**
 * Which lives of its node a data directory has seen, and how far each brought it: what a peer
 * remembers of a life is held against this (witness.ts). A life that is missing here went on in a
 * directory that this one is older than.
 *
 *   backup taken at 10 ──▶ life b, up to 12        peers remember: b, 12
 *   put back, at 10 ─────▶ life c, up to 15        the directory knows: a, 10 and c, 15: it lacks b
 */
import { isStartId } from '../../core/ids.ts';
import type { StartId } from '../../core/ids.ts';
import type { Storage, StorageOp } from '../../ports/storage.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { META } from './meta-rows.ts';

/** Lives remembered by name; of older ones only how far they all came. */
const LIVES_MAX = 64;
/** Of the life that wrote the row; the next one knows how far it came. */
const UNDER_WAY = -1;
/** Whatever that life acknowledged has been asked of the others since. */
const MADE_UP_FOR = Number.MAX_SAFE_INTEGER;

export class Lives {
  readonly #reached: Map<StartId, number>;
  /** How far lives that are not listed may have come. */
  #floor: number;
  #isChanged = true;

  /** `commits`: as many has the directory, at the start of the life `start`. */
  constructor(storage: Storage, start: StartId, commits: number) {
    const row = storage.get('meta', META.lives);
    const [floor, lives] = row === undefined ? [commits, []] : decodeRow(row);
    this.#floor = floor;
    this.#reached = new Map(
      lives.map(([life, reached]) => [life, reached === UNDER_WAY ? commits : reached]),
    );
    this.#reached.set(start, UNDER_WAY);
    for (const [life, reached] of this.#reached) {
      if (this.#reached.size <= LIVES_MAX) break;
      this.#reached.delete(life);
      if (reached !== MADE_UP_FOR) this.#floor = Math.max(this.#floor, reached);
    }
  }

  /** Whether this directory has what an earlier life had committed. */
  has(life: StartId, commits: number): boolean {
    return commits <= (this.#reached.get(life) ?? this.#floor);
  }

  /** What that life had and this directory lacks is fetched from the others. */
  makeUpFor(life: StartId): void {
    const own = [...this.#reached].at(-1)!;
    // The present life stays the newest.
    this.#reached.delete(own[0]);
    this.#reached.set(life, MADE_UP_FOR).set(...own);
    this.#isChanged = true;
  }

  /** What has to be written, if anything; the caller sees to it that it is. */
  takeOps(): readonly StorageOp[] {
    if (!this.#isChanged) return [];
    this.#isChanged = false;
    const value = encodeCbor([this.#floor, [...this.#reached]]);
    return [{ type: 'put', table: 'meta', key: META.lives, value }];
  }
}

type Row = readonly [floor: number, lives: readonly (readonly [StartId, number])[]];

const decodeRow = (bytes: Uint8Array): Row => {
  const [floor, rows] = decodeCbor(bytes) as readonly [unknown, readonly (readonly unknown[])[]];
  const lives = rows.flatMap(([life, reached]) =>
    isStartId(life) && typeof reached === 'number' ? [[life, reached] as const] : [],
  );
  return [typeof floor === 'number' ? floor : 0, lives];
};
