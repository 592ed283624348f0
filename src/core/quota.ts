/**
 * How many replicas each node should hold (RULES B2): shares by weight, filled like connected
 * vessels, under a cap for each node and one for each zone.
 */
import type { Member } from './members.ts';

export type Vessel = { readonly weight: number; readonly cap: number };

export type Quota = { readonly floor: number; readonly ceil: number };

export type Plan = {
  /** Owners of each partition: min(N, nodes). */
  readonly n: number;
  /** Owners of one partition in one zone at most. */
  readonly zoneCap: number;
  /** By seat. */
  readonly quotas: ReadonlyMap<string, Quota>;
};

/** Shares of `total` in proportion to weight, none above its cap; all at their cap if they must be. */
export const waterFill = (total: number, vessels: readonly Vessel[]): number[] => {
  const shares = vessels.map(() => 0);
  const open = new Set(vessels.keys());
  let rest = total;
  while (open.size > 0 && rest > 0) {
    const weight = [...open].reduce((sum, i) => sum + vessels[i]!.weight, 0);
    const full = [...open].filter((i) => (rest * vessels[i]!.weight) / weight >= vessels[i]!.cap);
    if (full.length === 0) {
      for (const i of open) shares[i] = (rest * vessels[i]!.weight) / weight;
      break;
    }
    for (const i of full) {
      shares[i] = vessels[i]!.cap;
      open.delete(i);
    }
    rest = total - shares.reduce((sum, share, i) => sum + (open.has(i) ? 0 : share), 0);
  }
  return shares;
};

/** B2 for these members; empty quotas without members. */
export const planOf = (members: readonly Member[], wantedN: number, partitions: number): Plan => {
  const n = Math.min(wantedN, members.length);
  const total = n * partitions;
  const fair = waterFill(
    total,
    members.map(({ weight }) => ({ weight, cap: partitions })),
  );
  const caps = fair.map((share) => Math.min(partitions, 2 * share));
  const zones = [...new Set(members.map(({ zone }) => zone))];
  const capacityOf = (zone: string): number =>
    members.reduce((sum, member, i) => sum + (member.zone === zone ? caps[i]! : 0), 0);
  const holds = (c: number): boolean =>
    zones.reduce((sum, zone) => sum + Math.min(c * partitions, capacityOf(zone)), 0) >=
    total - 1e-6;
  let zoneCap = 1;
  while (zoneCap < n && !holds(zoneCap)) zoneCap += 1;
  const shares = fillZones(members, caps, total, zoneCap * partitions);
  const quotas = members.map(({ seat }, i): [string, Quota] => [
    seat,
    // The shares are sums of fractions: a hair below an integer means that integer.
    { floor: Math.floor(shares[i]! + 1e-6), ceil: Math.ceil(shares[i]! - 1e-6) },
  ]);
  return { n, zoneCap, quotas: new Map(quotas) };
};

/** Zones that would overflow are filled to their brim by themselves; the others share the rest. */
const fillZones = (
  members: readonly Member[],
  caps: readonly number[],
  total: number,
  zoneBrim: number,
): number[] => {
  const full = new Set<string>();
  for (;;) {
    const shares = members.map(() => 0);
    for (const zone of full) fillInto(shares, members, caps, zoneBrim, (each) => each === zone);
    const rest = total - full.size * zoneBrim;
    fillInto(shares, members, caps, rest, (each) => !full.has(each));
    const over = members.find(({ zone }) => {
      const held = members.reduce((sum, m, i) => sum + (m.zone === zone ? shares[i]! : 0), 0);
      return !full.has(zone) && held > zoneBrim + 1e-6;
    });
    if (over === undefined) return shares;
    full.add(over.zone);
  }
};

const fillInto = (
  shares: number[],
  members: readonly Member[],
  caps: readonly number[],
  total: number,
  inside: (zone: string) => boolean,
): void => {
  const chosen = [...members.keys()].filter((i) => inside(members[i]!.zone));
  const filled = waterFill(
    total,
    chosen.map((i) => ({ weight: members[i]!.weight, cap: caps[i]! })),
  );
  chosen.forEach((i, at) => (shares[i] = filled[at]!));
};
