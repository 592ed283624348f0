/** What a get returns: the siblings of a key, and the context that lets a put replace them. */
import { CoterieError } from '../core/errors.ts';
import type { KeyState, ValueReply } from '../wire/client-messages.ts';
import type { Codec } from './codecs.ts';
import { seenIn } from './mergeable.ts';
import type { Mergeable } from './mergeable.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** What R replicas know of a key: no value, one, or several concurrent siblings. */
export class Values {
  readonly state: KeyState;
  /** The siblings in no meaningful order; empty unless the state is `found`. */
  readonly values: readonly Uint8Array[];
  /** Opaque; pass it to the put that replaces what was read here. */
  readonly context: Uint8Array;
  /** The node that answered, if it said so. */
  readonly node: string | undefined;

  constructor({ state, values, context, node }: ValueReply) {
    this.state = state;
    this.values = values;
    this.context = context;
    this.node = node;
  }

  /** The one value, undefined if there is none. Throws CoterieError BAD_ARGUMENT at siblings. */
  bytes(): Uint8Array | undefined {
    if (this.values.length > 1) {
      const message = `this key has ${this.values.length} siblings: merge them, as update() does`;
      throw new CoterieError('BAD_ARGUMENT', message, { siblings: this.values.length });
    }
    return this.values[0];
  }

  /** As `bytes`, decoded. Throws TypeError on what is no UTF-8. */
  text(): string | undefined {
    const bytes = this.bytes();
    return bytes === undefined ? undefined : utf8.decode(bytes);
  }

  /** Each sibling as text. Throws TypeError on what is no UTF-8. */
  texts(): readonly string[] {
    return this.values.map((value) => utf8.decode(value));
  }

  /** All siblings merged into what a reader of that kind sees; its empty face where there is none. */
  as<State, Face>(type: Mergeable<State, Face, never>): Face {
    return seenIn(type, this.values);
  }

  /** Each sibling decoded. Throws CoterieError BAD_ARGUMENT. */
  decoded<T>(codec: Codec<T>): readonly T[] {
    return this.values.map((value) => codec.decode(value));
  }

  /** Each sibling parsed. Throws SyntaxError on what is no JSON. */
  json<T = unknown>(): readonly T[] {
    return this.texts().map((text) => JSON.parse(text) as T);
  }
}
