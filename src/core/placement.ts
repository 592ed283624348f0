/**
 * Which nodes own which partition: a fold over the membership history, guided by scores, that moves
 * the least (RULES B). The paper's strategy 3 (§ 6.2) with a deterministic claim.
 *
 *   previous owners ─drop─▶ holes ─fill─▶ full ─steal─▶ nearly level ─settle─▶ level ─order─▶ table
 */
import type { NodeId } from './ids.ts';
import { applyEvent } from './members.ts';
import type { History, Member, Membership } from './members.ts';
import { planOf } from './quota.ts';
import type { Plan } from './quota.ts';

/** Owners of each partition, in rank order; index = partition. */
export type OwnerTable = readonly (readonly NodeId[])[];

/** The same by seat, as the fold carries it on: a seat's new node owns what the old one did. */
export type SeatTable = readonly (readonly string[])[];

/** The table of a whole history; undefined before its creation event. */
export const placeHistory = (
  history: History,
): { readonly membership: Membership; readonly table: OwnerTable } | undefined => {
  let membership: Membership | undefined;
  let seats: SeatTable | undefined;
  for (const event of history) {
    const next = applyEvent(membership, event);
    if (next === membership || next === undefined) continue;
    membership = next;
    seats = placeSeats(seats, membership);
  }
  if (membership === undefined || seats === undefined) return undefined;
  const nodeIn = new Map(membership.members.map(({ seat, id }) => [seat, id]));
  return { membership, table: seats.map((owners) => owners.map((seat) => nodeIn.get(seat)!)) };
};

/** One step of the fold: what these members own after having owned `previous`. */
export const placeSeats = (
  previous: SeatTable | undefined,
  { members, n, partitions }: Pick<Membership, 'members' | 'n' | 'partitions'>,
): SeatTable => {
  const draft = new Draft(members, planOf(members, n, partitions), partitions);
  for (let p = 0; p < partitions; p++) draft.keep(p, previous?.[p] ?? []);
  for (let p = 0; p < partitions; p++) draft.fill(p);
  draft.steal();
  draft.settle();
  return ranked(draft.owners, draft.plan.n);
};

/** B3: the greatest over the seat's weight slots of an integer mix; the same on every machine. */
export const scoreOf = (seat: string, weight: number, partition: number): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < seat.length; i++) hash = Math.imul(hash ^ seat.charCodeAt(i), 0x01000193);
  let best = 0;
  for (let slot = 0; slot < weight; slot++) {
    let mix = hash ^ Math.imul(slot + 1, 0x9e3779b1) ^ Math.imul(partition + 1, 0x85ebca77);
    mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
    mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
    best = Math.max(best, (mix ^ (mix >>> 16)) >>> 0);
  }
  return best;
};

/** The table while it is being made: owners by partition, and how many each seat holds. */
class Draft {
  readonly plan: Plan;
  readonly owners: string[][];
  readonly #members: ReadonlyMap<string, Member>;
  readonly #seats: readonly string[];
  readonly #held = new Map<string, number>();
  readonly #scores = new Map<string, Float64Array>();

