/** Arbitrary values of the wire format, and the entries that Cilium 1.20.0 wrote. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { type IpAddress, parseIp } from '../model/ip.ts';
import type { WireService } from './service.ts';

interface RecordedEntry {
  readonly key: string;
  readonly value: string;
}

export const ciliumEntries = (): readonly RecordedEntry[] =>
  readFileSync(new URL('cilium-1.20.0.fixture.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RecordedEntry);

export const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true });

const canonical = (text: string): IpAddress => {
  const parsed = parseIp(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};
const ipv4 = fc.ipV4().map(canonical);
const ipv6 = fc
  .ipV6()
  .map(canonical)
  .filter((address) => !address.startsWith('::ffff:'));
export const address = fc.oneof(ipv4, ipv6);
export const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }).map((raw) => raw.toWellFormed()),
  fc.constantFrom('__proto__', 'constructor', '<&>', ''),
);
export const mapOf = <T>(key: fc.Arbitrary<string>, value: fc.Arbitrary<T>) =>
  fc.array(fc.tuple(key, value), { maxLength: 5 }).map((entries) => new Map(entries));
export const nullable = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null, freq: 5 });
const port = fc.integer({ min: 1, max: 65_535 });
const ports = nullable(
  mapOf(text, record({ protocol: fc.constantFrom('TCP', 'UDP', 'SCTP', 'ANY', 'NONE', 'x'), port })),
);
export const name = fc.stringMatching(/^[a-z]([-a-z0-9]{0,5}[a-z0-9])?$/);
export const labels = nullable(mapOf(text, text));

export const service: fc.Arbitrary<WireService> = record({
  cluster: fc.constant('east'),
  namespace: name,
  name,
  frontends: nullable(mapOf(address, ports)),
  backends: nullable(mapOf(address, ports)),
  hostnames: mapOf(address, text),
  zones: mapOf(address, record({ zone: text, forZones: nullable(fc.array(text, { maxLength: 3 })) })),
  labels,
  selector: labels,
  includeExternal: fc.boolean(),
  shared: fc.boolean(),
  clusterId: fc.constant(1),
});
