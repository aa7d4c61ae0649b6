import assert from 'node:assert/strict';
import type { ServiceScope } from '@tombolo/shared/merge/context.ts';
import { REMOTES } from '@tombolo/shared/merge/world.fixture.ts';
import { ip } from '@tombolo/shared/model/ip.ts';
import { sampleEndpoint, sampleRemote, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import { type LocalService, serviceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';
import { checksByPort, type HealthCheck, healthCheckOf } from './checks.ts';

const KEY = serviceKey('shop', 'cart');

const checked = (fields: Partial<LocalService> = {}): LocalService =>
  sampleService(KEY, {
    clusterIps: [ip('10.96.0.1'), ip('fd00:96::1')],
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 31_000,
    ...fields,
  });

const FACTS: ServiceFacts = {
  key: KEY,
  service: checked(),
  takesPart: true,
  endpoints: [],
  remotes: [],
  refusedFrontends: new Map(),
};

const checkOf = (facts: Partial<ServiceFacts>, scope: ServiceScope = 'all'): HealthCheck | undefined =>
  healthCheckOf({ ...FACTS, ...facts }, { node: 'node-1', scope });

describe('healthCheckOf()', () => {
  it('counts what is on this node and ready, each family for itself', () => {
    const endpoints = [
      sampleEndpoint('10.1.0.1'),
      sampleEndpoint('10.1.0.2'),
      sampleEndpoint('10.1.0.3', { node: 'node-2' }),
      sampleEndpoint('10.1.0.4', { node: '' }),
      sampleEndpoint('fd00:1::1'),
    ];
    assert.deepEqual(checkOf({ endpoints }), { service: KEY, port: 31_000, endpoints: { 4: 2, 6: 1 } });
  });

  it('counts neither what is not ready nor what is terminating, though that serves while nothing else is left', () => {
    const endpoints = [
      sampleEndpoint('10.1.0.1', { ready: false, serving: true, terminating: true }),
      sampleEndpoint('10.1.0.2', { ready: false, serving: false }),
    ];
    assert.deepEqual(checkOf({ endpoints })?.endpoints, { 4: 0, 6: 0 });
  });

  it('counts an address with several ports once', () => {
    const ports = ['http', 'metrics'].map((name, i) => ({ name, protocol: 'TCP' as const, port: 80 + i }));
    const service = checked({ ports: ports.map((port) => ({ ...port, nodePort: 0 })) });
    assert.deepEqual(checkOf({ service, endpoints: [sampleEndpoint('10.1.0.1', { ports })] })?.endpoints, {
      4: 1,
      6: 0,
    });
  });

  it('does not count other clusters’ backends, whatever node they name', () => {
    const [west] = REMOTES;
    assert(west);
    const ports = [{ name: 'http', protocol: 'TCP' as const, port: 80 }];
    const backends = [{ address: ip('10.2.0.1'), ports, zone: '' }];
    const remotes = [
      { cluster: west, view: { kind: 'synced' } as const, service: sampleRemote([], { key: KEY, backends }) },
    ];
    for (const affinity of ['none', 'remote', 'local'] as const) {
      assert.deepEqual(checkOf({ service: checked({ affinity }), remotes })?.endpoints, { 4: 0, 6: 0 });
      const endpoints = [sampleEndpoint('10.1.0.1')];
      assert.deepEqual(checkOf({ service: checked({ affinity }), remotes, endpoints })?.endpoints, { 4: 1, 6: 0 });
    }
  });

  it('is none without a port, without the Service, and where kube-proxy serves it', () => {
    assert.equal(checkOf({ service: checked({ healthCheckNodePort: 0 }) }), undefined);
    assert.equal(checkOf({ service: undefined }), undefined);
    assert.equal(checkOf({ service: checked({ global: false }) }, 'global'), undefined);
    assert.equal(checkOf({ takesPart: false }, 'global'), undefined);
    assert.equal(checkOf({}, 'global')?.port, 31_000);
  });
});

describe('checksByPort()', () => {
  it('gives a port to the Service whose key sorts first, in whatever order they come', () => {
    const check = (name: string, port: number): HealthCheck => ({
      service: serviceKey('shop', name),
      port,
      endpoints: { 4: 0, 6: 0 },
    });
    const [a, b, c] = [check('a', 31_000), check('b', 31_000), check('c', 31_001)];
    for (const checks of [
      [a, b, c],
      [c, b, a],
    ]) {
      assert.deepEqual(
        checksByPort(checks),
        new Map([
          [31_000, a],
          [31_001, c],
        ]),
      );
    }
  });
});