  constructor(members: readonly Member[], plan: Plan, partitions: number) {
    this.plan = plan;
    this.owners = Array.from({ length: partitions }, () => []);
    this.#members = new Map(members.map((member) => [member.seat, member]));
    this.#seats = [...this.#members.keys()].sort();
    for (const { seat, weight } of members) {
      this.#held.set(seat, 0);
      this.#scores.set(
        seat,
        Float64Array.from({ length: partitions }, (_, p) => scoreOf(seat, weight, p)),
      );
    }
  }

  /** Keeps the previous owners that are still members and fit: the best-scored of each zone. */
  keep(p: number, previous: readonly string[]): void {
    const staying = previous.filter((seat) => this.#members.has(seat));
    for (const seat of this.#byScore(p, staying)) {
      if (this.owners[p]!.length < this.plan.n && this.#fits(p, seat)) this.#add(p, seat);
    }
  }

  /** Fills holes: the best-scored below its floor, else below its ceiling, else any that fits. */
  fill(p: number): void {
    while (this.owners[p]!.length < this.plan.n) {
      const others = this.#seats.filter((seat) => !this.owners[p]!.includes(seat));
      const fitting = others.filter((seat) => this.#fits(p, seat));
      const candidates = this.#byScore(p, fitting.length > 0 ? fitting : others);
      const below = (bound: 'floor' | 'ceil') =>
        candidates.find((seat) => this.#heldBy(seat) < this.#quota(seat)[bound]);
      this.#add(p, below('floor') ?? below('ceil') ?? candidates[0]!);
    }
  }

  /** The neediest walk their partitions by score and take from whoever is furthest above. */
  steal(): void {
    const needy = this.#seats.filter((seat) => this.#need(seat) > 0);
    for (const seat of needy.sort((a, b) => this.#need(b) - this.#need(a) || (a < b ? -1 : 1))) {
      const scores = this.#scores.get(seat)!;
      const walk = [...this.owners.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
      for (const bound of ['ceil', 'floor'] as const) {
        for (const p of walk) {
          if (this.#need(seat) <= 0) break;
          const victim = this.#victim(p, seat, bound);
          if (victim !== undefined) this.#swap(p, victim, seat);
        }
      }
    }
  }

  /** What stealing left uneven is passed along the shortest chain of swaps. */
  settle(): void {
    const above = (seat: string, bound: 'floor' | 'ceil') =>
      this.#heldBy(seat) - this.#quota(seat)[bound];
    for (const seat of this.#seats) {
      while (above(seat, 'ceil') > 0) {
        if (!this.#passOn(seat, (to) => above(to, 'ceil') < 0)) break;
      }
    }
    for (const seat of this.#seats) {
      while (above(seat, 'floor') < 0) {
        const givers = this.#seats.filter((from) => above(from, 'floor') > 0);
        if (!givers.some((from) => this.#passOn(from, (to) => to === seat))) break;
      }
    }
  }

  #passOn(from: string, isGoal: (seat: string) => boolean): boolean {
    const path = shortestPath(from, isGoal, (seat) => this.#moves(seat));
    for (const { via, from: giver, to } of path ?? []) this.#swap(via, giver, to);
    return path !== undefined;
  }

  /** Partitions that `seat` could hand to another seat, and to whom. */
  *#moves(seat: string): Iterable<Step> {
    for (const [p, owners] of this.owners.entries()) {
      if (!owners.includes(seat)) continue;
      for (const to of this.#seats) {
        if (!owners.includes(to) && this.#fitsInstead(p, seat, to))
          yield { from: seat, to, via: p };
      }
    }
  }

  #victim(p: number, thief: string, bound: 'floor' | 'ceil'): string | undefined {
    const owners = this.owners[p]!;
    if (owners.includes(thief)) return undefined;
    const excess = (seat: string) => this.#heldBy(seat) - this.#quota(seat)[bound];
    return owners
      .filter((seat) => excess(seat) > 0 && this.#fitsInstead(p, seat, thief))
      .sort((a, b) => excess(b) - excess(a) || (a < b ? -1 : 1))[0];
  }

  #add(p: number, seat: string): void {
    this.owners[p]!.push(seat);
    this.#held.set(seat, this.#heldBy(seat) + 1);
  }

  #swap(p: number, from: string, to: string): void {
    this.owners[p]!.splice(this.owners[p]!.indexOf(from), 1, to);
    this.#held.set(from, this.#heldBy(from) - 1);
    this.#held.set(to, this.#heldBy(to) + 1);
  }

  #fits(p: number, seat: string): boolean {
    return this.#inZone(p, this.#zone(seat)) < this.plan.zoneCap;
  }

  #fitsInstead(p: number, leaver: string, comer: string): boolean {
    return this.#zone(leaver) === this.#zone(comer) || this.#fits(p, comer);
  }

  #inZone(p: number, zone: string): number {
    return this.owners[p]!.filter((seat) => this.#zone(seat) === zone).length;
  }

  #byScore(p: number, seats: readonly string[]): string[] {
    const score = (seat: string) => this.#scores.get(seat)![p]!;
    return [...seats].sort((a, b) => score(b) - score(a) || (a < b ? -1 : 1));
  }

  #need(seat: string): number {
    return this.#quota(seat).floor - this.#heldBy(seat);
  }

  #heldBy(seat: string): number {
    return this.#held.get(seat)!;
  }

  #quota(seat: string): { readonly floor: number; readonly ceil: number } {
    return this.plan.quotas.get(seat)!;
  }

  #zone(seat: string): string {
    return this.#members.get(seat)!.zone;
  }
}

