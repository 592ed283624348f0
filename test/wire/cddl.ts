/**
 * A checker for the part of CDDL (RFC 8610) that protocol.cddl uses: rules, choices, arrays with
 * named members, maps with literal or `tstr =>` keys, `?` and `*`, ranges, `.size`, literals and
 * the prelude's names. Strict: an array element or a map key that no rule names is a mismatch.
 */

type Type =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: string | number }
  | { readonly kind: 'range'; readonly from: number; readonly to: number }
  | { readonly kind: 'size'; readonly of: Type; readonly size: Type }
  | { readonly kind: 'choice'; readonly types: readonly Type[] }
  | { readonly kind: 'array'; readonly members: readonly Member[] }
  | { readonly kind: 'map'; readonly members: readonly Member[] };

type Member = {
  readonly occurs: 'once' | 'optional' | 'any';
  /** Undefined in an array member without a name. */
  readonly key: { readonly literal: string } | { readonly type: Type } | undefined;
  readonly type: Type;
};

export type Cddl = {
  readonly names: readonly string[];
  /** Why `value` (decoded CBOR: bytes are Uint8Array) is no `rule`; undefined if it is one. */
  mismatch(rule: string, value: unknown): string | undefined;
};

/** Throws SyntaxError on what is outside the subset, and on names that nothing defines. */
export const parseCddl = (text: string): Cddl => {
  const rules = new Parser(text).rules();
  return {
    names: [...rules.keys()],
    mismatch: (rule, value) => check(rules, { kind: 'name', name: rule }, value, rule),
  };
};

const PRELUDE: Readonly<Record<string, (value: unknown) => boolean>> = {
  any: () => true,
  bool: (value) => typeof value === 'boolean',
  bstr: (value) => value instanceof Uint8Array,
  null: (value) => value === null,
  number: (value) => typeof value === 'number' || typeof value === 'bigint',
  tstr: (value) => typeof value === 'string',
  uint: (value) => {
    const number = typeof value === 'bigint' ? Number(value) : value;
    return Number.isSafeInteger(number) && (number as number) >= 0;
  },
};

