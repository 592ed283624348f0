/** The promises of DESIGN § 9 by name, and how a broken one is told. */
export const INVARIANTS = {
  'no acknowledged write lost':
    'an applied write is in the record, or was seen by what replaced it (1, 6)',
  'no invention': 'what is read was put (1)',
  'refused is refused': 'a write refused for certain is nowhere (1)',
  'no false sibling': 'no value stands beside one that had seen it; one put is one sibling (2)',
  'no resurrection': 'what a context covered never comes back (3)',
  'dots are unique': 'no dot ever names two puts (4)',
  'vectors are bounded': 'a record keeps K vector entries beside its siblings, and M seen puts (4)',
  convergence: 'in calm all owners of a key become equal, as far as their tree says too (5)',
  'trees equal a rebuild': 'a Merkle tree is what its rows give (5)',
  'hints drain': 'in calm every hint for a living node is delivered (5)',
  idle: 'a read of a converged cluster writes nothing (5)',
  'acks are true': 'who is listed as holding a write holds it, on disk where it says so (6)',
  'quorums are met': 'applied means w acks and dw durable ones, of owners if strict (6)',
  'own writes are read': 'a node that acked a write shows it in its next read (7)',
  'strict reads see strict writes': 'R + W > N, while no disk is lost (7)',
  'conditions hold':
    'a conditional put is applied only where nothing was in its way that it could not miss (A12)',
  'refusals are true': 'a condition is called unmet only where something may be in its way (A12)',
  'expired is invisible': 'no read shows what has expired by the clock of who answers (A9)',
  'nothing is hidden': 'a read shows every value it knows of that cannot have expired',
  'scans are complete': 'what is applied and stays is in every later scan of its partition',
  'no item lost': 'a merger keeps every item until a write that saw it takes it out',
  'no item returns': 'what was taken out stays out, whatever is merged later',
  'mergers answer': 'a merger throws nothing, and needs neither time nor chance',
  ownership: 'in calm each partition has min(N, members) distinct owners, those planned (8)',
  'quorums overlap':
    'at all times fewer than R complete owners lack a strict write, so that every read meets it (8)',
  'former owners hold on':
    'who is no owner any more deletes a record only when every owner has it on disk (C6, 8)',
  bounded: 'coordinators and hints stay below their caps (9)',
  'the nursery empties': 'no coordinator outlives its request (10)',
  'nothing is left running': 'a stopped node has no timer and nothing unwritten (10)',
  'calm reads succeed': 'with all nodes back every key can be read',
  progress: 'clients get answers, and in calm everything settles in time',
  'no crash': 'no actor crashes, no message is malformed, nothing throws',
} as const;

export type Invariant = keyof typeof INVARIANTS;

export class InvariantBroken extends Error {
  override readonly name = 'InvariantBroken';
  readonly invariant: Invariant;
  /** The key it is about; empty if it is about none. */
  readonly key: string;

  constructor(invariant: Invariant, key: string, message: string) {
    super(`${invariant}: ${message}`);
    this.invariant = invariant;
    this.key = key;
  }
}

/** Throws InvariantBroken unless `holds`. */
export const demand = (
  holds: boolean,
  invariant: Invariant,
  key: string,
  message: () => string,
): void => {
  if (!holds) throw new InvariantBroken(invariant, key, message());
};
