/**
 * Reads JSON text into values that keep what `JSON.parse` loses: duplicate keys are refused, numbers keep their literal
 * (Go refuses `80.0` for an integer), objects are Maps (so `__proto__` is a key like any other), and nesting is bounded.
 * Accepts otherwise exactly what JSON allows. Lone surrogates become U+FFFD, as in Go.
 */
import { fail, ok, type Result } from '../model/result.ts';

export type Json = null | boolean | string | JsonNumber | readonly Json[] | JsonObject;
export type JsonObject = ReadonlyMap<string, Json>;

export class JsonNumber {
  readonly literal: string;
  constructor(literal: string) {
    this.literal = literal;
  }
}

const MAX_DEPTH = 200;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

export function parseJson(text: string): Result<Json> {
  const parser = new Parser(text);
  const value = parser.document();
  return value === undefined ? fail(parser.problem) : ok(value);
}

/** Each method answers `undefined` after noting the problem. */
class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  problem = '';

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json | undefined {
    const value = this.#value();
    if (value === undefined) return undefined;
    this.#skipSpace();
    return this.#at === this.#text.length ? value : this.#wrong('the end of the JSON text');
  }

  #value(): Json | undefined {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#nested(() => this.#object());
      case '[':
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #nested(read: () => Json | undefined): Json | undefined {
    if (++this.#depth > MAX_DEPTH) return this.#note(`JSON must be nested at most ${MAX_DEPTH} deep`);
    this.#at++;
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): Json | undefined {
    const members = new Map<string, Json>();
    if (this.#take('}')) return members;
    do {
      this.#skipSpace();
      const key = this.#string();
      if (key === undefined) return undefined;
      if (members.has(key)) return this.#note(`keys must not be repeated: ${excerpt(key)} is given twice`);
      if (!this.#take(':')) return this.#wrong("':'");
      const value = this.#value();
      if (value === undefined) return undefined;
      members.set(key, value);
    } while (this.#take(','));
    return this.#take('}') ? members : this.#wrong("',' or '}'");
  }

  #array(): Json | undefined {
    const items: Json[] = [];
    if (this.#take(']')) return items;
    do {
      const item = this.#value();
      if (item === undefined) return undefined;
      items.push(item);
    } while (this.#take(','));
    return this.#take(']') ? items : this.#wrong("',' or ']'");
  }

  #string(): string | undefined {
    const start = this.#at;
    if (this.#text[start] !== '"') return this.#wrong('a string');
    let plain = true;
    let end = start + 1;
    for (; end < this.#text.length; end++) {
      const unit = this.#text.charCodeAt(end);
      if (unit === 0x22) break;
      if (unit < 0x20) return this.#wrong('no control character in a string');
      if (unit === 0x5c || (unit >= 0xd800 && unit < 0xe000)) plain = false;
      if (unit === 0x5c) end++;
    }
    if (end >= this.#text.length) return this.#wrong('the end of the string');
    this.#at = end + 1;
    return plain ? this.#text.slice(start + 1, end) : this.#unescape(this.#text.slice(start, end + 1));
  }

  #unescape(literal: string): string | undefined {
    try {
      return (JSON.parse(literal) as string).toWellFormed();
    } catch {
      return this.#wrong('a valid escape in the string before');
    }
  }

  #number(): JsonNumber | undefined {
    NUMBER.lastIndex = this.#at;
    const literal = NUMBER.exec(this.#text)?.[0];
    if (literal === undefined) return this.#wrong('a JSON value');
    this.#at += literal.length;
    return new JsonNumber(literal);
  }

  #word<T extends Json>(word: string, value: T): T | undefined {
    if (!this.#text.startsWith(word, this.#at)) return this.#wrong('a JSON value');
    this.#at += word.length;
    return value;
  }

  #take(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
      this.#at++;
    }
  }

  #wrong(expected: string): undefined {
    const found = this.#at < this.#text.length ? excerpt(this.#text.slice(this.#at, this.#at + 20)) : 'the end';
    return this.#note(`value must be valid JSON: expected ${expected} at offset ${this.#at}: found ${found}`);
  }

  #note(problem: string): undefined {
    this.problem ||= problem;
    return undefined;
  }
}

/** A value for an error message: short, on one line. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64).toWellFormed()}…` : text);
}

export function describeJson(value: Json | undefined): string {
  if (value === undefined) return 'absent';
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return excerpt(value);
  if (value instanceof JsonNumber) return value.literal.length > 64 ? excerpt(value.literal) : value.literal;
  return value instanceof Map ? 'an object' : 'an array';
}
