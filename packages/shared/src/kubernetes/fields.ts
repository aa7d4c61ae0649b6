/**
 * Reading fields of untyped Kubernetes JSON. An absent field (also null) has a default, a field of the wrong type is a
 * sentence: `Malformed` ends the conversion of the whole object, warnings accompany one that can be used in part.
 */
import { type IpAddress, parseIp } from '../model/ip.ts';
import type { Conversion } from './conversion.ts';

export type Fields = Readonly<Record<string, unknown>>;
export type Texts = Readonly<Record<string, string>>;

class Malformed extends Error {}

const describe = (value: unknown): string => (JSON.stringify(value) ?? 'absent').slice(0, 100);
export const malformed = (path: string, expected: string, value: unknown) =>
  new Malformed(`${path} must be ${expected}: current value is ${describe(value)}`);

/** Collects warnings, and turns a malformed field into a refusal. */
export function converting<T>(make: (warn: (sentence: string) => void) => T | undefined): Conversion<T> {
  const warnings: string[] = [];
  try {
    const value = make((sentence) => warnings.push(sentence));
    return value === undefined ? { kind: 'ignored' } : { kind: 'value', value, warnings };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { kind: 'refused', reason: error.message };
  }
}

export function fieldsOf(parent: Fields, name: string, path = name): Fields {
  const value = parent[name] ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) throw malformed(path, 'an object', value);
  return value as Fields;
}

export function listOf(parent: Fields, name: string, path = name): readonly unknown[] {
  const value = parent[name] ?? [];
  if (!Array.isArray(value)) throw malformed(path, 'an array', value);
  return value;
}

/** The objects of an array. */
export function recordsOf(parent: Fields, name: string, path = name): readonly Fields[] {
  return listOf(parent, name, path).map((value, i) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw malformed(`${path}[${i}]`, 'an object', value);
    }
    return value as Fields;
  });
}

export function textOf(parent: Fields, name: string, path = name): string {
  const value = parent[name] ?? '';
  if (typeof value !== 'string') throw malformed(path, 'a string', value);
  return value;
}

export function flagOf(parent: Fields, name: string, fallback: boolean, path = name): boolean {
  const value = parent[name] ?? fallback;
  if (typeof value !== 'boolean') throw malformed(path, 'true or false', value);
  return value;
}

export function textsOf(parent: Fields, name: string, path = name): Texts {
  const fields = fieldsOf(parent, name, path);
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value !== 'string') throw malformed(`${path}[${JSON.stringify(key)}]`, 'a string', value);
  }
  return fields as Texts;
}

/** The addresses among `values`, without repetitions; what is none is warned of. */
export function addressesAmong(
  values: readonly unknown[],
  path: string,
  warn: (sentence: string) => void,
): readonly IpAddress[] {
  const found = new Set<IpAddress>();
  for (const value of values) {
    const parsed = parseIp(typeof value === 'string' ? value : '');
    if (parsed.ok) found.add(parsed.value);
    else warn(`${path} left out: expected an IP address: current value is ${describe(value)}`);
  }
  return [...found];
}

export const isPort = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535;