/** B5: orders each partition's owners so that every rank is spread level over the seats. */
const ranked = (owners: readonly (readonly string[])[], n: number): SeatTable => {
  const rest = owners.map((seats) => [...seats].sort());
  const table: string[][] = owners.map(() => []);
  for (let rank = 0; rank < n; rank++) {
    const picks = pickLevel(rest, n - rank);
    picks.forEach((seat, p) => {
      table[p]!.push(seat);
      rest[p]!.splice(rest[p]!.indexOf(seat), 1);
    });
  }
  return table;
};

/** One owner of each partition, each seat picked its share of `ranksLeft` within one. */
const pickLevel = (rest: readonly (readonly string[])[], ranksLeft: number): string[] => {
  const held = new Map<string, number>();
  for (const seat of rest.flat()) held.set(seat, (held.get(seat) ?? 0) + 1);
  const picked = new Map<string, number>([...held.keys()].map((seat) => [seat, 0]));
  const share = (seat: string) => held.get(seat)! / ranksLeft;
  const excess = (seat: string) => picked.get(seat)! - share(seat);
  const count = (seat: string, by: number) => picked.set(seat, picked.get(seat)! + by);
  const picks = rest.map((seats) => {
    const seat = [...seats].sort((a, b) => excess(a) - excess(b) || (a < b ? -1 : 1))[0]!;
    count(seat, 1);
    return seat;
  });
  function* moves(seat: string): Iterable<Step> {
    for (const [p, pick] of picks.entries()) {
      if (pick !== seat) continue;
      for (const to of rest[p]!) if (to !== seat) yield { from: seat, to, via: p };
    }
  }
  const pass = (from: string, isGoal: (seat: string) => boolean): boolean => {
    const path = shortestPath(from, isGoal, moves);
    for (const { via, to } of path ?? []) picks[via] = to;
    if (path === undefined) return false;
    count(from, -1);
    count(path.at(-1)!.to, 1);
    return true;
  };
  const seats = [...held.keys()].sort();
  const ceilOver = (seat: string) => picked.get(seat)! - Math.ceil(share(seat) - 1e-9);
  const floorUnder = (seat: string) => Math.floor(share(seat) + 1e-9) - picked.get(seat)!;
  for (const seat of seats) {
    while (ceilOver(seat) > 0 && pass(seat, (to) => ceilOver(to) < 0));
  }
  for (const seat of seats) {
    while (floorUnder(seat) > 0) {
      const givers = seats.filter((from) => floorUnder(from) < 0);
      if (!givers.some((from) => pass(from, (to) => to === seat))) break;
    }
  }
  return picks;
};

type Step = { readonly from: string; readonly to: string; readonly via: number };

/** The shortest chain of steps from `start` to a goal, breadth first; undefined if there is none. */
const shortestPath = (
  start: string,
  isGoal: (seat: string) => boolean,
  stepsFrom: (seat: string) => Iterable<Step>,
): readonly Step[] | undefined => {
  const cameBy = new Map<string, Step | undefined>([[start, undefined]]);
  const queue = [start];
  for (const seat of queue) {
    for (const step of stepsFrom(seat)) {
      if (cameBy.has(step.to)) continue;
      cameBy.set(step.to, step);
      if (!isGoal(step.to)) {
        queue.push(step.to);
        continue;
      }
      const path: Step[] = [];
      for (let last = cameBy.get(step.to); last !== undefined; last = cameBy.get(last.from)) {
        path.unshift(last);
      }
      return path;
    }
  }
  return undefined;
};
