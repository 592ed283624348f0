/** A client whose values pass through one codec: `client.as(json<Cart>())`. */
import type { Codec } from './codecs.ts';
import type {
  Applied,
  Client,
  GetOptions,
  OperationOptions,
  PutOptions,
  WriteOptions,
} from './client.ts';
import type { KeyInput } from './inputs.ts';

export type TypedValues<T> = { readonly values: readonly T[]; readonly context: Uint8Array };

export class TypedClient<T> {
  readonly #client: Client;
  readonly #codec: Codec<T>;

  constructor(client: Client, codec: Codec<T>) {
    this.#client = client;
    this.#codec = codec;
  }

  /** All siblings, decoded. Throws CoterieError BAD_ARGUMENT at one that is none of the codec. */
  async get(key: KeyInput, options: GetOptions = {}): Promise<TypedValues<T>> {
    const { values, context } = await this.#client.get(key, options);
    return { values: values.map((each) => this.#codec.decode(each)), context };
  }

  async put(key: KeyInput, value: T, options: WriteOptions = {}): Promise<Applied> {
    return this.#client.put(key, this.#codec.encode(value), options);
  }

  async delete(key: KeyInput, options: WriteOptions = {}): Promise<Applied> {
    return this.#client.delete(key, options);
  }

  /** As `Client.update`: `change` sees all siblings, none where there is no value. */
  async update(
    key: KeyInput,
    change: (siblings: readonly T[]) => T | Promise<T>,
    options: OperationOptions & GetOptions & PutOptions = {},
  ): Promise<Applied> {
    const made = async (siblings: readonly Uint8Array[]): Promise<Uint8Array> =>
      this.#codec.encode(await change(siblings.map((each) => this.#codec.decode(each))));
    return this.#client.update(key, made, options);
  }
}
