import assert from 'node:assert/strict';
import { frontendsOf } from '@tombolo/shared/merge/frontends.ts';
import { cidr, ip } from '@tombolo/shared/model/ip.ts';
import { sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import { type LocalService, type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import fc from 'fast-check';
import { FrontendLedger } from './frontend-ledger.ts';

const DNS = sampleService(serviceKey('kube-system', 'kube-dns'), {
  clusterIps: [ip('10.96.0.10')],
  createdAt: '2026-02',
});
const EVIL = sampleService(serviceKey('attacker', 'evil'), {
  clusterIps: [ip('10.96.0.66')],
  externalIps: [ip('10.96.0.10')],
  createdAt: '2026-01',
});

const refusals = (ledger: FrontendLedger, service: LocalService) => [...ledger.refusals(service)];

describe('FrontendLedger', () => {
  it('gives nobody the cluster IP of another Service, whoever is older or first by name', () => {
    for (const order of [
      [DNS, EVIL],
      [EVIL, DNS],
    ]) {
      const ledger = new FrontendLedger();
      for (const service of order) ledger.set(service.key, service);
      assert.deepEqual(refusals(ledger, DNS), []);
      assert.deepEqual(refusals(ledger, EVIL), [['10.96.0.10:80/TCP', 'kube-system/kube-dns has it as its ClusterIP']]);
    }
  });

  it('refuses external addresses inside the ranges of cluster IPs, given to a Service or not', () => {
    const ledger = new FrontendLedger();
    ledger.setServiceRanges([cidr('10.96.0.0/12')]);
    ledger.set(EVIL.key, EVIL);
    assert.deepEqual(refusals(ledger, EVIL), [['10.96.0.10:80/TCP', 'inside the range of cluster IPs 10.96.0.0/12']]);
  });

  it('refuses external addresses that mean this node or nobody', () => {
    const ledger = new FrontendLedger();
    for (const address of ['0.0.0.0', '127.0.0.1', '169.254.169.254', '224.0.0.1']) {
      const service = sampleService(undefined, { externalIps: [ip(address)] });
      ledger.set(service.key, service);
      assert.match(refusals(ledger, service)[0]?.[1] ?? '', /cannot be external$/, address);
    }
    const service = sampleService(undefined, { clusterIps: [ip('::ffff:10.96.0.1')] });
    assert.match(refusals(ledger, service)[0]?.[1] ?? '', /IPv4-mapped/);
  });

  it('keeps no NodePort from anybody, least of all for an address that is refused', () => {
    const ports = (port: number, nodePort: number) => [{ name: '', protocol: 'TCP', port, nodePort } as const];
    const evil = { ...EVIL, externalIps: [], loadBalancerIps: [ip('0.0.0.0')], ports: ports(30080, 0) };
    const victim = { ...DNS, ports: ports(53, 30080) };
    const ledger = new FrontendLedger();
    for (const service of [evil, victim]) ledger.set(service.key, service);
    assert.deepEqual(refusals(ledger, victim), []);
    assert.equal(refusals(ledger, evil).length, 1);
  });

  it('tells who gained or lost a frontend by a change', () => {
    const ledger = new FrontendLedger();
    assert.deepEqual([...ledger.set(EVIL.key, EVIL)], []);
    assert.deepEqual([...ledger.set(DNS.key, DNS)], [EVIL.key]);
    assert.deepEqual([...ledger.set(EVIL.key, { ...EVIL, externalIps: [] })], [DNS.key]);
    ledger.set(EVIL.key, EVIL);
    assert.deepEqual([...ledger.set(DNS.key, undefined)], [EVIL.key]);
    assert.deepEqual([...ledger.set(DNS.key, undefined)], []);
    assert.deepEqual(refusals(ledger, EVIL), []);
  });

  const KEYS = ['shop/a', 'shop/b', 'shop/c'] as ServiceKey[];
  const addresses = fc.uniqueArray(fc.constantFrom('192.0.2.1', '192.0.2.2').map(ip), { maxLength: 2 });
  const anyService = (key: ServiceKey): fc.Arbitrary<LocalService> =>
    fc
      .record({
        clusterIps: addresses,
        externalIps: addresses,
        loadBalancerIps: addresses,
        createdAt: fc.constantFrom('2026-01', '2026-02'),
      })
      .map((fields) => sampleService(key, fields));
  const anyChange = fc
    .constantFrom(...KEYS)
    .chain((key) => fc.tuple(fc.constant(key), fc.option(anyService(key), { nil: undefined })));

  it('has one owner for each frontend, the same whatever happened before', () => {
    const rank = { ClusterIP: 0, NodePort: 1, LoadBalancer: 1, ExternalIP: 2 };
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 12 }), (history) => {
        const ledger = new FrontendLedger();
        for (const [key, service] of history) ledger.set(key, service);
        const services = [...new Map(history).values()].filter((service) => service !== undefined);
        const claims = services.flatMap((service) => frontendsOf(service).map((frontend) => ({ service, frontend })));
        for (const { service, frontend } of claims) {
          const rivals = claims
            .filter((other) => frontendId(other.frontend) === frontendId(frontend))
            .map((other) => `${rank[other.frontend.kind]} ${other.service.createdAt} ${other.service.key}`)
            .sort();
          const isOwner = rivals[0]?.endsWith(service.key);
          assert.equal(ledger.refusals(service).has(frontendId(frontend)), !isOwner);
        }
      }),
    );
  });
});
