/**
 * Records of the write log that are not in their places yet, in groups by the first two bytes of
 * their names: a partition is a group, and only a group that is asked for in order is sorted.
 */

/** A record as the log has it. Its name has one char 0-255 for each byte of its key in storage. */
export type HeldRow =
  | { readonly name: string; readonly kind: 'put'; readonly value: Uint8Array }
  | { readonly name: string; readonly kind: 'removed' };

type Group = { readonly rows: Map<string, HeldRow>; sorted: readonly string[] | undefined };

const groupOf = (name: string): number => (name.charCodeAt(0) << 8) | name.charCodeAt(1);

export class HeldRows {
  readonly #groups = new Map<number, Group>();
  #size = 0;
  #bytes = 0;

  get size(): number {
    return this.#size;
  }

  /** Of names and values. */
  get bytes(): number {
    return this.#bytes;
  }

  get(name: string): HeldRow | undefined {
    return this.#groups.get(groupOf(name))?.rows.get(name);
  }

  has(row: HeldRow): boolean {
    return this.get(row.name) === row;
  }

  set(row: HeldRow): void {
    const prefix = groupOf(row.name);
    let group = this.#groups.get(prefix);
    if (group === undefined) {
      group = { rows: new Map(), sorted: undefined };
      this.#groups.set(prefix, group);
    }
    const before = group.rows.get(row.name);
    if (before === undefined) {
      this.#size += 1;
      group.sorted = undefined;
    } else this.#bytes -= bytesIn(before);
    this.#bytes += bytesIn(row);
    group.rows.set(row.name, row);
  }

  remove(name: string): void {
    const prefix = groupOf(name);
    const group = this.#groups.get(prefix);
    const row = group?.rows.get(name);
    if (group === undefined || row === undefined) return;
    group.rows.delete(name);
    group.sorted = undefined;
    this.#size -= 1;
    this.#bytes -= bytesIn(row);
    if (group.rows.size === 0) this.#groups.delete(prefix);
  }

  /** Removes `row`, unless something newer is held in its stead. */
  forget(row: HeldRow): void {
    if (this.has(row)) this.remove(row.name);
  }

  /** The groups in order. */
  groups(): number[] {
    return [...this.#groups.keys()].sort(ascending);
  }

  /** The rows of a group in order. */
  inGroup(prefix: number): readonly HeldRow[] {
    const group = this.#groups.get(prefix);
    return group === undefined ? [] : sortedNames(group).map((name) => group.rows.get(name)!);
  }

  /** The rows from one name, inclusive, to another, exclusive, in order; nothing may change meanwhile. */
  *between(from: string | undefined, to: string | undefined): Generator<HeldRow, void> {
    for (const prefix of this.#groupsBetween(from, to)) {
      const group = this.#groups.get(prefix)!;
      const names = sortedNames(group);
      for (let at = from === undefined ? 0 : placeIn(names, from); at < names.length; at++) {
        const name = names[at]!;
        if (to !== undefined && name >= to) return;
        yield group.rows.get(name)!;
      }
    }
  }

  #groupsBetween(from: string | undefined, to: string | undefined): readonly number[] {
    const first = from === undefined ? 0 : groupOf(from);
    const last = to === undefined ? Infinity : groupOf(to);
    if (first === last) return this.#groups.has(first) ? [first] : [];
    return [...this.#groups.keys()]
      .filter((prefix) => prefix >= first && prefix <= last)
      .sort(ascending);
  }
}

const ascending = (a: number, b: number): number => a - b;

const sortedNames = (group: Group): readonly string[] =>
  (group.sorted ??= [...group.rows.keys()].sort());

const bytesIn = (row: HeldRow): number =>
  row.name.length + (row.kind === 'put' ? row.value.length : 0);

/** The first index whose name is not below `name`. */
const placeIn = (names: readonly string[], name: string): number => {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (names[middle]! < name) low = middle + 1;
    else high = middle;
  }
  return low;
};
