/**
 * Reads parsed JSON into typed fields the way Go's encoding/json does: names match whatever their case, unknown fields
 * are ignored, `null` leaves the zero value, integers must fit. Readers never stop: they note a problem and go on with a
 * zero value, and `decodeJson` answers with the first problem noted.
 */
import { fail, ok, type Result } from '../model/result.ts';
import { describeJson, type Json, JsonNumber, type JsonObject, parseJson } from './json-parser.ts';

/** etcd's own limit is 1.5 MiB unless somebody raised it. */
export const MAX_BYTES = 16 * 1024 * 1024;

export class Problems {
  first: string | undefined;

  /** Clipped, since paths hold keys that a stranger chose. */
  note(problem: string): void {
    this.first ??= problem.length > 400 ? `${problem.slice(0, 400).toWellFormed()}…` : problem;
  }

  /** `path` names the field, `rule` says what it must be. */
  mismatch(path: string, rule: string, value: Json | undefined): void {
    this.note(`${path} ${rule}: current value is ${describeJson(value)}`);
  }
}

/** `what` is the beginning of the error's sentence, e.g. `Cannot decode service "a/x" from cluster "west"`. */
export function decodeJson<T>(
  what: string,
  value: Uint8Array | string,
  read: (json: Json, problems: Problems) => T,
): Result<T> {
  if (value.length > MAX_BYTES) {
    return fail(`${what}: value must be at most ${MAX_BYTES} bytes: current value is ${value.length} bytes`);
  }
  const parsed = parseJson(textOf(value));
  if (!parsed.ok) return fail(`${what}: ${parsed.error}`);
  const problems = new Problems();
  const result = read(parsed.value, problems);
  return problems.first === undefined ? ok(result) : fail(`${what}: ${problems.first}`);
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Invalid UTF-8 becomes U+FFFD, as in Go. */
export const textOf = (value: Uint8Array | string): string => (typeof value === 'string' ? value : utf8.decode(value));

/** The names of a struct's fields, also by their folded form. */
export type FieldNames = ReadonlyMap<string, string>;

export function fieldNames(...names: readonly string[]): FieldNames {
  return new Map([
    ...names.map((name) => [foldName(name), name] as const),
    ...names.map((name) => [name, name] as const),
  ]);
}

/** Go folds by Unicode's simple rules: besides the letters' case, that is the long s and the Kelvin sign. */
const foldName = (name: string): string => name.replaceAll('\u017f', 's').toLowerCase();

export type ReadValue<T> = (value: Json, path: string) => T;

const NO_MEMBERS: JsonObject = new Map();

export class StructReader {
  readonly #fields = new Map<string, Json>();
  readonly #path: string;
  readonly #problems: Problems;

  constructor(json: Json, path: string, names: FieldNames, problems: Problems) {
    this.#path = path;
    this.#problems = problems;
    for (const [key, value] of this.#members(json)) {
      const name = names.get(key) ?? names.get(foldName(key));
      if (name === undefined) continue;
      if (this.#fields.has(name)) problems.note(`${this.pathOf(name)} must not be given twice`);
      this.#fields.set(name, value);
    }
  }

  #members(json: Json): JsonObject {
    if (json instanceof Map) return json;
    if (json !== null) this.#problems.mismatch(this.#path || 'value', 'must be an object', json);
    return NO_MEMBERS;
  }

  pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }

  raw(name: string): Json | undefined {
    return this.#fields.get(name);
  }

  string(name: string): string {
    return readString(this.raw(name) ?? null, this.pathOf(name), this.#problems);
  }

  boolean(name: string): boolean {
    return this.optionalBoolean(name) ?? false;
  }

  optionalBoolean(name: string): boolean | undefined {
    const value = this.raw(name) ?? null;
    if (typeof value === 'boolean') return value;
    if (value !== null) this.#problems.mismatch(this.pathOf(name), 'must be true or false', value);
    return undefined;
  }

  /** An unsigned integer of at most `max`; 0 when absent. */
  uint(name: string, max: number): number {
    const value = this.raw(name) ?? null;
    if (value === null) return 0;
    const number = value instanceof JsonNumber && /^\d{1,16}$/.test(value.literal) ? Number(value.literal) : Number.NaN;
    if (number <= max) return number;
    this.#problems.mismatch(this.pathOf(name), `must be an integer 0-${max}`, value);
    return 0;
  }

  /** An absent map is empty, as readers prepare one; an explicit `null` stays `null`. */
  map<T>(name: string, read: ReadValue<T>): ReadonlyMap<string, T> | null {
    return readMap(this.raw(name), this.pathOf(name), this.#problems, read);
  }

  stringMap(name: string): ReadonlyMap<string, string> | null {
    return this.map(name, (value, path) => readString(value, path, this.#problems));
  }

  list<T>(name: string, read: ReadValue<T>): readonly T[] | null {
    const value = this.raw(name) ?? null;
    const path = this.pathOf(name);
    if (Array.isArray(value)) return value.map((item: Json, i) => read(item, `${path}[${i}]`));
    if (value !== null) this.#problems.mismatch(path, 'must be an array', value);
    return null;
  }
}

export function readMap<T>(
  value: Json | undefined,
  path: string,
  problems: Problems,
  read: ReadValue<T>,
): ReadonlyMap<string, T> | null {
  if (value === null) return null;
  const entries = new Map<string, T>();
  if (value === undefined) return entries;
  if (!(value instanceof Map)) {
    problems.mismatch(path, 'must be an object', value);
    return entries;
  }
  for (const [key, item] of value as JsonObject) entries.set(key, read(item, `${path}["${key}"]`));
  return entries;
}

export function readString(value: Json, path: string, problems: Problems): string {
  if (typeof value === 'string') return value;
  if (value !== null) problems.mismatch(path, 'must be a string', value);
  return '';
}
