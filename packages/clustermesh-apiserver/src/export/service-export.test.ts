import assert from 'node:assert/strict';
import { LocalFacts } from '@tombolo/shared/local/local-facts.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { decodeService } from '@tombolo/shared/wire/service.ts';
import { EAST, endpoint, namespace, service, slice } from './facts.fixture.ts';
import { mostThatFit, serviceEntry } from './service-entry.ts';
import { ServiceExport } from './service-export.ts';

const CART = serviceKey('shop', 'cart');

describe('ServiceExport', () => {
  let facts: LocalFacts;
  let exported: ServiceExport;
  beforeEach(() => {
    facts = new LocalFacts(true);
    exported = new ServiceExport(EAST, facts, 1_500_000);
    facts.setNamespace('shop', namespace('shop'));
  });

  const changes = () =>
    [...exported.takeChanges(0)].map(([key, value]) => {
      if (value === undefined) return `${key} gone`;
      return `${key} ${Object.keys(JSON.parse(value).backends).join(' ')}`.trim();
    });

  it('writes a value that readers of the mesh accept', () => {
    facts.setService(CART, service('shop/cart', { labels: { app: 'cart' }, selector: { app: 'cart' } }));
    facts.setSlice('shop/cart-1', slice('shop/cart-1', 'shop/cart', [endpoint('10.1.3.17')]));
    const value = exported.takeChanges(0).get('shop/cart');
    assert.deepEqual(JSON.parse(value ?? ''), {
      cluster: 'east',
      namespace: 'shop',
      name: 'cart',
      frontends: { '10.96.0.1': { http: { Protocol: 'TCP', Port: 80 } } },
      backends: { '10.1.3.17': { http: { Protocol: 'TCP', Port: 8080 } } },
      labels: { app: 'cart' },
      selector: { app: 'cart' },
      includeExternal: true,
      shared: true,
      clusterID: 1,
    });
    const expected = { suffix: 'shop/cart', cluster: 'east', clusterId: 1, maxClusters: 255 } as const;
    assert(decodeService(value ?? '', expected).ok);
  });

  it('exports what is shared, and takes it back when it is not', () => {
    facts.setService(CART, service('shop/cart', { shared: false }));
    assert.deepEqual(changes(), []);
    facts.setService(CART, service('shop/cart'));
    assert.deepEqual(changes(), ['shop/cart']);
    facts.setService(CART, service('shop/cart', { shared: false }));
    assert.deepEqual(changes(), ['shop/cart gone']);
    facts.setService(CART, service('shop/cart'));
    facts.setService(CART, undefined);
    assert.deepEqual(changes(), []);
  });

  it('follows slices, whichever comes first, the Service or they', () => {
    facts.setSlice('shop/a', slice('shop/a', 'shop/cart', [endpoint('10.1.0.1')]));
    assert.deepEqual(changes(), []);
    facts.setService(CART, service('shop/cart'));
    assert.deepEqual(changes(), ['shop/cart 10.1.0.1']);
    facts.setSlice('shop/b', slice('shop/b', 'shop/cart', [endpoint('10.1.0.2')]));
    assert.deepEqual(changes(), ['shop/cart 10.1.0.1 10.1.0.2']);
    facts.setSlice('shop/a', undefined);
    assert.deepEqual(changes(), ['shop/cart 10.1.0.2']);
    facts.setSlice('shop/b', slice('shop/b', 'shop/other', [endpoint('10.1.0.2')]));
    assert.deepEqual(changes(), ['shop/cart']);
  });

  it('exports endpoints that are ready', () => {
    facts.setService(CART, service('shop/cart'));
    const endpoints = [
      endpoint('10.1.0.1'),
      endpoint('10.1.0.2', { ready: false, serving: true, terminating: true }),
      endpoint('10.1.0.3', { ready: false, serving: false }),
    ];
    facts.setSlice('shop/a', slice('shop/a', 'shop/cart', endpoints));
    assert.deepEqual(changes(), ['shop/cart 10.1.0.1']);
  });

  it('does not export what no proxy of this cluster uses: slices labelled headless, unless the Service is', () => {
    facts.setService(CART, service('shop/cart'));
    const told = (headless: boolean) => {
      facts.setSlice('shop/a', slice('shop/a', 'shop/cart', [endpoint('10.1.0.1')], headless));
      return changes();
    };
    assert.deepEqual(told(false), ['shop/cart 10.1.0.1']);
    assert.deepEqual(told(true), ['shop/cart']);
    assert.deepEqual(told(false), ['shop/cart 10.1.0.1']);
    told(true);
    facts.setService(CART, service('shop/cart', { clusterIps: [] }));
    assert.deepEqual(changes(), ['shop/cart 10.1.0.1']);
  });

  it('follows the namespace: its annotation, its default and its end', () => {
    facts.setService(CART, service('shop/cart'));
    facts.setService(serviceKey('bank', 'till'), service('bank/till'));
    assert.deepEqual(changes(), ['shop/cart']);
    facts.setNamespace('shop', namespace('shop', { global: false }));
    facts.setNamespace('bank', namespace('bank'));
    assert.deepEqual(changes(), ['shop/cart gone', 'bank/till']);
    facts.setNamespace('shop', namespace('shop', { global: true }));
    assert.deepEqual(changes(), ['shop/cart']);
    facts.setNamespace('shop', undefined);
    assert.deepEqual(changes(), ['shop/cart gone']);
  });

  it('exports only annotated namespaces where that is the default', () => {
    const strict = new LocalFacts(false);
    const other = new ServiceExport(EAST, strict, 1_500_000);
    strict.setService(CART, service('shop/cart'));
    strict.setNamespace('shop', namespace('shop'));
    assert.equal(other.takeChanges(0).size, 0);
    strict.setNamespace('shop', namespace('shop', { global: true }));
    assert.deepEqual([...other.takeChanges(0).keys()], ['shop/cart']);
  });

  it('makes a large entry once a second at the most, with the newest facts, and others meanwhile', () => {
    const few = (count: number) => Array.from({ length: count }, (_, i) => endpoint(`10.1.${i >> 8}.${i & 255}`));
    const at = (now: number) => [...exported.takeChanges(now)].map(([key, value]) => [key, count(value)]);
    const count = (value: string | undefined) => Object.keys(JSON.parse(value ?? '{}').backends ?? {}).length;
    facts.setService(CART, service('shop/cart'));
    facts.setService(serviceKey('shop', 'till'), service('shop/till'));
    facts.setSlice('shop/a', slice('shop/a', 'shop/cart', few(20_000)));
    assert.deepEqual(at(1_000), [
      ['shop/cart', 20_000],
      ['shop/till', 0],
    ]);
    facts.setSlice('shop/a', slice('shop/a', 'shop/cart', few(19_999)));
    facts.setSlice('shop/t', slice('shop/t', 'shop/till', few(1)));
    assert.deepEqual(at(1_050), [['shop/till', 1]]);
    const due = exported.heldBackUntil ?? 0;
    assert(due > 2_100 && due < 3_000, `${due}`);
    facts.setSlice('shop/t', slice('shop/t', 'shop/till', few(2)));
    facts.setSlice('shop/a', slice('shop/a', 'shop/cart', few(19_998)));
    assert.deepEqual(at(due - 1), [['shop/till', 2]]);
    assert.deepEqual(at(due), [['shop/cart', 19_998]]);
    assert.equal(exported.heldBackUntil, undefined);
    facts.setSlice('shop/a', slice('shop/a', 'shop/cart', few(3)));
    assert.deepEqual(at(due + 10_000), [['shop/cart', 3]]);
    facts.setSlice('shop/a', slice('shop/a', 'shop/cart', few(4)));
    assert.deepEqual(at(due + 10_001), [['shop/cart', 4]]);
  });

  it('says nothing when nothing changed', () => {
    facts.setService(CART, service('shop/cart'));
    changes();
    facts.setService(CART, service('shop/cart', { origin: { source: 'kubernetes', revision: '2', at: 5 } }));
    assert.deepEqual(changes(), []);
  });

  it('keeps what an earlier life said of a Service that is refused now', () => {
    exported.serviceRefused(CART);
    assert.deepEqual([...exported.keep], ['shop/cart']);
    facts.setService(CART, service('shop/cart'));
    exported.serviceHeard(CART);
    assert.deepEqual([...exported.keep], []);
    exported.serviceRefused(CART);
    assert.deepEqual([...exported.keep], []);
  });

  it('keeps nothing of a Service that was refused and is gone', () => {
    exported.serviceRefused(CART);
    exported.serviceHeard(CART);
    facts.setService(CART, undefined);
    assert.deepEqual([...exported.keep], []);
  });
});

