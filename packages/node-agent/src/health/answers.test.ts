import assert from 'node:assert/strict';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { answerCheck, answerProxy } from './answers.ts';

const CHECK = { service: serviceKey('shop', 'cart'), port: 31_000, endpoints: { 4: 2, 6: 0 } } as const;

describe('answerCheck()', () => {
  it('is 200 while there are endpoints of the family that was asked, with their number as the weight', () => {
    const { status, headers, body } = answerCheck(CHECK, 4, true);
    assert.equal(status, 200);
    assert.deepEqual(headers, {
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      'x-load-balancing-endpoint-weight': '2',
    });
    assert.deepEqual(JSON.parse(body), {
      service: { namespace: 'shop', name: 'cart' },
      localEndpoints: 2,
      serviceProxyHealthy: true,
    });
  });

  it('is 503 without endpoints, and while the proxy is not healthy', () => {
    const none = answerCheck(CHECK, 6, true);
    assert.equal(none.status, 503);
    assert.equal(none.headers['x-load-balancing-endpoint-weight'], '0');
    const ill = answerCheck(CHECK, 4, false);
    assert.equal(ill.status, 503);
    assert.deepEqual(JSON.parse(ill.body), {
      service: { namespace: 'shop', name: 'cart' },
      localEndpoints: 2,
      serviceProxyHealthy: false,
    });
  });
});

describe('answerProxy()', () => {
  const NOW = Date.parse('2026-02-01T00:00:00Z');
  const statuses = (healthy: boolean, nodeEligible: boolean) =>
    ['/healthz', '/livez', '/proxyMode', '/'].map(
      (path) => answerProxy(path, { healthy, nodeEligible, updatedAt: 0 }, 'nftables', NOW).status,
    );

  it('tells of the node at /healthz, and of the proxy alone at /livez', () => {
    assert.deepEqual(statuses(true, true), [200, 200, 200, 404]);
    assert.deepEqual(statuses(true, false), [503, 200, 200, 404]);
    assert.deepEqual(statuses(false, true), [503, 503, 200, 404]);
  });

  it('is up to date while healthy, and says since when it is not', () => {
    const parsed = (path: string, healthy: boolean) =>
      JSON.parse(answerProxy(path, { healthy, nodeEligible: true, updatedAt: NOW - 90_000 }, '', NOW).body);
    assert.deepEqual(parsed('/healthz', true), {
      lastUpdated: '2026-02-01T00:00:00.000Z',
      currentTime: '2026-02-01T00:00:00.000Z',
      healthy: true,
      nodeEligible: true,
    });
    assert.deepEqual(parsed('/livez', false), {
      lastUpdated: '2026-01-31T23:58:30.000Z',
      currentTime: '2026-02-01T00:00:00.000Z',
      healthy: false,
    });
  });
});