const TOKEN =
  /\s*(?:;[^\n]*)?(?:(=>|\.\.|\.size|[=:,?*/[\]{}()])|("[^"]*")|(-?\d+)|([A-Za-z][\w-]*))/y;

class Parser {
  readonly #tokens: string[] = [];
  #at = 0;

  constructor(text: string) {
    const bare = text.replace(/;[^\n]*/g, '').trimEnd();
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < bare.length) {
      const from = TOKEN.lastIndex;
      const match = TOKEN.exec(bare);
      if (match === null)
        throw new SyntaxError(`CDDL not understood: ${bare.slice(from, from + 30)}`);
      this.#tokens.push(match[0].trim());
    }
  }

  rules(): ReadonlyMap<string, Type> {
    const rules = new Map<string, Type>();
    while (this.#at < this.#tokens.length) {
      const name = this.#next();
      this.#expect('=');
      if (rules.has(name)) throw new SyntaxError(`${name} is defined twice`);
      rules.set(name, this.#type());
    }
    for (const token of this.#tokens) {
      // A name is a rule, of the prelude, or the name of a member.
      if (/^[A-Za-z]/.test(token) && !rules.has(token) && !(token in PRELUDE))
        this.#mustBeMember(token);
    }
    return rules;
  }

  #mustBeMember(name: string): void {
    const used = this.#tokens.some((token, at) => token === name && this.#tokens[at + 1] !== ':');
    if (used) throw new SyntaxError(`nothing defines ${name}`);
  }

  #type(): Type {
    const types = [this.#operand()];
    while (this.#peek() === '/') {
      this.#next();
      types.push(this.#operand());
    }
    return types.length === 1 ? types[0]! : { kind: 'choice', types };
  }

  #operand(): Type {
    const type = this.#atom();
    if (this.#peek() === '.size') {
      this.#next();
      return { kind: 'size', of: type, size: this.#atom() };
    }
    return type;
  }

  #atom(): Type {
    const token = this.#next();
    if (token === '[') return { kind: 'array', members: this.#members(']') };
    if (token === '{') return { kind: 'map', members: this.#members('}') };
    if (token === '(') {
      const inner = this.#type();
      this.#expect(')');
      return inner;
    }
    if (token.startsWith('"')) return { kind: 'literal', value: token.slice(1, -1) };
    if (/^-?\d/.test(token)) {
      if (this.#peek() !== '..') return { kind: 'literal', value: Number(token) };
      this.#next();
      return { kind: 'range', from: Number(token), to: Number(this.#next()) };
    }
    if (!/^[A-Za-z]/.test(token)) throw new SyntaxError(`a type was expected, found ${token}`);
    return { kind: 'name', name: token };
  }

  #members(end: string): readonly Member[] {
    const members: Member[] = [];
    while (this.#peek() !== end) {
      members.push(this.#member());
      if (this.#peek() === ',') this.#next();
    }
    this.#next();
    return members;
  }

  #member(): Member {
    const mark = this.#peek();
    const occurs = mark === '?' ? 'optional' : mark === '*' ? 'any' : 'once';
    if (occurs !== 'once') this.#next();
    if (this.#tokens[this.#at + 1] === ':') {
      const literal = this.#next().replaceAll('"', '');
      this.#next();
      return { occurs, key: { literal }, type: this.#type() };
    }
    const first = this.#type();
    if (this.#peek() !== '=>') return { occurs, key: undefined, type: first };
    this.#next();
    return { occurs, key: { type: first }, type: this.#type() };
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new SyntaxError('the CDDL ends within a rule');
    return token;
  }

  #expect(wanted: string): void {
    const found = this.#next();
    if (found !== wanted) throw new SyntaxError(`${wanted} was expected, found ${found}`);
  }
}

type Rules = ReadonlyMap<string, Type>;

const check = (rules: Rules, type: Type, value: unknown, path: string): string | undefined => {
  switch (type.kind) {
    case 'name': {
      const rule = rules.get(type.name);
      if (rule !== undefined) return check(rules, rule, value, path);
      return PRELUDE[type.name]!(value) ? undefined : `${path} is no ${type.name}: ${show(value)}`;
    }
    case 'literal':
      return plain(value) === type.value
        ? undefined
        : `${path} is not ${type.value}: ${show(value)}`;
    case 'range': {
      const number = plain(value);
      const within =
        Number.isSafeInteger(number) &&
        (number as number) >= type.from &&
        (number as number) <= type.to;
      return within ? undefined : `${path} is not in ${type.from}..${type.to}: ${show(value)}`;
    }
    case 'size': {
      const length = value instanceof Uint8Array ? value.length : -1;
      return check(rules, type.of, value, path) ?? check(rules, type.size, length, `${path}.size`);
    }
    case 'choice': {
      const reasons = type.types.map((each) => check(rules, each, value, path));
      return reasons.includes(undefined) ? undefined : reasons.join('; or ');
    }
    case 'array':
      return checkArray(rules, type.members, value, path);
    case 'map':
      return checkMap(rules, type.members, value, path);
  }
};

const checkArray = (
  rules: Rules,
  members: readonly Member[],
  value: unknown,
  path: string,
): string | undefined => {
  if (!Array.isArray(value)) return `${path} is no array: ${show(value)}`;
  let at = 0;
  for (const { occurs, key, type } of members) {
    const name = key !== undefined && 'literal' in key ? key.literal : String(at);
    if (occurs === 'any') {
      while (at < value.length && check(rules, type, value[at], path) === undefined) at += 1;
    } else if (at < value.length || occurs === 'once') {
      if (at >= value.length) return `${path}.${name} is missing`;
      const reason = check(rules, type, value[at], `${path}.${name}`);
      if (reason !== undefined) return reason;
      at += 1;
    }
  }
  return at === value.length
    ? undefined
    : `${path} has ${value.length - at} elements that do not fit: ${show(value[at])}`;
};

const checkMap = (
  rules: Rules,
  members: readonly Member[],
  value: unknown,
  path: string,
): string | undefined => {
  const isMap =
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array);
  if (!isMap) return `${path} is no map: ${show(value)}`;
  const left = new Map(Object.entries(value));
  for (const { occurs, key, type } of members) {
    if (key === undefined) return `${path}: a map member without a key`;
    if ('literal' in key) {
      const item = left.get(key.literal);
      if (!left.delete(key.literal)) {
        if (occurs === 'once') return `${path}.${key.literal} is missing`;
        continue;
      }
      const reason = check(rules, type, item, `${path}.${key.literal}`);
      if (reason !== undefined) return reason;
      continue;
    }
    for (const [name, item] of left) {
      const reason =
        check(rules, key.type, name, path) ?? check(rules, type, item, `${path}.${name}`);
      if (reason !== undefined) return reason;
      left.delete(name);
    }
  }
  return left.size === 0
    ? undefined
    : `${path} has keys that no rule names: ${[...left.keys()].join()}`;
};

const plain = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

const show = (value: unknown): string => {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const text = JSON.stringify(plain(value), (_, item: unknown) =>
    typeof item === 'bigint' ? Number(item) : item,
  );
  return (text ?? String(value)).slice(0, 80);
};
