/** What must hold of every key once all is mended, judged by what clients did and were told. */

export type WriteFate = {
  /** The unique value, or of a delete its name. */
  readonly name: string;
  readonly key: string;
  readonly kind: 'put' | 'delete';
  /** Values that its context had shown. */
  readonly saw: readonly string[];
  outcome: 'open' | 'applied' | 'refused' | 'unknown';
};

/** Values of each key, as a read of all its replicas shows them. */
export type FinalValues = ReadonlyMap<string, readonly string[]>;

/** What is broken, in sentences: nothing lost, invented, doubled or brought back to life. */
export const judge = (writes: readonly WriteFate[], values: FinalValues): readonly string[] =>
  [...values].flatMap(([key, shown]) => {
    const ofKey = writes.filter((write) => write.key === key);
    const byName = new Map(ofKey.map((write) => [write.name, write]));
    // A write that may have happened accounts for what it had seen: that was rightly replaced.
    const replaced = new Set(
      ofKey.flatMap(({ saw, outcome }) => (outcome === 'refused' ? [] : saw)),
    );
    const replacedForSure = new Set(
      ofKey.flatMap(({ saw, outcome }) => (outcome === 'applied' ? saw : [])),
    );
    const lost = ofKey.filter(
      ({ name, kind, outcome }) =>
        kind === 'put' && outcome === 'applied' && !shown.includes(name) && !replaced.has(name),
    );
    const inPast = (name: string): boolean =>
      shown.some((other) => byName.get(other)?.saw.includes(name) === true);
    return [
      ...lost.map(({ name }) => `${key}: the acknowledged ${name} is lost`),
      ...shown
        .filter((name) => byName.get(name)?.kind !== 'put')
        .map((name) => `${key}: ${name} was never put`),
      ...shown
        .filter((name) => byName.get(name)?.outcome === 'refused')
        .map((name) => `${key}: ${name} was refused and is there`),
      ...(new Set(shown).size === shown.length ? [] : [`${key}: a put is there twice`]),
      ...shown
        .filter((name) => replacedForSure.has(name))
        .map((name) => `${key}: ${name}, which an applied write had replaced, is back`),
      ...shown.filter(inPast).map((name) => `${key}: ${name} lies in the past of its sibling`),
    ];
  });
