/** For every kind of entry: decode of encode is the identity, and junk is refused with a reason, never thrown at us. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { bytesOf } from '../model/ip.ts';
import type { Result } from '../model/result.ts';
import {
  decodeClusterConfig,
  ENDPOINT_SLICE_MODES,
  encodeClusterConfig,
  type WireClusterConfig,
} from './cluster-config.ts';
import type { EntryExpectations } from './expectations.ts';
import { compareUtf8 } from './go-json.ts';
import { CLUSTER_LABEL, decodeIdentity, encodeIdentity, type WireIdentity } from './identity.ts';
import { decodeIpEntry, encodeIpEntry, ipEntrySuffix, type WireIpEntry } from './ip-entry.ts';
import { decodeNode, encodeNode, type WireNode } from './node.ts';
import { decodeService, encodeService } from './service.ts';
import { address, labels, mapOf, name, nullable, record, service, text } from './wire.fixture.ts';

const east = { cluster: 'east', clusterId: 1, maxClusters: 255 } as const;

const prefix = address.chain((each) =>
  record({ address: fc.constant(each), length: fc.integer({ min: 0, max: bytesOf(each).length * 8 }) }),
);
const addressOrNone = fc.oneof(address, fc.constant('' as const));
const node: fc.Arbitrary<WireNode> = record({
  name,
  cluster: fc.constant('east'),
  addresses: nullable(fc.array(record({ type: text, ip: addressOrNone }), { maxLength: 3 })),
  ipv4AllocCidr: nullable(prefix),
  ipv4SecondaryAllocCidrs: nullable(fc.array(nullable(prefix), { maxLength: 3 })),
  ipv6AllocCidr: nullable(prefix),
  ipv6SecondaryAllocCidrs: nullable(fc.array(nullable(prefix), { maxLength: 3 })),
  ipv4HealthIp: addressOrNone,
  ipv6HealthIp: addressOrNone,
  ipv4IngressIp: addressOrNone,
  ipv6IngressIp: addressOrNone,
  clusterId: fc.constant(1),
  source: text,
  encryptionKey: fc.nat(255),
  labels,
  annotations: labels,
  wireguardPubKey: text,
  bootId: text,
});

const ipEntry: fc.Arbitrary<WireIpEntry> = record({
  prefix,
  single: fc.boolean(),
  hostIp: addressOrNone,
  identity: fc.oneof(fc.nat(255), fc.integer({ min: 65_536, max: 131_071 })),
  encryptionKey: fc.nat(255),
  metadata: text,
  namespace: text,
  pod: text,
  serviceAccount: text,
  namedPorts: fc.array(record({ name: text, port: fc.nat(65_535), protocol: text }), { maxLength: 3 }),
}).map(({ prefix: { address: ip, length }, single, ...rest }) => ({
  ip,
  prefixLength: single ? undefined : length,
  ...rest,
}));

const labelText = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 6 })
  .map((raw) => raw.toWellFormed().replaceAll(/[:;=]/g, '.'));
const identity: fc.Arbitrary<WireIdentity> = record({
  id: fc.integer({ min: 65_536, max: 131_071 }),
  labels: mapOf(labelText, labelText),
}).map(({ id, labels: some }) => ({
  id,
  labels: [...new Map([...some, [CLUSTER_LABEL, 'east']])]
    .map(([key, value]) => ({ source: 'k8s', key, value }))
    .sort((a, b) => compareUtf8(a.key, b.key)),
}));

const config: fc.Arbitrary<WireClusterConfig> = record({
  id: fc.integer({ min: 1, max: 255 }),
  syncedCanaries: fc.boolean(),
  cached: fc.boolean(),
  maxConnectedClusters: fc.constantFrom(0, 255, 511),
  serviceExportsEnabled: fc.option(fc.boolean(), { nil: undefined }),
  endpointSlicesExportMode: fc.constantFrom(...ENDPOINT_SLICE_MODES),
});

interface Kind<T> {
  readonly title: string;
  readonly value: fc.Arbitrary<T>;
  readonly suffix: (value: T) => string;
  readonly encode: (value: T) => string;
  readonly decode: (value: Uint8Array | string, expected: EntryExpectations) => Result<T>;
}

function check<T>(kind: Kind<T>): void {
  describe(kind.title, () => {
    it('decode of encode is the identity', () => {
      fc.assert(
        fc.property(kind.value, (value) => {
          const encoded = kind.encode(value);
          const decoded = kind.decode(Buffer.from(encoded), { ...east, suffix: kind.suffix(value) });
          assert.ok(decoded.ok, decoded.ok ? '' : decoded.error);
          assert.deepEqual(decoded.value, value);
          assert.equal(kind.encode(decoded.value), encoded);
        }),
        { numRuns: 300 },
      );
    });

    it('decode refuses or accepts, and never throws, whatever the bytes', () => {
      const mutated = fc
        .tuple(kind.value, fc.nat(), fc.uint8Array({ maxLength: 4 }), fc.nat(4))
        .map(([value, at, bytes, cut]) => {
          const encoded = Buffer.from(kind.encode(value));
          const index = at % (encoded.length + 1);
          return Buffer.concat([encoded.subarray(0, index), bytes, encoded.subarray(index + cut)]);
        });
      const junk = fc.oneof(
        mutated,
        fc.uint8Array(),
        fc.json().map((json) => Buffer.from(json)),
        fc.string().map((raw) => Buffer.from(raw)),
      );
      fc.assert(
        fc.property(junk, fc.string(), (bytes, suffix) => {
          const decoded = kind.decode(bytes, { ...east, suffix });
          if (!decoded.ok) assert.match(decoded.error, /^Cannot decode .+ from cluster "east": ./s);
        }),
        { numRuns: 500 },
      );
    });

    it('decode refuses or accepts, and never throws, when any one field holds anything', () => {
      fc.assert(
        fc.property(kind.value, fc.nat(), fc.jsonValue(), (value, at, anything) => {
          const encoded = kind.encode(value);
          if (!encoded.startsWith('{')) return;
          const fields = Object.entries(JSON.parse(encoded) as Record<string, unknown>);
          fields[at % fields.length] = [fields[at % fields.length]?.[0] ?? '', anything];
          kind.decode(JSON.stringify(Object.fromEntries(fields)), { ...east, suffix: kind.suffix(value) });
        }),
        { numRuns: 500 },
      );
    });
  });
}

describe('the wire format for any value', () => {
  check({
    title: 'services',
    value: service,
    suffix: (each) => `${each.namespace}/${each.name}`,
    encode: encodeService,
    decode: decodeService,
  });
  check({ title: 'nodes', value: node, suffix: (each) => each.name, encode: encodeNode, decode: decodeNode });
  check({ title: 'ip entries', value: ipEntry, suffix: ipEntrySuffix, encode: encodeIpEntry, decode: decodeIpEntry });
  check({
    title: 'identities',
    value: identity,
    suffix: (each) => String(each.id),
    encode: encodeIdentity,
    decode: decodeIdentity,
  });
  check({
    title: 'cluster configurations',
    value: config,
    suffix: () => 'east',
    encode: encodeClusterConfig,
    decode: decodeClusterConfig,
  });
});
