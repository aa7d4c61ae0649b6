import assert from 'node:assert/strict';
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { localStatus } from './local-status.ts';
import { type TableView, tableHealth } from './table-health.ts';

const WELL: TableView = { refusedFrontends: new Map(), clustersOverQuota: [], lacksPodCidrs: false };

const CASES: readonly (readonly [Partial<TableView>, reason: string])[] = [
  [
    {
      refusedFrontends: new Map([
        [serviceKey('shop', 'cart'), new Map([['192.0.2.1:80/TCP', 'shop/till has it']])],
        [serviceKey('shop', 'kiosk'), new Map([['192.0.2.1:80/TCP', 'shop/till has it']])],
      ]),
    },
    '2 Services have frontends that are not served, first shop/cart: 192.0.2.1:80/TCP: shop/till has it',
  ],
  [
    { clustersOverQuota: ['west', 'far'].map((name) => name as ClusterName) },
    'more backends than may be in use here: west, far',
  ],
  [
    { lacksPodCidrs: true },
    "the Node does not say which addresses its pods have (spec.podCIDRs): other clusters' claims to them are not refused",
  ],
];

describe('tableHealth()', () => {
  it('is ok while all that is asked for is done', () => assert.deepEqual(tableHealth(WELL), { kind: 'ok' }));

  for (const [view, reason] of CASES) {
    it(`says: ${reason}`, () => assert.deepEqual(tableHealth({ ...WELL, ...view }), { kind: 'degraded', reason }));
  }

  it('says all of it', () => {
    const all = Object.assign({}, WELL, ...CASES.map(([view]) => view));
    assert.deepEqual(tableHealth(all), { kind: 'degraded', reason: CASES.map(([, reason]) => reason).join('; ') });
  });
});

describe('localStatus()', () => {
  it('shows the local cluster as heard since the start, with what the table counts', () => {
    const counts = { services: 9, localServices: 5, globalServices: 2, localBackends: 7 };
    const status = localStatus({ name: 'east' as ClusterName, id: 1 }, 44, counts);
    assert.deepEqual(status, {
      name: 'east',
      id: 1,
      local: true,
      control: 'heard',
      since: 44,
      heardAt: 44,
      endpoints: [],
      services: 5,
      backends: 7,
      nodes: 0,
      failures: 0,
      lastError: '',
      warnings: [],
      quarantined: [],
    });
  });
});
