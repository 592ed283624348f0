/**
 * A user's own merger in the swarm: every value is a basket that its merger keeps, every put adds an
 * item of its own or takes one out, and what siblings become is the merger's doing. The store keeps
 * its promises meanwhile, so an item that is gone was lost by the merger.
 *
 *   v1 [item1] ◀── v2 [item1 item2]
 *        ◀──────── v3 [item1 item3]        siblings of v2
 *   v4 (saw v2, v3) adds item4             must have item1, item2, item3, item4
 */
import type { Random } from '../ports/random.ts';
import { EPOCH_MS } from './clock.ts';
import type { History } from './history.ts';
import { InvariantBroken, demand } from './invariants.ts';

/** What a change may draw on, as a client would. */
export type BasketStamp = { readonly nowMs: number; readonly tag: () => string };

/** How one merger keeps items; siblings are in the order in which they came. */
export type Basket = {
  /** What the value that takes the place of `siblings` becomes with `item` in it, or out of it. */
  readonly change: (
    siblings: readonly Uint8Array[],
    change: { readonly type: 'add' | 'remove'; readonly item: string },
    stamp: BasketStamp,
  ) => Uint8Array;
  /** Whether a reader of `siblings` sees `item`. */
  readonly has: (siblings: readonly Uint8Array[], item: string) => boolean;
  /** Whether items can be taken out. */
  readonly takesOut: boolean;
};

type Item = {
  readonly name: string;
  readonly key: string;
  /** The write that put it in. */
  readonly by: string;
  /** Writes that took it out, having seen it. */
  readonly out: string[];
};

export type Change = {
  readonly key: string;
  /** The write that this becomes. */
  readonly write: string;
  readonly siblings: readonly Uint8Array[];
  readonly wish: 'add' | 'remove';
};

export class Baskets {
  /** Merges of two siblings and more. */
  merges = 0;
  /** Items put in. */
  items = 0;
  readonly #basket: Basket;
  readonly #random: Random;
  readonly #items = new Map<string, Item[]>();

  constructor(basket: Basket, random: Random) {
    this.#basket = basket;
    this.#random = random;
  }

  /** The value a write brings, and what it did in words. Throws InvariantBroken. */
  changed({ key, write, siblings, wish }: Change, nowMs: number): [Uint8Array, string] {
    const { takesOut } = this.#basket;
    const ofKey = this.#items.get(key) ?? [];
    this.#items.set(key, ofKey);
    const takeable = wish === 'remove' && takesOut ? ofKey : [];
    const seen = takeable.filter((item) => this.#has(key, siblings, item));
    const out = seen[this.#random.integer(seen.length)];
    const item = out?.name ?? `item${write.slice(1)}`;
    const type = out === undefined ? 'add' : 'remove';
    const tag = (): string => `${this.#random.integer(2 ** 32)}-${write}`;
    const stamp = { nowMs: EPOCH_MS + Math.floor(nowMs), tag };
    const value = this.#try(key, () => this.#basket.change(siblings, { type, item }, stamp));
    if (siblings.length > 1) this.merges += 1;
    if (out === undefined) {
      this.items += 1;
      ofKey.push({ name: item, key, by: write, out: [] });
    } else out.out.push(write);
    // What somebody took out may be out of some siblings rightly; all else must stay.
    const lost = ofKey.find(
      (each) =>
        each.out.length === 0 &&
        siblings.some((sibling) => this.#has(key, [sibling], each)) &&
        !this.#has(key, [value], each),
    );
    demand(
      lost === undefined,
      'no item lost',
      key,
      () =>
        `${lost!.name}, put in by ${lost!.by}, was in what ${write} merged (${siblings.length} ` +
        `siblings), and is not in what came of it`,
    );
    return [value, out === undefined ? `with ${item}` : `without ${item}`];
  }

  /** What a reader of all owners sees in the end. Throws InvariantBroken. */
  checkFinal(key: string, siblings: readonly Uint8Array[], history: History): void {
    const isSure = (write: string): boolean => {
      const fate = history.get(write)!;
      return fate.outcome === 'applied' && !history.isForgiven(fate);
    };
    for (const item of this.#items.get(key) ?? []) {
      const isThere = this.#has(key, siblings, item);
      const mayBeOut = item.out.some((write) => history.get(write)!.outcome !== 'refused');
      demand(
        isThere || mayBeOut || !isSure(item.by),
        'no item lost',
        key,
        () => `${item.name}, put in by ${item.by} and never taken out, is gone in the end`,
      );
      const out = item.out.find(isSure);
      demand(
        !isThere || out === undefined,
        'no item returns',
        key,
        () => `${item.name}, taken out by ${out}, is back in the end`,
      );
    }
  }

  #has(key: string, siblings: readonly Uint8Array[], { name }: Item): boolean {
    return this.#try(key, () => siblings.length > 0 && this.#basket.has(siblings, name));
  }

  #try<T>(key: string, task: () => T): T {
    try {
      return task();
    } catch (error) {
      throw new InvariantBroken('mergers answer', key, `the merger threw ${String(error)}`);
    }
  }
}
