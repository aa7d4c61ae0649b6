/** Where the short way answers, it answers as the strict one does; and it answers for all that exporters write. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { ClusterIdentity, ClusterName } from '../model/cluster.ts';
import { type IpAddress, ip } from '../model/ip.ts';
import { sampleEndpoint, sampleService } from '../model/samples.fixture.ts';
import { type Origin, type RemoteService, serviceKey } from '../model/service.ts';
import { CanonicalServices } from './canonical-service.ts';
import type { EntryExpectations } from './expectations.ts';
import { remoteServiceFromWire } from './from-wire.ts';
import { entryPrefix, suffixOf } from './keys.ts';
import { decodeService, encodeService, MAX_BACKENDS, TERMINATING_LABEL } from './service.ts';
import { wireService } from './to-wire.ts';
import { address, ciliumEntries, service } from './wire.fixture.ts';

const origin: Origin = { source: 'etcd', revision: '7', at: 0 };
const east: ClusterIdentity = { name: 'east' as ClusterName, id: 1 };
const KEY = serviceKey('shop', 'cart');
const expected: EntryExpectations = { cluster: 'east', clusterId: 1, maxClusters: 255, suffix: KEY };

/** One for all: what it remembers of earlier values must not show. */
const canonical = new CanonicalServices();
const quick = (value: Buffer, expectations = expected) => canonical.read(value, expectations, origin);

function strict(value: Buffer, expectations = expected): RemoteService | undefined {
  const wire = decodeService(value, expectations);
  return wire.ok ? remoteServiceFromWire(wire.value, origin) : undefined;
}

/** As our own exporter writes it. */
const exportedWith = (addresses: fc.Arbitrary<IpAddress>) =>
  fc
    .array(fc.tuple(addresses, fc.constantFrom('', 'a', 'b'), fc.integer({ min: 1, max: 65_535 }), fc.boolean()))
    .map((backends) =>
      wireService(
        east,
        sampleService(KEY, { clusterIps: [ip('10.96.0.9'), ip('fd00::9')], labels: { app: 'cart' }, selector: {} }),
        backends.map(([each, zone, port, ready]) =>
          sampleEndpoint(each, {
            ready,
            zone,
            zoneHints: zone === '' ? [] : [zone, 'c'],
            hostname: zone,
            ports: [
              { name: 'http', protocol: 'TCP', port },
              { name: '', protocol: 'UDP', port: 53 },
            ],
          }),
        ),
      ),
    )
    .map((wire) => Buffer.from(encodeService(wire)));
const exported = exportedWith(address);

