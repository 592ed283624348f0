/** Many nodes that only gossip: rounds until they agree, and the bytes they say meanwhile. */
import { digestOf, hear } from '../../src/core/gossip.ts';
import type { Book, GossipMessage } from '../../src/core/gossip.ts';
import { nodeId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/ids.ts';
import { creationEvent } from '../../src/core/members.ts';
import type { MembershipEvent } from '../../src/core/members.ts';
import type { Random } from '../../src/ports/random.ts';
import { randomStream } from '../../src/sim/random.ts';
import { encodePeerFrame } from '../../src/wire/peer-codec.ts';

export type RoundCost = { readonly messages: number; readonly bytes: number };

export class GossipTown {
  readonly books: Book[];
  readonly #random: Random;

  /** `size` nodes that know each other, and the same. */
  constructor(size: number, seed: number) {
    this.#random = randomStream(seed, 'gossip');
    const ids = Array.from({ length: size }, (_, i) => nodeId(`node${i}`));
    const founders = ids.map((id) => ({ id, zone: 'default', weight: 1 }));
    const history = [creationEvent({ clusterName: 'town', n: 3, partitions: 256, founders })];
    const announcements = ids.map((node, i) => ({
      node,
      incarnation: 1,
      address: `ws://10.0.${i >> 8}.${i & 255}:7400`,
    }));
    this.books = ids.map(() => ({ history, announcements }));
  }

  /** Everybody tells the digest to one other, and what follows from it is said at once. */
  round(): RoundCost {
    let messages = 0;
    let bytes = 0;
    const say = (from: number, to: number, message: GossipMessage): void => {
      messages += 1;
      for (const frame of encodePeerFrame([message])) bytes += frame.length;
      const heard = hear(this.books[to]!, message);
      this.books[to] = heard.book;
      for (const reply of heard.replies) say(to, from, reply);
    };
    for (const from of this.books.keys()) {
      const other = this.#random.integer(this.books.length - 1);
      const digest = digestOf(this.books[from]!);
      say(from, other < from ? other : other + 1, { type: 'gossip.digest', digest });
    }
    return { messages, bytes };
  }

  get agreed(): boolean {
    return new Set(this.books.map(digestOf)).size === 1;
  }

  /** Throws Error if they still differ after `most`. */
  roundsUntilAgreed(most: number): number {
    for (let rounds = 0; rounds <= most; rounds++) {
      if (this.agreed) return rounds;
      this.round();
    }
    throw new Error(`no agreement within ${most} rounds`);
  }
}

/** `id` joins, upon what `book` knows. */
export const joinOf = ({ history }: Book, id: NodeId): MembershipEvent => ({
  ...{ type: 'join', node: id, zone: 'default', weight: 1, issuedAtMs: 0 },
  ...{ issuer: id, lamport: history.at(-1)!.lamport + 1, sequence: 1 },
});
