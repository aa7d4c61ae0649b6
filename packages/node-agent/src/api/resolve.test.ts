import assert from 'node:assert/strict';
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import type { ServicePort } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import { HTTP, leftOut, sampleBackend, sampleEntry, sampleGroup, sampleWeb, selected } from './fake-source.fixture.ts';
import { resolveBackend } from './resolve.ts';

const context = { cluster: 'east', random: () => 0 };

const request = (fields: object = {}): api.ResolveBackendRequest => ({
  namespace: 'default',
  name: 'web',
  protocol: 'PROTOCOL_UNSPECIFIED',
  family: 'IP_FAMILY_UNSPECIFIED',
  clientKey: '',
  ...fields,
});

const DNS_UDP: ServicePort = { name: 'dns', protocol: 'UDP', port: 53, nodePort: 0 };
const DNS_TCP: ServicePort = { name: 'dns-tcp', protocol: 'TCP', port: 53, nodePort: 0 };
const one = (address: string) => [selected(sampleBackend(address))];
const dns = sampleEntry('web', [sampleGroup(one('10.1.0.1'), DNS_UDP), sampleGroup(one('10.1.0.2'), DNS_TCP)]);

describe('resolveBackend()', () => {
  const refusals = [
    {
      name: 'no such Service',
      entry: undefined,
      fields: {},
      want: { kind: 'not-found', message: 'Service default/web is not known to any cluster' },
    },
    {
      name: 'a Service of other clusters only',
      entry: { ...sampleWeb(), service: undefined, groups: [] },
      fields: {},
      want: {
        kind: 'not-found',
        message: 'Service default/web does not exist in cluster east; only other clusters have it',
      },
    },
    {
      name: 'no such port number',
      entry: sampleWeb(),
      fields: { port: 'portNumber', portNumber: 81, protocol: 'PROTOCOL_TCP' },
      want: { kind: 'not-found', message: 'Service default/web has no port 81 for TCP; it has port http (80/TCP)' },
    },
    {
      name: 'no such port name',
      entry: sampleWeb(),
      fields: { port: 'portName', portName: 'https' },
      want: { kind: 'not-found', message: 'Service default/web has no port "https"; it has port http (80/TCP)' },
    },
    {
      name: 'no such family',
      entry: sampleWeb(),
      fields: { family: 'IP_FAMILY_IPV6' },
      want: { kind: 'not-found', message: 'Service default/web has no port over IPv6; it has port http (80/TCP)' },
    },
    {
      name: 'several ports',
      entry: dns,
      fields: { port: 'portNumber', portNumber: 53 },
      want: {
        kind: 'failed-precondition',
        message: 'Service default/web has ports dns (53/UDP), dns-tcp (53/TCP): say which port and protocol',
      },
    },
    {
      name: 'no backends',
      entry: sampleEntry('web', [sampleGroup([])]),
      fields: {},
      want: { kind: 'unavailable', message: 'Service default/web port http (80/TCP) has no backends' },
    },
    {
      name: 'no usable backends',
      entry: sampleEntry('web', [sampleGroup([leftOut(sampleBackend('10.1.0.1'), 'unready', 'not ready')])]),
      fields: {},
      want: {
        kind: 'unavailable',
        message: 'Service default/web port http (80/TCP) has no usable backend among 1: 1 unready',
      },
    },
  ] as const;
  for (const { name, entry, fields, want } of refusals) {
    it(`refuses ${name}`, () => assert.deepEqual(resolveBackend(entry, request(fields), context), want));
  }

  it('follows weights, at random and by client key', () => {
    const heavy = { ...selected(sampleBackend('10.1.0.1')), weight: 9 };
    const light = { ...selected(sampleBackend('10.1.0.2')), weight: 1 };
    const entry = sampleEntry('web', [sampleGroup([heavy, light])]);
    const shareOfHeavy = (ask: (i: number) => ReturnType<typeof resolveBackend>): number => {
      const found = Array.from({ length: 1_000 }, (_, i) => ask(i));
      return found.filter((each) => each.kind === 'found' && each.decision === heavy).length / 1_000;
    };
    const byChance = shareOfHeavy((i) => resolveBackend(entry, request(), { ...context, random: () => i / 1_000 }));
    assert.equal(byChance, 0.9);
    const byKey = shareOfHeavy((i) => resolveBackend(entry, request({ clientKey: `client ${i}` }), context));
    assert.ok(Math.abs(byKey - 0.9) < 0.03, String(byKey));
  });

  const addressFor = (entry = dns, fields: object = {}, random = () => 0) => {
    const found = resolveBackend(entry, request(fields), { ...context, random });
    return found.kind === 'found' ? found.decision.backend.address : found.message;
  };

  it('finds a port by name, by number and protocol, and the only port without either', () => {
    assert.equal(addressFor(dns, { port: 'portName', portName: 'dns-tcp' }), '10.1.0.2');
    assert.equal(addressFor(dns, { port: 'portNumber', portNumber: 53, protocol: 'PROTOCOL_UDP' }), '10.1.0.1');
    assert.equal(addressFor(sampleWeb()), '10.1.0.5');
  });

  it('says why and how many others there were', () => {
    const found = resolveBackend(sampleWeb(), request(), { ...context, random: () => 0.99 });
    assert.ok(found.kind === 'found');
    assert.equal(found.decision.backend.address, '10.2.0.5');
    assert.equal(found.alternatives, 1);
    assert.equal(found.reason, 'chosen at random from 2 usable backends: ready');
  });

  it('takes the first family with usable backends, and the ClusterIP before a NodePort', () => {
    const empty = sampleGroup([]);
    const v6 = { ...sampleGroup(one('fd00::1')), family: 6 as const };
    assert.equal(addressFor(sampleEntry('web', [empty, v6])), 'fd00::1');
    const nodePort = {
      ...sampleGroup(one('10.9.9.9')),
      frontends: [{ kind: 'NodePort', address: ip('0.0.0.0'), port: 30000, protocol: 'TCP' }] as const,
    };
    assert.equal(addressFor(sampleEntry('web', [nodePort, sampleGroup(one('10.1.0.1'), HTTP)])), '10.1.0.1');
  });

  it('spreads evenly, at random and over client keys', () => {
    const entry = sampleEntry('web', [sampleGroup([1, 2, 3, 4].flatMap((i) => one(`10.1.0.${i}`)))]);
    const counts = new Map<string, number>();
    for (let i = 0; i < 4_000; i++) {
      const address = addressFor(entry, { clientKey: `client-${i}` });
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    assert.equal(counts.size, 4);
    for (const n of counts.values()) assert.ok(n > 800 && n < 1_200, `one backend got ${n} of 4,000`);
    assert.deepEqual(
      [0, 0.25, 0.5, 0.999].map((r) => addressFor(entry, {}, () => r)),
      ['10.1.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.4'],
    );
  });

  it('keeps a client with its backend as long as that is usable, in whatever order backends come', () => {
    const addresses = fc.uniqueArray(fc.integer({ min: 1, max: 250 }), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(addresses, fc.string({ minLength: 1 }), fc.nat(), (numbers, clientKey, which) => {
        const entryOf = (list: readonly number[]) =>
          sampleEntry('web', [sampleGroup(list.flatMap((i) => one(`10.1.0.${i}`)))]);
        const before = addressFor(entryOf(numbers), { clientKey });
        const gone = numbers[which % numbers.length];
        const after = addressFor(entryOf(numbers.filter((i) => i !== gone).reverse()), { clientKey });
        if (before !== `10.1.0.${gone}`) assert.equal(after, before);
      }),
    );
  });
});
