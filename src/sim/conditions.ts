/**
 * What a conditional put promises (RULES A12), judged when its answer is born: it is applied only
 * where nothing stood in its way that its coordinator could not miss, and refused for its condition
 * only where something may have. It is no lock: two that do not see each other may both succeed.
 */
import type { History, WriteFate } from './history.ts';
import { demand } from './invariants.ts';
import type { Scenario } from './scenario.ts';
import type { Host } from './world.ts';

export type ConditionsParts = {
  readonly history: History;
  readonly limits: Scenario['limits'];
  /** Whether every R owners that a strict look asks have to know of `write`. */
  readonly isSeenByStrict: (write: WriteFate) => boolean;
  /** Whether `host` is an owner that has `write`, and may answer for the key. */
  readonly isHeldBy: (host: Host, write: WriteFate) => boolean;
  readonly isOwner: (host: Host, key: string) => boolean;
  /** Whether its time may have come by the clock of any node. */
  readonly mayHaveExpired: (write: WriteFate) => boolean;
};

export class Conditions {
  readonly #parts: ConditionsParts;

  constructor(parts: ConditionsParts) {
    this.#parts = parts;
  }

  /** Throws InvariantBroken. */
  applied(write: WriteFate, via: Host): void {
    const { history, limits } = this.#parts;
    if (write.onlyIf === undefined || limits === 'tiny') return;
    const others = this.#othersOf(write);
    const missed = others.find((other) => {
      if (!this.#couldNotBeMissed(other, write, write.tries === 1 ? via : undefined)) return false;
      if (!this.#isInTheWay(other, write)) return false;
      // Whatever may have come after it may have taken it out of the way.
      const later = others.filter((each) => each !== other).map(({ name }) => name);
      return !history.isAccountedFor(other, later);
    });
    demand(
      missed === undefined,
      'conditions hold',
      write.key,
      () =>
        `${via.id} applied ${write.name} only if ${write.onlyIf}, and there was ${missed!.name}`,
    );
  }

  /** Throws InvariantBroken. */
  unmet(write: WriteFate, via: Host): void {
    const { limits, isOwner } = this.#parts;
    // What was truncated may come back beside what has seen it, and no context covers it (A6).
    if (limits === 'tiny' && write.onlyIf === 'seen') return;
    const others = this.#othersOf(write);
    const isCoordinator = isOwner(via, write.key);
    const hidden = (other: WriteFate): boolean =>
      limits === 'roomy' &&
      others.some(
        (later) =>
          later.past.has(other.name) &&
          this.#couldNotBeMissed(later, write, isCoordinator ? via : undefined),
      );
    const reason = others.find((other) => {
      if (isCoordinator && other.expiresAt <= via.clock.wallMs()) return false;
      const stands = write.onlyIf === 'absent' ? other.kind === 'put' : !write.past.has(other.name);
      return stands && !hidden(other);
    });
    demand(
      reason !== undefined,
      'refusals are true',
      write.key,
      () => `${via.id} refused ${write.name} only if ${write.onlyIf}, and nothing was in its way`,
    );
  }

  /** All that may be there beside it. */
  #othersOf(write: WriteFate): readonly WriteFate[] {
    const ofKey = this.#parts.history.ofKey(write.key);
    return ofKey.filter((other) => other !== write && other.outcome !== 'refused');
  }

  #isInTheWay(other: WriteFate, write: WriteFate): boolean {
    if (this.#parts.mayHaveExpired(other)) return false;
    return write.onlyIf === 'absent' ? other.kind === 'put' : !write.past.has(other.name);
  }

  #couldNotBeMissed(other: WriteFate, write: WriteFate, coordinator: Host | undefined): boolean {
    if (other.outcome !== 'applied' || other.endedMs > write.startedMs) return false;
    const { isSeenByStrict, isHeldBy } = this.#parts;
    if (write.strict && isSeenByStrict(other)) return true;
    return coordinator !== undefined && isHeldBy(coordinator, other);
  }
}
