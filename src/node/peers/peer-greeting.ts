/**
 * How two nodes come to believe each other. Without a cluster secret a hello each way is all; with
 * one, each side proves that it knows the secret before anything else is heard from it:
 *
 *     dialler A                                 acceptor B
 *       │ hello (A, nonce a) ───────────────────▶ │
 *       │ ◀───── hello (B, nonce b, proof of B) ─ │   HMAC-SHA-256 of 'acceptor', both hellos
 *       │ proof of A ───────────────────────────▶ │   HMAC-SHA-256 of 'dialler', both hellos
 *
 * A proof names its role, both ids, both starts, both clusters and both nonces, so that one that was
 * overheard, sent back, or meant for another node or time proves nothing. Of two secrets the first
 * proves and either is accepted: a cluster changes its secret node by node.
 */
import { ByteWriter } from '../../core/bytes.ts';
import { isNodeId } from '../../core/ids.ts';
import type { Digest } from '../../ports/digest.ts';
import type { Random } from '../../ports/random.ts';
import type { Hello, PeerMessage } from '../../wire/peer-messages.ts';

/** Whom a node takes for one of its own cluster. */
export type PeerTrust = {
  /** The first one proves, each is accepted; none: whoever says hello is believed. */
  readonly secrets: () => readonly Uint8Array[];
  /** `required`: the other side must show a certificate that bears its node id. */
  readonly certificates: 'required' | 'not-asked';
};

export const TRUSTING: PeerTrust = { secrets: () => [], certificates: 'not-asked' };

export type GreetingParts = {
  readonly role: 'dialler' | 'acceptor';
  readonly own: Hello;
  readonly secrets: readonly Uint8Array[];
  readonly digest: Digest;
  readonly random: Random;
};

export type GreetingStep =
  | { readonly type: 'say'; readonly message: PeerMessage }
  /** The other side is who it says; `say` is what it waits for, if it shall be linked. */
  | { readonly type: 'met'; readonly hello: Hello; readonly say: PeerMessage | undefined }
  /** It proved nothing: the reason is for our log, never for the other side. */
  | { readonly type: 'unproved'; readonly reason: string }
  | { readonly type: 'malformed' };

const NONCE_BYTES = 16;

export class Greeting {
  readonly #parts: GreetingParts;
  readonly #own: Hello;
  #theirs: Hello | undefined;

  constructor(parts: GreetingParts) {
    const { own, secrets, random } = parts;
    this.#parts = parts;
    this.#own = secrets.length === 0 ? own : { ...own, nonce: random.bytes(NONCE_BYTES) };
  }

  /** What a dialler says first. */
  get opening(): PeerMessage {
    return this.#own;
  }

  /** The answer to the next message of the other side, until it is met or turned away. */
  take(message: PeerMessage): GreetingStep {
    const { role, secrets } = this.#parts;
    if (message.type === 'proof' && role === 'acceptor' && this.#theirs !== undefined) {
      const hello = this.#theirs;
      if (this.#proves('dialler', message.proof)) return { type: 'met', hello, say: undefined };
      return { type: 'unproved', reason: 'its proof is wrong' };
    }
    if (message.type !== 'hello' || this.#theirs !== undefined || !isHello(message)) {
      return { type: 'malformed' };
    }
    this.#theirs = message;
    if (secrets.length === 0) {
      return { type: 'met', hello: message, say: role === 'acceptor' ? this.#own : undefined };
    }
    if (message.nonce?.length !== NONCE_BYTES)
      return { type: 'unproved', reason: 'it has no nonce' };
    if (role === 'acceptor') {
      return {
        type: 'say',
        message: { ...this.#own, proof: this.#proof('acceptor', secrets[0]!) },
      };
    }
    if (!this.#proves('acceptor', message.proof)) {
      return { type: 'unproved', reason: 'its proof is wrong' };
    }
    const proof = this.#proof('dialler', secrets[0]!);
    return { type: 'met', hello: message, say: { type: 'proof', proof } };
  }

  #proves(role: GreetingParts['role'], proof: unknown): boolean {
    if (!(proof instanceof Uint8Array)) return false;
    // Each secret is tried, whichever fits: the time says nothing.
    const fits = this.#parts.secrets.map((secret) => sameBytes(this.#proof(role, secret), proof));
    return fits.includes(true);
  }

  #proof(role: GreetingParts['role'], secret: Uint8Array): Uint8Array {
    const [dialler, acceptor] =
      this.#parts.role === 'dialler' ? [this.#own, this.#theirs!] : [this.#theirs!, this.#own];
    const text = new ByteWriter();
    text.text(`coterie peer proof: ${role}`);
    for (const { protocol, cluster, node, start, nonce } of [dialler, acceptor]) {
      text.varint(protocol);
      for (const each of [cluster, node, start]) text.text(each);
      text.raw(nonce!);
    }
    return this.#parts.digest.keyed(secret, text.take());
  }
}

/** In time that does not depend on where they differ. */
const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
};

/** Its fields come from a stranger. */
const isHello = ({ protocol, cluster, node, start, nonce }: Hello): boolean =>
  Number.isSafeInteger(protocol) &&
  protocol >= 0 &&
  typeof cluster === 'string' &&
  isNodeId(node) &&
  typeof start === 'string' &&
  (nonce === undefined || nonce instanceof Uint8Array);
