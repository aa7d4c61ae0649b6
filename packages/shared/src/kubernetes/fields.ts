/**
 * Reading fields of untyped Kubernetes JSON. An absent field (also null) has a default, a field of the wrong type is a
 * sentence: `Malformed` ends the conversion of the whole object, warnings accompany one that can be used in part.
 */
import { type IpAddress, parseIp } from '../model/ip.ts';
import type { BackendPort, Origin, Protocol } from '../model/service.ts';
import type { Convert } from './conversion.ts';
import { isJson, type Json } from './json.ts';

export type Texts = Readonly<Record<string, string>>;
export type Warn = (sentence: string) => void;

class Malformed extends Error {}

const describe = (value: unknown): string => `${JSON.stringify(value)}`.slice(0, 100);

/** Collects warnings, and turns a malformed field into a refusal. Undefined: not for us. */
export function converter<T>(make: (object: Fields, warn: Warn, at: number) => T | undefined): Convert<T> {
  return (json, at = 0) => {
    const warnings: string[] = [];
    try {
      const value = make(new Fields(json), (sentence) => warnings.push(sentence), at);
      return value === undefined ? { kind: 'ignored' } : { kind: 'value', value, warnings };
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return { kind: 'refused', reason: error.message };
    }
  };
}

/** One object, and where it stands in the whole one. */
export class Fields {
  readonly json: Json;
  /** Empty for the whole one. */
  readonly path: string;

  constructor(json: Json, path = '') {
    this.json = json;
    this.path = path;
  }

  pathOf(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  text(name: string): string {
    const value = this.json[name] ?? '';
    if (typeof value !== 'string') throw malformed(this.pathOf(name), 'a string', value);
    return value;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.json[name] ?? fallback;
    if (typeof value !== 'boolean') throw malformed(this.pathOf(name), 'true or false', value);
    return value;
  }

  object(name: string): Fields {
    return fieldsOf(this.json[name] ?? {}, this.pathOf(name));
  }

  list(name: string): readonly unknown[] {
    const value = this.json[name] ?? [];
    if (!Array.isArray(value)) throw malformed(this.pathOf(name), 'an array', value);
    return value;
  }

  /** A list of objects. */
  objects(name: string): readonly Fields[] {
    const path = this.pathOf(name);
    return this.list(name).map((value, i) => fieldsOf(value, `${path}[${i}]`));
  }

  /** A map of texts, such as labels. */
  texts(name: string): Texts {
    const { json, path } = this.object(name);
    for (const [key, value] of Object.entries(json)) {
      if (typeof value !== 'string') throw malformed(`${path}[${JSON.stringify(key)}]`, 'a string', value);
    }
    return json as Texts;
  }
}

/** Tells of fields that have a meaning for somebody and none here, as those of a newer version of a kind have. */
export function warnOfOthers({ json, path }: Fields, known: readonly string[], warn: Warn): void {
  for (const name of Object.keys(json).filter((each) => !known.includes(each))) {
    warn(`${path}.${name} counts for nothing: expected ${known.join(', ')}`);
  }
}

function fieldsOf(value: unknown, path: string): Fields {
  if (!isJson(value)) throw malformed(path, 'an object', value);
  return new Fields(value, path);
}

export const malformed = (path: string, expected: string, value: unknown): Error =>
  new Malformed(`${path} must be ${expected}: current value is ${describe(value)}`);

/** Of something that was single once: the list, or the single one where that is empty; nothing that is empty. */
export const severalOf = (list: readonly unknown[], single: string): readonly unknown[] =>
  (list.length > 0 ? list : [single]).filter((each) => each !== '');

/** The addresses among `values`, without repetitions; what is none is warned of. */
export function addressesAmong(values: readonly unknown[], path: string, warn: Warn): readonly IpAddress[] {
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

/** One of the `ports` of a Service or an EndpointSlice; undefined, with a warning, when it cannot be used. */
export function portOf(fields: Fields, warn: Warn): BackendPort | undefined {
  const { path, json } = fields;
  const { port } = json;
  const protocol = json['protocol'] ?? 'TCP';
  const known = isProtocol(protocol);
  if (!known) warn(`${path} left out: protocol must be TCP, UDP or SCTP: current value is ${describe(protocol)}`);
  if (!isPort(port)) warn(`${path} left out: port must be 1-65535: current value is ${describe(port)}`);
  return known && isPort(port) ? { name: fields.text('name'), protocol, port } : undefined;
}

const isProtocol = (value: unknown): value is Protocol => value === 'TCP' || value === 'UDP' || value === 'SCTP';

export const originOf = (metadata: Fields, at: number): Origin => ({
  source: 'kubernetes',
  revision: metadata.text('resourceVersion'),
  at,
});