describe('CanonicalServices', () => {
  it('answers for all that our own exporter writes, as the strict decoder does', () => {
    fc.assert(
      fc.property(exported, (value) => {
        const read = quick(value);
        assert.ok(read, 'answers');
        assert.deepEqual(read, strict(value));
      }),
    );
  });

  it('answers for all that Cilium 1.20.0 wrote', () => {
    let read = 0;
    for (const [index, cluster] of ['cluster-001', 'cluster-002'].entries()) {
      for (const { key, value } of ciliumEntries()) {
        const suffix = suffixOf(key, entryPrefix('services', 'cache', cluster));
        if (suffix === undefined) continue;
        const expectations = { cluster, clusterId: index + 1, maxClusters: 255 as const, suffix };
        const answer = quick(Buffer.from(value), expectations);
        assert.ok(answer && answer.backends.length > 0, key);
        assert.deepEqual(answer, strict(Buffer.from(value), expectations));
        read++;
      }
    }
    assert.equal(read, 6);
  });

  it('answers as the strict decoder does or not at all, whatever the bytes', () => {
    const anyService = service.map((wire) => Buffer.from(encodeService({ ...wire, namespace: 'shop', name: 'cart' })));
    const pieces = fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc.constantFrom(
        ...[
          'null',
          '{}',
          ' ',
          '"',
          ',',
          '0',
          '{"http":{"Protocol":"ANY","Port":1}}',
          '"::1":{}',
          '"10.0.0.1":null',
        ].map((each) => Buffer.from(each)),
      ),
    );
    const changed = fc
      .tuple(fc.oneof(anyService, exported), fc.nat(), pieces, fc.nat(4))
      .map(([value, place, piece, cut]) => {
        const at = place % (value.length + 1);
        return Buffer.concat([value.subarray(0, at), piece, value.subarray(at + cut)]);
      });
    fc.assert(
      fc.property(fc.oneof(anyService, changed), (value) => {
        const read = quick(value);
        if (read) assert.deepEqual(read, strict(value));
      }),
      { numRuns: 1_000 },
    );
  });

  const plain = (change: (text: string) => string) =>
    Buffer.from(
      change(
        '{"cluster":"east","namespace":"shop","name":"cart","frontends":{"10.96.0.9":{"http":{"Protocol":"TCP","Port":80}}},' +
          '"backends":{"10.1.0.1":{"http":{"Protocol":"TCP","Port":8080}},"10.1.0.2":{"http":{"Protocol":"TCP","Port":8080}}},' +
          '"zones":{"10.1.0.2":{"zone":"a","forZones":null}},"labels":{},"selector":null,"includeExternal":true,"shared":true,"clusterID":1}',
      ),
    );

  it('gives equal parts once', () => {
    const [first, second] = [1, 2].map(() =>
      canonical.read(
        plain((text) => text),
        expected,
        origin,
      ),
    );
    assert.equal(first?.backends[0]?.ports, first?.backends[1]?.ports);
    assert.equal(first?.backends[0]?.ports, second?.backends[0]?.ports);
    assert.deepEqual(
      first?.backends.map(({ zone }) => zone),
      ['', 'a'],
    );
  });

  it('answers with what was known where it is the same, and leaves that alone', () => {
    const some = exportedWith(fc.constantFrom(...['10.1.0.1', '10.1.0.2', '10.1.0.10', 'fd00::1', 'fd00::a'].map(ip)));
    fc.assert(
      fc.property(some, some, (before, value) => {
        const known = quick(before)?.backends ?? [];
        const copy = structuredClone(known);
        const read = canonical.read(value, expected, origin, known);
        assert.deepEqual(read, strict(value));
        assert.deepEqual(known, copy);
        for (const backend of read?.backends ?? []) {
          const same = known.find((each) => isDeepStrictEqual(each, backend));
          if (same) assert.equal(backend, same);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('knows an entry whose backends are all terminating', () => {
    const labelled = plain((text) => text.replace('"labels":{}', `"labels":{"a":"b","${TERMINATING_LABEL}":"true"}`));
    assert.equal(quick(labelled)?.terminating, true);
    assert.deepEqual(quick(labelled), strict(labelled));
  });

  it('reads each value by itself', () => {
    const headless = (port: number) =>
      plain((text) =>
        text
          .replace(/"frontends":.*?,"backends":.*?,"zones":.*?\}\}/, `"frontends":{},"backends":{"10.1.0.1":PORTS}`)
          .replace('PORTS', `{"http":{"Protocol":"TCP","Port":${port}}}`),
      );
    for (const port of [8080, 8081]) assert.equal(quick(headless(port))?.backends[0]?.ports[0]?.port, port);
  });

  it('leaves IPv6 in a spelling that is not canonical to the strict decoder', () => {
    const spelt = (address: string) => plain((text) => text.replaceAll('10.1.0.2', address));
    assert.equal(quick(spelt('FD00::2')), undefined);
    assert.deepEqual(quick(spelt('fd00::2')), strict(spelt('fd00::2')));
    assert.notEqual(quick(spelt('fd00::2')), undefined);
  });

  it('leaves keys and ids that are none to the strict decoder', () => {
    assert.equal(
      quick(
        plain((text) => text),
        { ...expected, suffix: `${KEY}/x` },
      ),
      undefined,
    );
    const far = plain((text) => text.replace('"clusterID":1', '"clusterID":300'));
    assert.equal(quick(far, { ...expected, clusterId: 300 }), undefined);
    assert.deepEqual(quick(far, { ...expected, clusterId: 300, ownId: 300 })?.key, KEY);
  });

  it('leaves more backends than there may be to the strict decoder', () => {
    const backends = Array.from(
      { length: MAX_BACKENDS + 1 },
      (_, i) => `"10.${i >> 16}.${(i >> 8) & 255}.${i & 255}":{}`,
    );
    const value = plain((text) =>
      text.replace(/"backends":\{.*?\}\},"zones":\{.*?\}\}/, `"backends":{${backends.sort().join(',')}}`),
    );
    assert.ok(strict(value) === undefined);
    assert.ok(quick(value) === undefined);
  });

  const refused: readonly (readonly [string, string, string])[] = [
    ['a key that is there twice', '"10.1.0.2":{"http"', '"10.1.0.1":{"http"'],
    ['addresses out of order', '"10.1.0.1":{"http"', '"10.1.0.3":{"http"'],
    ['an address with a leading zero', '"10.1.0.1":{"http"', '"10.1.0.01":{"http"'],
    ['another cluster', '"cluster":"east"', '"cluster":"west"'],
    ['another id', '"clusterID":1', '"clusterID":11'],
    ['port 0', '"Port":8080', '"Port":0'],
    ['port 65536', '"Port":8080', '"Port":65536'],
    ['a zone of no backend', '"zones":{"10.1.0.2"', '"zones":{"10.1.0.5"'],
    ['what follows the end', '"clusterID":1}', '"clusterID":1}}'],
    ['a port with a leading zero', '"Port":8080', '"Port":08080'],
    ['a control character', '"zone":"a"', '"zone":"\t"'],
    ['an escape', '"zone":"a"', '"zone":"\\u0061"'],
    ['a byte beyond ASCII', '"zone":"a"', '"zone":"é"'],
  ];
  for (const [title, from, to] of refused) {
    it(`leaves ${title} to the strict decoder`, () => {
      const value = plain((text) => text.replace(from, to));
      assert.notEqual(value.toString(), plain((text) => text).toString());
      assert.equal(quick(value), undefined);
    });
  }
});
