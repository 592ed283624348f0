/**
 * Checked binary forms, put together from small ones: each writes a value and reads it back, or
 * throws RangeError on what it would never have written. What nodes say to each other is made of
 * these (peer-codec.ts), so nonsense from a peer ends at the door.
 */
import type { ByteReader, ByteWriter } from '../core/bytes.ts';
import { KEY_BYTES_MAX, isNodeId, keyOfBytes } from '../core/ids.ts';
import type { Key, NodeId } from '../core/ids.ts';

export type Form<T> = {
  write(writer: ByteWriter, value: T): void;
  read(reader: ByteReader): T;
};

/** A field that may be absent. */
export type OptionalForm<T> = { readonly optional: Form<T> };

export const optional = <T>(form: Form<T>): OptionalForm<T> => ({ optional: form });

/** The forms of an object's fields, in the order of the wire; `type` is told apart elsewhere. */
export type Shape<Value> = {
  readonly [Field in Exclude<keyof Value, 'type'>]-?: object extends Pick<Value, Field>
    ? OptionalForm<Exclude<Value[Field], undefined>>
    : Form<Value[Field]>;
};

export const uint: Form<number> = {
  write: (writer, value) => writer.varint(value),
  read: (reader) => reader.varint(),
};

/** 64 bits. */
export const uint64: Form<bigint> = {
  write: (writer, value) => writer.uint64(value),
  read: (reader) => reader.uint64(),
};

/** Any finite number, 8 bytes. */
export const finite: Form<number> = {
  write: (writer, value) => writer.float64(value),
  read: (reader) => {
    const value = reader.float64();
    if (!Number.isFinite(value)) throw new RangeError(`a finite number expected, found ${value}`);
    return value;
  },
};

/** `false`, `true` as 0, 1. */
export const flag: Form<boolean> = {
  write: (writer, value) => writer.byte(value ? 1 : 0),
  read: (reader) => reader.bit() === 1,
};

/** One of some words, as its place among them. */
export const oneOf = <Word extends string | number>(...words: readonly Word[]): Form<Word> => ({
  write: (writer, value) => writer.byte(words.indexOf(value)),
  read: (reader) => {
    const word = words[reader.byte()];
    if (word === undefined) throw new RangeError(`one of ${words.join(', ')} expected`);
    return word;
  },
});

/** A copy: what is read outlives the frame. */
export const bytes: Form<Uint8Array> = {
  write: (writer, value) => {
    writer.varint(value.length);
    writer.raw(value);
  },
  read: (reader) => reader.copy(reader.varint()),
};

export const text: Form<string> = {
  write: (writer, value) => writer.text(value),
  read: (reader) => reader.text(),
};

/** Text that `isOne` says is of the kind named. */
export const textOf = <T extends string>(
  kind: string,
  isOne: (value: unknown) => value is T,
): Form<T> => ({
  write: (writer, value) => writer.text(value),
  read: (reader) => {
    const value = reader.text();
    if (!isOne(value)) throw new RangeError(`${kind} expected, found ${JSON.stringify(value)}`);
    return value;
  },
});

export const node: Form<NodeId> = textOf('a node id', isNodeId);

export const key: Form<Key> = {
  write: (writer, value) => {
    writer.varint(value.length);
    writer.byteString(value);
  },
  read: (reader) => {
    const length = reader.varint();
    if (length > KEY_BYTES_MAX) throw new RangeError(`a key of ${length} bytes`);
    return keyOfBytes(reader.raw(length));
  },
};

export const list = <T>(form: Form<T>): Form<readonly T[]> => ({
  write: (writer, items) => {
    writer.varint(items.length);
    for (const item of items) form.write(writer, item);
  },
  read: (reader) => {
    const items: T[] = [];
    // No count is believed: reading beyond the end throws.
    for (let left = reader.varint(); left > 0; left--) items.push(form.read(reader));
    return items;
  },
});

/** An object whose keys are names of the kind `name`. */
export const mapOf = <T>(form: Form<T>): Form<Readonly<Record<string, T>>> => ({
  write: (writer, map) => {
    const entries = Object.entries(map);
    writer.varint(entries.length);
    for (const [name, value] of entries) {
      writer.text(name);
      form.write(writer, value);
    }
  },
  read: (reader) => {
    const entries: [string, T][] = [];
    for (let left = reader.varint(); left > 0; left--) {
      entries.push([reader.text(), form.read(reader)]);
    }
    return Object.fromEntries(entries);
  },
});

type AnyForm = Form<unknown>;
type Field = readonly [name: string, form: AnyForm, presence: 'needed' | 'optional'];

const fieldsOf = (shape: Readonly<Record<string, AnyForm | OptionalForm<unknown>>>): Field[] =>
  Object.entries(shape).map(([name, form]) =>
    'optional' in form ? [name, form.optional, 'optional'] : [name, form, 'needed'],
  );

/** Optional fields at the end of a shape may be missing altogether: an older node wrote it. */
const writeFields = (writer: ByteWriter, fields: readonly Field[], value: object): void => {
  for (const [name, form, presence] of fields) {
    const field = (value as Record<string, unknown>)[name];
    if (presence === 'optional') writer.byte(field === undefined ? 0 : 1);
    if (presence === 'needed' || field !== undefined) form.write(writer, field);
  }
};

const readFields = (
  reader: ByteReader,
  fields: readonly Field[],
  into: Record<string, unknown>,
): Record<string, unknown> => {
  for (const [name, form, presence] of fields) {
    const present = presence === 'needed' || (!reader.atEnd && reader.bit() === 1);
    if (present) into[name] = form.read(reader);
  }
  return into;
};

export const object = <T extends object>(shape: Shape<T>): Form<T> => {
  const fields = fieldsOf(shape as never);
  return {
    write: (writer, value) => writeFields(writer, fields, value),
    read: (reader) => readFields(reader, fields, {}) as T,
  };
};

type Typed = { readonly type: string };
/** The variant of a union, or of what stands under one of several types, that bears type `T`. */
type Variant<Union extends Typed, T> = Union extends Typed
  ? T extends Union['type']
    ? Union
    : never
  : never;
export type Shapes<Union extends Typed> = {
  readonly [T in Union['type']]: Shape<Variant<Union, T>>;
};

export type Variants<Union extends Typed> = Form<Union> & {
  /** Undefined, and nothing read but the number, for a type that this version does not know. */
  readKnown(reader: ByteReader): Union | undefined;
};

/** Objects told apart by `type`: its number is its place in `shapes`, so new ones go to the end. */
export const variants = <Union extends Typed>(shapes: Shapes<Union>): Variants<Union> => {
  const table = Object.entries(shapes).map(([type, shape]) => ({
    type,
    fields: fieldsOf(shape as never),
  }));
  const numbers = new Map(table.map(({ type }, number) => [type, number]));
  const readKnown = (reader: ByteReader): Union | undefined => {
    const known = table[reader.byte()];
    if (known === undefined) return undefined;
    return readFields(reader, known.fields, { type: known.type }) as Union;
  };
  return {
    write: (writer, value) => {
      const number = numbers.get(value.type)!;
      writer.byte(number);
      writeFields(writer, table[number]!.fields, value);
    },
    read: (reader) => {
      const value = readKnown(reader);
      if (value === undefined) throw new RangeError('an unknown variant');
      return value;
    },
    readKnown,
  };
};