describe('serviceEntry()', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => endpoint(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`));

  it('exports as many backends as fit, and says so', () => {
    const limit = 1_500_000;
    const { value, truncation } = serviceEntry(EAST, service('shop/cart'), many(30_000), limit);
    assert(truncation && truncation.exported > 20_000 && truncation.bytes > limit);
    assert.equal(truncation.backends, 30_000);
    assert.equal(Object.keys(JSON.parse(value).backends).length, truncation.exported);
    const size = Buffer.byteLength(value);
    assert(size <= limit && size > limit - 200, `${size}`);
  });

  it('leaves out the last by address', () => {
    const endpoints = many(100).toReversed();
    const whole = serviceEntry(EAST, service('shop/cart'), endpoints, 1e9);
    assert.equal(whole.truncation, undefined);
    const cut = serviceEntry(EAST, service('shop/cart'), endpoints, Buffer.byteLength(whole.value) - 1);
    assert.equal(cut.truncation?.exported, 99);
    assert(!('10.0.0.99' in JSON.parse(cut.value).backends));
  });

  it('takes 20,000 backends, however long that service is', () => {
    const { value, truncation } = serviceEntry(EAST, service('shop/cart'), many(20_000), 1_568_768);
    assert.equal(truncation, undefined);
    assert(Buffer.byteLength(value) < 1_568_768);
  });
});

describe('mostThatFit()', () => {
  for (const [what, sizeOf] of [
    ['even growth', (n: number) => 100 + n * 70],
    ['growth in steps', (n: number) => 100 + Math.floor(n / 64) * 5000],
    ['late growth', (n: number) => 100 + (n > 900 ? (n - 900) ** 2 : 0)],
    ['early growth', (n: number) => Math.sqrt(n) * 1000],
  ] as const) {
    it(`finds the greatest count with ${what}, in few tries`, () => {
      const all = 1000;
      for (const limit of [100, 3000, 9000, sizeOf(all) - 1]) {
        if (sizeOf(0) > limit || sizeOf(all) <= limit) continue;
        let tries = 0;
        const found = mostThatFit({ count: all, size: sizeOf(all) }, limit, (n) => {
          tries++;
          return sizeOf(n);
        });
        assert(sizeOf(found) <= limit && sizeOf(found + 1) > limit, `${limit}: ${found}`);
        assert(tries <= 20, `${tries} tries`);
      }
    });
  }
});
